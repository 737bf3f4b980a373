//! Runs `offkey serve` and `offkey demo` as processes, and kills them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offkey_service::{Secret, Signer, Unsigned};
use offkey_testkit::long_work;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Keys that take a while to read.
const MANY: u32 = 1_500_000;

/// A demo in a process of its own, and what it printed.
struct Demo {
    child: Child,
    contract: Value,
}

impl Demo {
    fn start(data_dir: &Path, backup: &Path) -> Self {
        let mut child = offkey()
            .args(["demo", "--json", "--data-dir"])
            .arg(data_dir)
            .arg("--backup")
            .arg(backup)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, contract: serde_json::from_str(&line).unwrap() }
    }

    /// SIGKILL: the process cannot put anything in order.
    fn kill(self) {
        drop(self);
    }

    fn text(&self, name: &str) -> &str {
        self.contract[name].as_str().unwrap()
    }

    fn node(&self) -> &Value {
        &self.contract["nodes"][0]
    }

    /// Calls an operation of the instance's analyses.
    fn call(&self, method: &str, rest: &str, body: &str) -> (u16, Value) {
        let endpoint = self.text("endpoint");
        let target = format!(
            "/v2/{}/instances/{}/offline/key-analysis{rest}",
            self.text("project_id"),
            self.text("instance_id")
        );
        let unsigned = Unsigned {
            method,
            host: endpoint.strip_prefix("http://").unwrap(),
            target: &target,
            headers: &[],
            body: body.as_bytes(),
        };
        let signer = Signer { ak: self.text("ak").to_owned(), sk: Secret::new(self.text("sk")) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now_ms = i64::try_from(now.as_millis()).unwrap();
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{endpoint}{target}"));
        for (name, value) in signer.headers(&unsigned, now_ms).unwrap() {
            request = request.header(name, value);
        }
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = match body.is_empty() {
            true => agent.run(request.body(()).unwrap()).unwrap(),
            false => agent.run(request.body(body.to_owned()).unwrap()).unwrap(),
        };
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    fn create(&self) -> String {
        let node = self.node();
        let body = json!({"node_id": node["node_id"], "backup_id": node["backups"][0]});
        let (status, answer) = self.call("POST", "", &body.to_string());
        assert_eq!(status, 200, "{answer}");
        answer["task_id"].as_str().unwrap().to_owned()
    }

    /// Shows the task as soon as it has one of these states.
    fn wait(&self, task_id: &str, states: &[&str]) -> Value {
        let start = Instant::now();
        loop {
            let (status, shown) = self.call("GET", &format!("/{task_id}"), "");
            assert_eq!(status, 200, "{shown}");
            if states.contains(&shown["status"].as_str().unwrap()) {
                return shown;
            }
            assert!(start.elapsed() < Duration::from_secs(120), "still {shown}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // One that has ended is ended enough.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn offkey() -> Command {
    Command::new(env!("CARGO_BIN_EXE_offkey"))
}

/// A folder with an RDB file that takes a while to analyse, and its path.
fn folder_with_many() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.rdb");
    fs::write(&path, long_work(MANY)).unwrap();
    (folder, path)
}

/// Sends a signal to a process; `kill` is built into the shell and not always a program.
fn signal(name: &str, pid: &str) {
    let kill = format!("kill -{name} {pid}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn task_of_a_killed_process_is_run_again() {
    let (folder, backup) = folder_with_many();
    let data_dir = folder.path().join("data");
    let demo = Demo::start(&data_dir, &backup);
    let task_id = demo.create();
    demo.wait(&task_id, &["running"]);
    let ids = [demo.contract["instance_id"].clone(), demo.node().clone()];
    demo.kill();

    let demo = Demo::start(&data_dir, &backup);
    assert_eq!([demo.contract["instance_id"].clone(), demo.node().clone()], ids);
    let shown = demo.wait(&task_id, &["success", "failed"]);
    assert_eq!(shown["status"], "success", "{shown}");
    let (_, report) = demo.call("GET", &format!("/{task_id}/report"), "");
    demo.kill();

    // It survives another kill, and is what the command says.
    let demo = Demo::start(&data_dir, &backup);
    assert_eq!(demo.call("GET", &format!("/{task_id}"), "").1, shown);
    demo.kill();
    let output = offkey()
        .args(["analyze", "--format", "json", "many.rdb"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), report);
    assert_eq!(report["total_num"], MANY);
}

#[test]
fn third_process_killed_fails_the_task() {
    let (folder, backup) = folder_with_many();
    let data_dir = folder.path().join("data");
    let mut task_id = None;
    let mut started_at = Value::Null;
    for _ in 0..3 {
        let demo = Demo::start(&data_dir, &backup);
        let task_id = task_id.get_or_insert_with(|| demo.create());
        // Until this process has taken the task, it is shown as the last one left it.
        started_at = loop {
            let shown = demo.wait(task_id, &["running"]);
            if shown["started_at"] != started_at {
                break shown["started_at"].clone();
            }
            thread::sleep(Duration::from_millis(10));
        };
        demo.kill();
    }
    let demo = Demo::start(&data_dir, &backup);
    let shown = demo.wait(&task_id.unwrap(), &["success", "failed"]);
    assert_eq!(shown["status"], "failed", "{shown}");
    let error = shown["error_msg"].as_str().unwrap();
    assert!(error.starts_with("worker died 3 times"), "{error}");
    // The instance is free again.
    demo.create();
    demo.kill();
}

#[test]
fn terminated_process_gives_its_task_back_and_leaves_in_peace() {
    let (folder, backup) = folder_with_many();
    let data_dir = folder.path().join("data");
    let mut demo = Demo::start(&data_dir, &backup);
    let task_id = demo.create();
    demo.wait(&task_id, &["running"]);
    let pid = demo.child.id().to_string();
    signal("TERM", &pid);
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
    let demo = Demo::start(&data_dir, &backup);
    assert_eq!(demo.wait(&task_id, &["success", "failed"])["status"], "success");
    demo.kill();
}

#[test]
fn demo_prints_a_report_and_leaves() {
    let output = offkey().args(["demo", "--exit"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("sample.rdb") && stdout.contains("Largest keys"), "{stdout}");
}

#[test]
fn demo_is_interrupted_in_its_analysis() {
    let (_folder, backup) = folder_with_many();
    let mut child = offkey()
        .args(["demo", "--exit", "--backup"])
        .arg(backup)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("offkey: analysis "), "{line}");
    let pid = child.id().to_string();
    signal("INT", &pid);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn demo_fails_with_its_analysis() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.rdb");
    fs::write(&path, "REDIS0009").unwrap();
    let output = offkey().args(["demo", "--exit", "--backup"]).arg(path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("offkey: cut.rdb: truncated at byte 9"), "{stderr}");
}

#[test]
fn serve_reads_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../offkey.example.toml");
    let example = fs::read_to_string(example).unwrap();
    let config = folder.path().join("offkey.toml");
    let listen = "#listen = \"127.0.0.1:8080\"";
    assert!(example.contains(listen));
    fs::write(&config, example.replace(listen, "listen = \"127.0.0.1:0\"")).unwrap();
    let mut child =
        offkey().arg("serve").arg("--config").arg(&config).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let addr = line.trim().rsplit_once("addr=").unwrap().1.to_owned();
    let answer = ureq::get(format!("http://{addr}/v3/projects")).call();
    assert!(matches!(answer, Err(ureq::Error::StatusCode(401))), "{answer:?}");
    assert!(folder.path().join("offkey-data/tasks.sqlite").is_file());
    let pid = child.id().to_string();
    signal("INT", &pid);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("stopped"), "{rest}");
}

/// An offkey.toml with one backup in its folder.
fn configuration(folder: &Path, more: &str) -> PathBuf {
    let config = folder.join("offkey.toml");
    fs::create_dir(folder.join("backups")).unwrap();
    let backup = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/redis-7.0.15.rdb");
    fs::copy(backup, folder.join("backups/a.rdb")).unwrap();
    let text = format!(
        r#"
listen = "127.0.0.1:0"
data_dir = "data"
{more}
[[projects]]
id = "0123456789abcdef0123456789abcdef"
name = "cn-north-4"
[[credentials]]
ak = "AK"
sk = "canary of a secret key"
projects = ["0123456789abcdef0123456789abcdef"]
role = "admin"
[[instances]]
id = "5560df16-cebf-4473-95c4-d1b573c16e79"
project = "0123456789abcdef0123456789abcdef"
name = "sessions"
engine_version = "7.0"
nodes = [{{ id = "n", name = "n", role = "master", backups = "backups" }}]
"#
    );
    fs::write(&config, text).unwrap();
    config
}

#[test]
fn log_is_json_with_one_audit_line_for_each_change() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), "log_format = \"json\"");
    let mut child =
        offkey().arg("serve").arg("--config").arg(&config).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let started: Value = serde_json::from_str(&line).unwrap();
    let endpoint = format!("http://{}", started["addr"].as_str().unwrap());

    let (project, instance) =
        ("0123456789abcdef0123456789abcdef", "5560df16-cebf-4473-95c4-d1b573c16e79");
    let secret = "canary of a secret key";
    let body = json!({"auth": {"identity": {"methods": ["hw_ak_sk"], "hw_ak_sk":
        {"access": {"key": "AK"}, "secret": {"key": secret}}}}});
    let answer = ureq::post(format!("{endpoint}/v3/auth/tokens")).send(body.to_string()).unwrap();
    let token = answer.headers()["x-subject-token"].to_str().unwrap().to_owned();
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let call = |method: &str, path: &str, body: String| {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{endpoint}/v2/{project}/instances/{instance}{path}"))
            .header("x-auth-token", &token);
        let mut answer = agent.run(request.body(body).unwrap()).unwrap();
        let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let text = answer.body_mut().read_to_string().unwrap();
        (request_id, serde_json::from_str::<Value>(&text).unwrap_or_default())
    };
    let (_, backups) = call("GET", "/backups", String::new());
    let backup_id = backups["backup_record_response"][0]["backup_id"].clone();
    let body = json!({"node_id": "n", "backup_id": backup_id}).to_string();
    let (create_id, created) = call("POST", "/offline/key-analysis", body);
    let task_id = created["task_id"].as_str().unwrap();
    let (refuse_id, _) = call("POST", "/offline/key-analysis", "{}".to_owned());
    let task = format!("/offline/key-analysis/{task_id}");
    let start = Instant::now();
    while call("GET", &task, String::new()).1["status"] != "success" {
        assert!(start.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(10));
    }
    let (delete_id, _) = call("DELETE", &task, String::new());
    signal("TERM", &child.id().to_string());
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let mut text = String::new();
    stderr.read_to_string(&mut text).unwrap();
    assert!(!text.contains(secret) && !text.contains(&token), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let audit: Vec<&Value> =
        lines.iter().filter(|line| line["target"] == "offkey::audit").collect();
    let told = |line: &Value| {
        ["operation", "ak", "instance_id", "task_id", "made", "status", "code"]
            .map(|name| line[name].clone())
    };
    let (ak, instance) = (json!("AK"), json!(instance));
    assert_eq!(
        audit.iter().map(|line| told(line)).collect::<Vec<_>>(),
        [
            [
                json!("KeystoneCreateUserTokenByAkSk"),
                ak.clone(),
                Value::Null,
                Value::Null,
                Value::Null,
                json!(201),
                Value::Null,
            ],
            [
                json!("CreateOfflineKeyAnalysis"),
                ak.clone(),
                instance.clone(),
                Value::Null,
                json!(task_id),
                json!(200),
                Value::Null,
            ],
            [
                json!("CreateOfflineKeyAnalysis"),
                ak.clone(),
                instance.clone(),
                Value::Null,
                Value::Null,
                json!(400),
                json!("DCS.4063"),
            ],
            [
                json!("DeleteOfflineKeyAnalysisTask"),
                ak,
                instance,
                json!(task_id),
                Value::Null,
                json!(200),
                Value::Null,
            ],
        ]
    );
    // Lines of a request have its id, lines of an analysis that of the task.
    for (line, id) in audit.iter().skip(1).zip([create_id, refuse_id, delete_id]) {
        assert_eq!(line["span"]["request_id"], id);
    }
    let ended = lines.iter().find(|line| line["message"] == "task ends").unwrap();
    assert_eq!(ended["task_id"], task_id);
}

