//! What an analysis is asked for.

use crate::memory::{Allocator, Config, Profile};

/// Which of a key's three sizes ranks keys and prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SizeKind {
    /// Memory the key really takes.
    #[default]
    Bytes,
    /// What `MEMORY USAGE key SAMPLES 0` would say.
    MemoryUsage,
    /// Length of the value in the file.
    Serialized,
}

impl SizeKind {
    /// This one of the three sizes of a key; what `MEMORY USAGE` does not tell is taken from
    /// the memory.
    #[inline]
    pub(crate) fn of(self, bytes: u64, memory_usage: Option<u64>, serialized_bytes: u64) -> u64 {
        match self {
            Self::Bytes => bytes,
            Self::MemoryUsage => memory_usage.unwrap_or(bytes),
            Self::Serialized => serialized_bytes,
        }
    }
}

/// Settings of an analysis; `Default` is what the command line does without options.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many keys the list of largest keys holds.
    pub top: usize,
    /// How many prefixes are listed for each type.
    pub prefixes: usize,
    /// Bytes that end a prefix.
    pub separators: Vec<u8>,
    /// Whether every digit of a key counts as `0` when prefixes are formed.
    pub fold_digits: bool,
    /// Whether the file's checksum is verified.
    pub checksum: bool,
    /// Server version whose memory is modelled; from the file if `None`.
    pub profile: Option<Profile>,
    /// Allocator of that server.
    pub allocator: Allocator,
    /// Its settings that decide how values are held.
    pub config: Config,
    /// Size that ranks.
    pub size: SizeKind,
    /// Whether RDB versions newer than those known are tried.
    pub force: bool,
    /// Bytes the table of prefixes may take; beyond it the leading prefixes are found with
    /// an error bound and then counted exactly in a second pass.
    pub prefix_memory: usize,
    /// Threads that read inputs side by side; one for each core if `None`.
    pub threads: Option<usize>,
    /// The present in milliseconds since 1970: keys that expired before the file was
    /// written are told by the file's own creation time; this is used where it has none.
    pub now_ms: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            top: 100,
            prefixes: 50,
            separators: b":;,_- ".to_vec(),
            fold_digits: true,
            checksum: true,
            profile: None,
            allocator: Allocator::default(),
            config: Config::default(),
            size: SizeKind::default(),
            force: false,
            prefix_memory: 12 << 20,
            threads: None,
            now_ms: 0,
        }
    }
}
