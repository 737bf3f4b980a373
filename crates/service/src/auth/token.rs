//! Tokens: proof, for 24 hours and one project, that somebody has had the secret key.
//!
//! ```text
//! token = offkey1.<AK>.<project id>.<issued at, ms>.<hex(HMAC-SHA256(SK, all before the last dot))>
//! ```
//!
//! Nothing of a token is stored: whoever knows the secret key could make it, and it ends with
//! its access key. A string to sign begins with the name of its algorithm, so a token is never
//! the signature of a request.

use super::DATE_WINDOW_MS;
use super::signature::{hex_mac, is_mac};
use crate::ids;
use crate::secret::Secret;

/// How long a token is valid.
pub(crate) const TOKEN_MS: i64 = 24 * 60 * 60 * 1000;

const FORM: &str = "offkey1";

/// A token whose form is right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    signed: &'a str,
    pub(crate) ak: &'a str,
    pub(crate) project_id: &'a str,
    issued_at_ms: i64,
    mac: &'a str,
}

/// Whether a token may be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Valid,
    Expired,
    Forged,
}

/// Makes the token of an access key for a project.
pub(crate) fn issue(ak: &str, sk: &Secret, project_id: &str, now_ms: i64) -> String {
    let signed = format!("{FORM}.{ak}.{project_id}.{now_ms}");
    let mac = hex_mac(sk, &signed);
    format!("{signed}.{mac}")
}

impl<'a> Token<'a> {
    /// Reads a token; `None` if it has not exactly the form above.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (signed, mac) = text.rsplit_once('.')?;
        let mut parts = signed.split('.');
        let token = match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(FORM), Some(ak), Some(project_id), Some(issued_at), None) => {
                Self { signed, ak, project_id, issued_at_ms: issued_at.parse().ok()?, mac }
            }
            _ => return None,
        };
        (ids::is_access_key(token.ak) && ids::is_project_id(token.project_id)).then_some(token)
    }

    /// When it is no longer valid.
    pub(crate) fn end_ms(&self) -> i64 {
        self.issued_at_ms.saturating_add(TOKEN_MS)
    }

    /// Judges it by the secret key of its access key.
    pub(crate) fn judge(&self, sk: &Secret, now_ms: i64) -> Validity {
        if !is_mac(sk, self.signed, self.mac) || self.issued_at_ms > now_ms + DATE_WINDOW_MS {
            Validity::Forged
        } else if now_ms >= self.end_ms() {
            Validity::Expired
        } else {
            Validity::Valid
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn token_ends_after_24_hours() {
        let sk = Secret::new("secret");
        let text = issue("AK", &sk, PROJECT, 1000);
        let token = Token::parse(&text).unwrap();
        assert_eq!((token.ak, token.project_id), ("AK", PROJECT));
        for (now_ms, validity) in [
            (1000, Validity::Valid),
            (1000 + TOKEN_MS - 1, Validity::Valid),
            (1000 + TOKEN_MS, Validity::Expired),
            (1000 - DATE_WINDOW_MS, Validity::Valid),
            // The owner of a key cannot make one that ends later.
            (999 - DATE_WINDOW_MS, Validity::Forged),
        ] {
            assert_eq!(token.judge(&sk, now_ms), validity, "{now_ms}");
        }
        assert_eq!(token.judge(&Secret::new("another"), 1000), Validity::Forged);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let sk = Secret::new("secret");
        let good = issue("AK", &sk, PROJECT, 1000);
        for at in 0..good.len() {
            for bit in 0..7 {
                let mut bad = good.clone().into_bytes();
                bad[at] ^= 1 << bit;
                let bad = String::from_utf8(bad).unwrap();
                let judged = Token::parse(&bad).map(|token| token.judge(&sk, 1000));
                assert!(matches!(judged, None | Some(Validity::Forged)), "{bad}");
            }
            let cut = good.get(..at).unwrap();
            let judged = Token::parse(cut).map(|token| token.judge(&sk, 1000));
            assert!(matches!(judged, None | Some(Validity::Forged)), "{cut}");
        }
    }
}
