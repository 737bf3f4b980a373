//! The signature of a request: `SDK-HMAC-SHA256` and its SM3 twin.
//!
//! ```text
//! Authorization: SDK-HMAC-SHA256 Access=<AK>, SignedHeaders=<a;b;c>, Signature=<hex>
//!
//! canonical request = METHOD \n path/ \n sorted query \n (name:value \n)* \n a;b;c \n payload hash
//! string to sign    = algorithm \n X-Sdk-Date \n hex(hash(canonical request))
//! signature         = hex(HMAC(SK, string to sign))
//! ```

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use sm3::Sm3;

use super::target::Target;
use crate::secret::Secret;

/// Header with the date that is signed.
pub(crate) const DATE: &str = "x-sdk-date";

/// What a client that does not hash its body says in place of the hash.
pub(crate) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The hash that a signature is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// `SDK-HMAC-SHA256`, what every SDK uses unless told otherwise.
    Sha256,
    /// `SDK-HMAC-SM3`.
    Sm3,
}

/// A hash of bytes that are still coming.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sm3(Sm3),
}

/// The parts of an `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authorization<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) access: &'a str,
    pub(crate) signed_headers: Vec<&'a str>,
    pub(crate) signature: [u8; 32],
}

/// The signed parts of a request.
#[derive(Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a Target,
    /// Lower-case names and values in the order of the names.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) payload_hash: &'a str,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Sha256, Self::Sm3];

    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SDK-HMAC-SHA256",
            Self::Sm3 => "SDK-HMAC-SM3",
        }
    }

    /// The header in which a client names the hash of its body.
    pub(crate) fn content_header(self) -> &'static str {
        match self {
            Self::Sha256 => "x-sdk-content-sha256",
            Self::Sm3 => "x-sdk-content-sm3",
        }
    }

    /// The hash of `bytes` in lower-case hexadecimal.
    pub(crate) fn hash(self, bytes: &[u8]) -> String {
        match self {
            Self::Sha256 => hex(&Sha256::digest(bytes)),
            Self::Sm3 => hex(&Sm3::digest(bytes)),
        }
    }

    /// Hashes what comes one piece after another.
    pub(crate) fn hasher(self) -> Hasher {
        match self {
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sm3 => Hasher::Sm3(Sm3::new()),
        }
    }

    /// The signature of `signed` at `date`, and the header value that carries it.
    pub(crate) fn sign(self, ak: &str, sk: &Secret, date: &str, signed: &Signed<'_>) -> String {
        let text = self.string_to_sign(date, signed);
        let signature = match self {
            Self::Sha256 => hex(&mac::<Hmac<Sha256>>(sk, &text).finalize().into_bytes()),
            Self::Sm3 => hex(&mac::<Hmac<Sm3>>(sk, &text).finalize().into_bytes()),
        };
        let names = signed.header_names();
        format!("{} Access={ak}, SignedHeaders={names}, Signature={signature}", self.name())
    }

    /// Whether `signature` is that of `signed` at `date`; takes the same time for every wrong one.
    pub(crate) fn verify(
        self,
        sk: &Secret,
        date: &str,
        signed: &Signed<'_>,
        signature: &[u8; 32],
    ) -> bool {
        let text = self.string_to_sign(date, signed);
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(sk, &text).verify_slice(signature).is_ok(),
            Self::Sm3 => mac::<Hmac<Sm3>>(sk, &text).verify_slice(signature).is_ok(),
        }
    }

    fn string_to_sign(self, date: &str, signed: &Signed<'_>) -> String {
        format!("{}\n{date}\n{}", self.name(), self.hash(signed.canonical().as_bytes()))
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sm3(hasher) => hasher.update(bytes),
        }
    }

    /// The hash in lower-case hexadecimal.
    pub(crate) fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::Sm3(hasher) => hex(&hasher.finalize()),
        }
    }
}

impl<'a> Authorization<'a> {
    /// Reads the header's value; `None` if it is not exactly of the form above, or if the
    /// names of the signed headers are not in order, in lower case and there once.
    pub(crate) fn parse(value: &'a str) -> Option<Self> {
        let (name, parts) = value.split_once(' ')?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)?;
        let mut parts = parts.split(',').map(str::trim);
        let access = parts.next()?.strip_prefix("Access=")?;
        let names = parts.next()?.strip_prefix("SignedHeaders=")?;
        let signature = unhex(parts.next()?.strip_prefix("Signature=")?)?;
        if parts.next().is_some() {
            return None;
        }
        let signed_headers: Vec<&str> = names.split(';').collect();
        let well_formed = |name: &&str| {
            !name.is_empty()
                && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        (signed_headers.iter().all(well_formed) && signed_headers.is_sorted_by(|a, b| a < b))
            .then_some(Self { algorithm, access, signed_headers, signature })
    }
}

impl Signed<'_> {
    fn canonical(&self) -> String {
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        [
            self.method,
            self.target.canonical_path(),
            self.target.canonical_query(),
            &headers,
            &self.header_names(),
            self.payload_hash,
        ]
        .join("\n")
    }

    fn header_names(&self) -> String {
        self.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
    }
}

fn mac<M: KeyInit + Mac>(sk: &Secret, text: &str) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(sk.expose().as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(text.as_bytes());
    mac
}

/// HMAC-SHA256 of `text` in lower-case hexadecimal.
pub(crate) fn hex_mac(sk: &Secret, text: &str) -> String {
    hex(&mac::<Hmac<Sha256>>(sk, text).finalize().into_bytes())
}

