//! For those who run the service: is it ready, what does it do, what does it answer.
//!
//! None of it needs a key, and none of it tells anything of a project.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Json, health, openapi};
use crate::App;

/// Whether new requests should come here: [`health::show`], until the service stops.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    if *app.stopping.borrow() {
        let body = Json(json!({"status": "stopping"}));
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    health::show(State(app)).await
}

/// The numbers for Prometheus.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, ApiError> {
    let counts = app.engine.metrics.count_tasks(&app.tasks.store).await?;
    let text = app.engine.metrics.text(&counts).map_err(ApiError::internal)?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

/// The description of the API.
pub(crate) async fn description() -> Json<Value> {
    Json(openapi::document())
}