#[test]
fn check_config_says_what_would_not_work() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), "");
    let check = || {
        let output = offkey().arg("check-config").arg("--config").arg(&config).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, text) = check();
    assert!(status == 0 && text.ends_with("offkey.toml: nothing wrong\n"), "{status} {text}");
    assert!(!folder.path().join("data").exists());
    fs::rename(folder.path().join("backups"), folder.path().join("moved")).unwrap();
    let (status, text) = check();
    assert!(status == 1 && text.contains("offkey.toml: backups of node n: "), "{status} {text}");
    fs::write(&config, fs::read_to_string(&config).unwrap() + "colour = 1\n").unwrap();
    let (status, text) = check();
    assert!(status == 2 && text.contains("unknown field `colour`"), "{status} {text}");
}

#[test]
fn unusable_configuration_is_told_in_one_go() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("offkey.toml");
    for (text, part) in [
        (None, "offkey.toml: No such file"),
        (Some("data_dir = 1"), "invalid type"),
        (Some("data_dir = \"d\"\nprojects = []\ncredentials = []\nx = 1"), "unknown field `x`"),
    ] {
        if let Some(text) = text {
            fs::write(&config, text).unwrap();
        }
        let output = offkey().arg("serve").arg("--config").arg(&config).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("offkey: ") && stderr.contains(part), "{stderr}");
    }
}
