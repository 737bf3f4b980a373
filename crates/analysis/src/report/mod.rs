//! The report: sorted, cut and named, as it leaves in JSON.
//!
//! The field names of the first six members are those of the DCS API and of RDR.

mod spread;
mod tree;

pub use spread::{DbTotal, PowerTotal, SlotSpread, SlotTotal, SpanTotal, SpreadReport};
pub use tree::{LastingKeyPrefix, PrefixNode};

use std::cmp::Reverse;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::Options;
use crate::aggregate::largest::Large;
use crate::aggregate::leading::RankBy;
use crate::aggregate::prefixes::{Floor, Prefix};
use crate::aggregate::types::Total;
use crate::summary::Summary;

/// Result of an analysis of one or more inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// Keys counted in the totals; damaged keys are not.
    pub total_num: u64,
    /// Their memory in bytes.
    pub total_bytes: u64,
    /// Keys per type, the five classic types always present.
    pub type_num: Vec<TypeNum>,
    /// Bytes per type, in the same order.
    pub type_bytes: Vec<TypeBytes>,
    /// The largest keys, by bytes descending, then key.
    pub largest_keys: Vec<LargestKey>,
    /// The leading prefixes, grouped by type; in each type by number, bytes, prefix.
    pub largest_key_prefixes: Vec<LargestKeyPrefix>,
    /// True only if every input was read to its end and its checksum was right or
    /// switched off, and no key was damaged.
    pub complete: bool,
    /// State of the inputs' checksums; the worst one where there are several inputs.
    pub checksum: ChecksumState,
    /// Keys whose value is damaged, at most [`Report::DAMAGED_MAX`] of them.
    pub damaged: Vec<DamagedKey>,
    /// How many damaged keys there are in all.
    pub damaged_num: u64,
    /// The leading prefixes by bytes, grouped by type; in each type by bytes, number, prefix.
    pub largest_key_prefixes_by_bytes: Vec<LargestKeyPrefix>,
    /// The prefixes of all types with most bytes that never expire, by these bytes.
    #[serde(default)]
    pub key_prefixes_without_expiry: Vec<LastingKeyPrefix>,
    /// The prefixes of all types with most bytes as one tree, at most [`PrefixNode::COUNT_MAX`].
    #[serde(default)]
    pub prefix_tree: Vec<PrefixNode>,
    /// How far the lists of prefixes are proven.
    pub prefix_exactness: PrefixExactness,
    /// Keys that had expired when the file was written; counted in the totals as well.
    pub expired_num: u64,
    /// Their bytes.
    pub expired_bytes: u64,
    /// How keys and bytes are spread over expiries, sizes, databases and so on.
    #[serde(default)]
    pub spread: SpreadReport,
    /// The inputs, in the order given.
    pub inputs: Vec<InputInfo>,
}

impl Report {
    /// Most damaged keys that a report lists.
    pub const DAMAGED_MAX: usize = 1000;

