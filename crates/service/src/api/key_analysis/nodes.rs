//! `ListOfflineKeyAnalysisNodes`.

use std::sync::Arc;

use axum::extract::State;

use crate::App;
use crate::api::Json;
use crate::api::error::ApiError;
use crate::api::key_analysis::ipv6;
use crate::api::scope::InTask;
use crate::api::wire::{TaskNode, TaskNodes};

pub(crate) async fn nodes(
    State(app): State<Arc<App>>,
    InTask { instance, task_id }: InTask,
) -> Result<Json<TaskNodes>, ApiError> {
    let found = app.tasks.store.show(&instance.project, instance.id, task_id).await;
    let (task, _) = found?.ok_or(ApiError::UnknownTask)?;
    let nodes = task
        .subject
        .parts()
        .map(|part| TaskNode {
            id: part.node_id.clone(),
            name: part.node_name.clone(),
            group_name: part.group_name.clone(),
            node_ipv6: ipv6(&part.node_ip),
        })
        .collect();
    Ok(Json(TaskNodes { nodes }))
}
