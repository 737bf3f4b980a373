//! The whole report of a task, which is ours: also of one that failed on its way.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;
use offkey_analysis::Report;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::App;
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::api::scope::InTask;

/// As JSON, the members as the command line writes them; with `?short_names=true` for a page,
/// which shows the beginning of long names.
pub(crate) async fn json(
    State(app): State<Arc<App>>,
    task: InTask,
    query: Query,
) -> Result<impl IntoResponse, ApiError> {
    let is_short = query.flag("short_names")?;
    let mut json = stored(&app, &task).await?;
    if is_short {
        let shortened = spawn_blocking(move || {
            let mut report: Report = serde_json::from_str(&json).map_err(ApiError::internal)?;
            offkey_render::shorten_names(&mut report);
            serde_json::to_string(&report).map_err(ApiError::internal)
        });
        json = shortened.await.map_err(ApiError::internal)??;
    }
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json))
}

/// As CSV, names made safe for spreadsheets.
pub(crate) async fn csv(
    State(app): State<Arc<App>>,
    task: InTask,
) -> Result<impl IntoResponse, ApiError> {
    let json = stored(&app, &task).await?;
    let text = spawn_blocking(move || {
        let report: Report = serde_json::from_str(&json).map_err(ApiError::internal)?;
        offkey_render::csv(&report, false).map_err(ApiError::internal)
    });
    let text = text.await.map_err(ApiError::internal)??;
    Ok((file_headers("text/csv; charset=utf-8", task.task_id, "csv")?, text))
}

/// As one page for a browser, to be saved: it is not shown where the console is.
pub(crate) async fn html(
    State(app): State<Arc<App>>,
    task: InTask,
) -> Result<impl IntoResponse, ApiError> {
    let json = stored(&app, &task).await?;
    let page = spawn_blocking(move || {
        let report: Report = serde_json::from_str(&json).map_err(ApiError::internal)?;
        offkey_render::html(&report).map_err(ApiError::internal)
    });
    let page = page.await.map_err(ApiError::internal)??;
    Ok((file_headers("text/html; charset=utf-8", task.task_id, "html")?, page))
}

async fn stored(app: &App, task: &InTask) -> Result<String, ApiError> {
    let InTask { instance, task_id } = task;
    let found = app.tasks.store.show(&instance.project, instance.id, *task_id).await;
    let (_, report) = found?.ok_or(ApiError::UnknownTask)?;
    report.ok_or(ApiError::NoReport)
}

/// Headers of a report that is saved as a file.
fn file_headers(
    content_type: &'static str,
    task_id: Uuid,
    extension: &str,
) -> Result<[(HeaderName, HeaderValue); 3], ApiError> {
    let disposition = format!("attachment; filename=\"offkey-{task_id}.{extension}\"");
    Ok([
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_DISPOSITION, HeaderValue::try_from(disposition).map_err(ApiError::internal)?),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ])
}
