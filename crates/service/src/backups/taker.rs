//! Takes the backups that wait, keeps the schedule and removes what is too old.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use offkey_fetch::Gate;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep};

use super::Failure;
use super::record::{Kind, Record, State, nodes_of_groups};
use crate::Clock;
use crate::config::Instance;
use crate::store::{News, StoreError};
use crate::tasks::Tasks;

/// How often a process looks for something to do.
const IDLE: Duration = Duration::from_millis(500);

/// How long a backup is held without a sign of life.
const LEASE: Duration = Duration::from_secs(30);

/// Attempts that may end with their process before a backup has failed.
const ATTEMPTS_MAX: i64 = 3;

/// How often a backup is tried whose nodes meet faults that may pass.
const FAULTS_MAX: i64 = 4;

/// Nodes of which backups are taken at the same time, and of one host.
const AT_ONCE: (usize, usize) = (4, 1);

/// Takes backups in this process.
pub(crate) struct Taker {
    tasks: Arc<Tasks>,
    instances: Vec<Arc<Instance>>,
    clock: Clock,
    gate: Arc<Gate>,
}

impl Taker {
    pub(crate) fn new(tasks: Arc<Tasks>, instances: Vec<Arc<Instance>>, clock: Clock) -> Self {
        Self { tasks, instances, clock, gate: Gate::new(AT_ONCE.0, AT_ONCE.1) }
    }

    /// Works until `stop` says so; a backup that is being taken then is given back.
    pub(crate) async fn stay(self, mut stop: watch::Receiver<bool>) {
        if self.instances.iter().all(|instance| instance.live.is_none()) {
            return;
        }
        let mut looked_at_ms = (self.clock)();
        while !*stop.borrow() {
            let now_ms = (self.clock)();
            for instance in &self.instances {
                self.keep_schedule(instance, looked_at_ms, now_ms).await;
            }
            looked_at_ms = now_ms;
            match self.tasks.store.claim_backup(LEASE).await {
                Ok(Some(record)) => self.take(&record, &mut stop).await,
                Ok(None) => {
                    tokio::select! { () = sleep(IDLE) => {}, _ = stop.changed() => {} }
                }
                Err(error) => {
                    tracing::error!(%error, "no backup could be taken up");
                    tokio::select! { () = sleep(LEASE / 6) => {}, _ = stop.changed() => {} }
                }
            }
        }
    }

    async fn take(&self, record: &Record, stop: &mut watch::Receiver<bool>) {
        tracing::info!(backup_id = %record.id, attempt = record.attempt, "backup starts");
        let unwanted = Arc::new(AtomicBool::new(false));
        let files = self.files(record, &unwanted);
        tokio::pin!(files);
        let mut beat = interval(LEASE / 6);
        let result = loop {
            tokio::select! {
                result = &mut files => break result,
                _ = beat.tick() => match self.tasks.store.beat_backup(record, LEASE).await {
                    Ok(true) => {}
                    Ok(false) => unwanted.store(true, Ordering::Relaxed),
                    Err(error) => tracing::error!(%error, "lease of a backup not renewed"),
                },
                _ = stop.changed() => unwanted.store(true, Ordering::Relaxed),
            }
        };
        let told = match &result {
            Err(_) if *stop.borrow() => self.tasks.store.release_backup(record).await,
            Err(failure) if failure.may_pass && record.faults + 1 < FAULTS_MAX => {
                self.tasks.store.retry_backup(record, delay(record.faults)).await
            }
            result => {
                let why = result.as_ref().err().map(|failure| failure.why.as_str());
                self.tasks.store.finish_backup(record, why).await
            }
        };
        match (told, result) {
            (Ok(true), Ok(())) => {
                tracing::info!(backup_id = %record.id, "backup ends");
                self.tasks.tell(News::Added);
                self.remove_old(record.instance_id).await;
            }
            (Ok(true), Err(Failure { why, .. })) => {
                // Whether for good, the analysis that waits for it is told.
                self.tasks.tell(News::Added);
                tracing::warn!(backup_id = %record.id, why, "backup failed");
            }
            (Ok(false), _) => tracing::warn!(backup_id = %record.id, "backup was lost"),
            // Its lease runs out, and it is taken up again: the files are there then.
            (Err(error), _) => tracing::error!(backup_id = %record.id, %error, "not stored"),
        }
    }