/// Whether `digits` is the [`hex_mac`] of `text`; takes the same time for every wrong one.
pub(crate) fn is_mac(sk: &Secret, text: &str, digits: &str) -> bool {
    unhex(digits).is_some_and(|bytes| mac::<Hmac<Sha256>>(sk, text).verify_slice(&bytes).is_ok())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of 64 lower-case hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 64 || !text.as_bytes().iter().all(lower) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AK: &str = "QTWAOYTTINDUT2QVKYUC";
    const SK: &str = "MFyfvK41ba2giqM7**********KGpownRZlmVmHc";
    const PATH: &str = "/v2/0123456789abcdef0123456789abcdef/instances/\
                        5560df16-cebf-4473-95c4-d1b573c16e79/offline/key-analysis";

    fn signature_of(
        algorithm: Algorithm,
        method: &str,
        query: Option<&str>,
        content_type: &str,
        body: &[u8],
    ) -> String {
        let date = "20260101T000000Z";
        let header = algorithm.sign(
            AK,
            &Secret::new(SK),
            date,
            &Signed {
                method,
                target: &Target::parse(PATH, query).unwrap(),
                headers: &[
                    ("content-type", content_type),
                    ("host", "127.0.0.1:8080"),
                    ("user-agent", "test-agent"),
                    ("x-project-id", "0123456789abcdef0123456789abcdef"),
                    (DATE, date),
                ],
                payload_hash: &algorithm.hash(body),
            },
        );
        header.rsplit_once('=').unwrap().1.to_owned()
    }

    #[test]
    fn signatures_equal_the_test_vectors() {
        let query = Some("status=success&offset=0&limit=10");
        assert_eq!(
            signature_of(Algorithm::Sha256, "GET", query, "application/json", b""),
            "2d27db0f5c07cb2c8168dfc0b958f4d521e87292ee5519a4c791860e62c3474b"
        );
        assert_eq!(
            signature_of(Algorithm::Sm3, "GET", query, "application/json", b""),
            "4c6665d8302ac6f1e16e7642e7be4214675c1df0179d96c993094ac53602fc1a"
        );
        assert_eq!(
            signature_of(
                Algorithm::Sha256,
                "POST",
                None,
                "application/json;charset=utf-8",
                br#"{"node_id": "ff8080828fdd5aef018fe2218a886105"}"#
            ),
            "4594f182b313eb38c7f7f0f5ebc047937e2cfb0026cf6ef1c43a4ca52d2512f0"
        );
    }

    #[test]
    fn signatures_equal_those_of_the_sdks() {
        // Go signs nothing but the date in its own test.
        let sk = Secret::new("SecretKey");
        let date = "20060102T150405Z";
        let target = Target::parse("/path", Some("limit=1")).unwrap();
        let hash = Algorithm::Sha256.hash(b"");
        let headers = [(DATE, date)];
        let signed =
            Signed { method: "GET", target: &target, headers: &headers, payload_hash: &hash };
        assert_eq!(
            Algorithm::Sha256.sign("AccessKey", &sk, date, &signed),
            "SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders=x-sdk-date, \
             Signature=5a2ce64c865e0e6046321c6f3d5a77ba8413eeaf355c3166c03d58d02ac79624"
        );
        // Python signs every header.
        let date = "20200608T023900Z";
        let target = Target::parse("/resources", Some("size=1")).unwrap();
        let headers = [("host", "service.endpoint.myhuaweicloud.com"), (DATE, date)];
        let signed =
            Signed { method: "GET", target: &target, headers: &headers, payload_hash: &hash };
        let header = Algorithm::Sha256.sign("AccessKey", &sk, date, &signed);
        assert!(
            header.ends_with("=cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842"),
            "{header}"
        );
    }

    #[test]
    fn every_changed_bit_of_a_signature_is_refused() {
        let sk = Secret::new(SK);
        let target = Target::parse(PATH, None).unwrap();
        let headers = [(DATE, "20260101T000000Z")];
        let hash = Algorithm::Sha256.hash(b"");
        let signed =
            Signed { method: "GET", target: &target, headers: &headers, payload_hash: &hash };
        let header = Algorithm::Sha256.sign(AK, &sk, "20260101T000000Z", &signed);
        let good = Authorization::parse(&header).unwrap().signature;
        let verify = |signature: &[u8; 32]| {
            Algorithm::Sha256.verify(&sk, "20260101T000000Z", &signed, signature)
        };
        assert!(verify(&good));
        for bit in 0..256 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(&bad), "bit {bit}");
        }
    }

    #[test]
    fn authorization_takes_one_form_only() {
        let signature = "0".repeat(64);
        let good = format!("SDK-HMAC-SHA256 Access=AK, SignedHeaders=a;b, Signature={signature}");
        assert!(Authorization::parse(&good).is_some());
        for (from, to) in [
            ("SDK-HMAC-SHA256", "SDK-HMAC-SHA1"),
            ("SDK-HMAC-SHA256", "sdk-hmac-sha256"),
            ("Access", "access"),
            ("a;b", "b;a"),
            ("a;b", "a;a"),
            ("a;b", "a;B"),
            ("a;b", "a;"),
            ("a;b", ";b"),
            ("a;b", ""),
            ("a;b", "a;b_c"),
            ("=00", "=0"),
            ("=00", "=A0"),
            ("=00", "=000"),
            ("Signature=", "Signature"),
            (", SignedHeaders=a;b", ""),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_eq!(Authorization::parse(&bad), None, "{bad}");
        }
        assert_eq!(Authorization::parse(&format!("{good}, Access=AK")), None);
    }
}
