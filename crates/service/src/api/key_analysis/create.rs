//! `CreateOfflineKeyAnalysis`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::App;
use crate::api::audit::Made;
use crate::api::backups;
use crate::api::error::ApiError;
use crate::api::key_analysis::chosen::Chosen;
use crate::api::scope::InInstance;
use crate::api::wire::TaskId;
use crate::api::{Json, body};
use crate::auth::Caller;
use crate::backups::record::{Kind, Record};
use crate::config::Instance;
use crate::store::News;
use crate::tasks::{Part, Subject};

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    InInstance(instance): InInstance,
    body: Bytes,
) -> Result<impl IntoResponse, ApiError> {
    let chosen = Chosen::parse(body::object(&body)?, &app.analysis)?;
    if !instance.supports_key_analysis() {
        return Err(ApiError::Unsupported);
    }
    let (priority, settings) = (chosen.priority, chosen.settings.clone());
    let new = new_backup(&app, &instance, &chosen).await?;
    let (parts, new) = if let Some((parts, record)) = new {
        (parts, Some(record))
    } else {
        let instance = Arc::clone(&instance);
        let parts = spawn_blocking(move || chosen.parts(&instance));
        (parts.await.map_err(ApiError::internal)??, None)
    };
    let mut parts = parts.into_iter();
    let first = parts.next().ok_or(ApiError::UnknownNode)?;
    if app.tasks.store.is_busy(instance.id).await? {
        return Err(ApiError::Busy);
    }
    caller.once(&app).await?;
    let task_id = Uuid::now_v7();
    let subject = Subject {
        project_id: instance.project.clone(),
        instance_id: instance.id,
        first,
        more: parts.collect(),
        is_new: new.is_some(),
        priority,
        settings,
    };
    app.tasks.store.create_with(task_id, &subject, new.as_ref()).await?;
    app.tasks.tell(News::Added);
    Ok((Extension(Made(task_id)), Json(TaskId { task_id })))
}

/// The backup that has to be taken for an analysis, if it needs a new one, and its parts.
async fn new_backup(
    app: &App,
    instance: &Arc<Instance>,
    chosen: &Chosen,
) -> Result<Option<(Vec<Part>, Record)>, ApiError> {
    if !chosen.needs_new() {
        return Ok(None);
    }
    let instance = &app.finder.now(instance).await?;
    let nodes = chosen.nodes_of_new(instance)?;
    if instance.live.is_none() {
        return Err(ApiError::NoNewBackup);
    }
    backups::sign_of_life(instance, nodes.iter().map(|node| node.id.clone()).collect()).await?;
    let remark = "for an analysis".to_owned();
    let record = Record::new(instance, &nodes, Kind::Analysis, remark, (app.clock)());
    let record = Record { keep: chosen.keep, ..record };
    Ok(Some((nodes.into_iter().map(|node| Part::new(node, record.id)).collect(), record)))
}
