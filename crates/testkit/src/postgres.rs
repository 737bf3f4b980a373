//! PostgreSQL clusters of the tests' own, from Debian's package.

use std::env;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A cluster on a free port of this machine, which ends with this value or this process.
///
/// As root it runs as the user `postgres`, which the package makes.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    /// A shell that ends the server once its input ends, and the input.
    shell: Option<(Child, ChildStdin)>,
}

/// Starts the server, ends it on a line or the end of the input, and removes its folder if there
/// was no line: the process is gone.
const SHELL: &str = r#"
"$1/postgres" -D "$2" -p "$3" >>"$2/log" 2>&1 &
read -r line
gone=$?
kill -QUIT $! 2>/dev/null
wait
[ $gone -eq 0 ] || rm -rf "$2"
"#;

impl Postgres {
    /// Makes and starts a cluster; nothing if PostgreSQL is not installed.
    ///
    /// # Panics
    /// If it is missing although `OFFKEY_SERVERS=required` is set, or does not start.
    pub fn start() -> Option<Self> {
        let Some(bin) = programs() else {
            let required = env::var("OFFKEY_SERVERS").is_ok_and(|value| value == "required");
            assert!(!required, "PostgreSQL is missing: run scripts/setup test");
            eprintln!("no PostgreSQL: nothing is tested with it");
            return None;
        };
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("offkey-postgres-{}-{number}", std::process::id()));
        let mut cluster = Self { bin, dir, port: 0, shell: None };
        cluster.make();
        // Between choosing a port and using it another program can take it.
        for _ in 0..3 {
            cluster.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if cluster.resume() {
                return Some(cluster);
            }
        }
        panic!("PostgreSQL does not start:\n{}", cluster.log());
    }

    fn make(&self) {
        fs::create_dir_all(&self.dir).unwrap();
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o700)).unwrap();
        if is_root() {
            let owner = Command::new("chown").arg("postgres").arg(&self.dir).status().unwrap();
            assert!(owner.success(), "no user postgres");
        }
        let output = as_postgres(&self.bin.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"])
            .args(["--locale=C", "-D"])
            .arg(&self.dir)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut settings =
            fs::OpenOptions::new().append(true).open(self.dir.join("postgresql.conf")).unwrap();
        // No power fails while tests run; a killed server loses nothing for it.
        settings
            .write_all(
                b"listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n\
                  max_connections = 200\nshared_buffers = 32MB\nautovacuum = off\n",
            )
            .unwrap();
    }

    /// Starts the server after [`Postgres::kill`] on the port it had; false if it ends.
    pub fn resume(&mut self) -> bool {
        assert!(self.shell.is_none(), "it runs");
        let mut shell = as_postgres(Path::new("/bin/sh"))
            .args(["-c", SHELL, "sh"])
            .arg(&self.bin)
            .arg(&self.dir)
            .arg(self.port.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let input = shell.stdin.take().unwrap();
        self.shell = Some((shell, input));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            let ready = Command::new(self.bin.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .unwrap();
            if ready.success() {
                return true;
            }
            let is_there = self.dir.join("postmaster.pid").exists();
            if start.elapsed() > Duration::from_secs(3) && !is_there {
                break;
            }
            sleep(Duration::from_millis(20));
        }
        self.kill();
        false
    }

    /// Ends the server at once, as a crash does.
    pub fn kill(&mut self) {
        if let Some((mut shell, mut input)) = self.shell.take() {
            input.write_all(b"stop\n").unwrap();
            shell.wait().unwrap();
        }
    }

    /// Stops every process of the server where it is.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Makes an empty database and returns its URL.
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let output = Command::new(self.bin.join("createdb"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", &name])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Signals the server, then its children.
    fn signal(&self, name: &str) {
        let pid = fs::read_to_string(self.dir.join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(children).unwrap();
        // One that has just ended cannot be stopped any more.
        let _ = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(pid)
            .args(children.split_whitespace())
            .stderr(Stdio::null())
            .status();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.shell.is_some() {
            self.thaw();
            self.kill();
        }
        // A folder that stays in /tmp fails no test.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The folder of the newest installed version's programs.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command;
    if is_root() {
        command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    } else {
        command = Command::new(program);
    }
    command.current_dir("/");
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().uid() == 0
}
