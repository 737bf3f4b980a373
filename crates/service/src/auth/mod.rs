//! Who is calling: the signature or token of every request is verified before anything
//! reads it.

mod credentials;
mod keyring;
mod link;
mod replay;
mod session;
mod signature;
mod signer;
mod target;
mod token;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

pub use self::credentials::{CredentialError, CredentialStore, Listed, NewCredential, token};
pub use self::keyring::Keyring;
pub use self::signer::{Signer, Unsigned};

pub(crate) use self::credentials::{Credentials, Known};
pub(crate) use self::link::LinkKey;
use self::replay::Verdict;
pub(crate) use self::replay::{ConnectionId, ReplayGuard};
pub(crate) use self::session::{CONSOLE, SESSION_MS, begin, cookie};
use self::signature::{Authorization, DATE, Hasher, Signed, UNSIGNED_PAYLOAD};
pub(crate) use self::target::Target;
pub(crate) use self::token::{TOKEN_MS, issue};
use self::token::{Token, Validity};
use crate::App;
use crate::api::ApiError;
use crate::config::{Limits, Permission};
use crate::router::UPLOAD;
use crate::secret::Secret;

/// How far a request's date may be off.
const DATE_WINDOW_MS: i64 = 15 * 60 * 1000;

/// Longest body of a request, as the gateway has it.
const BODY_LEN_MAX: usize = 12 * 1024 * 1024;

/// Bodies up to this length are read without asking for a place.
const BODY_LEN_SMALL: usize = 64 * 1024;

/// How many longer bodies are in memory at the same time.
const LONG_BODIES_MAX: usize = 8;

/// Uploads of backups at the same time.
const UPLOADS_MAX: usize = 4;

/// A caller whose signature or token is right.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    known: Arc<Known>,
    proof: Proof,
    /// What the `X-Project-Id` header says.
    project_header: Option<String>,
}

/// How a caller has shown who it is.
#[derive(Debug, Clone)]
enum Proof {
    Signature {
        bytes: [u8; 32],
        connection: ConnectionId,
        dated_at_ms: i64,
    },
    Token {
        project_id: String,
    },
    /// A cookie of the console; for one project only if it began with a token.
    Session {
        project_id: Option<String>,
    },
}

/// The body of a signed request.
enum Payload {
    Read(Bytes),
    /// The handler reads it, and compares it with the hash that was signed.
    Promised(Body),
}

/// What a body that is read by the handler has to turn out to be: the hash was signed.
#[derive(Clone)]
pub(crate) struct Promised {
    pub(crate) hasher: Hasher,
    pub(crate) hash: String,
}

/// What keeps clients from using up the service.
#[derive(Debug)]
pub(crate) struct Throttle {
    rate: RateLimiter<String, HashMapStateStore<String>, DefaultClock>,
    long_bodies: Semaphore,
    uploads: Arc<Semaphore>,
    pub(crate) body_time: Duration,
    pub(crate) upload_len_max: u64,
}

impl Caller {
    /// Its access key.
    pub(crate) fn ak(&self) -> &str {
        &self.known.credential.ak
    }

    /// Whether the caller may use this project.
    pub(crate) fn may_use(&self, project_id: &str) -> bool {
        let of_token = match &self.proof {
            Proof::Signature { .. } => None,
            Proof::Token { project_id } => Some(project_id),
            Proof::Session { project_id } => project_id.as_ref(),
        };
        self.known.credential.projects.iter().any(|id| id == project_id)
            && of_token.is_none_or(|id| id == project_id)
            && self.project_header.as_ref().is_none_or(|id| id == project_id)
    }

