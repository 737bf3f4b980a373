//! The console: pages for people, and the session that they sign in to.
//!
//! The pages are the files of `console/`, as they are; all they know they ask the API for.

pub(crate) mod session;

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use offkey_render::web::{Asset, CONSOLE_PAGE, console_file};

use crate::api::ApiError;

/// No request leaves for another host, no script stands in a page, and none makes HTML of text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// `GET /`.
pub(crate) async fn page() -> Response {
    answer(&CONSOLE_PAGE)
}

/// `GET /console/...`.
pub(crate) async fn file(Path(path): Path<String>) -> Result<Response, ApiError> {
    console_file(&path).map(answer).ok_or(ApiError::NotPublished)
}

fn answer(file: &Asset) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (CONTENT_TYPE, HeaderValue::from_static(file.media_type())),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // Another binary may have other pages.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::from(file.text)).into_response()
}
