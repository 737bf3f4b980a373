//! `ListOfflineKeyAnalysisTask`.

use std::sync::Arc;

use axum::extract::State;

use crate::App;
use crate::api::Json;
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::api::scope::InInstance;
use crate::api::timestamp;
use crate::api::wire::{self, TaskList, TaskRecord};
use crate::tasks::Task;

/// Tasks of all times.
const ALL: std::ops::RangeInclusive<i64> = i64::MIN..=i64::MAX;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    InInstance(instance): InInstance,
    query: Query,
) -> Result<Json<TaskList>, ApiError> {
    let page = query.page(0..=1000)?;
    let state = match query.one("status")? {
        None => None,
        Some(word) => {
            Some(wire::state(word).ok_or_else(|| ApiError::InvalidQuery("status".to_owned()))?)
        }
    };
    let (tasks, total) =
        app.tasks.store.list(&instance.project, instance.id, state, ALL, page).await?;
    let records = tasks.iter().map(record).collect();
    Ok(Json(TaskList { instance_id: instance.id, total, records }))
}

fn record(task: &Task) -> TaskRecord {
    TaskRecord {
        id: task.id,
        status: wire::status(task.state),
        created_at: timestamp(task.created_at_ms),
        started_at: task.started_at_ms.map(timestamp),
        finished_at: task.finished_at_ms.map(timestamp),
        node_id: task.subject.first.node_id.clone(),
        backup_id: task.subject.first.backup_id,
        node_num: 1 + task.subject.more.len(),
        error_msg: task.error.clone(),
    }
}