    pub(crate) fn new(summary: &Summary, options: &Options) -> Self {
        let Total { key_count, bytes } = summary.types.sum();
        let lists = [RankBy::KeyCount, RankBy::Bytes]
            .map(|rank_by| leading_prefixes(summary, rank_by, options.prefixes));
        let lasting = lasting_prefixes(summary, options.prefixes);
        let prefix_exactness = prefix_exactness(summary, &lists, &lasting);
        let [by_number, by_bytes] = lists;
        let inputs = summary.inputs.clone();
        Self {
            total_num: key_count,
            total_bytes: bytes,
            type_num: (summary.types.iter())
                .map(|(t, total)| TypeNum { r#type: t.to_string(), num: total.key_count })
                .collect(),
            type_bytes: (summary.types.iter())
                .map(|(t, total)| TypeBytes { r#type: t.to_string(), bytes: total.bytes })
                .collect(),
            largest_keys: summary.largest.sorted().into_iter().map(LargestKey::new).collect(),
            largest_key_prefixes: by_number.iter().flatten().map(LargestKeyPrefix::new).collect(),
            complete: !inputs.is_empty() && inputs.iter().all(|input| input.complete),
            checksum: inputs.iter().map(|i| i.checksum).max().unwrap_or(ChecksumState::Unknown),
            damaged: summary.damaged.clone(),
            damaged_num: summary.damaged_count,
            largest_key_prefixes_by_bytes: (by_bytes.iter().flatten())
                .map(LargestKeyPrefix::new)
                .collect(),
            key_prefixes_without_expiry: lasting.iter().map(LastingKeyPrefix::new).collect(),
            prefix_tree: (summary.prefixes.branches(PrefixNode::COUNT_MAX).iter())
                .map(PrefixNode::new)
                .collect(),
            prefix_exactness,
            expired_num: summary.spread.expired.key_count,
            expired_bytes: summary.spread.expired.bytes,
            spread: SpreadReport::new(&summary.spread),
            inputs,
        }
    }
}

/// The leading prefixes of each type.
fn leading_prefixes(summary: &Summary, rank_by: RankBy, limit: usize) -> Vec<Vec<Prefix>> {
    (summary.object_types().into_iter())
        .map(|object_type| summary.prefixes.leading(object_type, rank_by, limit))
        .collect()
}

/// The prefixes of all types that lead by bytes without an expiry.
fn lasting_prefixes(summary: &Summary, limit: usize) -> Vec<Prefix> {
    let mut prefixes: Vec<Prefix> = (summary.object_types().into_iter())
        .flat_map(|object_type| summary.prefixes.lasting(object_type, limit))
        .collect();
    prefixes.sort_by_key(|p| Reverse((p.counts.lasting_bytes, p.counts.lasting_count)));
    prefixes.truncate(limit);
    prefixes
}

/// Holds the lists against what a prefix that was dropped can have.
fn prefix_exactness(
    summary: &Summary,
    lists: &[Vec<Vec<Prefix>>; 2],
    lasting: &[Prefix],
) -> PrefixExactness {
    let prefixes = &summary.prefixes;
    let floors: Vec<_> =
        prefixes.floors().filter(|(_, floor)| *floor != Floor::default()).collect();
    let counts_exact = floors.is_empty() || (prefixes.is_frozen() && !summary.prefixes_changed);
    let [by_number, by_bytes] = lists;
    let last = |list: &[Vec<Prefix>], object_type, measure: fn(&Prefix) -> u64| {
        let of_type = |p: &&Prefix| p.object_type == object_type;
        list.iter().flatten().filter(of_type).map(measure).next_back().unwrap_or(0)
    };
    let is_proven = |(object_type, floor): &(_, Floor)| {
        last(by_number, *object_type, |p| p.counts.key_count) > floor.key_count
            && last(by_bytes, *object_type, |p| p.counts.bytes) > floor.bytes
    };
    let least_lasting = lasting.last().map_or(0, |p| p.counts.lasting_bytes);
    PrefixExactness {
        counts_exact,
        lists_complete: counts_exact && floors.iter().all(is_proven),
        without_expiry_complete: counts_exact
            && floors.iter().all(|(_, floor)| least_lasting > floor.bytes),
        unlisted_at_most: (floors.iter())
            .map(|(t, floor)| UnlistedPrefix {
                r#type: t.to_string(),
                num: floor.key_count,
                bytes: floor.bytes,
            })
            .collect(),
    }
}

impl LargestKey {
    fn new(large: &Large) -> Self {
        let text = std::str::from_utf8(&large.key).ok();
        let is_cut = large.key_len > large.key.len() as u64;
        Self {
            key: String::from_utf8_lossy(&large.key).into_owned(),
            key_base64: text.is_none().then(|| BASE64.encode(&large.key)),
            key_len: is_cut.then_some(large.key_len),
            r#type: large.object_type.to_string(),
            bytes: large.size,
            num_of_elem: large.num_of_elem,
            db: large.db,
            encoding: large.encoding.to_string(),
            expire_at_ms: large.expire_at_ms,
            idle_seconds: large.idle_seconds,
            freq: large.freq,
            memory_usage: large.memory_usage,
            serialized_bytes: large.serialized_bytes,
        }
    }
}

impl LargestKeyPrefix {
    pub(crate) fn new(prefix: &Prefix) -> Self {
        let (key_prefix, key_prefix_base64) = prefix_text(prefix);
        Self {
            key_prefix,
            key_prefix_base64,
            r#type: prefix.object_type.to_string(),
            bytes: prefix.counts.bytes,
            num: prefix.counts.key_count,
        }
    }
}

/// A prefix as text, and in base64 where that is not exact.
fn prefix_text(prefix: &Prefix) -> (String, Option<String>) {
    let text = std::str::from_utf8(&prefix.text).ok();
    let is_cut = prefix.text_len > prefix.text.len() as u64;
    (
        String::from_utf8_lossy(&prefix.text).into_owned(),
        (text.is_none() || is_cut).then(|| BASE64.encode(&prefix.text)),
    )
}

/// How far the lists of prefixes are proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrefixExactness {
    /// Whether the numbers and bytes of the listed prefixes are exact.
    pub counts_exact: bool,
    /// Whether no other prefix can belong in the lists by type.
    pub lists_complete: bool,
    /// Whether no other prefix can belong in the list of those without expiry.
    #[serde(default)]
    pub without_expiry_complete: bool,
    /// Where memory did not hold all prefixes: what one that is not listed can have at most.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unlisted_at_most: Vec<UnlistedPrefix>,
}

/// What a prefix of a type that is not listed can have at most; where counts are not exact,
/// listed ones can have so much more than they show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnlistedPrefix {
    /// What `TYPE` answers.
    pub r#type: String,
    /// Keys.
    pub num: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Number of keys of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TypeNum {
    /// What `TYPE` answers.
    pub r#type: String,
    /// Keys.
    pub num: u64,
}

/// Memory of the keys of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TypeBytes {
    /// What `TYPE` answers.
    pub r#type: String,
    /// Bytes.
    pub bytes: u64,
}

/// One of the largest keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LargestKey {
    /// The name as text; bytes that are not UTF-8 are replaced, see `key_base64`.
    pub key: String,
    /// The exact bytes in base64 where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_base64: Option<String>,
    /// Length of the whole name in bytes where `key` holds only its beginning.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_len: Option<u64>,
    /// What `TYPE` answers.
    pub r#type: String,
    /// Size that ranks it, by default the memory it takes, in bytes.
    pub bytes: u64,
    /// Elements; for strings the length in bytes.
    pub num_of_elem: u64,
    /// Database.
    pub db: u64,
    /// What `OBJECT ENCODING` answers once loaded.
    pub encoding: String,
    /// Expiry in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expire_at_ms: Option<i64>,
    /// Seconds since the last access, where the file has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub idle_seconds: Option<u64>,
    /// Access counter, where the file has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub freq: Option<u8>,
    /// What `MEMORY USAGE key SAMPLES 0` would say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_usage: Option<u64>,
    /// Length of the value in the file in bytes.
    pub serialized_bytes: u64,
}

/// One of the leading prefixes of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LargestKeyPrefix {
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
}

