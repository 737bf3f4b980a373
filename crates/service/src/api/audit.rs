//! One line for each request that changes something or gives data away: who, what, and how it
//! ended.

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use super::error::ApiError;
use crate::auth::Caller;
use crate::ids;

/// What a request has made, as an extension of its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made(pub(crate) Uuid);

/// The layer of a route that changes something.
pub(crate) async fn audit(
    operation: &'static str,
    caller: Caller,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let made = response.extensions_mut().remove().map(|Made(id)| id.to_string());
    // What is no id is not for the log.
    let id = |name: &str| {
        let params = params.as_ref().ok()?;
        let (_, value) = params.iter().find(|(param, _)| *param == name)?;
        (ids::uuid(value).is_some() || ids::is_project_id(value)).then(|| value.to_owned())
    };
    tracing::info!(
        target: "offkey::audit",
        ak = caller.ak(),
        operation,
        project_id = id("project_id"),
        instance_id = id("instance_id"),
        backup_id = id("backup_id"),
        task_id = id("task_id"),
        made,
        status = response.status().as_u16(),
        code = response.extensions().get().map(|error: &ApiError| error.parts().1),
        "audit"
    );
    response
}
