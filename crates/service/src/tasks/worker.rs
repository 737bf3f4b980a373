//! Workers: each takes one task after another and runs it on a blocking thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use offkey_analysis::{Cancelled, Report, analyze};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep};
use uuid::Uuid;

use super::{Outcome, Part, Progress, Task};
use crate::App;
use crate::backups::{self, Backup};

/// How often a worker renews its lease and notes its progress.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How often a worker looks for tasks whose worker has died.
const IDLE: Duration = Duration::from_secs(5);

/// How long a worker waits before it asks a database that failed again.
const RETRY: Duration = Duration::from_secs(1);

/// What the analysis and its worker tell each other.
#[derive(Debug, Default)]
struct Watch {
    stop: AtomicBool,
    bytes_read: AtomicU64,
    bytes_total: AtomicU64,
    key_count: AtomicU64,
}

/// Runs tasks until `stop` says so; a task that runs then is given back.
pub(crate) async fn work(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match app.tasks.store.claim().await {
            Ok(Some(task)) => run(&app, &task, &mut stop).await,
            Ok(None) => tokio::select! {
                () = app.tasks.added.notified() => {}
                () = sleep(IDLE) => {}
                _ = stop.changed() => {}
            },
            Err(error) => {
                tracing::error!(%error, "no task could be taken");
                tokio::select! { () = sleep(RETRY) => {}, _ = stop.changed() => {} }
            }
        }
    }
}

async fn run(app: &Arc<App>, task: &Task, stop: &mut watch::Receiver<bool>) {
    tracing::info!(task_id = %task.id, attempt = task.attempt, "analysis starts");
    let watch = Arc::new(Watch::default());
    let mut job = spawn_blocking({
        let (app, task, watch) = (Arc::clone(app), task.clone(), Arc::clone(&watch));
        move || analyze_backups(&app, &task, &watch)
    });
    let mut heartbeat = interval(HEARTBEAT);
    let result = loop {
        tokio::select! {
            result = &mut job => break result,
            _ = heartbeat.tick() => match app.tasks.store.renew(task, watch.progress()).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(task_id = %task.id, attempt = task.attempt, "task is lost");
                    watch.stop.store(true, Ordering::Relaxed);
                }
                Err(error) => tracing::error!(task_id = %task.id, %error, "lease not renewed"),
            },
            () = app.tasks.deleted.notified() => heartbeat.reset_immediately(),
            Ok(()) = stop.changed() => watch.stop.store(true, Ordering::Relaxed),
        }
    };
    let outcome = match result {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(Cancelled)) => return release(app, task).await,
        Err(panic) => Outcome {
            error: Some(format!("analysis ended at byte {}: {panic}", watch.progress().bytes_read)),
            report: None,
            progress: watch.progress(),
        },
    };
    finish(app, task, &outcome, stop).await;
}

/// Analyses the files of `task` into one report; why that is not possible is an outcome as well.
fn analyze_backups(app: &App, task: &Task, watch: &Watch) -> Result<Outcome, Cancelled> {
    let failed = |error: String| {
        Ok(Outcome { error: Some(error), report: None, progress: Progress::default() })
    };
    let subject = &task.subject;
    let backups = match subject.parts().map(|part| find(app, subject.instance_id, part)).collect() {
        Ok::<Vec<_>, _>(backups) => backups,
        Err(error) => return failed(error),
    };
    watch.bytes_total.store(backups.iter().map(|backup| backup.len).sum(), Ordering::Relaxed);
    let options = subject.settings.options((app.clock)());
    let paths: Vec<_> = backups.iter().map(|backup| backup.path.clone()).collect();
    let mut report = analyze(&paths, &options, watch)?;
    name_inputs(&mut report, &backups);
    let error = report.inputs.iter().find_map(|input| input.error.clone());
    match serde_json::to_string(&report) {
        Ok(json) => Ok(Outcome { error, report: Some(json), progress: watch.progress() }),
        Err(error) => failed(format!("report cannot be written as JSON: {error}")),
    }
}

/// The file of `part`, or why there is none.
fn find(app: &App, instance_id: Uuid, part: &Part) -> Result<Backup, String> {
    let Part { node_id, backup_id, .. } = part;
    let instance = app.instances.iter().find(|instance| instance.id == instance_id);
    let found = instance.and_then(|instance| Some((instance, instance.node(node_id)?)));
    let Some((instance, node)) = found else {
        return Err(format!("node is no longer configured: {node_id}"));
    };
    backups::await_taken(&app.tasks.store, *backup_id)?;
    match backups::find(instance, node, *backup_id) {
        Ok(Some(backup)) => Ok(backup),
        Ok(None) => Err(format!("backup is gone: {backup_id}")),
        Err(error) => Err(format!("folder of backups cannot be read: {error}")),
    }
}

/// Names inputs by their files alone, with the node where there are several: the folders of
/// this machine are not for clients.
fn name_inputs(report: &mut Report, backups: &[Backup]) {
    let names = backups.iter().map(|Backup { node_id, file_name, path, .. }| {
        let name = match backups {
            [_] => file_name.clone(),
            _ => format!("{node_id}/{file_name}"),
        };
        (path.to_string_lossy().into_owned(), name)
    });
    for (path, name) in names {
        for input in report.inputs.iter_mut().filter(|input| input.file == path) {
            for line in input.error.iter_mut().chain(&mut input.warnings) {
                *line = line.replace(&path, &name);
            }
            input.file.clone_from(&name);
        }
        for key in report.damaged.iter_mut().filter(|key| key.file == path) {
            key.file.clone_from(&name);
        }
    }
}

async fn release(app: &App, task: &Task) {
    match app.tasks.store.release(task).await {
        Ok(true) => tracing::info!(task_id = %task.id, "analysis given back"),
        Ok(false) => tracing::info!(task_id = %task.id, "analysis cancelled"),
        // The lease runs out by itself.
        Err(error) => tracing::error!(task_id = %task.id, %error, "analysis not given back"),
    }
}

/// Stores the outcome, trying again while the database fails and nobody wants to stop.
async fn finish(app: &App, task: &Task, outcome: &Outcome, stop: &mut watch::Receiver<bool>) {
    loop {
        match app.tasks.store.finish(task, outcome).await {
            Ok(true) => {
                let failed = outcome.error.is_some();
                tracing::info!(task_id = %task.id, failed, "analysis ends");
                return;
            }
            Ok(false) => {
                tracing::warn!(task_id = %task.id, "task was lost, its result is dropped");
                return;
            }
            Err(error) => tracing::error!(task_id = %task.id, %error, "result not stored"),
        }
        if *stop.borrow() {
            return;
        }
        tokio::select! { () = sleep(RETRY) => {}, _ = stop.changed() => {} }
    }
}

impl Watch {
    fn progress(&self) -> Progress {
        Progress {
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            key_count: self.key_count.load(Ordering::Relaxed),
        }
    }
}

impl offkey_analysis::Progress for Watch {
    fn advanced(&self, bytes_read: u64, key_count: u64) -> Result<(), Cancelled> {
        self.bytes_read.store(bytes_read, Ordering::Relaxed);
        self.key_count.store(key_count, Ordering::Relaxed);
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Cancelled),
            false => Ok(()),
        }
    }
}
