//! Backups of an instance: the list, a new one, deletion, and links to the files.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::error::ApiError;
use super::query::{Page, Query};
use super::scope::{InBackup, InInstance};
use super::wire::{BackupList, BackupRecord, CopyRequest, Link, LinkList, LinksRequest};
use super::{Json, body, downloads, timestamp};
use crate::App;
use crate::auth::Caller;
use crate::backups::{self, Backup};
use crate::config::Instance;
use crate::tasks::State as TaskState;

/// For how many seconds a link may be good.
const EXPIRATION: std::ops::RangeInclusive<i64> = 300..=86_400;

/// Longest remark of a backup, in characters.
const REMARK_LEN_MAX: usize = 128;

/// `ListBackupRecords`.
pub(crate) async fn list(
    InInstance(instance): InInstance,
    query: Query,
) -> Result<Json<BackupList>, ApiError> {
    let page = query.page(1..=1000)?;
    let times = query.times("begin_time", "end_time")?;
    let mut found = of_instance(&instance).await?;
    found.retain(|backup| times.contains(&backup.written_at_ms));
    Ok(Json(BackupList {
        total_num: found.len(),
        backup_record_response: page
            .of(found)
            .into_iter()
            .map(|backup| record(&instance, backup))
            .collect(),
    }))
}

/// `CopyInstance`: a new backup of the instance, which cannot be taken yet.
pub(crate) async fn copy(InInstance(_): InInstance, body: Bytes) -> Result<(), ApiError> {
    let CopyRequest { remark, backup_format } = match body.is_empty() {
        true => CopyRequest::default(),
        false => body::object(&body)?,
    };
    match remark {
        None => {}
        Some(Value::String(text)) if text.chars().count() <= REMARK_LEN_MAX => {}
        Some(_) => return Err(ApiError::InvalidMember("remark")),
    }
    match backup_format {
        None => {}
        Some(Value::String(text)) if text == "rdb" => {}
        // Append-only files are not analysed.
        Some(_) => return Err(ApiError::InvalidMember("backup_format")),
    }
    Err(ApiError::NoNewBackup)
}

/// `DeleteBackupFile`: the file is gone afterwards.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    InBackup { instance, backup_id }: InBackup,
) -> Result<StatusCode, ApiError> {
    let backup = find(&instance, backup_id).await?;
    if is_in_use(&app, &instance, backup_id).await? {
        return Err(ApiError::BackupInUse);
    }
    caller.once(&app).await?;
    let removed = spawn_blocking(move || std::fs::remove_file(&backup.path)).await;
    match removed.map_err(ApiError::internal)? {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        // Somebody else was faster.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(ApiError::internal(format!("backup {backup_id} not deleted: {error}"))),
    }
}

/// `ListBackupFileLinks`.
pub(crate) async fn links(
    State(app): State<Arc<App>>,
    InBackup { instance, backup_id }: InBackup,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<LinkList>, ApiError> {
    let LinksRequest { expiration } = body::object(&body)?;
    let seconds = expiration
        .and_then(|value| value.as_i64())
        .filter(|seconds| EXPIRATION.contains(seconds))
        .ok_or(ApiError::InvalidMember("expiration"))?;
    let backup = find(&instance, backup_id).await?;
    let expires = (app.clock)() / 1000 + seconds;
    let link = downloads::link(&app, &headers, &instance, &backup, expires)?;
    Ok(Json(LinkList {
        file_path: format!("{}/{backup_id}", instance.id),
        bucket_name: "offkey",
        links: vec![Link { file_name: backup.file_name, link }],
    }))
}

async fn of_instance(instance: &Arc<Instance>) -> Result<Vec<Backup>, ApiError> {
    let instance = Arc::clone(instance);
    spawn_blocking(move || backups::of_instance(&instance)).await.map_err(ApiError::internal)
}

async fn find(instance: &Arc<Instance>, id: Uuid) -> Result<Backup, ApiError> {
    let mut found = of_instance(instance).await?.into_iter();
    found.find(|backup| backup.id == id).ok_or(ApiError::InvalidMember("backup_id"))
}

/// Whether an analysis of the instance is to read the backup.
async fn is_in_use(app: &App, instance: &Instance, id: Uuid) -> Result<bool, ApiError> {
    for state in [TaskState::Waiting, TaskState::Running] {
        let page = Page { offset: 0, limit: 1000 };
        let listed = app.tasks.store.list(
            &instance.project,
            instance.id,
            Some(state),
            i64::MIN..=i64::MAX,
            page,
        );
        let (tasks, _) = listed.await?;
        if tasks.iter().flat_map(|task| task.subject.parts()).any(|part| part.backup_id == id) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn record(instance: &Instance, backup: Backup) -> BackupRecord {
    let written_at = timestamp(backup.written_at_ms);
    BackupRecord {
        backup_id: backup.id,
        backup_name: backup.file_name,
        instance_id: instance.id,
        size: backup.len,
        period: "",
        backup_type: "manual",
        created_at: written_at.clone(),
        updated_at: written_at.clone(),
        execution_at: written_at,
        progress: "100.00",
        error_code: "",
        remark: format!("node {}", backup.node_id),
        node_id: backup.node_id,
        status: "succeed",
        is_support_restore: "FALSE",
        backup_format: "rdb",
    }
}
