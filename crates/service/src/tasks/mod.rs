//! Tasks: analyses that clients have asked for, run by workers and kept in a database.
//!
//! ```text
//!  create          claim                finish
//! -------> waiting ------> running ---------------> success | failed
//!             ^               |  beat (lease, progress)
//!             +---------------+
//!        release, a fault that may pass, or the lease ran out: the worker died
//! ```
//!
//! What workers take are the parts of a task. A task of one backup has one part, `whole`; of
//! several it has a part for each, and what they found is merged in the order of the backups:
//!
//! ```text
//! count, count, ... -> join -> finish
//!                        |  where prefixes outgrew their memory
//!                        +---> recount, recount, ... -> report -> finish
//! ```
//!
//! A worker holds a part by a lease. Its writes carry the number of its attempt, so that a
//! worker that lost its part cannot write over the one that has it now. A task that is deleted
//! while it runs is lost to its workers in the same way.

mod child;
mod engine;
mod frame;
mod job;
mod pulse;
mod worker;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use crate::config::{Node, Role};
use crate::settings::AnalysisConfig;
use crate::store::{News, Store};

pub use self::child::{ChildError, Isolation, child};
pub(crate) use self::engine::{Engine, Works};
pub(crate) use self::pulse::Pulse;
pub(crate) use self::worker::Slot;

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
    /// Whether the backups were taken for it.
    pub(crate) is_new: bool,
    /// Tasks with a higher one are run first.
    pub(crate) priority: i64,
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

/// What a part of a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Analyses all backups.
    Whole,
    /// Counts one backup.
    Count,
    /// Merges the counts.
    Join,
    /// Counts the leading prefixes of one backup once more, exactly.
    Recount,
    /// Merges these as well.
    Report,
}

/// A part of a task that a worker has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) task: Task,
    pub(crate) step: Step,
    pub(crate) number: i64,
    pub(crate) attempt: i64,
    /// How many attempts before ended with the worker.
    pub(crate) deaths: i64,
    /// How many attempts before met a fault that may pass.
    pub(crate) faults: i64,
}

/// How far the present attempts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    pub(crate) bytes_read: u64,
    /// 0 until the file has been opened.
    pub(crate) bytes_total: u64,
    pub(crate) key_count: u64,
}

/// How a task ended.
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
    added: watch::Sender<()>,
    /// A task that ran is gone.
    deleted: watch::Sender<()>,
}

impl Tasks {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, added: watch::Sender::default(), deleted: watch::Sender::default() }
    }

    /// Wakes whom it may concern.
    pub(crate) fn tell(&self, news: News) {
        match news {
            News::Added => self.added.send_replace(()),
            News::Deleted => self.deleted.send_replace(()),
        };
    }
}

impl Part {
    /// A backup of `node`.
    pub(crate) fn new(node: &Node, backup_id: Uuid) -> Self {
        Self {
            backup_id,
            node_id: node.id.clone(),
            node_name: node.name.clone(),
            node_ip: node.ip.clone(),
            node_role: node.role,
            group_name: node.group.clone(),
        }
    }
}

impl Subject {
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        [&self.first].into_iter().chain(&self.more)
    }
}

impl Step {
    pub(crate) const ALL: [Self; 5] =
        [Self::Whole, Self::Count, Self::Join, Self::Recount, Self::Report];

    /// What a new task begins with, and how many of it.
    pub(crate) fn first(subject: &Subject) -> (Self, usize) {
        match subject.more.len() {
            0 => (Self::Whole, 1),
            more => (Self::Count, more + 1),
        }
    }

    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Count => "count",
            Self::Join => "join",
            Self::Recount => "recount",
            Self::Report => "report",
        }
    }

    /// The step with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
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
