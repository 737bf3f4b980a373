//! Sessions of the console: a cookie that scripts cannot read, in place of a signature.
//!
//! ```text
//! session = offkey1s.<AK>.<project id, or *>.<end, ms>.<hex(HMAC-SHA256(SK, all before the last dot))>
//! ```
//!
//! As with tokens nothing is stored, and a session ends with its access key. A browser sends
//! the cookie from our own pages alone (`SameSite=Strict`), and a request counts only with a
//! header that no form and no page of another origin can send.

use axum::http::HeaderMap;

use super::signature::{hex_mac, is_mac};
use crate::ids;
use crate::secret::Secret;

/// How long a session is valid.
pub(crate) const SESSION_MS: i64 = 8 * 60 * 60 * 1000;

/// The header of the console's own requests.
pub(crate) const CONSOLE: &str = "x-offkey-console";

const COOKIE: &str = "offkey_session";
const FORM: &str = "offkey1s";

/// A session whose form is right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Session<'a> {
    signed: &'a str,
    pub(crate) ak: &'a str,
    /// The only project, if it began with a token.
    pub(crate) project_id: Option<&'a str>,
    pub(crate) end_ms: i64,
    mac: &'a str,
}

/// Makes the session of an access key.
pub(crate) fn begin(ak: &str, sk: &Secret, project_id: Option<&str>, end_ms: i64) -> String {
    let signed = format!("{FORM}.{ak}.{}.{end_ms}", project_id.unwrap_or("*"));
    let mac = hex_mac(sk, &signed);
    format!("{signed}.{mac}")
}

/// The `Set-Cookie` that keeps a session for so long, or ends it with an empty one.
pub(crate) fn cookie(session: &str, seconds: i64, https: bool) -> String {
    let secure = if https { "; Secure" } else { "" };
    format!("{COOKIE}={session}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// The session that a request of the console brings, if there is exactly one.
pub(crate) fn of(headers: &HeaderMap) -> Option<Session<'_>> {
    headers.get(CONSOLE)?;
    let cookies = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    let mut values = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    match (values.next(), values.next()) {
        (Some(value), None) => Session::parse(value),
        _ => None,
    }
}

impl<'a> Session<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (signed, mac) = text.rsplit_once('.')?;
        let mut parts = signed.split('.');
        let (Some(FORM), Some(ak), Some(project_id), Some(end_ms), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let project_id = (project_id != "*").then_some(project_id);
        let is_known = ids::is_access_key(ak) && project_id.is_none_or(ids::is_project_id);
        let end_ms = end_ms.parse().ok()?;
        is_known.then_some(Self { signed, ak, project_id, end_ms, mac })
    }

    /// Whether it was made with this secret key.
    pub(crate) fn is_genuine(&self, sk: &Secret) -> bool {
        is_mac(sk, self.signed, self.mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "0123456789abcdef0123456789abcdef";

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn session_reads_back_and_every_changed_byte_is_noticed() {
        let sk = Secret::new("secret");
        for project in [None, Some(PROJECT)] {
            let good = begin("AK", &sk, project, 1000);
            let session = Session::parse(&good).unwrap();
            assert_eq!((session.ak, session.project_id, session.end_ms), ("AK", project, 1000));
            assert!(session.is_genuine(&sk) && !session.is_genuine(&Secret::new("another")));
            for at in 0..good.len() {
                let mut bad = good.clone().into_bytes();
                bad[at] ^= 1;
                let bad = String::from_utf8(bad).unwrap();
                assert!(
                    Session::parse(&bad).is_none_or(|session| !session.is_genuine(&sk)),
                    "{bad}"
                );
            }
        }
    }

    #[test]
    fn cookie_counts_once_and_with_the_header() {
        let session = begin("AK", &Secret::new("secret"), None, 1000);
        let cookie = format!("theme=dark; {COOKIE}={session}");
        let console = (CONSOLE, "1".to_owned());
        assert!(of(&headers(&[console.clone(), ("cookie", cookie.clone())])).is_some());
        assert_eq!(of(&headers(&[("cookie", cookie.clone())])), None);
        let twice = headers(&[console, ("cookie", cookie.clone()), ("cookie", cookie)]);
        assert_eq!(of(&twice), None);
    }
}
