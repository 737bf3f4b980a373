//! Backups of an instance: the list, a new one, deletion, and links to the files.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::error::ApiError;
use super::query::Query;
use super::scope::{InBackup, InInstance};
use super::wire::{BackupId, BackupList, BackupRecord, CopyRequest, Link, LinkList, LinksRequest};
use super::{Json, body, downloads, timestamp};
use crate::App;
use crate::auth::Caller;
use crate::backups::record::{Kind, Record, State as RecordState, nodes_of_groups};
use crate::backups::{self, Backup, Place};
use crate::config::Instance;

/// For how many seconds a link may be good.
const EXPIRATION: std::ops::RangeInclusive<i64> = 300..=86_400;

/// Most links to the files of one backup.
const LINKS_MAX: usize = 64;

/// Longest remark of a backup, in characters.
pub(super) const REMARK_LEN_MAX: usize = 128;

/// `ListBackupRecords`: those that lie in folders, and those that are being taken or failed.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    InInstance(instance): InInstance,
    query: Query,
) -> Result<Json<BackupList>, ApiError> {
    let page = query.page(1..=1000)?;
    let times = query.times("begin_time", "end_time")?;
    let mut taken = app.tasks.store.backups(instance.id).await?;
    let mut groups: Vec<Vec<Backup>> = Vec::new();
    for backup in of_instance(&instance).await? {
        match groups.iter_mut().find(|group| group.iter().any(|other| other.id == backup.id)) {
            Some(group) => group.push(backup),
            None => groups.push(vec![backup]),
        }
    }
    let mut found = Vec::new();
    for files in groups {
        let own = files.first().map(|file| file.id);
        let at = taken.iter().position(|record| Some(record.id) == own);
        found.push(listed(&instance, files, at.map(|at| taken.swap_remove(at))));
    }
    // Of those that succeeded the files are gone.
    taken.retain(|record| record.state != RecordState::Succeed);
    found.extend(taken.into_iter().map(|record| listed(&instance, Vec::new(), Some(record))));
    found.retain(|(at_ms, _)| times.contains(at_ms));
    found.sort_by_key(|(at_ms, _)| std::cmp::Reverse(*at_ms));
    Ok(Json(BackupList {
        total_num: found.len(),
        backup_record_response: page.of(found).into_iter().map(|(_, record)| record).collect(),
    }))
}

/// `CopyInstance`: a new backup of the instance, one file of each group.
pub(crate) async fn copy(
    State(app): State<Arc<App>>,
    caller: Caller,
    InInstance(instance): InInstance,
    body: Bytes,
) -> Result<Json<BackupId>, ApiError> {
    let CopyRequest { remark, backup_format } = match body.is_empty() {
        true => CopyRequest::default(),
        false => body::object(&body)?,
    };
    let remark = match remark {
        None => String::new(),
        Some(Value::String(text)) if text.chars().count() <= REMARK_LEN_MAX => text,
        Some(_) => return Err(ApiError::InvalidMember("remark")),
    };
    match backup_format {
        None => {}
        Some(Value::String(text)) if text == "rdb" => {}
        // Append-only files are not analysed.
        Some(_) => return Err(ApiError::InvalidMember("backup_format")),
    }
    if instance.live.is_none() {
        return Err(ApiError::NoNewBackup);
    }
    let instance = app.finder.now(&instance).await?;
    let nodes = nodes_of_groups(&instance).map_err(not_running)?;
    sign_of_life(&instance, nodes.iter().map(|node| node.id.clone()).collect()).await?;
    caller.once(&app).await?;
    let record = Record::new(&instance, &nodes, Kind::Manual, remark, (app.clock)());
    match app.tasks.store.add_backup(&record).await? {
        true => Ok(Json(BackupId { backup_id: record.id })),
        false => Err(ApiError::Backuping),
    }
}

/// Makes sure that nodes answer and let us in before a client is told that they do.
pub(crate) async fn sign_of_life(
    instance: &Arc<Instance>,
    node_ids: Vec<String>,
) -> Result<(), ApiError> {
    let instance = Arc::clone(instance);
    let asked = spawn_blocking(move || {
        let live = instance.live.as_ref().ok_or_else(|| "no [live]".to_owned())?;
        node_ids.iter().filter_map(|id| instance.node(id)).try_for_each(|node| live.is_there(node))
    });
    asked.await.map_err(ApiError::internal)?.map_err(not_running)
}

/// Clients learn that there is no backup to be had, the log why.
pub(crate) fn not_running(why: String) -> ApiError {
    tracing::warn!(why, "no backup can be taken");
    ApiError::NotRunning
}

