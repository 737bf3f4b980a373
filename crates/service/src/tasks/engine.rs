//! What runs tasks in a process: its workers, its ear for news, its signs of life.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{Isolation, Pulse, Slot, Tasks};
use crate::discovery::Instances;
use crate::metrics::Metrics;
use crate::settings::TaskLimits;
use crate::store::{Location, Terms, listen};

/// How long the database may take to answer whether it is there.
const ASK_MAX: Duration = Duration::from_millis(800);

/// When a process whose workers are not all alive shows itself again: it may just have begun.
const SHOW_AGAIN: Duration = Duration::from_millis(500);

/// What the workers of a process share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) tasks: Arc<Tasks>,
    pub(super) instances: Arc<Instances>,
    pub(super) terms: Terms,
    pub(super) limits: TaskLimits,
    pub(super) isolation: Isolation,
    pub(super) pulse: Pulse,
    pub(crate) metrics: Metrics,
    /// That the database can be written.
    shown: Pulse,
}

/// An engine that runs.
#[derive(Debug)]
pub(crate) struct Works {
    engine: Arc<Engine>,
    workers: Vec<JoinHandle<()>>,
    /// What needs no care when the process ends.
    others: Vec<JoinHandle<()>>,
}

/// Whether tasks are being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Health {
    /// Whether the database answers, and took a sign of life lately.
    pub(crate) database: bool,
    /// Workers of this process that live, and how many there are to be.
    pub(crate) workers: (usize, usize),
    /// Processes with workers that share the database, this one included.
    pub(crate) processes: u64,
}

impl Health {
    /// Whether a task that is created now will be run: by this process if it is to run any,
    /// else by another.
    pub(crate) fn is_good(self) -> bool {
        let (alive, slots) = self.workers;
        let is_run = if slots > 0 { alive > 0 } else { self.processes > 0 };
        self.database && is_run
    }
}

impl Engine {
    pub(crate) fn new(
        tasks: Arc<Tasks>,
        instances: Arc<Instances>,
        limits: TaskLimits,
        isolation: Isolation,
        workers: usize,
    ) -> Self {
        let terms = Terms {
            worker_id: Uuid::now_v7(),
            lease: Duration::from_secs(limits.lease_seconds.into()),
            parts_per_instance: limits.parts_per_instance,
        };
        Self {
            tasks,
            instances,
            terms,
            limits,
            isolation,
            pulse: Pulse::new(workers),
            metrics: Metrics::new(),
            shown: Pulse::new(1),
        }
    }

    /// How long work is held without a sign of life.
    pub(crate) fn lease(&self) -> Duration {
        self.terms.lease
    }

    /// Starts the workers, which go on until `stop` says so.
    pub(crate) fn start(
        self: Arc<Self>,
        location: Location,
        stop: &watch::Receiver<bool>,
    ) -> Works {
        let engine = self;
        let workers = (0..engine.pulse.slots())
            .map(|number| Slot { engine: Arc::clone(&engine), number, stop: stop.clone() })
            .map(|slot| tokio::spawn(slot.stay()))
            .collect();
        let tasks = Arc::clone(&engine.tasks);
        let others = vec![
            tokio::spawn(listen(location, move |news| tasks.tell(news))),
            tokio::spawn(Arc::clone(&engine).show()),
        ];
        Works { engine, workers, others }
    }

    pub(crate) async fn health(&self) -> Health {
        let within = self.terms.lease;
        let processes = timeout(ASK_MAX, self.tasks.store.workers(within)).await;
        let processes = processes.ok().and_then(Result::ok);
        Health {
            database: processes.is_some() && self.shown.alive(within) > 0,
            workers: (self.pulse.alive(within), self.pulse.slots()),
            processes: processes.unwrap_or_default(),
        }
    }

    /// Shows the other processes that this one is alive, as long as its workers are.
    async fn show(self: Arc<Self>) {
        loop {
            let alive = self.pulse.alive(self.terms.lease);
            match self.tasks.store.seen(self.terms.worker_id, alive).await {
                Ok(()) => self.shown.beat(0),
                Err(error) => tracing::warn!(%error, "no sign of life could be given"),
            }
            let usual = self.terms.lease / 3;
            let is_whole = alive == self.pulse.slots();
            sleep(if is_whole { usual } else { usual.min(SHOW_AGAIN) }).await;
        }
    }
}

impl Works {
    /// Waits for the workers, which have been told to stop, to give back what they run.
    pub(crate) async fn end(self) {
        for worker in self.workers {
            if let Err(error) = worker.await {
                tracing::error!(%error, "worker ended badly");
            }
        }
        for other in self.others {
            other.abort();
        }
        // Whoever finds it there for a while longer takes no harm.
        let _ = self.engine.tasks.store.gone(self.engine.terms.worker_id).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_good_only_if_somebody_runs_tasks() {
        let good = Health { database: true, workers: (1, 2), processes: 1 };
        for (health, expected) in [
            (good, true),
            (Health { database: false, ..good }, false),
            (Health { workers: (0, 2), processes: 3, ..good }, false),
            (Health { workers: (0, 0), processes: 1, ..good }, true),
            (Health { workers: (0, 0), processes: 0, ..good }, false),
        ] {
            assert_eq!(health.is_good(), expected, "{health:?}");
        }
    }
}
