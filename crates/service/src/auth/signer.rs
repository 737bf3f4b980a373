//! The client's side of a signature.

use jiff::Timestamp;

use super::signature::{Algorithm, DATE, Signed};
use super::target::Target;
use crate::secret::Secret;

/// Signs requests as an SDK does.
#[derive(Debug, Clone)]
pub struct Signer {
    /// Access key id.
    pub ak: String,
    /// Secret access key.
    pub sk: Secret,
}

/// A request to be signed.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned<'a> {
    /// Such as `GET`.
    pub method: &'a str,
    /// Value of the `Host` header.
    pub host: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Other headers that are signed, by their lower-case names.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; empty if there is none.
    pub body: &'a [u8],
}

impl Signer {
    /// Headers to be added to `request`; `None` if its target cannot be signed.
    #[must_use]
    pub fn headers(&self, request: &Unsigned<'_>, now_ms: i64) -> Option<[(String, String); 2]> {
        let (path, query) = match request.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (request.target, None),
        };
        let date = Timestamp::from_millisecond(now_ms).ok()?.strftime("%Y%m%dT%H%M%SZ").to_string();
        let algorithm = Algorithm::Sha256;
        let mut headers = vec![("host", request.host), (DATE, &date)];
        headers.extend(request.headers);
        headers.sort_unstable();
        let signed = Signed {
            method: request.method,
            target: &Target::parse(path, query)?,
            headers: &headers,
            payload_hash: &algorithm.hash(request.body),
        };
        let authorization = algorithm.sign(&self.ak, &self.sk, &date, &signed);
        Some([("authorization".to_owned(), authorization), (DATE.to_owned(), date)])
    }
}
