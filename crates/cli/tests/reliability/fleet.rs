//! Services and workers as processes of their own, and a client of them.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offkey_service::{Secret, Signer, Unsigned};
use offkey_testkit::{RdbFile, long_work, value};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Keys that take a while to read, on a fast machine too.
const LARGE: u32 = 1_500_000;

/// A project whose number comes last.
pub(crate) fn project(number: usize) -> String {
    format!("{number:032x}")
}

/// The instance of this number.
pub(crate) fn instance(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// A node of an instance.
pub(crate) fn node(instance: usize, number: usize) -> String {
    format!("n{instance}x{number}")
}

/// Folders, configuration and database that processes have in common.
pub(crate) struct Fleet {
    pub(crate) folder: TempDir,
    pub(crate) database: Option<String>,
    pub(crate) instances: usize,
    pub(crate) projects: usize,
    pub(crate) lease_seconds: u32,
    /// Of each access key.
    pub(crate) requests_per_second: u32,
    /// More lines of the configuration, before the tables.
    pub(crate) settings: String,
    /// The same within `[tasks]`, and within `[limits]`.
    pub(crate) task_settings: String,
    pub(crate) limits: String,
    /// URL of an S3 server with a backup `<instance>/<node>/small.rdb` in its bucket `backups`
    /// for each node; then the folders of nodes are of each process, and empty.
    pub(crate) store: Option<String>,
    /// Tables after all others.
    pub(crate) more: String,
    /// Port of a live server that all nodes are.
    pub(crate) live: Option<u16>,
}

/// A process that ends with this value.
pub(crate) struct Process {
    pub(crate) child: Child,
    /// Where it listens, if it does.
    pub(crate) addr: String,
    log: Arc<Mutex<Vec<String>>>,
}

/// An answer, with its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: String,
}

/// A client of the project that an instance belongs to.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    projects: usize,
    /// By how much its clock, whose time it signs with, is ahead.
    pub(crate) ahead_ms: i64,
}

