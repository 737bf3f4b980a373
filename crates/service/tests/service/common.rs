//! A service in this process, and a client that is its own: requests as bytes over TCP.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use offkey_service::{
    AnalysisConfig, Config, Credential, Instance, Integers, Isolation, Limits, LogFormat, Node,
    Permission, Project, Role, Running, Secret, Signer, TaskLimits, Unsigned,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// The present of all tests, until they move it.
pub(crate) const NOW_MS: i64 = 1_767_225_600_000;

pub(crate) const PROJECT: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const OTHER_PROJECT: &str = "fedcba9876543210fedcba9876543210";
pub(crate) const INSTANCE: &str = "5560df16-cebf-4473-95c4-d1b573c16e79";
pub(crate) const OTHER_INSTANCE: &str = "11111111-cebf-4473-95c4-d1b573c16e79";
pub(crate) const OLD_INSTANCE: &str = "22222222-cebf-4473-95c4-d1b573c16e79";
pub(crate) const NODE: &str = "ff8080828fdd5aef018fe2218a886105";
pub(crate) const REPLICA: &str = "ff8080828fdd5aef018fe2218a886106";
pub(crate) const OTHER_NODE: &str = "ff8080828fdd5aef018fe2218a886205";

/// A service and its folders.
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) folder: TempDir,
    pub(crate) clock_ms: Arc<AtomicI64>,
    runtime: Runtime,
    running: Option<Running>,
}

/// An answer of the service.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    /// What it says in JSON; null where it is something else.
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
}

/// A request before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An open connection to the service.
pub(crate) struct Connection(pub(crate) BufReader<TcpStream>);

impl Service {
    /// Starts one whose node has the backups that `fill` writes into its folder.
    pub(crate) fn start(fill: impl FnOnce(&Path)) -> Self {
        Self::start_with(fill, |_| {})
    }

    pub(crate) fn start_with(fill: impl FnOnce(&Path), change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["backups", "replica", "other"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        fill(&folder.path().join("backups"));
        let mut config = config(folder.path());
        change(&mut config);
        let mut service = Self {
            config,
            folder,
            clock_ms: Arc::new(AtomicI64::new(NOW_MS)),
            runtime: Runtime::new().unwrap(),
            running: None,
        };
        service.resume();
        service
    }

    /// Starts it again after [`Service::stop`].
    pub(crate) fn resume(&mut self) {
        let clock_ms = Arc::clone(&self.clock_ms);
        let clock = Arc::new(move || clock_ms.load(Ordering::Relaxed));
        let start = offkey_service::start(self.config.clone(), clock);
        self.running = Some(self.runtime.block_on(start).unwrap());
    }

    pub(crate) fn stop(&mut self) {
        let running = self.running.take().unwrap();
        self.runtime.block_on(running.stop());
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.running.as_ref().unwrap().addr()
    }

    pub(crate) fn host(&self) -> String {
        self.addr().to_string()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection(BufReader::new(TcpStream::connect(self.addr()).unwrap()))
    }

    /// A request signed as the Python SDK does, by a caller of [`PROJECT`].
    pub(crate) fn signed(&self, method: &str, target: &str, body: &[u8]) -> Request {
        self.signed_by(&own(), self.clock_ms.load(Ordering::Relaxed), method, target, body)
    }

    pub(crate) fn signed_by(
        &self,
        signer: &Signer,
        now_ms: i64,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Request {
        let host = self.host();
        let mut headers = vec![
            ("content-type", "application/json"),
            ("user-agent", "huaweicloud-usdk-python/3.0"),
        ];
        let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        if method == "PUT" {
            // What is read as it comes is signed by its hash.
            headers.push(("x-sdk-content-sha256", &hash));
        }
        let unsigned = Unsigned { method, host: &host, target, headers: &headers, body };
        let signature = signer.headers(&unsigned, now_ms).unwrap();
        let mut all = vec![("host".to_owned(), host.clone())];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all.extend(signature);
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: all,
            body: body.to_vec(),
        }
    }

    /// Sends on a connection of its own.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        self.connect().send(request)
    }

    /// Signs and sends.
    pub(crate) fn call(&self, method: &str, target: &str, body: &str) -> Answer {
        self.send(&self.signed(method, target, body.as_bytes()))
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.call("GET", target, "")
    }

    /// The id of a backup of [`NODE`] by the name of its file.
    pub(crate) fn backup_id(&self, name: &str) -> String {
        let answer = self.get(&format!("/v2/{PROJECT}/instances/{INSTANCE}/backups?limit=1000"));
        let records = answer.body["backup_record_response"].as_array().unwrap().clone();
        let record = records.iter().find(|record| record["backup_name"] == name).unwrap();
        record["backup_id"].as_str().unwrap().to_owned()
    }

    /// Creates an analysis of a backup of [`NODE`], whatever the answer.
    pub(crate) fn create(&self, backup_id: &str) -> Answer {
        let body = json!({"node_id": NODE, "backup_id": backup_id});
        self.call("POST", &analysis(""), &body.to_string())
    }

    /// Shows the task once it has ended.
    pub(crate) fn ended(&self, task_id: &str) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.get(&analysis(&format!("/{task_id}")));
            assert_eq!(answer.status, 200, "{answer:?}");
            if matches!(answer.body["status"].as_str(), Some("success" | "failed")) {
                return answer;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "still {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.stop();
        }
    }
}