/// What is known of a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChecksumState {
    /// It equals that of the bytes.
    Right,
    /// The RDB version has none.
    Absent,
    /// The server wrote the file with checksums switched off.
    Disabled,
    /// `--no-checksum` was given.
    Skipped,
    /// The end of the file was not reached.
    Unknown,
    /// It differs from that of the bytes.
    Wrong,
}

/// A key whose value is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DamagedKey {
    /// The input it is in.
    pub file: String,
    /// Database.
    pub db: u64,
    /// The name as text, cut to 256 bytes.
    pub key: String,
    /// The same bytes in base64 where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_base64: Option<String>,
    /// What `TYPE` would answer.
    pub r#type: String,
    /// Byte offset in the input.
    pub offset: u64,
    /// What was expected and what was found.
    pub reason: String,
    /// Length of the value in the file in bytes.
    pub serialized_bytes: u64,
}

/// Where reading an input stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Byte offset in the input.
    pub offset: u64,
    /// Database and first bytes of the name of the key that was being read.
    pub key: Option<(u64, Vec<u8>)>,
}

/// Memory of a server beside its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Overhead {
    /// What takes it, such as `keys table`.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
}

/// What is known of one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InputInfo {
    /// Its name as given.
    pub file: String,
    /// RDB version, if the header could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rdb_version: Option<u16>,
    /// `redis` or `valkey`: which server wrote it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub flavor: Option<String>,
    /// Version of the server that wrote it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server_version: Option<String>,
    /// Version whose memory was modelled, such as `redis-7.2`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<String>,
    /// When it was written, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_at_ms: Option<i64>,
    /// Memory the server used when it wrote the file, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub used_mem: Option<u64>,
    /// State of its checksum.
    pub checksum: ChecksumState,
    /// Whether it was read to its end without damage.
    pub complete: bool,
    /// Bytes read.
    pub bytes_read: u64,
    /// Length of the input, where it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes_total: Option<u64>,
    /// Keys read, without the damaged ones.
    pub num: u64,
    /// Damaged keys.
    #[serde(default)]
    pub damaged_num: u64,
    /// Memory of its keys, whatever size ranks them.
    #[serde(default)]
    pub bytes: u64,
    /// Memory beside the keys: tables of the databases, functions. With `bytes` it makes up
    /// what loading the file costs; the rest of `used_mem` is the server itself, buffers of
    /// clients and replication, and room that a live server has and a loaded one has not.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub overhead: Vec<Overhead>,
    /// Bytes of function libraries' code.
    #[serde(skip)]
    pub(crate) functions_len: u64,
    /// Whether it stopped for a reason that may pass, such as a lost connection.
    #[serde(skip)]
    pub error_may_pass: bool,
    /// Why reading stopped: file, byte offset, key, reason; as the command line prints it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Where in the file that was, for programs.
    #[serde(skip)]
    pub stopped: Option<Stopped>,
    /// Things worth knowing that are not errors, such as bytes after the end.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}
