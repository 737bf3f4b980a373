//! The request target: the same reading of it is signed, routed and parsed.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What is percent-encoded in a canonical path or query.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Path and query of a request, decoded once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    path: String,
    query: String,
    pairs: Vec<(String, String)>,
}

impl Target {
    /// Reads a raw path and query.
    ///
    /// `None` for those that two readers could understand differently: empty and dot
    /// segments, encoded slashes and control characters, bytes that are not UTF-8.
    pub(crate) fn parse(path: &str, query: Option<&str>) -> Option<Self> {
        let mut canonical = String::with_capacity(path.len() + 1);
        for segment in path.strip_prefix('/')?.split('/') {
            let segment = decode(segment)?;
            if matches!(segment.as_str(), "" | "." | "..") || segment.contains('/') {
                return None;
            }
            canonical.push('/');
            canonical.extend(utf8_percent_encode(&segment, RESERVED));
        }
        canonical.push('/');
        let mut pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name)?, decode(value)?))
            })
            .collect::<Option<Vec<_>>>()?;
        pairs.sort();
        let query = pairs
            .iter()
            .map(|(name, value)| {
                let encode = |text| utf8_percent_encode(text, RESERVED);
                format!("{}={}", encode(name), encode(value))
            })
            .collect::<Vec<_>>()
            .join("&");
        Some(Self { path: canonical, query, pairs })
    }

    /// The path with every segment encoded, ending in `/`.
    pub(crate) fn canonical_path(&self) -> &str {
        &self.path
    }

    /// The query in order of names and values, encoded.
    pub(crate) fn canonical_query(&self) -> &str {
        &self.query
    }

    /// The query, decoded.
    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.pairs
    }
}

fn decode(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.contains(|c: char| c.is_ascii_control())).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_is_sorted_and_encoded() {
        let raw = "limit=1&path=/tmp/123&multi=2&multi=1&multi=3&enable=true\
                   &test=%E4%B8%80%20(%26%3D%3F%21%23%25.%2A)";
        let target = Target::parse("/a%20b/c~d", Some(raw)).unwrap();
        assert_eq!(
            target.canonical_query(),
            "enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123\
             &test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29"
        );
        assert_eq!(target.canonical_path(), "/a%20b/c~d/");
    }

    #[test]
    fn plus_is_not_a_space() {
        let target = Target::parse("/a", Some("b=1+2")).unwrap();
        assert_eq!(target.canonical_query(), "b=1%2B2");
        assert_eq!(target.into_pairs(), [("b".to_owned(), "1+2".to_owned())]);
    }

    #[test]
    fn ambiguous_targets_are_refused() {
        for path in [
            "a",
            "/",
            "/a/",
            "//a",
            "/a//b",
            "/a/../b",
            "/a/%2e%2E/b",
            "/./a",
            "/a%2Fb",
            "/%00",
            "/%ff",
        ] {
            assert_eq!(Target::parse(path, None), None, "{path}");
        }
        assert_eq!(Target::parse("/a", Some("b=%ff")), None);
    }
}
