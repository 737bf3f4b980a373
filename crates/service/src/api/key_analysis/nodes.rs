//! `ListOfflineKeyAnalysisNodes`.

use std::sync::Arc;

use axum::extract::State;

use crate::App;
use crate::api::Json;
use crate::api::error::ApiError;
use crate::api::scope::InTask;
use crate::api::wire::{TaskNode, TaskNodes};

pub(crate) async fn nodes(
    State(app): State<Arc<App>>,
    InTask { instance, task_id }: InTask,
) -> Result<Json<TaskNodes>, ApiError> {
    let found = app.tasks.store.show(&instance.project, instance.id, task_id).await;
    let (task, _) = found.map_err(ApiError::internal)?.ok_or(ApiError::UnknownTask)?;
    let node = TaskNode {
        id: task.subject.node_id,
        name: task.subject.node_name,
        group_name: task.subject.group_name,
        node_ipv6: match task.subject.node_ip.contains(':') {
            true => task.subject.node_ip,
            false => String::new(),
        },
    };
    Ok(Json(TaskNodes { nodes: vec![node] }))
}
