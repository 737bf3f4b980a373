//! Tasks: analyses that clients have asked for, run by workers and kept in a database.
//!
//! ```text
//!  create          claim                finish
//! -------> waiting ------> running ---------------> success | failed
//!             ^               |  renew (lease, progress)
//!             +---------------+
//!        release, or the lease ran out: the worker died
//! ```
//!
//! A worker holds a task by a lease. Its writes carry the number of its attempt, so that a
//! worker that lost its task cannot write over the one that has it now. A task that is deleted
//! while it runs is lost to its worker in the same way.

mod worker;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::config::Role;
use crate::settings::AnalysisConfig;
use crate::store::Store;

pub(crate) use self::worker::work;

/// State of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Running,
    Success,
    Failed,
}

/// A task as it is stored, but for its report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) id: Uuid,
    pub(crate) subject: Subject,
    pub(crate) state: State,
    pub(crate) created_at_ms: i64,
    pub(crate) started_at_ms: Option<i64>,
    pub(crate) finished_at_ms: Option<i64>,
    pub(crate) attempt: i64,
    pub(crate) progress: Progress,
    pub(crate) error: Option<String>,
}

/// What a task analyses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) project_id: String,
    pub(crate) instance_id: Uuid,
    pub(crate) first: Part,
    /// What is merged into the same report.
    pub(crate) more: Vec<Part>,
    pub(crate) settings: AnalysisConfig,
}

/// A backup and the node it is of, as the node was when the task was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) backup_id: Uuid,
    pub(crate) node_id: String,
    pub(crate) node_name: String,
    pub(crate) node_ip: String,
    pub(crate) node_role: Role,
    pub(crate) group_name: String,
}

/// How far the present attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    pub(crate) bytes_read: u64,
    /// 0 until the file has been opened.
    pub(crate) bytes_total: u64,
    pub(crate) key_count: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Why the task has failed, if it has.
    pub(crate) error: Option<String>,
    /// The report in JSON, also of what a failed task could read.
    pub(crate) report: Option<String>,
    pub(crate) progress: Progress,
}

/// The store, and the bells that wake workers.
#[derive(Debug)]
pub(crate) struct Tasks {
    pub(crate) store: Store,
    /// There is something to do.
    pub(crate) added: Notify,
    /// A task that ran is gone.
    pub(crate) deleted: Notify,
}

impl Subject {
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        [&self.first].into_iter().chain(&self.more)
    }
}

impl State {
    pub(crate) const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Success, Self::Failed];

    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// The state with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}
