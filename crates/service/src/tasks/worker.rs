//! Workers: each takes one part of a task after another and has it analysed.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{interval_at, sleep};
use tracing::Instrument as _;

use super::child::{Earlier, Ended, Watch, run};
use super::job::{Done, EndKind, Job, JobInput, JobPlace};
use super::{Claim, Engine, Outcome, Part, Progress, Step};
use crate::backups::{self, Backup, Place};
use crate::store::{DEATHS_MAX, News, Next};
use crate::supervise::keep_up;

/// How often a worker says that it is alive, shows progress and looks whether it still has its
/// part; more often than the lease demands.
const BEAT_MAX: Duration = Duration::from_secs(2);

/// How often a worker looks for what nobody told it of: tasks of workers that have died, or
/// whose time to be tried again has come; more often where leases are short.
const IDLE: Duration = Duration::from_secs(2);

/// How long a worker waits before it asks a database that failed again.
const RETRY: Duration = Duration::from_secs(1);

/// How often a part is tried that meets faults which may pass.
const FAULTS_MAX: i64 = 5;

/// One of the workers of a process.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) engine: Arc<Engine>,
    pub(crate) number: usize,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What is left to be said of an attempt.
#[derive(Debug)]
enum Verdict {
    Finish(Outcome),
    Done(Vec<u8>, Next),
    /// A fault that may pass.
    Retry(Duration, String),
    /// The process that analysed has died.
    Died(Duration, String),
}

impl Verdict {
    /// The word for it in the metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Finish(Outcome { error: None, .. }) | Self::Done(..) => "success",
            Self::Finish(Outcome { error: Some(_), .. }) => "failed",
            Self::Retry(..) => "retried",
            Self::Died(..) => "died",
        }
    }
}

impl Slot {
    /// Works until told to stop, whatever befalls a task.
    pub(crate) async fn stay(self) {
        keep_up("worker", || self.clone().work()).await;
    }

    /// Runs parts until `stop` says so; one that runs then is given back.
    async fn work(mut self) {
        let mut added = self.engine.tasks.added.subscribe();
        let idle = IDLE.min(self.engine.terms.lease / 3);
        while !*self.stop.borrow() {
            let claimed = self.engine.tasks.store.claim(&self.engine.terms).await;
            match claimed {
                Ok(claimed) => {
                    self.engine.pulse.beat(self.number);
                    match claimed {
                        Some(claim) => {
                            let span = tracing::info_span!("task", task_id = %claim.task.id);
                            self.run(&claim).instrument(span).await;
                        }
                        None => tokio::select! {
                            _ = added.changed() => {}
                            () = sleep(idle) => {}
                            _ = self.stop.changed() => {}
                        },
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "no task could be taken");
                    self.pause().await;
                }
            }
        }
    }

    async fn pause(&mut self) {
        tokio::select! { () = sleep(RETRY) => {}, _ = self.stop.changed() => {} }
    }

    async fn run(&mut self, claim: &Claim) {
        let Claim { task, step, number, attempt, .. } = claim;
        tracing::info!(task_id = %task.id, step = step.name(), number, attempt, "part starts");
        let start = Instant::now();
        let watch = Arc::new(Watch::default());
        let Some(ended) = self.attempt(claim, &watch).await else { return };
        let verdict = match ended {
            Ended::Done(done) => verdict(claim, done, watch.progress()),
            Ended::Died(how) => died(claim, &how, watch.progress(), watch.file()),
            Ended::Store(error) => fault(claim, error.to_string(), watch.progress(), None),
            Ended::Unstarted(why) => fault(claim, why, watch.progress(), None),
            Ended::Lost => return,
        };
        self.engine.metrics.analysed(verdict.word(), watch.progress(), start.elapsed());
        self.tell(claim, watch.progress(), &verdict).await;
    }

    /// Has the part analysed, beating meanwhile; nothing if it was lost or given back.
    async fn attempt(&mut self, claim: &Claim, watch: &Arc<Watch>) -> Option<Ended> {
        let engine = Arc::clone(&self.engine);
        let mut deleted = engine.tasks.deleted.subscribe();
        let analysis = async {
            match prepare(&engine, claim, watch).await {
                Ok((job, earlier)) => {
                    run(&engine.isolation, &engine.limits, job, earlier, watch).await
                }
                Err(done) => Ended::Done(done),
            }
        };
        tokio::pin!(analysis);
        let lease = engine.terms.lease;
        let beat = BEAT_MAX.min(lease / 3);
        // The lease has just begun.
        let mut heartbeat = interval_at(tokio::time::Instant::now() + beat, beat);
        loop {
            tokio::select! {
                ended = &mut analysis => return Some(ended),
                _ = heartbeat.tick() => {
                    match engine.tasks.store.beat(claim, watch.progress(), watch.file(), lease).await {
                        Ok(true) => engine.pulse.beat(self.number),
                        Ok(false) => {
                            tracing::warn!(task_id = %claim.task.id, "part is lost");
                            return None;
                        }
                        Err(error) => {
                            tracing::error!(task_id = %claim.task.id, %error, "lease not renewed");
                        }
                    }
                }
                _ = deleted.changed() => heartbeat.reset_immediately(),
                _ = self.stop.changed() => {
                    release(&engine, claim).await;
                    return None;
                }
            }
        }
    }

