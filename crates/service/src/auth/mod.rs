//! Who is calling: the signature of every request is verified before anything reads it.

mod replay;
mod signature;
mod signer;
mod target;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub use self::signer::{Signer, Unsigned};

use self::replay::Verdict;
pub(crate) use self::replay::{ConnectionId, ReplayGuard};
use self::signature::{Authorization, DATE, Signed, UNSIGNED_PAYLOAD};
pub(crate) use self::target::Target;
use crate::App;
use crate::api::ApiError;
use crate::config::{Credential, Secret};

/// How far a request's date may be off.
const DATE_WINDOW_MS: i64 = 15 * 60 * 1000;

/// Longest body of a request, as the gateway has it.
const BODY_LEN_MAX: usize = 12 * 1024 * 1024;

/// A caller whose signature is right.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    credential: Arc<Credential>,
    signature: [u8; 32],
    connection: ConnectionId,
    dated_at_ms: i64,
    /// What the `X-Project-Id` header says.
    project_header: Option<String>,
}

impl Caller {
    /// Whether the caller may use this project.
    pub(crate) fn may_use(&self, project_id: &str) -> bool {
        self.credential.projects.iter().any(|id| id == project_id)
            && self.project_header.as_ref().is_none_or(|id| id == project_id)
    }

    /// To be called right before a write takes effect: refuses one that already has.
    ///
    /// Whatever refuses the write for another reason comes first, so that two equal requests
    /// of one second learn that the instance is busy rather than that one is a replay.
    pub(crate) fn once(&self, app: &App) -> Result<(), ApiError> {
        let expire_at_ms = self.dated_at_ms + DATE_WINDOW_MS;
        match app.replay.judge(self.signature, self.connection, (app.clock)(), expire_at_ms) {
            Verdict::Fresh => Ok(()),
            Verdict::Replayed => Err(ApiError::NotAuthentic("request was sent before".into())),
            Verdict::Full => Err(ApiError::Throttled),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(|| ApiError::NotAuthentic("no caller".into()))
    }
}

/// The layer: verifies the signature of a request and leaves a [`Caller`] and the [`Target`].
pub(crate) async fn authenticate(
    State(app): State<Arc<App>>,
    ConnectInfo(connection): ConnectInfo<ConnectionId>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let target = Target::parse(parts.uri.path(), parts.uri.query())
        .ok_or_else(|| ApiError::NotAuthentic("path or query is ambiguous".into()))?;
    let value = single(&parts.headers, "authorization")?;
    let authorization = Authorization::parse(value)
        .ok_or_else(|| ApiError::NotAuthentic("malformed Authorization header".into()))?;
    let dated_at_ms = date_ms(single(&parts.headers, DATE)?)
        .ok_or_else(|| ApiError::NotAuthentic("malformed X-Sdk-Date header".into()))?;
    if ((app.clock)() - dated_at_ms).abs() > DATE_WINDOW_MS {
        return Err(ApiError::NotAuthentic(
            "X-Sdk-Date is more than 15 minutes off the time of the server".into(),
        ));
    }
    let body = to_bytes(body, BODY_LEN_MAX).await.map_err(|_| ApiError::BodyTooLong)?;

    let credential = app.credentials.iter().find(|known| known.ak == authorization.access);
    // The same work is done for a key that does not exist.
    let nobody = Secret::new("nobody");
    let sk = credential.map_or(&nobody, |credential| &credential.sk);
    let genuine = is_genuine(&authorization, sk, &parts.method, &target, &parts.headers, &body)?;
    let Some(credential) = credential else {
        let access: String = authorization.access.chars().take(128).collect();
        return Err(ApiError::NotAuthentic(format!("ak {access} not exist")));
    };
    if !genuine {
        return Err(ApiError::NotAuthentic("verify aksk signature fail".into()));
    }
    let caller = Caller {
        credential: Arc::clone(credential),
        signature: authorization.signature,
        connection,
        dated_at_ms,
        project_header: match parts.headers.contains_key("x-project-id") {
            true => Some(single(&parts.headers, "x-project-id")?.to_owned()),
            false => None,
        },
    };
    parts.extensions.insert(caller);
    parts.extensions.insert(target);
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

fn is_genuine(
    authorization: &Authorization<'_>,
    sk: &Secret,
    method: &Method,
    target: &Target,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<bool, ApiError> {
    let algorithm = authorization.algorithm;
    if !authorization.signed_headers.contains(&DATE) {
        return Err(ApiError::NotAuthentic("X-Sdk-Date is not signed".into()));
    }
    let signed = authorization
        .signed_headers
        .iter()
        .map(|name| Ok((*name, single(headers, name)?)))
        .collect::<Result<Vec<_>, ApiError>>()?;
    let date = single(headers, DATE)?;
    let body_hash = algorithm.hash(body);
    let content_hash = match headers.contains_key(algorithm.content_header()) {
        true => Some(single(headers, algorithm.content_header())?),
        false => None,
    };
    let mut payload_hashes = vec![body_hash.as_str()];
    match content_hash {
        Some(UNSIGNED_PAYLOAD) if !body.is_empty() => {
            return Err(ApiError::NotAuthentic("the body of the request is not signed".into()));
        }
        // Without a body Go signs these words, and Python the hash of nothing.
        Some(UNSIGNED_PAYLOAD) => payload_hashes.push(UNSIGNED_PAYLOAD),
        Some(hash) if hash != body_hash => {
            return Err(ApiError::NotAuthentic("the body has another hash than signed".into()));
        }
        Some(_) | None => {}
    }
    Ok(payload_hashes.into_iter().any(|payload_hash| {
        let signed = Signed { method: method.as_str(), target, headers: &signed, payload_hash };
        algorithm.verify(sk, date, &signed, &authorization.signature)
    }))
}

/// The value of a header that must be there exactly once, in ASCII.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(ApiError::NotAuthentic(format!("header is not there exactly once: {name}"))),
    }
}

fn date_ms(text: &str) -> Option<i64> {
    if text.len() != "YYYYMMDDThhmmssZ".len() {
        return None;
    }
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(TimeZone::UTC.to_timestamp(date).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_takes_one_form_only() {
        assert_eq!(date_ms("19700101T000001Z"), Some(1000));
        for text in
            ["", "19700101T000001", "19700101t000001Z", "1970-01-01T00:00", "19701301T000001Z"]
        {
            assert_eq!(date_ms(text), None, "{text}");
        }
    }
}
