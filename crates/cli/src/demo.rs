//! `offkey demo`: the service with a sample instance, tried through its own API.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use offkey_analysis::Report;
use offkey_render::name::Text;
use offkey_service::{
    AnalysisConfig, Config, Credential, Instance, Integers, Isolation, Limits, LogFormat, Node,
    Permission, Project, Role, Secret, Signer, TaskLimits, Unsigned,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::spawn_blocking;
use tracing_subscriber::filter::LevelFilter;
use uuid::{Uuid, uuid};

use crate::Outcome;
use crate::render::{self, Style};
use crate::serve::{self, Told};

/// A shop's data, written by a real Redis.
const SAMPLE: &[u8] = include_bytes!("../../../testdata/demo.rdb");

const SAMPLE_NAME: &str = "sample.rdb";

const PROJECT_ID: &str = "0ff4e700000000000000000000000001";
const INSTANCE_ID: Uuid = uuid!("0ff4e700-0000-4000-8000-000000000001");
const NODE_ID: &str = "0ff4e700000000000000000000000002";

/// How long the service may take to answer a request.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// How often the demo asks for the state of its task.
const POLL: Duration = Duration::from_millis(200);

/// Starts the service with a sample instance and runs one analysis through its API.
///
/// The service stays up until Ctrl-C.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Leave once the report is printed
    #[arg(long, conflicts_with = "json")]
    pub(crate) exit: bool,

    /// For programs: print endpoint, credentials and ids as one JSON line, analyse nothing
    #[arg(long)]
    pub(crate) json: bool,

    /// Port to listen on, on this machine only; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,

    /// Folder that keeps the tasks [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// RDB file that is a backup of the instance, may be repeated [default: a sample]
    #[arg(long, value_name = "FILE.rdb")]
    pub(crate) backup: Vec<PathBuf>,
}

/// Signs requests to the service and reads its answers.
struct Client {
    agent: ureq::Agent,
    host: String,
    signer: Signer,
    /// Names of the backups.
    names: Vec<String>,
}

pub(crate) fn run(args: &DemoArgs, stdout: Style) -> anyhow::Result<Outcome> {
    serve::log(LevelFilter::WARN, LogFormat::Text);
    // Removed when this function returns.
    let temporary = tempfile::Builder::new().prefix("offkey-demo-").tempdir()?;
    let data_dir = args.data_dir.as_deref().unwrap_or(temporary.path());
    let backups = data_dir.join("backups");
    let names = lay_out(&backups, &args.backup)?;
    let signer = Signer {
        ak: format!("DEMO{}", &Uuid::new_v4().simple().to_string().to_uppercase()),
        sk: Secret::new(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())),
    };
    let config = config(args.port, data_dir, backups, &signer);

    let runtime = Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut told = Told::listen()?;
        let running = serve::start(config).await?;
        let host = running.addr().to_string();
        // Made for this run, of a service that only this machine reaches.
        let sign_in = format!("AK {}, SK {}", signer.ak, signer.sk.expose());
        let client = Client::new(host.clone(), signer, names);
        let json = args.json;
        let work = spawn_blocking(move || match json {
            true => client.print_contract(),
            false => client.print_report(stdout),
        });
        let outcome = tokio::select! {
            done = work => match done? {
                Ok(outcome) if !args.exit => {
                    eprintln!("offkey: serving http://{host} until Ctrl-C");
                    eprintln!("offkey: to see it in a browser, sign in there with {sign_in}");
                    told.wait().await;
                    Ok(outcome)
                }
                done => done,
            },
            () = told.wait() => Ok(Outcome::Incomplete),
        };
        running.stop().await;
        outcome
    })
}

/// Makes `folder` hold `files`, or the sample, as backups; answers their names in this order.
fn lay_out(folder: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let in_folder = || format!("cannot use folder {}", folder.display());
    fs::create_dir_all(folder).with_context(in_folder)?;
    for entry in fs::read_dir(folder).with_context(in_folder)? {
        let path = entry.with_context(in_folder)?.path();
        // What an earlier demo has left; anything else there is not ours to remove.
        if path.is_symlink() || path.ends_with(SAMPLE_NAME) {
            fs::remove_file(&path).with_context(in_folder)?;
        }
    }
    if files.is_empty() {
        fs::write(folder.join(SAMPLE_NAME), SAMPLE).with_context(in_folder)?;
        return Ok(vec![SAMPLE_NAME.to_owned()]);
    }
    let mut names = Vec::new();
    for file in files {
        let target =
            file.canonicalize().with_context(|| format!("cannot open {}", file.display()))?;
        ensure!(target.is_file(), "not a file: {}", file.display());
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let mut name = format!("{stem}.rdb");
        while folder.join(&name).symlink_metadata().is_ok() {
            name = format!("{}-{name}", names.len());
        }
        symlink(target, folder.join(&name)).with_context(in_folder)?;
        names.push(name);
    }
    Ok(names)
}

