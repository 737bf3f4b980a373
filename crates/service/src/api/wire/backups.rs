//! Backups and the links to their files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BackupList {
    pub(crate) total_num: usize,
    pub(crate) backup_record_response: Vec<BackupRecord>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BackupId {
    pub(crate) backup_id: Uuid,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Uploaded {
    pub(crate) backup_id: Uuid,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Keys in it.
    pub(crate) num: u64,
    /// Further ones whose values are damaged.
    pub(crate) damaged_num: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BackupRecord {
    pub(crate) backup_id: Uuid,
    pub(crate) backup_name: String,
    pub(crate) instance_id: Uuid,
    pub(crate) size: u64,
    pub(crate) period: &'static str,
    pub(crate) backup_type: &'static str,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) execution_at: String,
    pub(crate) progress: String,
    pub(crate) error_code: &'static str,
    /// What was said when it was taken; of a file that came otherwise its node.
    pub(crate) remark: String,
    /// Ours: its first node.
    pub(crate) node_id: String,
    /// Ours: why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_msg: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) is_support_restore: &'static str,
    pub(crate) backup_format: &'static str,
}

/// Members are JSON values, so that one of a wrong type is named in the error.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct CopyRequest {
    #[schemars(with = "Option<String>", length(max = 128))]
    pub(crate) remark: Option<Value>,
    #[schemars(with = "Option<String>", extend("enum" = ["rdb", null]))]
    pub(crate) backup_format: Option<Value>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct LinksRequest {
    #[schemars(with = "u32", range(min = 300, max = 86_400))]
    pub(crate) expiration: Option<Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LinkList {
    pub(crate) file_path: String,
    pub(crate) bucket_name: &'static str,
    pub(crate) links: Vec<Link>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Link {
    pub(crate) file_name: String,
    pub(crate) link: String,
}
