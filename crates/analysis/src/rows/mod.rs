//! A summary as rows: what an engine that has no part of ours can group, sum and merge.
//!
//! [`summarise`] reads one input and hands out rows; rows of many inputs, summed or not,
//! become one report by [`Merge`]. Prefixes leave in rows whenever their table is full, so
//! that memory is bounded and nothing is dropped: their sums are exact.

mod merge;
mod prefixes;
mod write;

use std::borrow::Cow;

use offkey_rdb::ObjectType;
use serde::{Deserialize, Serialize};

pub use merge::{Merge, RowError};
pub use write::summarise;

use crate::aggregate::spread::SPANS;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// An input: `detail` is its [`crate::InputInfo`] in JSON.
    Input,
    /// Keys and bytes of a type.
    Type,
    /// Keys and bytes of a prefix of a type.
    Prefix,
    /// One of the largest keys.
    Key,
    /// Keys by the time they had left: `name` is the span.
    Expiry,
    /// Keys by the time since the last access: `name` is the span.
    Idle,
    /// Keys by size: `at` is 0 for none, else n for sizes from 2^(n-1) up to 2^n.
    Size,
    /// Collections by their elements, `at` as for sizes.
    NumOfElem,
    /// Keys by access counter, `at` as for sizes.
    Freq,
    /// Keys of a database: `at` is its number, none for those beyond the ones told apart.
    Db,
    /// Keys of a cluster slot: `at` is its number.
    Slot,
    /// A damaged key: `detail` is its [`crate::DamagedKey`] in JSON, `at` the offset.
    Damaged,
}

impl RowKind {
    const ALL: [Self; 12] = [
        Self::Input,
        Self::Type,
        Self::Prefix,
        Self::Key,
        Self::Expiry,
        Self::Idle,
        Self::Size,
        Self::NumOfElem,
        Self::Freq,
        Self::Db,
        Self::Slot,
        Self::Damaged,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Type => "type",
            Self::Prefix => "prefix",
            Self::Key => "key",
            Self::Expiry => "expiry",
            Self::Idle => "idle",
            Self::Size => "size",
            Self::NumOfElem => "num_of_elem",
            Self::Freq => "freq",
            Self::Db => "db",
            Self::Slot => "slot",
            Self::Damaged => "damaged",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether rows alike in everything but their numbers may be summed. Rows of the other
    /// kinds belong to one input.
    pub fn is_sum(self) -> bool {
        match self {
            Self::Type
            | Self::Prefix
            | Self::Expiry
            | Self::Idle
            | Self::Size
            | Self::NumOfElem
            | Self::Freq
            | Self::Db
            | Self::Slot => true,
            Self::Input | Self::Key | Self::Damaged => false,
        }
    }
}

/// A row of a summary.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// What it is about.
    pub kind: RowKind,
    /// Number of the input it belongs to.
    pub input: u64,
    /// Type of the keys.
    pub object_type: Option<ObjectType>,
    /// Key, prefix or span; of a long one the beginning.
    pub name: Option<Cow<'a, [u8]>>,
    /// Place in the kind's own numbering.
    pub at: Option<i64>,
    /// Keys.
    pub num: u64,
    /// Bytes.
    pub bytes: u64,
    /// Of the keys of a prefix or a database, those without an expiry.
    pub no_expiry_num: u64,
    /// Of the bytes of a prefix, those of such keys.
    pub no_expiry_bytes: u64,
    /// What else belongs to it, in JSON. Rows that differ in it are not alike.
    pub detail: Option<Cow<'a, str>>,
}

impl Row<'_> {
    fn new(kind: RowKind, input: u64) -> Self {
        Self {
            kind,
            input,
            object_type: None,
            name: None,
            at: None,
            num: 0,
            bytes: 0,
            no_expiry_num: 0,
            no_expiry_bytes: 0,
            detail: None,
        }
    }
}

/// What the row of a key has beside its name, type and size.
#[derive(Debug, Serialize, Deserialize)]
struct KeyDetail<'a> {
    /// Place among the largest of its input, from 0 on: a damaged file may name a key twice,
    /// and then both rows stay apart.
    rank: usize,
    db: u64,
    key_len: u64,
    #[serde(borrow)]
    encoding: Cow<'a, str>,
    num_of_elem: u64,
    memory: u64,
    memory_usage: Option<u64>,
    serialized_bytes: u64,
    expire_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    idle_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    freq: Option<u8>,
}

/// What a prefix that is longer than its row's name is told apart by, and its place among
/// others.
#[derive(Debug, Serialize, Deserialize)]
struct PrefixDetail<'a> {
    prefix_len: u64,
    /// FNV-1a of the whole text.
    #[serde(borrow)]
    digest: Cow<'a, str>,
    parent_len: u64,
    #[serde(borrow)]
    parent_digest: Cow<'a, str>,
    depth: usize,
    segment_len: u64,
    /// First bytes in base64.
    #[serde(borrow)]
    segment: Cow<'a, str>,
}

/// Names of expiries, in the order of reports.
fn expiry_names() -> impl Iterator<Item = &'static str> {
    ["never", "expired"].into_iter().chain(SPANS)
}
