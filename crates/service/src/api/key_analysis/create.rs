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
use crate::api::error::ApiError;
use crate::api::key_analysis::chosen::Chosen;
use crate::api::scope::InInstance;
use crate::api::wire::TaskId;
use crate::api::{Json, body};
use crate::auth::Caller;
use crate::store::News;
use crate::tasks::Subject;

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
    let parts = {
        let instance = Arc::clone(&instance);
        spawn_blocking(move || chosen.parts(&instance)).await.map_err(ApiError::internal)??
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
        priority,
        settings,
    };
    app.tasks.store.create(task_id, &subject).await?;
    app.tasks.tell(News::Added);
    Ok((Extension(Made(task_id)), Json(TaskId { task_id })))
}
