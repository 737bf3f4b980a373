//! `ListBackgroundTask`: what goes on with an instance, which is its analyses.

use std::sync::Arc;

use axum::extract::State;
use serde_json::json;

use super::error::ApiError;
use super::query::Query;
use super::scope::InInstance;
use super::wire::{self, BackgroundTask, BackgroundTaskList};
use super::{Json, timestamp};
use crate::App;
use crate::tasks::Task;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    InInstance(instance): InInstance,
    query: Query,
) -> Result<Json<BackgroundTaskList>, ApiError> {
    let page = query.page(0..=1000)?;
    let times = query.times("start_time", "end_time")?;
    let listed = app.tasks.store.list(&instance.project, instance.id, None, times, page).await;
    let (tasks, total) = listed?;
    Ok(Json(BackgroundTaskList {
        task_count: total.to_string(),
        tasks: tasks.iter().map(record).collect(),
    }))
}

fn record(task: &Task) -> BackgroundTask {
    let first = &task.subject.first;
    let changed_at_ms = task.finished_at_ms.or(task.started_at_ms).unwrap_or(task.created_at_ms);
    BackgroundTask {
        id: task.id,
        name: "OfflineKeyAnalysis",
        user_name: "",
        user_id: "",
        params: json!({"node_id": first.node_id, "backup_id": first.backup_id}).to_string(),
        status: wire::background_status(task.state),
        created_at: timestamp(task.created_at_ms),
        updated_at: timestamp(changed_at_ms),
        enable_show: false,
    }
}
