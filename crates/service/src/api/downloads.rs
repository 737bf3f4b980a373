//! Files of backups, for whoever has a link that was signed here.
//!
//! ```text
//! /downloads/<project>/<instance>/<backup>/<file name>?expires=<seconds>&signature=<hex>
//! ```
//!
//! The ids are looked up like those of every request; no part of a link is a path of this machine.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_DISPOSITION, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::task::spawn_blocking;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;
use uuid::Uuid;

use super::error::ApiError;
use super::query::Query;
use crate::App;
use crate::auth::Target;
use crate::backups::{self, Backup, Place};
use crate::config::Instance;
use crate::ids;

/// What is escaped in the name of a file.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The link to a backup's file that is good before `expires`, in seconds since 1970.
pub(crate) fn link(
    app: &App,
    headers: &HeaderMap,
    instance: &Instance,
    backup: &Backup,
    expires: i64,
) -> Result<String, ApiError> {
    let base = match &app.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            let host = host
                .filter(|host| host.parse::<Authority>().is_ok())
                .ok_or_else(|| ApiError::InvalidQuery("Host".to_owned()))?;
            format!("{}://{host}", if app.https { "https" } else { "http" })
        }
    };
    let file = file(&instance.project, instance.id, backup.id);
    let name = utf8_percent_encode(&backup.file_name, ESCAPED);
    let signature = app.links.sign(&file, expires);
    Ok(format!("{base}/downloads/{file}/{name}?expires={expires}&signature={signature}"))
}

/// Answers with the file or the ranges that are asked for.
pub(crate) async fn download(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String, String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let uri = request.uri();
    let query =
        Target::parse(uri.path(), uri.query()).map(Query::of).ok_or(ApiError::InvalidLink)?;
    let Path((project, instance, backup, name)) = path.map_err(|_| ApiError::InvalidLink)?;
    let id = |text: &str| ids::uuid(text).ok_or(ApiError::InvalidLink);
    let (instance_id, backup_id) = (id(&instance)?, id(&backup)?);
    let expires = query.one("expires")?.and_then(|text| text.parse::<i64>().ok());
    let (Some(expires), Some(signature)) = (expires, query.one("signature")?) else {
        return Err(ApiError::InvalidLink);
    };
    let is_signed = app.links.verify(&file(&project, instance_id, backup_id), expires, signature);
    if !is_signed || (app.clock)() >= expires.saturating_mul(1000) {
        return Err(ApiError::InvalidLink);
    }
    let found = spawn_blocking(move || {
        let instance = app.instances.get(instance_id).filter(|own| own.project == project)?;
        let mut backups = backups::of_instance(&instance).into_iter();
        backups.find(|backup| backup.id == backup_id && backup.file_name == name)
    });
    let found = found.await.map_err(ApiError::internal)?;
    let backup = found.ok_or(ApiError::UnknownPath)?;
    let (Place::Folder(path) | Place::Source(path)) = &backup.place else {
        return Err(ApiError::UnknownPath);
    };
    let answered = ServeFile::new(path).oneshot(request).await;
    let mut response = answered.map_err(ApiError::internal)?.map(Body::new);
    if response.status() == StatusCode::NOT_FOUND {
        return Err(ApiError::UnknownPath);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// What a signature is of.
fn file(project: &str, instance: Uuid, backup: Uuid) -> String {
    format!("{project}/{instance}/{backup}")
}
