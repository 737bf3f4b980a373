//! The words of the DCS API: every name and type as its SDKs decode them.
//!
//! Fields that the API reference does not have are marked as ours; the SDKs skip them.

use offkey_analysis::{ChecksumState, LargestKey, LargestKeyPrefix, TypeBytes, TypeNum};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::config::{Integers, Role};
use crate::settings::AnalysisConfig;
use crate::tasks::State;

#[derive(Debug, Serialize)]
pub(crate) struct ErrorBody<'a> {
    pub(crate) error_code: &'a str,
    pub(crate) error_msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<&'a str>,
}

/// Members are JSON values, so that one of a wrong type is named in the error.
#[derive(Debug, Deserialize)]
pub(crate) struct CreateRequest {
    pub(crate) node_id: Option<Value>,
    pub(crate) backup_id: Option<Value>,
    /// Ours, as is all that follows: a list of node ids, or `"*"`, in place of `node_id`.
    pub(crate) node_ids: Option<Value>,
    /// One for each node, in place of `backup_id`.
    pub(crate) backup_ids: Option<Value>,
    pub(crate) top: Option<Value>,
    pub(crate) prefixes: Option<Value>,
    pub(crate) separators: Option<Value>,
    pub(crate) fold_digits: Option<Value>,
    pub(crate) profile: Option<Value>,
    pub(crate) size: Option<Value>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TaskId {
    pub(crate) task_id: Uuid,
}

#[derive(Debug, Serialize)]
pub(crate) struct TaskList {
    pub(crate) instance_id: Uuid,
    pub(crate) total: i64,
    pub(crate) records: Vec<TaskRecord>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TaskRecord {
    pub(crate) id: Uuid,
    pub(crate) status: &'static str,
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<String>,
}

#[derive(Debug, Serialize)]
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

#[derive(Debug, Serialize)]
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

#[derive(Debug, Serialize)]
pub(crate) struct AnalysedNode {
    pub(crate) node_id: String,
    pub(crate) backup_id: Uuid,
    pub(crate) group_name: String,
    pub(crate) node_ip: String,
    pub(crate) node_type: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct TaskProgress {
    pub(crate) bytes_read: u64,
    pub(crate) bytes_total: u64,
    pub(crate) keys: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct TaskNodes {
    pub(crate) nodes: Vec<TaskNode>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TaskNode {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) group_name: String,
    pub(crate) node_ipv6: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct InstanceList {
    pub(crate) instance_num: usize,
    pub(crate) instances: Vec<InstanceDetail>,
}

/// One instance, in the list and alone.
#[derive(Debug, Serialize)]
pub(crate) struct InstanceDetail {
    pub(crate) instance_id: Uuid,
    pub(crate) name: String,
    pub(crate) engine: String,
    pub(crate) engine_version: String,
    pub(crate) status: &'static str,
    pub(crate) ip: String,
    pub(crate) port: u16,
    /// In GB.
    pub(crate) capacity: u32,
    /// In MB.
    pub(crate) max_memory: u32,
    /// In MB.
    pub(crate) used_memory: u32,
    pub(crate) cache_mode: &'static str,
    pub(crate) created_at: String,
    pub(crate) charging_mode: u32,
    pub(crate) enable_ssl: bool,
    pub(crate) enable_publicip: bool,
    pub(crate) no_password_access: &'static str,
    pub(crate) product_type: &'static str,
    pub(crate) sharding_count: usize,
    pub(crate) replica_count: usize,
    pub(crate) db_number: u32,
    pub(crate) az_codes: [String; 0],
    pub(crate) tags: [String; 0],
}

#[derive(Debug, Serialize)]
pub(crate) struct GroupList {
    pub(crate) group_list: Vec<Group>,
    pub(crate) group_count: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) group_id: Uuid,
    pub(crate) group_name: String,
    pub(crate) replication_list: Vec<Replication>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Replication {
    pub(crate) replication_role: &'static str,
    pub(crate) replication_ip: String,
    pub(crate) is_replication: bool,
    pub(crate) replication_id: Uuid,
    pub(crate) node_id: String,
    pub(crate) status: &'static str,
    pub(crate) az_code: &'static str,
    pub(crate) dimensions: Vec<Dimension>,
}

#[derive(Debug, Serialize)]
pub(crate) struct NodeList {
    pub(crate) instance_id: Uuid,
    pub(crate) total: usize,
    pub(crate) nodes: Vec<LogicalNode>,
}

#[derive(Debug, Serialize)]
pub(crate) struct LogicalNode {
    pub(crate) logical_node_id: String,
    pub(crate) name: String,
    pub(crate) status: &'static str,
    pub(crate) az_code: &'static str,
    pub(crate) node_role: &'static str,
    pub(crate) node_type: &'static str,
    pub(crate) node_ip: String,
    pub(crate) node_port: String,
    pub(crate) node_id: String,
    pub(crate) priority_weight: u32,
    pub(crate) is_access: bool,
    pub(crate) group_id: Uuid,
    pub(crate) group_name: String,
    pub(crate) is_remove_ip: bool,
    pub(crate) replication_id: Uuid,
    pub(crate) dimensions: Vec<Dimension>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Dimension {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct BackupList {
    pub(crate) total_num: usize,
    pub(crate) backup_record_response: Vec<BackupRecord>,
}

#[derive(Debug, Serialize)]
pub(crate) struct BackupRecord {
    pub(crate) backup_id: Uuid,
    pub(crate) backup_name: String,
    pub(crate) instance_id: Uuid,
    pub(crate) size: u64,
    pub(crate) backup_type: &'static str,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) execution_at: String,
    pub(crate) progress: &'static str,
    /// Ours: the node that the file is of, also as a field.
    pub(crate) remark: String,
    /// Ours.
    pub(crate) node_id: String,
    pub(crate) status: &'static str,
    pub(crate) is_support_restore: &'static str,
    pub(crate) backup_format: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct ProjectList {
    pub(crate) projects: Vec<Project>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
}

/// The API's word for a state.
pub(crate) fn status(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Running => "running",
        State::Success => "success",
        State::Failed => "failed",
    }
}

/// The state that the API calls `status`.
pub(crate) fn state(word: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| status(*state) == word)
}

/// The API's word for a role.
pub(crate) fn node_type(role: Role) -> &'static str {
    match role {
        Role::Master => "master",
        Role::Slave => "slave",
    }
}

/// Whether this client gets saturated numbers: Go decodes them as `int32`, Java as `Integer`.
pub(crate) fn saturates(integers: Integers, user_agent: &str) -> bool {
    match integers {
        Integers::AlwaysExact => false,
        Integers::AlwaysSaturate => true,
        Integers::ByUserAgent => ["huaweicloud-usdk-go", "huaweicloud-usdk-java"]
            .iter()
            .any(|agent| user_agent.starts_with(agent)),
    }
}

/// The numbers of a report that the SDKs decode.
const DECODED: [&str; 5] = ["bytes", "num", "num_of_elem", "total_bytes", "total_num"];

/// Saturates those above 2147483647 and adds the true ones as text in `<name>_exact`.
pub(crate) fn saturate(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(saturate),
        Value::Object(members) => {
            for name in DECODED {
                let number = members.get(name).and_then(Value::as_u64);
                if let Some(number) = number.filter(|number| i32::try_from(*number).is_err()) {
                    members.insert(name.to_owned(), i32::MAX.into());
                    members.insert(format!("{name}_exact"), number.to_string().into());
                }
            }
            members.values_mut().for_each(saturate);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_saturate_and_stay_readable() {
        let mut value = json!({
            "total_bytes": 5_000_000_000_u64,
            "total_num": 2_147_483_647,
            "largest_keys": [{"key": "a", "bytes": 2_147_483_648_u64, "expire_at_ms": 4_102_444_800_000_u64}],
        });
        saturate(&mut value);
        assert_eq!(
            value,
            json!({
                "total_bytes": 2_147_483_647,
                "total_bytes_exact": "5000000000",
                "total_num": 2_147_483_647,
                "largest_keys": [{
                    "key": "a", "bytes": 2_147_483_647, "bytes_exact": "2147483648",
                    "expire_at_ms": 4_102_444_800_000_u64,
                }],
            })
        );
    }

    #[test]
    fn go_and_java_are_told_by_their_user_agent() {
        for (integers, agent, expected) in [
            (Integers::ByUserAgent, "huaweicloud-usdk-go/3.0", true),
            (Integers::ByUserAgent, "huaweicloud-usdk-java/3.0; x", true),
            (Integers::ByUserAgent, "huaweicloud-usdk-python/3.0", false),
            (Integers::ByUserAgent, "curl (like huaweicloud-usdk-go)", false),
            (Integers::AlwaysExact, "huaweicloud-usdk-go/3.0", false),
            (Integers::AlwaysSaturate, "curl", true),
        ] {
            assert_eq!(saturates(integers, agent), expected, "{integers:?} {agent}");
        }
    }
}
