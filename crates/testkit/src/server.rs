//! Real servers, as `scripts/servers` installs them.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::fixture::repo_path;
use crate::resp::Client;

/// Names and start programs of the servers that are installed.
///
/// # Panics
/// If one of the default set is missing although `OFFKEY_SERVERS=required` is set.
pub fn servers() -> Vec<(String, PathBuf)> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let dir = repo_path(target).join("servers");
    let mut found: Vec<_> = fs::read_dir(&dir)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), entry.path().join("server"))
        })
        .filter(|(_, program)| program.exists())
        .collect();
    found.sort();
    let required = env::var("OFFKEY_SERVERS").is_ok_and(|value| value == "required");
    let is_missing = |name: &String| !found.iter().any(|(found, _)| found == name);
    let missing: Vec<_> = default_set().into_iter().filter(is_missing).collect();
    assert!(
        missing.is_empty() || !required,
        "not in {}, run scripts/servers: {missing:?}",
        dir.display()
    );
    if found.is_empty() {
        eprintln!("no server in {}: nothing is compared", dir.display());
    }
    found
}

/// The servers that `scripts/servers` installs unless told otherwise.
fn default_set() -> Vec<String> {
    let script = fs::read_to_string(repo_path("scripts/servers")).unwrap();
    let names = script.lines().find_map(|line| line.strip_prefix("default=(")).unwrap();
    names.trim_end_matches(')').split_whitespace().map(str::to_owned).collect()
}

/// A running server with a folder of its own; both end with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    dir: PathBuf,
    port: u16,
}

impl Server {
    /// Starts a server on a free port, empty or on the file given, which never saves of its
    /// own accord.
    pub fn start(program: &Path, options: &[&str], file: Option<&[u8]>) -> Self {
        // Between choosing a port and using it another program can take it.
        Self::start_at(program, free_port, options, file)
    }

    /// The same on a port that `choose` has chosen.
    pub(crate) fn start_at(
        program: &Path,
        choose: fn() -> u16,
        options: &[&str],
        file: Option<&[u8]>,
    ) -> Self {
        let mut log = String::new();
        for _ in 0..3 {
            let mut server = Self::spawn(program, choose(), options, file);
            if server.is_up() {
                return server;
            }
            log = fs::read_to_string(server.dir.join("log")).unwrap();
        }
        panic!("{} does not start:\n{log}", program.display());
    }

    /// Starts a Sentinel that watches the master at `port` under the name `main`.
    pub fn start_sentinel(program: &Path, port: u16) -> Self {
        let dir = new_dir();
        let own_port = free_port();
        let config = dir.join("sentinel.conf");
        let text = format!(
            "port {own_port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds main 1000\n",
            dir.display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(dir.join("log")).unwrap();
        let child = Command::new(program)
            .arg(&config)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut server = Self { child, dir, port: own_port };
        assert!(server.is_up(), "{}", fs::read_to_string(server.dir.join("log")).unwrap());
        server
    }

    fn spawn(program: &Path, port: u16, options: &[&str], file: Option<&[u8]>) -> Self {
        let dir = new_dir();
        if let Some(bytes) = file {
            fs::write(dir.join("dump.rdb"), bytes).unwrap();
        }
        let log = fs::File::create(dir.join("log")).unwrap();
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--databases", "64", "--dir"])
            .arg(&dir)
            .args(options)
            .args(debug_option(program))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self { child, dir, port }
    }

    /// Waits until it answers: false if it ends before.
    fn is_up(&mut self) -> bool {
        for _ in 0..400 {
            // Asked first, so that nobody else's answer on the port is taken for its own.
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if answers(self.port) {
                return true;
            }
            sleep(Duration::from_millis(25));
        }
        false
    }

    fn stop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Opens a connection.
    pub fn client(&self) -> Client {
        Client::connect(self.port).unwrap()
    }

    /// Has the server write its file and returns where it lies.
    pub fn save(&self) -> PathBuf {
        self.client().run(&[b"SAVE"]);
        self.dir.join("dump.rdb")
    }
}

fn new_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = env::temp_dir().join(format!("offkey-server-{}-{number}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// A port that nobody uses at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether a server at this port has loaded its file.
fn answers(port: u16) -> bool {
    let mut answer = [0; 5];
    TcpStream::connect(("127.0.0.1", port))
        .and_then(|mut stream| {
            stream.write_all(b"PING\r\n")?;
            stream.read_exact(&mut answer)
        })
        .is_ok_and(|()| &answer == b"+PONG")
}

/// Redis 7 and Valkey refuse `DEBUG` unless told; older servers do not know the option.
fn debug_option(program: &Path) -> &'static [&'static str] {
    if major(program) >= 7 { &["--enable-debug-command", "local"] } else { &[] }
}

/// First number of the version of a server's program.
fn major(program: &Path) -> u32 {
    let version = Command::new(program).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let major = version.split_once("v=").and_then(|(_, rest)| rest.split('.').next());
    major.unwrap().parse().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        // A folder that stays in /tmp fails no test.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
