//! `CreateOfflineKeyAnalysis`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::App;
use crate::api::Json;
use crate::api::error::ApiError;
use crate::api::key_analysis::chosen::Chosen;
use crate::api::scope::InInstance;
use crate::api::wire::{CreateRequest, TaskId};
use crate::auth::Caller;
use crate::tasks::Subject;

/// Longest body that is parsed: a list of small members takes many times its length in memory.
const BODY_LEN_MAX: usize = 256 * 1024;

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    InInstance(instance): InInstance,
    body: Bytes,
) -> Result<Json<TaskId>, ApiError> {
    let chosen = Chosen::parse(parse(&body)?, &app.analysis)?;
    if !instance.supports_key_analysis() {
        return Err(ApiError::Unsupported);
    }
    let settings = chosen.settings.clone();
    let parts = {
        let instance = Arc::clone(&instance);
        spawn_blocking(move || chosen.parts(&instance)).await.map_err(ApiError::internal)??
    };
    let mut parts = parts.into_iter();
    let first = parts.next().ok_or(ApiError::UnknownNode)?;
    if app.tasks.store.is_busy(instance.id).await? {
        return Err(ApiError::Busy);
    }
    caller.once(&app)?;
    let task_id = Uuid::now_v7();
    let subject = Subject {
        project_id: instance.project.clone(),
        instance_id: instance.id,
        first,
        more: parts.collect(),
        settings,
    };
    app.tasks.store.create(task_id, &subject).await?;
    app.tasks.added.notify_one();
    Ok(Json(TaskId { task_id }))
}

fn parse(body: &[u8]) -> Result<CreateRequest, ApiError> {
    if body.trim_ascii().is_empty() {
        return Err(ApiError::EmptyBody);
    }
    // A list would pass for the members in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::MalformedBody);
    }
    if body.len() > BODY_LEN_MAX {
        return Err(ApiError::MalformedBody);
    }
    serde_json::from_slice(body).map_err(|_| ApiError::MalformedBody)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_not_an_object_are_told_apart() {
        for (body, error) in [
            ("", ApiError::EmptyBody),
            (" \n", ApiError::EmptyBody),
            ("[]", ApiError::MalformedBody),
            ("[\"n\", \"b\"]", ApiError::MalformedBody),
            ("null", ApiError::MalformedBody),
            ("{\"node_id\": \"n\"", ApiError::MalformedBody),
            ("{\"node_id\": \"n\", \"node_id\": \"m\"}", ApiError::MalformedBody),
            ("{\"node_id\": \"n\"} x", ApiError::MalformedBody),
        ] {
            assert_eq!(parse(body.as_bytes()).unwrap_err(), error, "{body}");
        }
        let deep = format!("{{\"node_id\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parse(deep.as_bytes()).unwrap_err(), ApiError::MalformedBody);
        let request = parse(br#"{"node_id": "n", "colour": 1}"#).unwrap();
        assert_eq!(request.node_id, Some("n".into()));
    }
}