    /// Stores the verdict, trying again while the database fails and nobody wants to stop.
    async fn tell(&mut self, claim: &Claim, progress: Progress, verdict: &Verdict) {
        let (engine, task_id) = (Arc::clone(&self.engine), claim.task.id);
        let store = &engine.tasks.store;
        loop {
            let told = match verdict {
                Verdict::Finish(outcome) => store.finish(claim, outcome).await,
                Verdict::Done(result, next) => store.done(claim, result, progress, *next).await,
                Verdict::Retry(delay, _) => store.retry(claim, *delay).await,
                Verdict::Died(delay, _) => store.died(claim, *delay).await,
            };
            match told {
                Ok(false) => tracing::warn!(%task_id, "part was lost, its result is dropped"),
                Err(error) if error.may_pass() => {
                    tracing::error!(%task_id, %error, "result not stored");
                    if *self.stop.borrow() {
                        return;
                    }
                    self.pause().await;
                    continue;
                }
                // The lease runs out, and another attempt may have more luck.
                Err(error) => tracing::error!(%task_id, %error, "result cannot be stored"),
                Ok(true) => match verdict {
                    Verdict::Finish(outcome) => {
                        let failed = outcome.error.is_some();
                        tracing::info!(%task_id, failed, "task ends");
                    }
                    Verdict::Done(_, next) => {
                        engine.tasks.tell(News::Added);
                        tracing::info!(%task_id, ?next, "part ends");
                    }
                    Verdict::Retry(delay, why) | Verdict::Died(delay, why) => {
                        tracing::warn!(%task_id, ?delay, why, "part is tried again");
                    }
                },
            }
            return;
        }
    }
}

/// The job that a claim means, and what goes with it; or why there is none.
async fn prepare(
    engine: &Arc<Engine>,
    claim: &Claim,
    watch: &Watch,
) -> Result<(Job, Earlier), Done> {
    let subject = &claim.task.subject;
    let count = i64::try_from(subject.parts().count()).unwrap_or(i64::MAX);
    let at = usize::try_from(claim.number).unwrap_or(usize::MAX);
    let each = |step| (0..count).map(move |number| (step, number));
    let earlier = match claim.step {
        Step::Whole | Step::Count => vec![],
        Step::Join => each(Step::Count).collect(),
        Step::Recount => vec![(Step::Join, 0)],
        Step::Report => [(Step::Join, 0)].into_iter().chain(each(Step::Recount)).collect(),
    };
    let parts: Vec<Part> = match claim.step {
        Step::Whole => subject.parts().cloned().collect(),
        Step::Count | Step::Recount => subject.parts().skip(at).take(1).cloned().collect(),
        Step::Join | Step::Report => vec![],
    };
    for part in &parts {
        backups::taken(&engine.tasks.store, part.backup_id)
            .await
            .map_err(|failure| Done::nothing(failure.why, failure.may_pass))?;
    }
    let found = spawn_blocking({
        let (engine, claim) = (Arc::clone(engine), claim.clone());
        move || parts.iter().map(|part| find(&engine, &claim, part)).collect::<Result<Vec<_>, _>>()
    });
    let backups =
        found.await.unwrap_or_else(|panic| Err(Done::nothing(panic.to_string(), true)))?;
    watch.bytes_total.store(backups.iter().map(|backup| backup.len).sum(), Ordering::Relaxed);
    let inputs: Vec<JobInput> = backups
        .into_iter()
        .map(|Backup { node_id, file_name, place, .. }| JobInput {
            place: match place {
                Place::Folder(path) | Place::Source(path) => {
                    JobPlace::File(path.as_os_str().as_bytes().to_vec())
                }
                Place::Object(remote) => JobPlace::Object(remote.as_ref().clone()),
            },
            name: if count == 1 { file_name } else { format!("{node_id}/{file_name}") },
        })
        .collect();
    if let [input] = inputs.as_slice() {
        watch.reads(&input.name);
    }
    let job = Job {
        step: claim.step,
        inputs,
        settings: subject.settings.clone(),
        now_ms: claim.task.created_at_ms,
        blobs: earlier.len(),
    };
    let store = engine.tasks.store.clone();
    Ok((job, Earlier { store, task_id: claim.task.id, parts: earlier }))
}

