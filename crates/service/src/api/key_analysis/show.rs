//! `ShowOfflineKeyAnalysisTask`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use offkey_analysis::Report;
use serde_json::Value;

use crate::App;
use crate::api::Json;
use crate::api::error::ApiError;
use crate::api::key_analysis::ipv6;
use crate::api::scope::InTask;
use crate::api::timestamp;
use crate::api::wire::{self, AnalysedNode, TaskDetail, Totals};
use crate::tasks::{self, Task};

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    InTask { instance, task_id }: InTask,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let (task, report) = app
        .tasks
        .store
        .show(&instance.project, instance.id, task_id)
        .await?
        .ok_or(ApiError::UnknownTask)?;
    // The report of a failed task is partial, so it is not shown as if it were whole.
    let report = match (task.state, report) {
        (tasks::State::Success, Some(json)) => {
            Some(serde_json::from_str::<Report>(&json).map_err(ApiError::internal)?)
        }
        (_, _) => None,
    };
    let mut body = serde_json::to_value(detail(task, report)).map_err(ApiError::internal)?;
    let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    if wire::saturates(app.integers, user_agent.unwrap_or_default()) {
        wire::saturate(&mut body);
    }
    Ok(Json(body))
}

fn detail(task: Task, report: Option<Report>) -> TaskDetail {
    let totals = report.as_ref().map(|report| Totals {
        total_bytes: report.total_bytes,
        total_num: report.total_num,
        complete: report.complete,
        checksum: report.checksum,
        damaged_num: report.damaged_num,
        expired_num: report.expired_num,
        expired_bytes: report.expired_bytes,
    });
    let (largest_key_prefixes, largest_keys, type_bytes, type_num) = report
        .map(|report| {
            let Report { largest_key_prefixes, largest_keys, type_bytes, type_num, .. } = report;
            (largest_key_prefixes, largest_keys, type_bytes, type_num)
        })
        .unwrap_or_default();
    let nodes = task
        .subject
        .parts()
        .map(|part| AnalysedNode {
            node_id: part.node_id.clone(),
            backup_id: part.backup_id,
            group_name: part.group_name.clone(),
            node_ip: part.node_ip.clone(),
            node_type: wire::node_type(part.node_role),
        })
        .collect();
    let first = task.subject.first;
    TaskDetail {
        id: task.id,
        instance_id: task.subject.instance_id,
        node_id: first.node_id,
        backup_id: first.backup_id,
        group_name: first.group_name,
        node_ipv6: ipv6(&first.node_ip),
        node_ip: first.node_ip,
        node_type: wire::node_type(first.node_role),
        analysis_type: if task.subject.is_new { "new_backup" } else { "old_backup" },
        created_at: timestamp(task.created_at_ms),
        started_at: task.started_at_ms.map(timestamp),
        finished_at: task.finished_at_ms.map(timestamp),
        status: wire::status(task.state),
        progress: task.progress.into(),
        error_msg: task.error,
        nodes,
        settings: task.subject.settings,
        largest_key_prefixes,
        largest_keys,
        type_bytes,
        type_num,
        totals,
    }
}
