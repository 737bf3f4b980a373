//! Instances, their shards and nodes, and what goes on with them.

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InstanceList {
    pub(crate) instance_num: usize,
    pub(crate) instances: Vec<InstanceDetail>,
}

/// One instance, in the list and alone.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InstanceDetail {
    pub(crate) instance_id: Uuid,
    pub(crate) name: String,
    pub(crate) description: &'static str,
    pub(crate) engine: String,
    pub(crate) engine_version: String,
    pub(crate) status: &'static str,
    pub(crate) ip: String,
    pub(crate) port: u16,
    /// In GB.
    pub(crate) capacity: u32,
    /// In GB with its fraction, where it is less than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) capacity_minor: Option<String>,
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
    pub(crate) service_upgrade: bool,
    pub(crate) features: Features,
    pub(crate) az_codes: Vec<String>,
    pub(crate) tags: Vec<ResourceTag>,
}

/// What the cloud could switch on; nothing of it is here.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Features {
    pub(crate) support_acl: bool,
    pub(crate) support_transparent_client_ip: bool,
    pub(crate) support_ssl: bool,
    pub(crate) support_audit_log: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ResourceTag {
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GroupList {
    pub(crate) group_list: Vec<Group>,
    pub(crate) group_count: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Group {
    pub(crate) group_id: Uuid,
    pub(crate) group_name: String,
    pub(crate) replication_list: Vec<Replication>,
}

#[derive(Debug, Serialize, JsonSchema)]
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

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NodeList {
    pub(crate) instance_id: Uuid,
    pub(crate) total: usize,
    pub(crate) nodes: Vec<LogicalNode>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LogicalNode {
    pub(crate) logical_node_id: String,
    pub(crate) name: String,
    pub(crate) status: &'static str,
    /// Ours: why it is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_msg: Option<String>,
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

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Dimension {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BackgroundTaskList {
    /// Text, as the SDKs decode it.
    pub(crate) task_count: String,
    pub(crate) tasks: Vec<BackgroundTask>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BackgroundTask {
    pub(crate) id: Uuid,
    pub(crate) name: &'static str,
    pub(crate) user_name: &'static str,
    pub(crate) user_id: &'static str,
    /// JSON in a string.
    pub(crate) params: String,
    pub(crate) status: &'static str,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) enable_show: bool,
}
