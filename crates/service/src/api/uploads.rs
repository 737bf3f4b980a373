//! `PUT` of a backup's file (ours): read through while it comes, and listed only if it is whole
//! and sound.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, HttpBody as _};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::Json;
use super::audit::Made;
use super::backups::REMARK_LEN_MAX;
use super::error::ApiError;
use super::query::Query;
use super::scope::InNode;
use super::wire::Uploaded;
use crate::App;
use crate::auth::{Caller, Promised};
use crate::backups::arrival::{Arrival, Arrived, Refused};
use crate::backups::record::Record;

/// Bytes that must come within the time that the body of any request may take.
const PROGRESS_LEN: usize = 64 << 10;

pub(crate) async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    InNode { instance, node, file_name }: InNode,
    query: Query,
    promised: Option<Extension<Promised>>,
    headers: HeaderMap,
    body: Body,
) -> Result<(Extension<Made>, Json<Uploaded>), ApiError> {
    let remark = query.one("remark")?.unwrap_or_default().to_owned();
    if remark.chars().count() > REMARK_LEN_MAX {
        return Err(ApiError::InvalidQuery("remark".to_owned()));
    }
    let len = headers.get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
    match len {
        Some(0) => return Err(ApiError::EmptyBody),
        Some(len) if len > app.throttle.upload_len_max => return Err(ApiError::BodyTooLong),
        Some(_) | None => {}
    }
    let target = node.backups.join(&file_name);
    let taken = || ApiError::BadUpload(format!("{file_name}: there is a backup of this name"));
    if target.exists() {
        return Err(taken());
    }
    let _place = app.throttle.upload()?;
    let arrival = Arrival::start(node.backups.clone(), file_name.clone());
    let arrived =
        receive(&app, arrival, body, promised.map(|Extension(promised)| promised)).await?;
    let Arrived { len: size, key_count: num, damaged_count: damaged_num, .. } = arrived;
    caller.once(&app).await?;
    // One without its file is not listed.
    let record = Record::uploaded(&instance, &node, file_name.clone(), remark, (app.clock)());
    app.tasks.store.note_backup(&record).await?;
    let persisted = spawn_blocking(move || arrived.persist(&target)).await;
    persisted.map_err(ApiError::internal)?.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => taken(),
        _ => ApiError::internal(format!("upload of {file_name} not stored: {error}")),
    })?;
    let uploaded = Uploaded { backup_id: record.id, size, num, damaged_num };
    Ok((Extension(Made(record.id)), Json(uploaded)))
}

/// Takes the body piece by piece, as long as it is good and comes fast enough.
async fn receive(
    app: &App,
    mut arrival: Arrival,
    mut body: Body,
    mut promised: Option<Promised>,
) -> Result<Arrived, ApiError> {
    let refused = |refused: Refused| match refused {
        Refused::Bad(reason) => ApiError::BadUpload(reason),
        Refused::Local(reason) => ApiError::internal(format!("upload not stored: {reason}")),
    };
    let (mut len, mut progress) = (0_u64, 0);
    let mut until = Instant::now() + app.throttle.body_time;
    loop {
        let frame = tokio::select! {
            why = arrival.is_bad() => return Err(refused(why)),
            frame = timeout_at(until, poll_fn(|cx| pin!(&mut body).poll_frame(cx))) => frame,
        };
        let Some(frame) = frame.map_err(|_| ApiError::BodyTooSlow)? else { break };
        let frame = frame.map_err(|_| ApiError::Ambiguous("its body is malformed or cut"))?;
        let Ok(piece) = frame.into_data() else { continue };
        len += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if len > app.throttle.upload_len_max {
            return Err(ApiError::BodyTooLong);
        }
        progress += piece.len();
        if progress >= PROGRESS_LEN {
            (progress, until) = (0, Instant::now() + app.throttle.body_time);
        }
        if let Some(promised) = &mut promised {
            promised.hasher.update(&piece);
        }
        if !arrival.push(piece).await {
            return Err(refused(arrival.is_bad().await));
        }
    }
    if len == 0 {
        return Err(ApiError::EmptyBody);
    }
    if let Some(Promised { hasher, hash }) = promised
        && hasher.finish() != hash
    {
        let why = "the body has another hash than signed";
        return Err(ApiError::NotAuthentic(why.to_owned()));
    }
    arrival.end().await.map_err(refused)
}
