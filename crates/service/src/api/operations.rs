//! For those who run the service: is it well, what does it do, what does it answer.
//!
//! None of it needs a key, and none of it tells anything of a project.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::error::ApiError;
use super::{Json, openapi};
use crate::App;

/// How long the database may take before the service does not count as ready.
const READY_MAX: Duration = Duration::from_secs(2);

/// Whether the process does its work; one that does not should be started again.
pub(crate) async fn healthy(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    match app.is_working() {
        true => (StatusCode::OK, Json(json!({"status": "ok"}))),
        false => unwell("no worker works"),
    }
}

/// Whether requests and tasks would find all they need.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    if !app.is_working() {
        return unwell("no worker works");
    }
    if *app.stopping.borrow() {
        return unwell("the service stops");
    }
    match timeout(READY_MAX, app.metrics.count_tasks(&app.tasks.store)).await {
        Ok(Ok(_)) => (StatusCode::OK, Json(json!({"status": "ok"}))),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            unwell("the database cannot be used")
        }
        Err(_) => unwell("the database does not answer"),
    }
}

/// The numbers for Prometheus.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, ApiError> {
    let counts = app.metrics.count_tasks(&app.tasks.store).await?;
    let text = app.metrics.text(&counts).map_err(ApiError::internal)?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

/// The description of the API.
pub(crate) async fn description() -> Json<Value> {
    Json(openapi::document())
}

fn unwell(why: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": why})))
}