    /// Whether the caller's role includes `permission`.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.known.credential.role >= permission
    }

    /// To be called right before a write takes effect: refuses one that already has.
    ///
    /// Whatever refuses the write for another reason comes first, so that two equal requests
    /// of one second learn that the instance is busy rather than that one is a replay. Who
    /// sees a token can do anything for as long as it is valid, so there it would be no use.
    pub(crate) async fn once(&self, app: &App) -> Result<(), ApiError> {
        let Proof::Signature { bytes, connection, dated_at_ms } = self.proof else {
            return Ok(());
        };
        let replayed = || Err(ApiError::NotAuthentic("request was sent before".into()));
        let (now_ms, expire_at_ms) = ((app.clock)(), dated_at_ms + DATE_WINDOW_MS);
        match app.replay.judge(bytes, connection, now_ms, expire_at_ms) {
            Verdict::Fresh => {}
            Verdict::Repeated => return Ok(()),
            Verdict::Replayed => return replayed(),
            Verdict::Full => return Err(ApiError::Throttled),
        }
        // Another process, or this one before it was started again, may have seen it.
        let store = &app.tasks.store;
        let noted = store.note_signature(&signature::hex(&bytes), now_ms, expire_at_ms).await;
        if !matches!(noted, Ok(true)) {
            app.replay.forget(bytes);
        }
        match noted? {
            true => Ok(()),
            false => replayed(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(|| ApiError::NotAuthentic("no caller".into()))
    }
}

impl Throttle {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            rate: RateLimiter::hashmap(Quota::per_second(limits.requests_per_second)),
            long_bodies: Semaphore::new(LONG_BODIES_MAX),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            upload_len_max: u64::from(limits.upload_mb) << 20,
            body_time: Duration::from_secs(limits.body_seconds.get().into()),
        }
    }

    /// Counts a request of a known caller; strangers cannot use up its share.
    pub(crate) fn count(&self, known: &Known) -> Result<(), ApiError> {
        self.rate.check_key(&known.credential.ak).map_err(|_| ApiError::Throttled)
    }

    /// A place for an upload, as long as it is held.
    pub(crate) fn upload(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| ApiError::Throttled)
    }

    /// Reads the body of a request, unless its handler does.
    async fn take(&self, parts: &Parts, body: Body) -> Result<Body, ApiError> {
        match is_streamed(parts) {
            true => Ok(body),
            false => Ok(self.read(&parts.headers, body, BODY_LEN_MAX).await?.into()),
        }
    }

    /// Reads the body of a request, which may be `len_max` long.
    pub(crate) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        len_max: usize,
    ) -> Result<Bytes, ApiError> {
        let len = headers.get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
        // Of a body in chunks nobody knows.
        let len = len.unwrap_or(len_max);
        if len > len_max {
            return Err(ApiError::BodyTooLong);
        }
        let read = async {
            let _place = match len > BODY_LEN_SMALL {
                true => Some(self.long_bodies.acquire().await.map_err(ApiError::internal)?),
                false => None,
            };
            read_frames(body, len_max).await
        };
        timeout(self.body_time, read).await.map_err(|_| ApiError::BodyTooSlow)?
    }
}

async fn read_frames(mut body: Body, len_max: usize) -> Result<Bytes, ApiError> {
    let mut read = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| ApiError::Ambiguous("its body is malformed or cut"))?;
        let Some(data) = frame.data_ref() else { continue };
        if data.len() > len_max - read.len() {
            return Err(ApiError::BodyTooLong);
        }
        read.extend_from_slice(data);
    }
    Ok(read.into())
}

/// Whether the handler reads the body itself, as it comes.
fn is_streamed(parts: &Parts) -> bool {
    let route = parts.extensions.get::<MatchedPath>();
    parts.method == Method::PUT && route.is_some_and(|route| route.as_str() == UPLOAD)
}

