//! Limits: what the reader holds in memory, whatever a file claims.

/// What the reader is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether the file's checksum is computed and compared.
    pub checksum: bool,
    /// Whether versions newer than those known are tried.
    pub force: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { checksum: true, force: false }
    }
}

/// Bounds of what is held in memory.
#[derive(Debug)]
pub struct Limits;

impl Limits {
    /// Bytes of a key's name that are held; the rest of a longer one is passed by.
    pub const KEY_LEN_MAX: usize = 1 << 20;
    /// Bytes of an aux field's name or value that are held.
    pub const AUX_LEN_MAX: usize = 1 << 10;
    /// Bytes of a packed blob that are held in one piece; a bigger one is walked as it passes.
    pub const PACKED_LEN_MAX: usize = 1 << 20;
    /// Longest string a value may have: 512 MiB is the server's own maximum unless
    /// `proto-max-bulk-len` was raised, so that eight times as much is taken for damage.
    pub const STRING_LEN_MAX: u64 = 4 << 30;
    /// Newest Redis RDB version known (Redis 8.10).
    pub const REDIS_VERSION_MAX: u16 = 15;
    /// Valkey's own RDB version known (Valkey 9.0 and 9.1).
    pub const VALKEY_VERSION: u16 = 80;
    /// Hash templates whose field count is remembered.
    pub const TEMPLATES_MAX: usize = 1 << 16;
}