fn config(port: u16, data_dir: &Path, backups: PathBuf, signer: &Signer) -> Config {
    Config {
        listen: ([127, 0, 0, 1], port).into(),
        allow_plain_http: false,
        tls: None,
        public_url: None,
        limits: Limits::default(),
        data_dir: data_dir.to_owned(),
        database: None,
        credential_key_file: None,
        keyring: None,
        log_format: LogFormat::default(),
        workers: 1,
        tasks: TaskLimits::default(),
        isolation: Isolation::None,
        integers: Integers::default(),
        analysis: AnalysisConfig::default(),
        projects: vec![Project { id: PROJECT_ID.to_owned(), name: "demo".to_owned() }],
        credentials: vec![Credential {
            ak: signer.ak.clone(),
            sk: signer.sk.clone(),
            projects: vec![PROJECT_ID.to_owned()],
            role: Permission::Admin,
        }],
        instances: vec![Instance {
            analyse_schedule: None,
            sources: Vec::new(),
            live: None,
            id: INSTANCE_ID,
            project: PROJECT_ID.to_owned(),
            name: "demo".to_owned(),
            engine: "Redis".to_owned(),
            engine_version: "7.0".to_owned(),
            max_memory_mb: 1024,
            created_at: "2026-01-01T00:00:00.000Z".to_owned(),
            tags: BTreeMap::new(),
            nodes: vec![Node {
                id: NODE_ID.to_owned(),
                name: "demo-0".to_owned(),
                ip: "127.0.0.1".to_owned(),
                port: 6379,
                role: Role::Master,
                group: "group-0".to_owned(),
                backups,
                told: None,
            }],
        }],
    }
}

impl Client {
    fn new(host: String, signer: Signer, names: Vec<String>) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_TIME_MAX))
            .build()
            .into();
        Self { agent, host, signer, names }
    }

    /// Prints the one line that a program needs to be a client.
    fn print_contract(&self) -> anyhow::Result<Outcome> {
        let backups = self.backups()?;
        let line = json!({
            "endpoint": format!("http://{}", self.host),
            "project_id": PROJECT_ID,
            "ak": self.signer.ak,
            "sk": self.signer.sk.expose(),
            "instance_id": INSTANCE_ID.to_string(),
            "nodes": [{"node_id": NODE_ID, "backups": backups}],
        });
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}")?;
        stdout.flush()?;
        Ok(Outcome::Complete)
    }

    /// Analyses the first backup and prints the report.
    fn print_report(&self, stdout: Style) -> anyhow::Result<Outcome> {
        let backups = self.backups()?;
        let backup_id = backups.first().context("the instance has no backup")?;
        let analysis = format!("instances/{INSTANCE_ID}/offline/key-analysis");
        let request = json!({"node_id": NODE_ID, "backup_id": backup_id});
        let created = self.call("POST", &analysis, &request.to_string())?;
        let task_id = text(&created, "task_id").context("an answer without task_id")?;
        let task = format!("{analysis}/{task_id}");
        eprintln!("offkey: analysis {task_id} by http://{}", self.host);
        let shown = loop {
            let shown = self.call("GET", &task, "")?;
            match text(&shown, "status") {
                Some("waiting" | "running") => std::thread::sleep(POLL),
                _ => break shown,
            }
        };
        if let Some(error) = text(&shown, "error_msg") {
            eprintln!("offkey: {}", Text(error));
            return Ok(Outcome::Incomplete);
        }
        let report: Report =
            serde_json::from_value(self.call("GET", &format!("{task}/report"), "")?)?;
        let table = render::table(&report, &stdout);
        let mut output = std::io::stdout().lock();
        output.write_all(&table)?;
        output.flush()?;
        Ok(Outcome::Complete)
    }

    /// Ids of the backups in the order of their names.
    fn backups(&self) -> anyhow::Result<Vec<Value>> {
        let answer =
            self.call("GET", &format!("instances/{INSTANCE_ID}/backups?limit=1000"), "")?;
        let records = answer.get("backup_record_response").and_then(Value::as_array);
        let records = records.context("an answer without backups")?;
        let id = |name: &String| {
            let named = |record: &&Value| text(record, "backup_name") == Some(name);
            let record = records.iter().find(named).and_then(|record| record.get("backup_id"));
            record.cloned().with_context(|| format!("the service does not list backup {name}"))
        };
        self.names.iter().map(id).collect()
    }

    /// Calls one operation of the project.
    fn call(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let target = format!("/v2/{PROJECT_ID}/{path}");
        let unsigned = Unsigned {
            method,
            host: &self.host,
            target: &target,
            headers: &[],
            body: body.as_bytes(),
        };
        let headers = self.signer.headers(&unsigned, crate::now_ms());
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{target}", self.host))
            .header("content-type", "application/json");
        for (name, value) in headers.context("a request that cannot be signed")? {
            request = request.header(name, value);
        }
        let mut answer = match body.is_empty() {
            true => self.agent.run(request.body(())?)?,
            false => self.agent.run(request.body(body.to_owned())?)?,
        };
        let answered = answer.body_mut().read_to_string()?;
        ensure!(answer.status() == 200, "the service answered {}: {answered}", answer.status());
        Ok(serde_json::from_str(&answered)?)
    }
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}
