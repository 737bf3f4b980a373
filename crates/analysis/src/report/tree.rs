//! The tree of the greatest prefixes, as the report shows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::aggregate::prefixes::{Branch, Prefix};

/// A prefix in the tree of those that have most bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrefixNode {
    /// Place of the next shorter prefix in the list, which stands before this one; none at the
    /// top.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<usize>,
    /// What `TYPE` answers; at the top only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub r#type: Option<String>,
    /// What it adds to the shorter prefix, from the separator on; at most 256 bytes of it.
    pub segment: String,
    /// The exact bytes in base64 where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub segment_base64: Option<String>,
    /// Length of the segment in bytes where not all of it is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub segment_len: Option<u64>,
    /// Number of keys under it.
    pub num: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, keys without an expiry.
    pub no_expiry_num: u64,
    /// Their bytes.
    pub no_expiry_bytes: u64,
}

/// A prefix with many bytes that never expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LastingKeyPrefix {
    /// The prefix as text, without its last separator.
    pub key_prefix: String,
    /// The exact prefix in base64 where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_prefix_base64: Option<String>,
    /// What `TYPE` answers.
    pub r#type: String,
    /// Bytes of the keys under it.
    pub bytes: u64,
    /// Number of keys under it.
    pub num: u64,
    /// Of these, keys without an expiry.
    pub no_expiry_num: u64,
    /// Their bytes.
    pub no_expiry_bytes: u64,
}

impl PrefixNode {
    /// Most prefixes in the tree.
    pub const COUNT_MAX: usize = 2000;

    pub(crate) fn new(branch: &Branch) -> Self {
        let Branch { parent, segment, segment_len, counts, .. } = branch;
        let is_text = std::str::from_utf8(segment).is_ok();
        let is_cut = *segment_len > segment.len() as u64;
        Self {
            parent: *parent,
            r#type: parent.is_none().then(|| branch.object_type.to_string()),
            segment: String::from_utf8_lossy(segment).into_owned(),
            segment_base64: (!is_text).then(|| BASE64.encode(segment)),
            segment_len: is_cut.then_some(*segment_len),
            num: counts.key_count,
            bytes: counts.bytes,
            no_expiry_num: counts.lasting_count,
            no_expiry_bytes: counts.lasting_bytes,
        }
    }
}

impl LastingKeyPrefix {
    pub(crate) fn new(prefix: &Prefix) -> Self {
        let (key_prefix, key_prefix_base64) = super::prefix_text(prefix);
        Self {
            key_prefix,
            key_prefix_base64,
            r#type: prefix.object_type.to_string(),
            bytes: prefix.counts.bytes,
            num: prefix.counts.key_count,
            no_expiry_num: prefix.counts.lasting_count,
            no_expiry_bytes: prefix.counts.lasting_bytes,
        }
    }
}
