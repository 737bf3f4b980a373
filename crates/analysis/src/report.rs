//! The report: sorted, cut and named, as it leaves in JSON.
//!
//! The field names of the first six members are those of the DCS API and of RDR.

use serde::{Deserialize, Serialize};

/// Result of an analysis of one or more inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Keys that had expired when the file was written; counted in the totals as well.
    pub expired_num: u64,
    /// Their bytes.
    pub expired_bytes: u64,
    /// The inputs, in the order given.
    pub inputs: Vec<InputInfo>,
}

impl Report {
    /// Most damaged keys that a report lists.
    pub const DAMAGED_MAX: usize = 1000;
}

/// Number of keys of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeNum {
    /// What `TYPE` answers.
    pub r#type: String,
    /// Keys.
    pub num: u64,
}

/// Memory of the keys of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeBytes {
    /// What `TYPE` answers.
    pub r#type: String,
    /// Bytes.
    pub bytes: u64,
}

/// One of the largest keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargestKey {
    /// The name as text; bytes that are not UTF-8 are replaced, see `key_base64`.
    pub key: String,
    /// The exact name in base64 where it is not UTF-8 or was cut.
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
    /// What `MEMORY USAGE key SAMPLES 0` would say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_usage: Option<u64>,
    /// Length of the value in the file in bytes.
    pub serialized_bytes: u64,
}

/// One of the leading prefixes of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// What is known of one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Keys read.
    pub num: u64,
    /// Why reading stopped: file, byte offset, key, reason; as the command line prints it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Things worth knowing that are not errors, such as bytes after the end.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}
