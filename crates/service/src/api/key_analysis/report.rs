//! The whole report of a task, which is ours: also of one that failed on its way.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::App;
use crate::api::error::ApiError;
use crate::api::scope::InTask;

pub(crate) async fn report(
    State(app): State<Arc<App>>,
    InTask { instance, task_id }: InTask,
) -> Result<impl IntoResponse, ApiError> {
    let found = app.tasks.store.show(&instance.project, instance.id, task_id).await;
    let (_, report) = found?.ok_or(ApiError::UnknownTask)?;
    let json = report.ok_or(ApiError::NoReport)?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json))
}
