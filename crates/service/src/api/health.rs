//! Whether the service works: for whoever restarts it or sends it requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Json;
use crate::App;

/// What `/healthz` answers.
#[derive(Debug, Serialize)]
struct HealthBody {
    status: &'static str,
    /// Whether the database answers and can be written.
    database: bool,
    /// Workers of this process that live.
    workers: usize,
    /// How many there are to be.
    workers_configured: usize,
    /// Processes with workers that share the database.
    worker_processes: u64,
}

/// 200 if a task that is created now will be run, 503 if not.
pub(crate) async fn show(State(app): State<Arc<App>>) -> Response {
    let health = app.engine.health().await;
    let (alive, configured) = health.workers;
    let (code, status) = match health.is_good() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = HealthBody {
        status,
        database: health.database,
        workers: alive,
        workers_configured: configured,
        worker_processes: health.processes,
    };
    (code, Json(body)).into_response()
}
