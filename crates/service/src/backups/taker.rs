//! Takes the backups that wait, and has done what the time is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use offkey_fetch::Gate;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{interval, sleep};

use super::progress::Progress;
use super::record::{File, Record};
use super::{Failure, host};
use crate::Clock;
use crate::config::Instance;
use crate::discovery::Finder;
use crate::settings::AnalysisConfig;
use crate::store::{News, Store, StoreError};
use crate::supervise::keep_up;
use crate::tasks::Tasks;

/// How often a process looks for something to do.
const IDLE: Duration = Duration::from_millis(500);

/// Attempts that may end with their process before a backup has failed.
const ATTEMPTS_MAX: i64 = 3;

/// How often a backup is tried whose nodes meet faults that may pass.
const FAULTS_MAX: i64 = 4;

/// Nodes of which backups are taken at the same time, and of one host.
const AT_ONCE: (usize, usize) = (4, 1);

/// Takes backups in this process.
pub(crate) struct Taker {
    pub(super) tasks: Arc<Tasks>,
    pub(super) finder: Arc<Finder>,
    /// Settings of the analyses of schedules.
    pub(super) analysis: AnalysisConfig,
    pub(super) clock: Clock,
    /// How long a backup is held without a sign of life.
    lease: Duration,
    gate: Arc<Gate>,
}

impl Taker {
    pub(crate) fn new(
        tasks: Arc<Tasks>,
        finder: Arc<Finder>,
        analysis: AnalysisConfig,
        clock: Clock,
        lease: Duration,
    ) -> Self {
        let gate = Gate::new(AT_ONCE.0, AT_ONCE.1);
        Self { tasks, finder, analysis, clock, lease, gate }
    }

    /// Starts to take backups, until `stop` says so.
    pub(crate) fn start(self, stop: watch::Receiver<bool>) -> JoinHandle<()> {
        let taker = Arc::new(self);
        let begin = move || Arc::clone(&taker).stay(stop.clone());
        tokio::spawn(keep_up("taking of backups", begin))
    }

    /// Works until `stop` says so; a backup that is being taken then is given back.
    async fn stay(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let is_idle = |one: &Arc<Instance>| one.live.is_none() && one.analyse_schedule.is_none();
        if self.finder.instances.all().iter().all(is_idle) {
            return;
        }
        let mut looked_at_ms = (self.clock)();
        while !*stop.borrow() {
            let now_ms = (self.clock)();
            for instance in &self.finder.instances.all() {
                self.keep_schedule(instance, looked_at_ms, now_ms).await;
                self.analyse_by_schedule(instance, looked_at_ms, now_ms).await;
            }
            looked_at_ms = now_ms;
            match self.tasks.store.claim_backup(self.lease).await {
                Ok(Some(record)) => self.take(&record, &mut stop).await,
                Ok(None) => {
                    self.remove_unkept().await;
                    tokio::select! { () = sleep(IDLE) => {}, _ = stop.changed() => {} }
                }
                Err(error) => {
                    tracing::error!(%error, "no backup could be taken up");
                    tokio::select! { () = sleep(self.lease / 6) => {}, _ = stop.changed() => {} }
                }
            }
        }
    }

    async fn take(&self, record: &Record, stop: &mut watch::Receiver<bool>) {
        tracing::info!(backup_id = %record.id, attempt = record.attempt, "backup starts");
        let unwanted = Arc::new(AtomicBool::new(false));
        let progress = Arc::new(Progress::new(record));
        let files = self.files(record, &progress, &unwanted);
        tokio::pin!(files);
        let mut beat = interval(self.lease / 6);
        let result = loop {
            tokio::select! {
                result = &mut files => break result,
                _ = beat.tick() => match self.beat(record, &progress).await {
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

    async fn beat(&self, record: &Record, progress: &Progress) -> Result<bool, StoreError> {
        self.tasks.store.beat_backup(record, progress.at_present(), self.lease).await
    }

    /// Takes the file of each node.
    async fn files(
        &self,
        record: &Record,
        progress: &Arc<Progress>,
        unwanted: &Arc<AtomicBool>,
    ) -> Result<(), Failure> {
        if record.attempt - record.faults > ATTEMPTS_MAX {
            return Err(format!("the process that took it died {ATTEMPTS_MAX} times").into());
        }
        let instance = self.finder.instances.get(record.instance_id);
        let instance = instance.ok_or("the instance is no longer configured")?;
        let mut tasks = Vec::new();
        for (number, file) in record.files.iter().cloned().enumerate() {
            let taking = One {
                store: self.tasks.store.clone(),
                instance: Arc::clone(&instance),
                file,
                gate: Arc::clone(&self.gate),
                lease: self.lease,
                stop: Arc::clone(unwanted),
            };
            tasks.push(tokio::spawn(taking.take(Arc::clone(progress), number)));
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
}

/// The file of one node.
struct One {
    store: Store,
    instance: Arc<Instance>,
    file: File,
    gate: Arc<Gate>,
    lease: Duration,
    stop: Arc<AtomicBool>,
}

impl One {
    async fn take(self, progress: Arc<Progress>, number: usize) -> Result<(), Failure> {
        let Self { store, instance, file, gate, lease, stop } = self;
        let node = instance.node(&file.node_id).cloned().ok_or_else(|| Failure {
            why: format!("node is not one of the instance: {}", file.node_id),
            // Another process may have found it a moment ago.
            may_pass: instance.discover().is_some(),
        })?;
        let work = async {
            let (node, stop, meter) = (node.clone(), Arc::clone(&stop), progress.meter(number));
            let taken = spawn_blocking(move || {
                let live = instance.live.as_ref().ok_or("the instance has no [live] any more")?;
                live.take(&node, &file.file_name, (&gate, &meter), &stop)
            });
            taken.await.unwrap_or_else(|panic| Err(panic.to_string().into()))
        };
        host::alone(&store, &node, lease, &stop, work).await?;
        progress.ends(number);
        Ok(())
    }
}

/// How long to wait after so many faults before.
fn delay(faults: i64) -> Duration {
    Duration::from_secs(4_u64.saturating_pow(u32::try_from(faults).unwrap_or(u32::MAX)))
}
