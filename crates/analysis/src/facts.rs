//! What is kept of one key while it is observed.

use std::ops::ControlFlow;

use offkey_rdb::ObjectType;

use crate::memory::Encoding;

/// One key: borrowed for the moment in which it is observed.
#[derive(Debug, Clone, Copy)]
pub struct KeyFacts<'a> {
    /// Database.
    pub db: u64,
    /// Name, at most [`offkey_rdb::Limits::KEY_LEN_MAX`] bytes of it.
    pub key: &'a [u8],
    /// Length of the whole name in bytes.
    pub key_len: u64,
    /// What `TYPE` answers.
    pub object_type: ObjectType,
    /// What `OBJECT ENCODING` answers once loaded.
    pub encoding: Encoding,
    /// Elements; for strings the length in bytes.
    pub num_of_elem: u64,
    /// Memory the key takes in the modelled server, in bytes.
    pub bytes: u64,
    /// What `MEMORY USAGE key SAMPLES 0` would say; none for module values.
    pub memory_usage: Option<u64>,
    /// Length of the value in the file in bytes.
    pub serialized_bytes: u64,
    /// Expiry in milliseconds since 1970.
    pub expire_at_ms: Option<i64>,
    /// Milliseconds it had left when the file was written; negative once expired.
    pub expires_in_ms: Option<i64>,
    /// Seconds since the last access, where the file has it.
    pub idle_seconds: Option<u64>,
    /// Access counter, where the file has it.
    pub freq: Option<u8>,
    /// Cluster slot, where the file tells slots.
    pub slot: Option<u64>,
    /// The size that ranks the key, one of the three.
    pub size: u64,
}

/// Hands keys to `each`, until that says false; breaks off then with the number of those it was
/// given.
pub(crate) fn each_of<'a>(
    keys: impl Iterator<Item = KeyFacts<'a>>,
    mut each: impl FnMut(&KeyFacts<'_>) -> bool,
) -> ControlFlow<usize> {
    for (facts, count) in keys.zip(1..) {
        if !each(&facts) {
            return ControlFlow::Break(count);
        }
    }
    ControlFlow::Continue(())
}
