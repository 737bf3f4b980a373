//! The DCS API: a file for each family of operations, its words in [`wire`].

pub(crate) mod audit;
pub(crate) mod background_tasks;
pub(crate) mod backups;
mod body;
pub(crate) mod downloads;
mod error;
pub(crate) mod health;
pub(crate) mod instances;
pub(crate) mod key_analysis;
mod openapi;
pub(crate) mod operations;
pub(crate) mod projects;
mod query;
mod scope;
pub(crate) mod tokens;
pub(crate) mod uploads;
mod wire;

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use tracing::Instrument as _;
use uuid::Uuid;

pub(crate) use self::error::ApiError;
pub(crate) use self::query::Page;
use self::wire::ErrorBody;
use crate::App;

/// An answer with a JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(body))
                    .into_response()
            }
            Err(error) => ApiError::internal(error).into_response(),
        }
    }
}

/// The outermost layer: every answer gets a request id, every error its body, both a log line.
pub(crate) async fn finish(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let request_id = Uuid::now_v7().simple().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let start = Instant::now();
    let span = tracing::info_span!("request", %request_id);
    let mut response = next.run(request).instrument(span.clone()).await;
    let error = response.extensions_mut().remove::<ApiError>();
    let code = error.as_ref().map(|error| error.parts().1);
    if let Some(error) = error {
        let (status, error_code, error_msg) = error.parts();
        let request_id = error.is_of_gateway().then_some(request_id.as_str());
        let error_ext_msg = error.more();
        let body = Json(ErrorBody { error_code, error_msg: &error_msg, error_ext_msg, request_id });
        let allow = response.headers_mut().remove("allow");
        response = (status, body).into_response();
        if let Some(seconds) = error.retry_after_seconds() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = allow {
            response.headers_mut().insert("allow", allow);
        }
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-request-id", value);
    }
    let (status, time) = (response.status().as_u16(), start.elapsed());
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str);
    app.engine.metrics.answered(method.as_str(), route, status, time);
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(%method, path, status, code, micros, "answered"));
    response
}

/// Answers for a handler that has panicked.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::internal("handler panicked").into_response()
}

/// The answer where no route matches: the gateway's, or the API's within a project.
pub(crate) async fn unknown_path(request: Request) -> ApiError {
    let project = request.uri().path().strip_prefix("/v2/").and_then(|rest| rest.split('/').next());
    match project.is_some_and(crate::ids::is_project_id) {
        true => ApiError::UnknownPath,
        false => ApiError::NotPublished,
    }
}

/// The answer where a route does not know the method.
pub(crate) async fn method_not_allowed() -> ApiError {
    ApiError::MethodNotAllowed
}

/// A time as the API writes it, such as `2020-06-15T02:21:18.669Z`.
pub(crate) fn timestamp(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_milliseconds_and_z() {
        assert_eq!(timestamp(1_592_187_678_669), "2020-06-15T02:21:18.669Z");
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
    }
}
