//! Tasks of the offline key analysis.

use offkey_analysis::{ChecksumState, LargestKey, LargestKeyPrefix, TypeBytes, TypeNum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::settings::{AnalysisConfig, Size};
use crate::tasks::Progress;

/// Members are JSON values, so that one of a wrong type is named in the error.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("anyOf" = [{"required": ["node_id"]}, {"required": ["node_ids"]}]))]
pub(crate) struct CreateRequest {
    #[schemars(with = "Option<String>")]
    pub(crate) node_id: Option<Value>,
    #[schemars(with = "Option<Uuid>")]
    pub(crate) backup_id: Option<Value>,
    /// Ours, as is all that follows: a list of node ids, or `"*"`, in place of `node_id`.
    #[schemars(with = "Option<NodeIds>")]
    pub(crate) node_ids: Option<Value>,
    /// One for each node, in place of `backup_id`, or `"new"` for a new backup of all of them.
    #[schemars(with = "Option<BackupIds>")]
    pub(crate) backup_ids: Option<Value>,
    #[schemars(with = "Option<i64>", range(min = -100, max = 100))]
    pub(crate) priority: Option<Value>,
    #[schemars(with = "Option<u32>", range(max = 10_000))]
    pub(crate) top: Option<Value>,
    #[schemars(with = "Option<u32>", range(max = 10_000))]
    pub(crate) prefixes: Option<Value>,
    #[schemars(with = "Option<String>", length(max = 128))]
    pub(crate) separators: Option<Value>,
    #[schemars(with = "Option<bool>")]
    pub(crate) fold_digits: Option<Value>,
    #[schemars(with = "Option<String>")]
    pub(crate) profile: Option<Value>,
    #[schemars(with = "Option<Size>")]
    pub(crate) size: Option<Value>,
}

/// What `node_ids` may be.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for its schema")]
enum NodeIds {
    Listed(Vec<String>),
    Every(EveryNode),
}

/// What `backup_ids` may be.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for its schema")]
enum BackupIds {
    Listed(Vec<Uuid>),
    Taken(NewBackup),
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "for its schema")]
enum NewBackup {
    New,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "for its schema")]
enum EveryNode {
    #[serde(rename = "*")]
    Star,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskId {
    pub(crate) task_id: Uuid,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskList {
    pub(crate) instance_id: Uuid,
    pub(crate) total: i64,
    pub(crate) records: Vec<TaskRecord>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskRecord {
    pub(crate) id: Uuid,
    pub(crate) status: &'static str,
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<String>,
    /// Ours, as is all that follows: the first node and its backup.
    pub(crate) node_id: String,
    pub(crate) backup_id: Uuid,
    /// Number of nodes.
    pub(crate) node_num: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_msg: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskDetail {
    pub(crate) id: Uuid,
    pub(crate) instance_id: Uuid,
    pub(crate) node_id: String,
    pub(crate) backup_id: Uuid,
    pub(crate) group_name: String,
    pub(crate) node_ip: String,
    pub(crate) node_ipv6: String,
    pub(crate) node_type: &'static str,
    pub(crate) analysis_type: &'static str,
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<String>,
    /// Ours.
    pub(crate) status: &'static str,
    /// Ours.
    pub(crate) progress: TaskProgress,
    /// Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_msg: Option<String>,
    /// Ours: all nodes whose backups the report is of.
    pub(crate) nodes: Vec<AnalysedNode>,
    /// Ours.
    pub(crate) settings: AnalysisConfig,
    pub(crate) largest_key_prefixes: Vec<LargestKeyPrefix>,
    pub(crate) largest_keys: Vec<LargestKey>,
    pub(crate) type_bytes: Vec<TypeBytes>,
    pub(crate) type_num: Vec<TypeNum>,
    #[serde(flatten)]
    pub(crate) totals: Option<Totals>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Totals {
    pub(crate) total_bytes: u64,
    pub(crate) total_num: u64,
    /// Ours.
    pub(crate) complete: bool,
    /// Ours.
    pub(crate) checksum: ChecksumState,
    /// Ours.
    pub(crate) damaged_num: u64,
    /// Ours.
    pub(crate) expired_num: u64,
    /// Ours.
    pub(crate) expired_bytes: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AnalysedNode {
    pub(crate) node_id: String,
    pub(crate) backup_id: Uuid,
    pub(crate) group_name: String,
    pub(crate) node_ip: String,
    pub(crate) node_type: &'static str,
}

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct TaskProgress {
    pub(crate) bytes_read: u64,
    pub(crate) bytes_total: u64,
    pub(crate) keys: u64,
}

impl From<Progress> for TaskProgress {
    fn from(progress: Progress) -> Self {
        let Progress { bytes_read, bytes_total, key_count } = progress;
        Self { bytes_read, bytes_total, keys: key_count }
    }
}

/// Ours: what an event says of a task.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct TaskChange {
    pub(crate) status: &'static str,
    pub(crate) progress: TaskProgress,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_msg: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskNodes {
    pub(crate) nodes: Vec<TaskNode>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskNode {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) group_name: String,
    pub(crate) node_ipv6: String,
}