/// The file of `part`, or why there is none.
fn find(engine: &Engine, claim: &Claim, part: &Part) -> Result<Backup, Done> {
    let Part { node_id, backup_id, .. } = part;
    let instance_id = claim.task.subject.instance_id;
    let instance = engine.instances.get(instance_id);
    let found = instance.as_deref().and_then(|one| Some((one, one.node(node_id)?)));
    let Some((instance, node)) = found else {
        // Another process may have found it a moment ago.
        let may_pass = instance.is_some_and(|instance| instance.discover().is_some());
        let why = format!("node is not one of the instance: {node_id}");
        return Err(Done::nothing(why, may_pass));
    };
    match backups::find(instance, node, *backup_id) {
        Ok(Some(backup)) => Ok(backup),
        Ok(None) => Err(Done::nothing(format!("backup is gone: {backup_id}"), false)),
        Err(error) => {
            Err(Done::nothing(format!("folder of backups cannot be read: {error}"), true))
        }
    }
}

/// What becomes of a part whose analysis came to its end.
fn verdict(claim: &Claim, done: Done, progress: Progress) -> Verdict {
    let Done { end, body } = done;
    let report = match end.kind {
        EndKind::Report => String::from_utf8(body.clone()).ok(),
        EndKind::Partial | EndKind::Again | EndKind::Nothing => None,
    };
    if let (true, Some(error)) = (end.may_pass, &end.error)
        && claim.faults + 1 < FAULTS_MAX
    {
        return fault(claim, error.clone(), progress, report);
    }
    let backups = claim.task.subject.parts().count();
    match (end.kind, claim.step) {
        (EndKind::Partial, Step::Recount) => Verdict::Done(body, Next::Together(Step::Report)),
        (EndKind::Partial, _) => Verdict::Done(body, Next::Together(Step::Join)),
        (EndKind::Again, _) => Verdict::Done(body, Next::Each(Step::Recount, backups)),
        (EndKind::Report | EndKind::Nothing, _) => {
            Verdict::Finish(Outcome { error: end.error, report, progress })
        }
    }
}

/// Another attempt after a fault, each time later; none once there were enough.
fn fault(claim: &Claim, why: String, progress: Progress, report: Option<String>) -> Verdict {
    if claim.faults + 1 < FAULTS_MAX {
        let faults = u32::try_from(claim.faults).unwrap_or(u32::MAX);
        return Verdict::Retry(Duration::from_secs(4_u64.saturating_pow(faults)), why);
    }
    Verdict::Finish(Outcome { error: Some(why), report, progress })
}

/// Another attempt after the process died, unless it has died too often.
fn died(claim: &Claim, how: &str, progress: Progress, file: Option<&str>) -> Verdict {
    let deaths = claim.deaths + 1;
    if deaths < DEATHS_MAX {
        return Verdict::Died(RETRY, how.to_owned());
    }
    let at = progress.bytes_read;
    let of = file.map(|file| format!(" of {file}")).unwrap_or_default();
    let error = format!("worker died {deaths} times, the last time after byte {at}{of}: {how}");
    Verdict::Finish(Outcome { error: Some(error), report: None, progress })
}

async fn release(engine: &Engine, claim: &Claim) {
    let task_id = claim.task.id;
    match engine.tasks.store.release(claim).await {
        Ok(true) => tracing::info!(%task_id, "part given back"),
        Ok(false) => tracing::info!(%task_id, "part was lost"),
        // The lease runs out by itself.
        Err(error) => tracing::error!(%task_id, %error, "part not given back"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::job::End;

    #[test]
    fn passing_faults_are_tried_again_later_and_later() {
        let mut claim = crate::store::tests::claim();
        let end = End { kind: EndKind::Report, error: Some("reset".to_owned()), may_pass: true };
        let done = Done { end, body: b"{}".to_vec() };
        for seconds in [1, 4, 16, 64] {
            let verdict = verdict(&claim, done.clone(), Progress::default());
            assert!(
                matches!(verdict, Verdict::Retry(delay, _) if delay.as_secs() == seconds),
                "{verdict:?}"
            );
            claim.faults += 1;
        }
        let last = verdict(&claim, done.clone(), Progress::default());
        let Verdict::Finish(outcome) = last else { panic!("{last:?}") };
        assert_eq!(outcome.report.as_deref(), Some("{}"));
        // Those of a bad file are not.
        claim.faults = 0;
        let end = End { may_pass: false, ..done.end };
        let verdict = verdict(&claim, Done { end, ..done }, Progress::default());
        assert!(matches!(verdict, Verdict::Finish(_)), "{verdict:?}");
    }

    #[test]
    fn third_death_names_the_byte_and_the_cause() {
        let mut claim = crate::store::tests::claim();
        let progress = Progress { bytes_read: 42, ..Progress::default() };
        for _ in 0..2 {
            assert!(matches!(died(&claim, "signal 9", progress, None), Verdict::Died(..)));
            claim.deaths += 1;
        }
        let Verdict::Finish(outcome) = died(&claim, "signal 9", progress, Some("a.rdb")) else {
            panic!()
        };
        let error = "worker died 3 times, the last time after byte 42 of a.rdb: signal 9";
        assert_eq!(outcome.error.as_deref(), Some(error));
    }
}