impl Fleet {
    /// One whose instances have three nodes, each with a backup `small.rdb`.
    pub(crate) fn new(database: Option<String>, instances: usize) -> Self {
        let fleet = Self {
            folder: tempfile::tempdir().unwrap(),
            database,
            instances,
            projects: 3,
            lease_seconds: 3,
            requests_per_second: 100_000,
            settings: String::new(),
            task_settings: String::new(),
            limits: String::new(),
            store: None,
            more: String::new(),
            live: None,
        };
        for number in 0..3 {
            let path = fleet.backups(number);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("small.rdb"), rdb(2000 + u32::try_from(number).unwrap())).unwrap();
        }
        fleet
    }

    /// The folder of the backups of the nodes of this number.
    pub(crate) fn backups(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("backups{node}"))
    }

    /// Adds a backup that takes a while, to the first nodes.
    pub(crate) fn add_large(&self) {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let bytes = BYTES.get_or_init(|| long_work(LARGE));
        fs::write(self.backups(0).join("large.rdb"), bytes).unwrap();
    }

    /// Starts `offkey serve` with so many workers and waits until it listens.
    pub(crate) fn serve(&self, name: &str, workers: usize) -> Process {
        self.start(name, "serve", workers, None).expect("the service starts")
    }

    /// The same with a fail point armed; nothing if the process does not come so far.
    pub(crate) fn serve_armed(&self, name: &str, workers: usize, point: &str) -> Option<Process> {
        self.start(name, "serve", workers, Some(("OFFKEY_FAIL_POINT", point)))
    }

    /// Starts `offkey worker`.
    pub(crate) fn worker(&self, name: &str, workers: usize) -> Process {
        self.start(name, "worker", workers, None).expect("the worker starts")
    }

    pub(crate) fn start(
        &self,
        name: &str,
        command: &str,
        workers: usize,
        variable: Option<(&str, &str)>,
    ) -> Option<Process> {
        let mut offkey = Command::new(env!("CARGO_BIN_EXE_offkey"));
        offkey.arg(command).arg("--config").arg(self.config(name, workers));
        offkey.envs(variable);
        Process::spawn(offkey, if command == "serve" { "listening" } else { "working" })
    }

    /// Writes the configuration of a process that has its own data folder.
    pub(crate) fn config(&self, name: &str, workers: usize) -> PathBuf {
        let mut text = format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = \"{name}\"\nworkers = {workers}\n{}\n",
            self.settings
        );
        if let Some(url) = &self.database {
            text += &format!("database = \"{url}\"\n");
        }
        text += &format!(
            "[limits]\nrequests_per_second = {}\n{}\n[tasks]\nlease_seconds = {}\n{}\n",
            self.requests_per_second, self.limits, self.lease_seconds, self.task_settings
        );
        for number in 0..self.projects {
            let id = project(number);
            text += &format!(
                "[[projects]]\nid = \"{id}\"\nname = \"p{number}\"\n\
                 [[credentials]]\nak = \"AK{number}\"\nsk = \"secret\"\nprojects = [\"{id}\"]\n\
                 role = \"admin\"\n"
            );
        }
        for number in 0..self.instances {
            text += &format!(
                "[[instances]]\nid = \"{}\"\nproject = \"{}\"\nname = \"i\"\n\
                 engine_version = \"7.0\"\n",
                instance(number),
                project(number % self.projects),
            );
            if let Some(url) = &self.store {
                text += &format!(
                    "[[instances.sources]]\nurl = \"s3://backups/{}/\"\n\
                     pattern = \"{{node}}/small.rdb\"\nendpoint = \"{url}\"\n\
                     path_style = true\naccess_key = \"AK\"\nsecret_key = \"SK\"\n",
                    instance(number)
                );
            }
            let mut address = String::new();
            if let Some(port) = self.live {
                text += "[instances.live]\n";
                address = format!("ip = \"127.0.0.1\"\nport = {port}\n");
            }
            for part in 0..3 {
                let folder = match &self.store {
                    Some(_) => format!("{name}.backups"),
                    None => format!("backups{part}"),
                };
                text += &format!(
                    "[[instances.nodes]]\nid = \"{}\"\nname = \"n\"\nrole = \"master\"\n\
                     group = \"g{part}\"\nbackups = \"{folder}\"\n{address}",
                    node(number, part)
                );
            }
        }
        text += &self.more;
        if self.store.is_some() {
            fs::create_dir_all(self.folder.path().join(format!("{name}.backups"))).unwrap();
        }
        let path = self.folder.path().join(format!("{name}.toml"));
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn client(&self) -> Client {
        Client { agent: agent(Duration::from_secs(20)), projects: self.projects, ahead_ms: 0 }
    }
}

pub(crate) fn agent(timeout: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    config.http_status_as_error(false).timeout_global(Some(timeout)).build().into()
}

