//! One request for a range of bytes, and what its answer means.

use std::io::Read;
use std::sync::Arc;

use ureq::http::{Response, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::ObjectOptions;
use crate::error::quoted;
use crate::{Error, ErrorKind};

/// Most bytes of an error's text that are read.
const ERROR_LEN_MAX: u64 = 16 << 10;

/// Redirects that a plain URL may make; an object store none.
const REDIRECTS_MAX: u32 = 5;

/// Makes requests; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client(Agent);

/// What tells one content of an object from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) tag: Option<String>,
    pub(crate) modified: Option<String>,
    pub(crate) len: u64,
}

/// What a request came to.
pub(crate) enum Answer {
    /// The bytes that were asked for, and how many the object has.
    Part { version: Version, body: Box<dyn Read + Send> },
    /// All bytes from the first one on, since the server knows no ranges.
    Whole { len: Option<u64>, body: Box<dyn Read + Send> },
}

/// Why a request failed, and whether another try may help.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) may_pass: bool,
}

impl Client {
    pub(crate) fn new(options: &ObjectOptions, follows_redirects: bool) -> Result<Self, Error> {
        let found = rustls_native_certs::load_native_certs().certs;
        let roots: Vec<_> = found.iter().map(|c| Certificate::from_der(c).to_owned()).collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(if follows_redirects { REDIRECTS_MAX } else { 0 })
            .max_redirects_will_error(false)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_recv_response(Some(options.read_timeout))
            .timeout_per_read(Some(options.read_timeout))
            .user_agent(concat!("offkey/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self(config.into()))
    }

    /// Asks for the bytes from `first` to `last`, of the version that is known already.
    pub(crate) fn range(
        &self,
        name: &str,
        url: &str,
        (first, last): (u64, u64),
        known: Option<&Version>,
    ) -> Result<Answer, Failure> {
        let mut request = self.0.get(url).header("range", format!("bytes={first}-{last}"));
        // Any encoding would change the bytes that the range counts.
        request = request.header("accept-encoding", "identity");
        let tag = known.and_then(|version| version.tag.as_deref());
        if let Some(tag) = tag.filter(|tag| !tag.starts_with("W/")) {
            request = request.header("if-match", tag);
        }
        let response = request.call().map_err(|error| lost(name, &error))?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => part(name, response, first),
            StatusCode::OK if first == 0 && known.is_none() => {
                let len = header(&response, "content-length").and_then(|len| len.parse().ok());
                Ok(Answer::Whole { len, body: Box::new(response.into_body().into_reader()) })
            }
            StatusCode::OK | StatusCode::PRECONDITION_FAILED => Err(changed(name)),
            StatusCode::RANGE_NOT_SATISFIABLE if known.is_some() => Err(changed(name)),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(failure(ErrorKind::NotFound, format!("{name}: the object is empty")))
            }
            status => Err(refused(name, status, response)),
        }
    }

    /// Asks for a short text, such as a list.
    pub(crate) fn text(&self, name: &str, url: &str, len_max: u64) -> Result<String, Failure> {
        let response = self.0.get(url).call().map_err(|error| lost(name, &error))?;
        if response.status() != StatusCode::OK {
            return Err(refused(name, response.status(), response));
        }
        let mut text = String::new();
        let read = response.into_body().into_reader().take(len_max).read_to_string(&mut text);
        read.map_err(|error| Failure {
            error: Error::new(ErrorKind::Unreachable, format!("{name}: answer cut off: {error}")),
            may_pass: true,
        })?;
        Ok(text)
    }
}

fn part(name: &str, response: Response<Body>, first: u64) -> Result<Answer, Failure> {
    let range = header(&response, "content-range").unwrap_or_default();
    // bytes <first>-<last>/<len>
    let parsed = range.strip_prefix("bytes ").and_then(|rest| {
        let (ends, len) = rest.split_once('/')?;
        let (start, _) = ends.split_once('-')?;
        Some((start.parse::<u64>().ok()?, len.parse::<u64>().ok()?))
    });
    let Some((start, len)) = parsed.filter(|(start, _)| *start == first) else {
        let found = quoted(range.as_bytes());
        let text = format!("{name}: bytes from {first} on were asked for, and {found} answered");
        return Err(failure(ErrorKind::Protocol, text));
    };
    debug_assert_eq!(start, first, "filtered above");
    let version = Version {
        tag: header(&response, "etag").map(str::to_owned),
        modified: header(&response, "last-modified").map(str::to_owned),
        len,
    };
    Ok(Answer::Part { version, body: Box::new(response.into_body().into_reader()) })
}

fn header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

fn failure(kind: ErrorKind, text: String) -> Failure {
    Failure { error: Error::new(kind, text), may_pass: false }
}

pub(crate) fn changed(name: &str) -> Failure {
    failure(ErrorKind::Changed, format!("{name}: the object changed while it was read"))
}

/// No answer came. The error must not name the URL, which may carry a signature.
fn lost(name: &str, error: &ureq::Error) -> Failure {
    let (kind, may_pass) = match error {
        ureq::Error::Timeout(_) => (ErrorKind::TimedOut, true),
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_) => {
            (ErrorKind::Unreachable, true)
        }
        _ => (ErrorKind::Unreachable, false),
    };
    let what = match error {
        ureq::Error::BadUri(_) => "not a usable URL".to_owned(),
        error => error.to_string(),
    };
    Failure { error: Error::new(kind, format!("{name}: {what}")), may_pass }
}

/// The server answered with a status that brings no bytes.
fn refused(name: &str, status: StatusCode, response: Response<Body>) -> Failure {
    let region = header(&response, "x-amz-bucket-region").map(str::to_owned);
    let mut text = Vec::new();
    // What can be read of the reason is enough.
    let _ = response.into_body().into_reader().take(ERROR_LEN_MAX).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once('<').map(|(value, _)| value.to_owned())
    };
    let code = tag("Code").map(|code| format!(" {}", code.escape_debug())).unwrap_or_default();
    let more = tag("Message").map(|text| format!(": {}", text.escape_debug())).unwrap_or_default();
    let kind = match status.as_u16() {
        404 => ErrorKind::NotFound,
        300..=399 => ErrorKind::NotAllowed,
        408 | 429 | 500..=599 => ErrorKind::Unreachable,
        _ => ErrorKind::Refused,
    };
    let hint = match (kind, region) {
        (_, Some(region)) if !matches!(kind, ErrorKind::NotFound) => {
            format!("; the bucket is in region {}", region.escape_debug())
        }
        (ErrorKind::NotAllowed, _) => "; redirects are not followed".to_owned(),
        _ => String::new(),
    };
    let text = format!("{name}: HTTP {}{code}{more}{hint}", status.as_u16());
    let may_pass = matches!(kind, ErrorKind::Unreachable);
    Failure { error: Error::new(kind, text), may_pass }
}
