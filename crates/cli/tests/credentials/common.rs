//! A folder with a configuration, commands that use it, and the service as a process.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offkey_service::{Signer, Unsigned};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PROJECT: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const OTHER_PROJECT: &str = "fedcba9876543210fedcba9876543210";
pub(crate) const INSTANCE: &str = "5560df16-cebf-4473-95c4-d1b573c16e79";
pub(crate) const NODE: &str = "ff8080828fdd5aef018fe2218a886105";

/// Temporary folder with `offkey.toml`, a folder for the data and one for temporary files.
pub(crate) struct Folder {
    pub(crate) dir: TempDir,
    /// Everything that commands have printed, but for what was asked for.
    pub(crate) printed: Mutex<Vec<u8>>,
}

/// The service as a process.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: String,
    log: Option<JoinHandle<Vec<u8>>>,
    /// Everything that it has answered.
    pub(crate) replies: Mutex<Vec<u8>>,
}

/// An answer of the service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Folder {
    /// Writes a configuration with two projects, one instance and `settings`, a backup and no
    /// credential.
    pub(crate) fn new(settings: &str, credentials: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n{settings}\n\
             [[projects]]\nid = \"{PROJECT}\"\nname = \"own\"\n\
             [[projects]]\nid = \"{OTHER_PROJECT}\"\nname = \"other\"\n{credentials}\n\
             [[instances]]\nid = \"{INSTANCE}\"\nproject = \"{PROJECT}\"\nname = \"sessions\"\n\
             engine_version = \"7.0\"\n\
             [[instances.nodes]]\nid = \"{NODE}\"\nname = \"sessions-0\"\nrole = \"master\"\n\
             backups = \"backups\"\n"
        );
        fs::write(dir.path().join("offkey.toml"), text).unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        fs::create_dir(dir.path().join("backups")).unwrap();
        let rdb = b"REDIS0009\xfe\x00\x00\x03key\x05value\xff\0\0\0\0\0\0\0\0";
        fs::write(dir.path().join("backups/good.rdb"), rdb).unwrap();
        fs::write(dir.path().join("backups/cut.rdb"), &rdb[..20]).unwrap();
        Self { dir, printed: Mutex::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `offkey` in this folder, with nothing of our own environment that could matter.
    pub(crate) fn offkey(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offkey"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("TMPDIR", self.path("tmp"))
            .env_remove("OFFKEY_CREDENTIAL_KEY")
            .env_remove("CREDENTIALS_DIRECTORY");
        command
    }

    /// What a command says that must succeed.
    pub(crate) fn good(&self, args: &[&str]) -> String {
        let output = self.offkey(args).output().unwrap();
        self.printed.lock().unwrap().extend(&output.stderr);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command complains of that must not succeed.
    pub(crate) fn bad(&self, args: &[&str]) -> String {
        let output = self.offkey(args).output().unwrap();
        self.told(&output);
        assert!(!output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn told(&self, output: &Output) {
        self.printed.lock().unwrap().extend(output.stdout.iter().chain(&output.stderr));
    }

    /// Adds an access key by the command, and answers what it prints.
    pub(crate) fn add(&self, args: &[&str]) -> Value {
        let all = [&["credential", "add", "--config", "offkey.toml", "--json"], args].concat();
        serde_json::from_str(&self.good(&all)).unwrap()
    }
}

impl Server {
    /// Starts `command`, which is `offkey serve`, and waits until it listens.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut log = Vec::new();
        let addr = loop {
            let start = log.len();
            assert_ne!(stderr.read_until(b'\n', &mut log).unwrap(), 0, "{}", text(&log));
            let line = text(&log[start..]);
            if let Some((_, addr)) = line.trim().split_once("addr=") {
                break addr.to_owned();
            }
        };
        let reader = thread::spawn(move || {
            stderr.read_to_end(&mut log).unwrap();
            log
        });
        Self { child, addr, log: Some(reader), replies: Mutex::default() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends bytes as they are, and reads until the service closes the connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        self.replies.lock().unwrap().extend(&reply);
        let reply = text(&reply);
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, body: body.to_owned() }
    }

    /// Sends a request with these headers.
    pub(crate) fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n",
            self.addr,
            body.len()
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        self.raw(format!("{request}\r\n{body}").as_bytes())
    }

    /// Signs a request that has these headers too, and sends it.
    pub(crate) fn call(
        &self,
        signer: &Signer,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let unsigned =
            Unsigned { method, host: &self.addr, target, headers, body: body.as_bytes() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let signed = signer.headers(&unsigned, i64::try_from(now).unwrap()).unwrap();
        let signed = signed.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<_> = headers.iter().copied().chain(signed).collect();
        self.send(method, target, &headers, body)
    }

    /// Status of the list of instances of `project`.
    pub(crate) fn asks(&self, signer: &Signer, project: &str) -> u16 {
        self.call(signer, "GET", &format!("/v2/{project}/instances"), &[], "").status
    }

    /// Ends the process by a signal that leaves it no time, and answers its log.
    pub(crate) fn kill(mut self) -> Vec<u8> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.take().unwrap().join().unwrap()
    }

    /// Stops the process as an operator does, and answers its log.
    pub(crate) fn stop(mut self) -> Vec<u8> {
        let kill = format!("kill -TERM {}", self.pid());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended is ended enough.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
