//! The Redis protocol, version 2, as far as a few short commands need it.
//!
//! ```text
//! +status\r\n   -error\r\n   :integer\r\n   $<len>\r\n<bytes>\r\n   *<count>\r\n<replies>
//! ```

/// Most bytes a reply may take: far above the longest list of a cluster's nodes.
pub(crate) const REPLY_LEN_MAX: usize = 4 << 20;

/// Deepest nesting of a reply; `CLUSTER SHARDS` has four levels.
pub(crate) const DEPTH_MAX: u32 = 8;

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(String),
    Error(String),
    Integer(i64),
    /// A string, or nothing.
    Bulk(Option<Vec<u8>>),
    Array(Vec<Reply>),
}

impl Reply {
    /// The text it is, a status included.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Status(text) => Some(text),
            Self::Bulk(Some(bytes)) => std::str::from_utf8(bytes).ok(),
            Self::Error(_) | Self::Integer(_) | Self::Bulk(None) | Self::Array(_) => None,
        }
    }

    pub(crate) fn array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(replies) => Some(replies),
            Self::Status(_) | Self::Error(_) | Self::Integer(_) | Self::Bulk(_) => None,
        }
    }

    /// A number, which some replies have as a string.
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Status(_) | Self::Error(_) | Self::Bulk(_) | Self::Array(_) => {
                self.text()?.parse().ok()
            }
        }
    }

    /// The value of `name`, where it is a list of names and values.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let pairs = self.array()?.chunks_exact(2);
        pairs.into_iter().find_map(|pair| match pair {
            [key, value] if key.text() == Some(name) => Some(value),
            _ => None,
        })
    }
}

/// A command in the form servers read.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_has_counts_and_lengths() {
        assert_eq!(command(&[b"AUTH", b"a\r\nb"]), b"*2\r\n$4\r\nAUTH\r\n$4\r\na\r\nb\r\n");
    }

    #[test]
    fn fields_are_found_by_name() {
        let bulk = |text: &str| Reply::Bulk(Some(text.as_bytes().to_vec()));
        let reply = Reply::Array(vec![bulk("port"), Reply::Integer(7), bulk("ip"), bulk("::1")]);
        assert_eq!(reply.field("port").and_then(Reply::number), Some(7));
        assert_eq!(reply.field("ip").and_then(Reply::text), Some("::1"));
        assert_eq!(reply.field("7"), None);
    }
}
