//! Signing in to the console and out of it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::App;
use crate::api::{ApiError, Json, timestamp};
use crate::auth::{self, CONSOLE, SESSION_MS};
use crate::secret::Secret;

/// Longest body that signs in.
const BODY_LEN_MAX: usize = 16 * 1024;

/// What the page sends: an access key, or a token.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum SignIn {
    Key { ak: String, sk: Secret },
    Token { token: Secret },
}

/// Who is signed in.
#[derive(Debug, Serialize)]
pub(crate) struct SignedIn {
    ak: String,
    role: &'static str,
    ends_at: String,
}

/// `POST /console/session`: the secret is compared and forgotten; the cookie holds none of it.
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    // A form of another site cannot send it, so nobody is signed in as somebody else.
    headers.get(CONSOLE).ok_or(ApiError::NoToken)?;
    let body = app.throttle.read(&headers, body, BODY_LEN_MAX).await?;
    let now_ms = (app.clock)();
    let end_ms = now_ms.saturating_add(SESSION_MS);
    let (known, project_id, end_ms) =
        match serde_json::from_slice(&body).map_err(|_| ApiError::MalformedBody)? {
            SignIn::Key { ak, sk } => {
                let known = auth::usable(&app, &ak, &headers).await?;
                if !auth::is_same(&sk, &known.credential.sk) {
                    return Err(ApiError::NotAuthentic("wrong secret access key".into()));
                }
                (known, None, end_ms)
            }
            SignIn::Token { token } => {
                let (known, project_id, token_end_ms) = auth::holder(&app, token.expose()).await?;
                (known, Some(project_id), end_ms.min(token_end_ms))
            }
        };
    app.throttle.count(&known)?;
    let end_ms = known.temporary.as_ref().map_or(end_ms, |own| own.expire_at_ms.min(end_ms));
    let credential = &known.credential;
    let session = auth::begin(&credential.ak, &credential.sk, project_id.as_deref(), end_ms);
    let cookie = auth::cookie(&session, (end_ms - now_ms) / 1000, app.https);
    let signed_in = SignedIn {
        ak: credential.ak.clone(),
        role: credential.role.name(),
        ends_at: timestamp(end_ms),
    };
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(signed_in)).into_response())
}

/// `GET /console/session`: who is signed in, if anybody.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Json<SignedIn>, ApiError> {
    let (known, _, end_ms) = auth::signed_in(&app, &headers).await?;
    Ok(Json(SignedIn {
        ak: known.credential.ak.clone(),
        role: known.credential.role.name(),
        ends_at: timestamp(end_ms),
    }))
}

/// `DELETE /console/session`: the browser forgets the session.
pub(crate) async fn end(State(app): State<Arc<App>>) -> Response {
    (StatusCode::NO_CONTENT, [(SET_COOKIE, auth::cookie("", 0, app.https))]).into_response()
}