/// The layer: verifies a request and leaves a [`Caller`] and the [`Target`], and of a signed
/// body that the handler reads what is [`Promised`].
pub(crate) async fn authenticate(
    State(app): State<Arc<App>>,
    ConnectInfo(connection): ConnectInfo<ConnectionId>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let target = Target::parse(parts.uri.path(), parts.uri.query())
        .ok_or_else(|| ApiError::NotAuthentic("path or query is ambiguous".into()))?;
    let is_signed = parts.headers.contains_key("authorization");
    let has_token = parts.headers.contains_key("x-auth-token");
    let (known, proof, body) = match (is_signed, has_token) {
        (true, false) => by_signature(&app, connection, &mut parts, &target, body).await?,
        (false, true) => by_token(&app, &parts, body).await?,
        (false, false) => by_session(&app, &parts, body).await?,
        (true, true) => return Err(ApiError::NotAuthentic("signature and token".into())),
    };
    app.throttle.count(&known)?;
    let project_header = match parts.headers.contains_key("x-project-id") {
        true => Some(single(&parts.headers, "x-project-id")?.to_owned()),
        false => None,
    };
    parts.extensions.insert(Caller { known, proof, project_header });
    parts.extensions.insert(target);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// The layer of one route: callers without the permission get no further.
pub(crate) async fn require(
    permission: Permission,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match caller.may(permission) {
        true => Ok(next.run(request).await),
        false => Err(ApiError::NotPermitted(permission)),
    }
}

/// The access key with this id, if it may be used now with these headers.
pub(crate) async fn usable(
    app: &App,
    ak: &str,
    headers: &HeaderMap,
) -> Result<Arc<Known>, ApiError> {
    let known = app.credentials.find(ak).await?;
    let Some(known) = known else {
        let ak: String = ak.chars().take(128).collect();
        return Err(ApiError::NotAuthentic(format!("ak {ak} not exist")));
    };
    let has_token = headers.contains_key("x-security-token");
    match &known.temporary {
        None if has_token => {
            Err(ApiError::NotAuthentic("security token with a permanent access key".into()))
        }
        None => Ok(known),
        Some(temporary) if (app.clock)() >= temporary.expire_at_ms => {
            Err(ApiError::NotAuthentic("access key has expired".into()))
        }
        Some(temporary) if temporary.has_token(single(headers, "x-security-token")?) => Ok(known),
        Some(_) => Err(ApiError::NotAuthentic("wrong security token".into())),
    }
}

/// Whether two secrets are the same; takes the same time for all that differ.
pub(crate) fn is_same(one: &Secret, other: &Secret) -> bool {
    let text = "offkey secret";
    signature::is_mac(one, text, &signature::hex_mac(other, text))
}

async fn by_signature(
    app: &App,
    connection: ConnectionId,
    parts: &mut Parts,
    target: &Target,
    body: Body,
) -> Result<(Arc<Known>, Proof, Body), ApiError> {
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
    // The body of a stranger is not read.
    let known = usable(app, authorization.access, &parts.headers).await?;
    let sk = &known.credential.sk;
    let payload = match is_streamed(parts) {
        true => Payload::Promised(body),
        false => Payload::Read(app.throttle.read(&parts.headers, body, BODY_LEN_MAX).await?),
    };
    if !is_genuine(&authorization, sk, &parts.method, target, &parts.headers, &payload)? {
        return Err(ApiError::NotAuthentic("verify aksk signature fail".into()));
    }
    let algorithm = authorization.algorithm;
    let proof = Proof::Signature { bytes: authorization.signature, connection, dated_at_ms };
    let body = match payload {
        Payload::Read(bytes) => bytes.into(),
        Payload::Promised(body) => {
            let hash = single(&parts.headers, algorithm.content_header())?.to_owned();
            parts.extensions.insert(Promised { hasher: algorithm.hasher(), hash });
            body
        }
    };
    Ok((known, proof, body))
}

async fn by_token(
    app: &App,
    parts: &Parts,
    body: Body,
) -> Result<(Arc<Known>, Proof, Body), ApiError> {
    let mut values = parts.headers.get_all("x-auth-token").iter();
    let (Some(token), None) = (values.next(), values.next()) else {
        return Err(ApiError::InvalidToken);
    };
    let token = token.to_str().map_err(|_| ApiError::InvalidToken)?;
    let (known, project_id, _) = holder(app, token).await?;
    let body = app.throttle.take(parts, body).await?;
    Ok((known, Proof::Token { project_id }, body))
}

async fn by_session(
    app: &App,
    parts: &Parts,
    body: Body,
) -> Result<(Arc<Known>, Proof, Body), ApiError> {
    let (known, project_id, _) = signed_in(app, &parts.headers).await?;
    let body = app.throttle.take(parts, body).await?;
    Ok((known, Proof::Session { project_id }, body))
}

/// Whose session of the console a request brings, for which project only, and when it ends.
pub(crate) async fn signed_in(
    app: &App,
    headers: &HeaderMap,
) -> Result<(Arc<Known>, Option<String>, i64), ApiError> {
    let session = session::of(headers).ok_or(ApiError::NoToken)?;
    let known = app.credentials.find(session.ak).await?;
    let known = known.ok_or(ApiError::InvalidToken)?;
    if !session.is_genuine(&known.credential.sk) {
        return Err(ApiError::InvalidToken);
    }
    match session.end_ms > (app.clock)() {
        true => Ok((known, session.project_id.map(str::to_owned), session.end_ms)),
        false => Err(ApiError::TokenExpired),
    }
}

/// Whose token this is, for which project, and when it ends.
pub(crate) async fn holder(app: &App, token: &str) -> Result<(Arc<Known>, String, i64), ApiError> {
    let token = Token::parse(token).ok_or(ApiError::InvalidToken)?;
    let known = app.credentials.find(token.ak).await?;
    let known = known.ok_or(ApiError::InvalidToken)?;
    let now_ms = (app.clock)();
    match token.judge(&known.credential.sk, now_ms) {
        Validity::Valid => {}
        Validity::Expired => return Err(ApiError::TokenExpired),
        Validity::Forged => return Err(ApiError::InvalidToken),
    }
    if known.temporary.as_ref().is_some_and(|temporary| now_ms >= temporary.expire_at_ms) {
        return Err(ApiError::TokenExpired);
    }
    Ok((known, token.project_id.to_owned(), token.end_ms()))
}

fn is_genuine(
    authorization: &Authorization<'_>,
    sk: &Secret,
    method: &Method,
    target: &Target,
    headers: &HeaderMap,
    payload: &Payload,
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
    let content_hash = match headers.contains_key(algorithm.content_header()) {
        true => Some(single(headers, algorithm.content_header())?),
        false => None,
    };
    let body_hash = match (payload, content_hash) {
        (Payload::Read(body), _) => algorithm.hash(body),
        (Payload::Promised(_), Some(hash)) if hash != UNSIGNED_PAYLOAD => hash.to_owned(),
        (Payload::Promised(_), _) => {
            let header = algorithm.content_header();
            let why = format!("an upload that is signed says the hash of its body in {header}");
            return Err(ApiError::NotAuthentic(why));
        }
    };
    let is_empty = matches!(payload, Payload::Read(body) if body.is_empty());
    let mut payload_hashes = vec![body_hash.as_str()];
    match content_hash {
        Some(UNSIGNED_PAYLOAD) if !is_empty => {
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