impl Process {
    /// Starts a program and waits until its log has the word; nothing if it ends before.
    pub(crate) fn spawn(mut program: Command, word: &'static str) -> Option<Self> {
        let mut child = program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (send, ready) = channel();
        spawn({
            let log = Arc::clone(&log);
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    if line.contains(word) {
                        let addr = line.rsplit_once("addr=").map_or("", |(_, addr)| addr.trim());
                        let _ = send.send(addr.to_owned());
                    }
                    log.lock().unwrap().push(line);
                }
            }
        });
        let mut process = Self { child, addr: String::new(), log };
        // The sender is gone once the log ends.
        let Ok(addr) = ready.recv() else {
            eprintln!("ended before it said {word:?}: {}", process.log());
            return None;
        };
        process.addr = addr;
        Some(process)
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// SIGKILL: the process cannot put anything in order.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// The same, for another one to take its place.
    pub(crate) fn end(&mut self) {
        // One that has ended is ended enough.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, &self.pid());
    }

    /// Whether it ends by itself within the time.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < time {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            sleep(Duration::from_millis(10));
        }
        false
    }

    /// The processes in which it analyses at present.
    pub(crate) fn children(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).into_iter().flatten();
        tasks
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
            .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// Memory that it has, in KB.
    pub(crate) fn rss_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Whether a line of its log has all of these.
    pub(crate) fn logged(&self, parts: &[&str]) -> bool {
        let log = self.log.lock().unwrap();
        log.iter().any(|line| parts.iter().all(|part| line.contains(part)))
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a signal; that the process is gone is no error.
pub(crate) fn signal(name: &str, pid: &str) {
    let kill = format!("kill -{name} {pid} 2>/dev/null");
    let _ = Command::new("sh").args(["-c", &kill]).status().unwrap();
}

impl Client {
    /// Calls an operation on the analyses of an instance; an error if there is no answer.
    pub(crate) fn call(
        &self,
        addr: &str,
        method: &str,
        number: usize,
        rest: &str,
        body: &str,
    ) -> Result<Answer, ureq::Error> {
        let of_project = number % self.projects;
        let target = format!("/v2/{}/instances/{}{rest}", project(of_project), instance(number));
        self.send(addr, method, of_project, &target, &[], body.as_bytes())
    }

    /// Uploads a backup to a node.
    pub(crate) fn upload(
        &self,
        addr: &str,
        number: usize,
        name: &str,
        rdb: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let of_project = number % self.projects;
        let target = format!(
            "/v2/{}/instances/{}/nodes/{}/backups/{name}",
            project(of_project),
            instance(number),
            node(number, 0)
        );
        // The signature of an upload needs it.
        let path = std::env::temp_dir().join(format!("offkey-upload-{}", addr.replace(':', "-")));
        fs::write(&path, rdb).unwrap();
        let summed = Command::new("sha256sum").arg(&path).output().unwrap();
        fs::remove_file(&path).unwrap();
        let sum = String::from_utf8(summed.stdout).unwrap();
        let headers = [("x-sdk-content-sha256", sum.split(' ').next().unwrap())];
        self.send(addr, "PUT", of_project, &target, &headers, rdb)
    }

    fn send(
        &self,
        addr: &str,
        method: &str,
        of_project: usize,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let unsigned = Unsigned { method, host: addr, target, headers, body };
        let signer = Signer { ak: format!("AK{of_project}"), sk: Secret::new("secret") };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now_ms = i64::try_from(now.as_millis()).unwrap() + self.ahead_ms;
        let url = format!("http://{addr}{target}");
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in signer.headers(&unsigned, now_ms).unwrap() {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = match body.is_empty() {
            true => self.agent.run(request.body(()).unwrap())?,
            false => self.agent.run(request.body(body.to_vec()).unwrap())?,
        };
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(64 << 20).read_to_string()?;
        Ok(Answer { status, retry_after, body })
    }

    /// Tries to create a task on an instance: of one backup of its first node, or one of each.
    pub(crate) fn create(
        &self,
        addr: &str,
        number: usize,
        choice: &Choice,
    ) -> Result<Answer, ureq::Error> {
        let body = match choice {
            Choice::All => json!({"node_ids": "*"}),
            Choice::One(name) => {
                let answer = self.call(addr, "GET", number, "/backups?limit=1000", "")?;
                let Some(id) = backup_id(&answer.json(), &node(number, 0), name) else {
                    return Ok(answer);
                };
                json!({"node_id": node(number, 0), "backup_id": id})
            }
        };
        self.call(addr, "POST", number, "/offline/key-analysis", &body.to_string())
    }

    pub(crate) fn show(
        &self,
        addr: &str,
        number: usize,
        task_id: &str,
    ) -> Result<Answer, ureq::Error> {
        self.call(addr, "GET", number, &format!("/offline/key-analysis/{task_id}"), "")
    }

    pub(crate) fn report(&self, addr: &str, number: usize, task_id: &str) -> Answer {
        let rest = format!("/offline/key-analysis/{task_id}/report");
        self.call(addr, "GET", number, &rest, "").unwrap()
    }

    /// Shows the task as soon as it is in one of these states.
    pub(crate) fn wait(&self, addr: &str, number: usize, task_id: &str, states: &[&str]) -> Value {
        self.wait_beside(&[], addr, number, task_id, states)
    }

    /// The same; if it takes too long, the test fails with what these processes have said.
    pub(crate) fn wait_beside(
        &self,
        processes: &[&Process],
        addr: &str,
        number: usize,
        task_id: &str,
        states: &[&str],
    ) -> Value {
        let start = Instant::now();
        loop {
            let shown = self.show(addr, number, task_id);
            if let Ok(answer) = &shown
                && answer.status == 200
                && states.contains(&answer.json()["status"].as_str().unwrap())
            {
                return answer.json();
            }
            let is_late = start.elapsed() > Duration::from_secs(120);
            assert!(!is_late, "still {shown:?}\n{}", explain(processes));
            sleep(Duration::from_millis(20));
        }
    }

    /// Runs a task to its end on a service that nobody disturbs.
    pub(crate) fn run(&self, addr: &str, number: usize, choice: &Choice) -> Value {
        let created = self.create(addr, number, choice).unwrap();
        let task_id = created.task_id().unwrap_or_else(|| panic!("not created: {created:?}"));
        self.wait(addr, number, &task_id, &["success", "failed"])
    }

    /// Status and body of `/healthz`; an error if nobody answers within a second.
    pub(crate) fn health(addr: &str) -> Result<(u16, Value), ureq::Error> {
        let mut answer =
            agent(Duration::from_secs(1)).get(format!("http://{addr}/healthz")).call()?;
        let body = answer.body_mut().read_to_string()?;
        Ok((answer.status().as_u16(), serde_json::from_str(&body).unwrap()))
    }
}

/// What is to be analysed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Choice {
    /// One backup of the first node, by the name of its file.
    One(&'static str),
    /// The newest backup of every node.
    All,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The task that was created, if one was.
    pub(crate) fn task_id(&self) -> Option<String> {
        let json = self.json();
        (self.status == 200).then(|| json["task_id"].as_str().map(str::to_owned)).flatten()
    }
}

fn backup_id(backups: &Value, node: &str, name: &str) -> Option<String> {
    let records = backups["backup_record_response"].as_array()?;
    let record = records.iter().find(|record| {
        record["backup_name"] == name && record.to_string().contains(&format!("\"{node}\""))
    });
    Some(record?["backup_id"].as_str()?.to_owned())
}

/// The reports of an undisturbed run, by what was chosen and the instance's number.
pub(crate) fn golden(fleet: &Fleet, choices: &[Choice]) -> HashMap<Choice, String> {
    let calm = Fleet {
        folder: tempfile::tempdir().unwrap(),
        database: None,
        instances: 1,
        settings: String::new(),
        task_settings: String::new(),
        limits: String::new(),
        store: None,
        more: String::new(),
        live: None,
        ..*fleet
    };
    for number in 0..3 {
        let to = calm.backups(number);
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(fleet.backups(number)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
    let (service, client) = (calm.serve("calm", 1), calm.client());
    choices
        .iter()
        .map(|choice| {
            let task = client.run(&service.addr, 0, choice);
            assert_eq!(task["status"], "success", "{task}");
            (*choice, client.report(&service.addr, 0, task["id"].as_str().unwrap()).body)
        })
        .collect()
}

/// What a report of another instance says, in terms of the first instance.
pub(crate) fn as_of_first(report: &str, number: usize) -> String {
    (0..3).fold(report.to_owned(), |text, part| {
        text.replace(&format!("\"{}/", node(number, part)), &format!("\"{}/", node(0, part)))
    })
}

/// A file of keys with different prefixes.
pub(crate) fn rdb(keys: u32) -> Vec<u8> {
    let mut file = RdbFile::redis(11);
    file.aux("redis-ver", "7.2.4").aux("ctime", "1764000000").select_db(0);
    for number in 0..keys {
        let name = format!("app{}:user:{number}", number % 7);
        if number % 5 == 0 {
            file.key(&name, &value::hash_listpack(&[("name", "Ada"), ("city", "London")]));
        } else {
            file.key(&name, &value::string("x".repeat(usize::try_from(number % 90).unwrap())));
        }
    }
    file.finish()
}

/// Fails the test with what the processes have said.
pub(crate) fn explain(processes: &[&Process]) -> String {
    processes.iter().map(|process| process.log()).collect::<Vec<_>>().join("\n---\n")
}

/// Where a file is, for messages.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