    /// Takes the file of each node.
    async fn files(&self, record: &Record, unwanted: &Arc<AtomicBool>) -> Result<(), Failure> {
        if record.attempt - record.faults > ATTEMPTS_MAX {
            return Err(format!("the process that took it died {ATTEMPTS_MAX} times").into());
        }
        let instance = self.instances.iter().find(|instance| instance.id == record.instance_id);
        let instance = instance.ok_or("the instance is no longer configured")?;
        let mut tasks = Vec::new();
        for file in record.files.clone() {
            let (instance, gate) = (Arc::clone(instance), Arc::clone(&self.gate));
            let stop = Arc::clone(unwanted);
            tasks.push(spawn_blocking(move || {
                let live = instance.live.as_ref().ok_or("the instance has no [live] any more")?;
                let node = instance.node(&file.node_id);
                let node = node.ok_or_else(|| format!("node is gone: {}", file.node_id))?;
                live.take(node, &file.file_name, &gate, &stop)
            }));
        }
        let mut result = Ok(());
        for task in tasks {
            let of_one = task.await.unwrap_or_else(|panic| Err(panic.to_string().into()));
            if of_one.is_err() && result.is_ok() {
                // The others are in vain.
                unwanted.store(true, Ordering::Relaxed);
                result = of_one;
            }
        }
        result
    }

    /// Adds a backup if its time came since `from_ms`; of as many processes as there are one
    /// does, since the time decides of the id.
    pub(super) async fn keep_schedule(&self, instance: &Arc<Instance>, from_ms: i64, now_ms: i64) {
        let Some(live) = &instance.live else { return };
        let Ok(Some(schedule)) = live.schedule() else { return };
        let Some(due_ms) = schedule.due(from_ms, now_ms) else { return };
        let nodes = nodes_of_groups(instance);
        let record = Record::new(instance, &nodes, Kind::Auto, "schedule".to_owned(), due_ms);
        let added = match self.tasks.store.add_backup(&record).await {
            // Another process was faster, or there is another backup.
            Ok(false) => {
                self.tasks.store.backup(record.id).await.map(|there| (false, there.is_some()))
            }
            added => added.map(|added| (added, true)),
        };
        match added {
            Ok((true, _)) => tracing::info!(backup_id = %record.id, "backup of the schedule"),
            Ok((false, true)) => {}
            Ok((false, false)) => {
                tracing::warn!(instance = instance.name, "backup of the schedule left out");
            }
            Err(error) => tracing::error!(%error, "backup of the schedule not added"),
        }
    }

    async fn remove_old(&self, instance_id: uuid::Uuid) {
        let instance = self.instances.iter().find(|instance| instance.id == instance_id);
        let Some(instance) = instance else { return };
        if let Err(error) = self.retain(instance, (self.clock)()).await {
            tracing::error!(%error, "old backups not removed");
        }
    }

    /// Removes backups of the schedule that are too many or too old.
    pub(super) async fn retain(
        &self,
        instance: &Arc<Instance>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let Some(live) = &instance.live else { return Ok(()) };
        let oldest_ms =
            live.keep_days.map_or(i64::MIN, |days| now_ms - i64::from(days) * 86_400_000);
        let records = self.tasks.store.backups(instance.id).await?;
        let is_kept =
            |record: &&Record| record.kind == Kind::Auto && record.state == State::Succeed;
        for (number, record) in records.iter().filter(is_kept).enumerate() {
            let is_one_too_many = live.keep_count.is_some_and(|count| number >= count);
            if !is_one_too_many && record.created_at_ms >= oldest_ms {
                continue;
            }
            // It is looked at again after the next backup.
            if self.tasks.store.is_read(instance.id, record.id).await? {
                continue;
            }
            for file in &record.files {
                let Some(node) = instance.node(&file.node_id) else { continue };
                // What is gone already need not be removed.
                let _ = std::fs::remove_file(node.backups.join(&file.file_name));
            }
            self.tasks.store.forget_backup(record.id).await?;
            tracing::info!(backup_id = %record.id, "old backup removed");
        }
        Ok(())
    }
}

/// How long to wait after so many faults before.
fn delay(faults: i64) -> Duration {
    Duration::from_secs(4_u64.saturating_pow(u32::try_from(faults).unwrap_or(u32::MAX)))
}