/// `DeleteBackupFile`: the file is gone afterwards.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    InBackup { instance, backup_id }: InBackup,
) -> Result<StatusCode, ApiError> {
    let files = find(&instance, backup_id).await?;
    let record = app.tasks.store.backup(backup_id).await?;
    let record = record.filter(|record| record.instance_id == instance.id);
    if files.is_empty() && record.is_none() {
        return Err(ApiError::InvalidMember("backup_id"));
    }
    if files.iter().any(|file| !matches!(file.place, Place::Folder(_))) {
        return Err(ApiError::ForeignBackup);
    }
    if app.tasks.store.is_read(instance.id, backup_id).await? {
        return Err(ApiError::BackupInUse);
    }
    let is_active =
        |record: &Record| matches!(record.state, RecordState::Waiting | RecordState::Backuping);
    if record.as_ref().is_some_and(is_active) {
        return Err(ApiError::Backuping);
    }
    caller.once(&app).await?;
    let removed = spawn_blocking(move || files.iter().try_for_each(remove)).await;
    removed
        .map_err(ApiError::internal)?
        .map_err(|error| ApiError::internal(format!("backup {backup_id} not deleted: {error}")))?;
    if record.is_some() {
        app.tasks.store.forget_backup(backup_id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn remove(backup: &Backup) -> std::io::Result<()> {
    let Place::Folder(path) = &backup.place else { return Ok(()) };
    match std::fs::remove_file(path) {
        // Somebody else was faster.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
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
    let files = find(&instance, backup_id).await?;
    if files.is_empty() {
        return Err(ApiError::InvalidMember("backup_id"));
    }
    let expires = (app.clock)() / 1000 + seconds;
    let link = |backup: Backup| -> Result<Link, ApiError> {
        let link = match &backup.place {
            Place::Object(remote) => {
                let valid_for = Duration::from_secs(seconds.unsigned_abs());
                remote.link(valid_for).map_err(ApiError::internal)?
            }
            Place::Folder(_) | Place::Source(_) => {
                downloads::link(&app, &headers, &instance, &backup, expires)?
            }
        };
        Ok(Link { file_name: backup.file_name, link })
    };
    let links = files.into_iter().take(LINKS_MAX).map(link).collect::<Result<_, _>>()?;
    Ok(Json(LinkList {
        file_path: format!("{}/{backup_id}", instance.id),
        bucket_name: "offkey",
        links,
    }))
}

async fn of_instance(instance: &Arc<Instance>) -> Result<Vec<Backup>, ApiError> {
    let instance = Arc::clone(instance);
    spawn_blocking(move || backups::of_instance(&instance)).await.map_err(ApiError::internal)
}

/// The files of a backup.
async fn find(instance: &Arc<Instance>, id: Uuid) -> Result<Vec<Backup>, ApiError> {
    let mut found = of_instance(instance).await?;
    found.retain(|backup| backup.id == id);
    Ok(found)
}

/// A backup in the words of the API, and its time: its files, what is known of its taking, or
/// both.
fn listed(instance: &Instance, files: Vec<Backup>, record: Option<Record>) -> (i64, BackupRecord) {
    let so_far = record.as_ref().filter(|record| record.state == RecordState::Backuping);
    let so_far = so_far.and_then(|record| u64::try_from(record.bytes).ok()).unwrap_or_default();
    let size = files.iter().map(|file| file.len).sum::<u64>().max(so_far);
    let written_at_ms = files.iter().map(|file| file.written_at_ms).max().unwrap_or_default();
    let first = files.into_iter().next();
    let begun_at_ms = record.as_ref().map_or(written_at_ms, |record| record.created_at_ms);
    let ended_at_ms = record.as_ref().map_or(written_at_ms, |record| record.updated_at_ms);
    let planned = record.as_ref().and_then(|record| record.files.first());
    let (file_name, node_id) = match (&first, planned) {
        (Some(file), _) => (file.file_name.clone(), file.node_id.clone()),
        (None, Some(file)) => (file.file_name.clone(), file.node_id.clone()),
        (None, None) => Default::default(),
    };
    let state = record.as_ref().map_or(RecordState::Succeed, |record| record.state);
    let is_auto = record.as_ref().is_some_and(|record| record.kind == Kind::Auto);
    let remark = record.as_ref().map(|record| record.remark.clone());
    let error_msg = record.as_ref().and_then(|record| record.error.clone());
    let listed = BackupRecord {
        backup_id: first
            .as_ref()
            .map(|file| file.id)
            .or(record.as_ref().map(|r| r.id))
            .unwrap_or_default(),
        backup_name: file_name,
        instance_id: instance.id,
        size,
        period: "",
        backup_type: if is_auto { "auto" } else { "manual" },
        created_at: timestamp(begun_at_ms),
        updated_at: timestamp(ended_at_ms),
        execution_at: timestamp(begun_at_ms),
        progress: match (state, &record) {
            (RecordState::Succeed, _) => "100.00".to_owned(),
            (RecordState::Backuping, Some(record)) => percent(record.progress),
            (RecordState::Backuping | RecordState::Waiting | RecordState::Failed, _) => percent(0),
        },
        error_code: if state == RecordState::Failed { "DCS.5000" } else { "" },
        remark: remark.unwrap_or_else(|| format!("node {node_id}")),
        node_id,
        error_msg,
        status: state.name(),
        is_support_restore: "FALSE",
        backup_format: "rdb",
    };
    (begun_at_ms, listed)
}

/// Hundredths of a percent as the API has them.
fn percent(hundredths: i64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
