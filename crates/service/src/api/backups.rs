//! `ListBackupRecords`.

use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokio::task::spawn_blocking;

use super::Json;
use super::error::ApiError;
use super::query::Query;
use super::scope::InInstance;
use super::timestamp;
use super::wire::{BackupList, BackupRecord};
use crate::backups::{self, Backup};
use crate::config::Instance;

pub(crate) async fn list(
    InInstance(instance): InInstance,
    query: Query,
) -> Result<Json<BackupList>, ApiError> {
    let page = query.page(1..=1000)?;
    let begin = time(&query, "begin_time")?.unwrap_or(i64::MIN);
    // The end is a whole second as well.
    let end = time(&query, "end_time")?.map_or(i64::MAX, |ms| ms + 999);
    let mut found = {
        let instance = Arc::clone(&instance);
        spawn_blocking(move || all(&instance)).await.map_err(ApiError::internal)?
    };
    found.retain(|backup| (begin..=end).contains(&backup.written_at_ms));
    Ok(Json(BackupList {
        total_num: found.len(),
        backup_record_response: page
            .of(found)
            .into_iter()
            .map(|backup| record(&instance, backup))
            .collect(),
    }))
}

/// Backups of all nodes, the newest first; a folder that cannot be read has none.
fn all(instance: &Instance) -> Vec<Backup> {
    let mut found = Vec::new();
    for node in &instance.nodes {
        match backups::list(instance, node) {
            Ok(backups) => found.extend(backups),
            Err(error) => {
                tracing::error!(node_id = node.id, %error, "folder of backups cannot be read");
            }
        }
    }
    found.sort_by_key(|backup| std::cmp::Reverse(backup.written_at_ms));
    found
}

fn record(instance: &Instance, backup: Backup) -> BackupRecord {
    let written_at = timestamp(backup.written_at_ms);
    BackupRecord {
        backup_id: backup.id,
        backup_name: backup.file_name,
        instance_id: instance.id,
        size: backup.len,
        backup_type: "manual",
        created_at: written_at.clone(),
        updated_at: written_at.clone(),
        execution_at: written_at,
        progress: "100.00",
        remark: format!("node {}", backup.node_id),
        node_id: backup.node_id,
        status: "succeed",
        is_support_restore: "FALSE",
        backup_format: "rdb",
    }
}

/// A time such as `20260101235959`, in UTC.
fn time(query: &Query, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = query.one(name)? else { return Ok(None) };
    let time = (text.len() == 14)
        .then(|| DateTime::strptime("%Y%m%d%H%M%S", text).ok())
        .flatten()
        .and_then(|time| TimeZone::UTC.to_timestamp(time).ok());
    match time {
        Some(time) => Ok(Some(time.as_millisecond())),
        None => Err(ApiError::InvalidQuery(name.to_owned())),
    }
}