impl Answer {
    pub(crate) fn code(&self) -> (u16, &str) {
        (self.status, self.body["error_code"].as_str().unwrap_or_default())
    }

    pub(crate) fn task_id(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body["task_id"].as_str().unwrap().to_owned()
    }
}

impl Request {
    /// What goes before the body.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("content-length: {}\r\n\r\n", self.body.len());
        text.into_bytes()
    }

    /// The value of a header that is there.
    pub(crate) fn header(&mut self, name: &str) -> &mut String {
        &mut self.headers.iter_mut().find(|(header, _)| header == name).unwrap().1
    }
}

impl Connection {
    pub(crate) fn send(&mut self, request: &Request) -> Answer {
        let mut bytes = request.head();
        bytes.extend(&request.body);
        // The service may answer and close before it has read all of a long body.
        let _ = self.0.get_mut().write_all(&bytes);
        self.read()
    }

    /// Sends, and answers the lines of a body that ends when the service says so.
    pub(crate) fn stream(mut self, request: &Request) -> impl Iterator<Item = String> {
        let mut request = request.clone();
        request.headers.push(("connection".to_owned(), "close".to_owned()));
        self.0.get_mut().write_all(&request.head()).unwrap();
        self.0.lines().map(Result::unwrap)
    }

    pub(crate) fn read(&mut self) -> Answer {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        let mut headers = HashMap::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).unwrap();
        let body = match headers.get("content-type").map(String::as_str) {
            Some("application/json") => serde_json::from_slice(&bytes).unwrap(),
            _ => Value::Null,
        };
        Answer { status, headers, body, bytes }
    }
}

/// The path of the analyses of [`INSTANCE`], and what follows.
pub(crate) fn analysis(rest: &str) -> String {
    format!("/v2/{PROJECT}/instances/{INSTANCE}/offline/key-analysis{rest}")
}

/// A caller of [`PROJECT`].
pub(crate) fn own() -> Signer {
    Signer { ak: "OWN".to_owned(), sk: Secret::new("own secret") }
}

/// A caller of [`OTHER_PROJECT`].
pub(crate) fn other() -> Signer {
    Signer { ak: "OTHER".to_owned(), sk: Secret::new("other secret") }
}

/// An RDB file of strings, whose checksum is switched off.
pub(crate) fn strings(count: u32) -> Vec<u8> {
    let mut bytes = b"REDIS0009\xfe\x00".to_vec();
    for number in 0..count {
        bytes.extend(b"\x00\x0c");
        bytes.extend(format!("key:{number:08}").as_bytes());
        bytes.extend(b"\x05value");
    }
    bytes.extend(b"\xff\0\0\0\0\0\0\0\0");
    bytes
}

fn config(folder: &Path) -> Config {
    let node = |id: &str, role, backups: PathBuf| Node {
        id: id.to_owned(),
        name: format!("name of {id}"),
        ip: "192.0.2.1".to_owned(),
        port: 6379,
        role,
        group: "group-0".to_owned(),
        backups,
        told: None,
    };
    let instance = |id: &str, project: &str, engine_version: &str, nodes| Instance {
        live: None,
        id: Uuid::parse_str(id).unwrap(),
        project: project.to_owned(),
        name: format!("instance {}", &id[..2]),
        engine: "Redis".to_owned(),
        engine_version: engine_version.to_owned(),
        max_memory_mb: 2048,
        created_at: "2026-01-01T00:00:00.000Z".to_owned(),
        tags: BTreeMap::new(),
        analyse_schedule: None,
        sources: Vec::new(),
        nodes,
    };
    let credential = |signer: Signer, project: &str| Credential {
        ak: signer.ak,
        sk: signer.sk,
        projects: vec![project.to_owned()],
        role: Permission::default(),
    };
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        allow_plain_http: false,
        tls: None,
        public_url: None,
        limits: Limits::default(),
        data_dir: folder.join("data"),
        database: None,
        credential_key_file: None,
        keyring: None,
        log_format: LogFormat::default(),
        workers: 1,
        tasks: TaskLimits::default(),
        isolation: Isolation::None,
        integers: Integers::default(),
        analysis: AnalysisConfig::default(),
        projects: vec![
            Project { id: PROJECT.to_owned(), name: "cn-north-4".to_owned() },
            Project { id: OTHER_PROJECT.to_owned(), name: "eu-west-0".to_owned() },
        ],
        credentials: vec![credential(own(), PROJECT), credential(other(), OTHER_PROJECT)],
        instances: vec![
            instance(
                INSTANCE,
                PROJECT,
                "7.0",
                vec![
                    node(NODE, Role::Master, folder.join("backups")),
                    node(REPLICA, Role::Slave, folder.join("replica")),
                ],
            ),
            instance(
                OLD_INSTANCE,
                PROJECT,
                "3.0",
                vec![node("old", Role::Master, folder.join("other"))],
            ),
            instance(
                OTHER_INSTANCE,
                OTHER_PROJECT,
                "7.0",
                vec![node(OTHER_NODE, Role::Master, folder.join("other"))],
            ),
        ],
    }
}
