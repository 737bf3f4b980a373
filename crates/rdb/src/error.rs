//! Errors that a user can act on: offset, database, key, what was read, what was found.

use std::fmt;

use crate::types::RdbType;

/// What went wrong, in a class a program can decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The source failed, not the file's content.
    Io,
    /// The file ends where more was announced.
    Truncated,
    /// The bytes contradict the format.
    Corrupt,
    /// A version, type or opcode that this reader does not know.
    Unsupported,
    /// A limit of [`crate::Limits`] was passed.
    Limit,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Io => "cannot read",
            ErrorKind::Truncated => "truncated",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Limit => "over a limit",
        })
    }
}

/// Why reading stopped. After it nothing more can be read from the file.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    at: u64,
    reason: String,
    context: Option<Context>,
    source: Option<std::io::Error>,
}

/// The key being read when an error came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Database.
    pub db: u64,
    /// First bytes of the key's name, at most [`Context::KEY_LEN_MAX`].
    pub key: Vec<u8>,
    /// How its value is written.
    pub rdb_type: RdbType,
}

impl Context {
    /// Longest part of a key's name that a message carries.
    pub const KEY_LEN_MAX: usize = 256;

    pub(crate) fn new(db: u64, key: &[u8], rdb_type: RdbType) -> Self {
        let cut = key.get(..Self::KEY_LEN_MAX).unwrap_or(key);
        Self { db, key: cut.to_vec(), rdb_type }
    }
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, at: u64, reason: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, at, reason: reason.into(), context: None, source: None }))
    }

    #[cold]
    pub(crate) fn corrupt(at: u64, reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, at, reason)
    }

    #[cold]
    pub(crate) fn from_io(at: u64, source: std::io::Error) -> Self {
        let mut error = Self::new(ErrorKind::Io, at, source.to_string());
        error.0.source = Some(source);
        error
    }

    /// Adds the key being read; the innermost context stays.
    pub(crate) fn within(mut self, context: impl FnOnce() -> Context) -> Self {
        self.0.context.get_or_insert_with(context);
        self
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Offset in the file of the byte that could not be read or understood.
    pub fn at(&self) -> u64 {
        self.0.at
    }

    /// What was expected and what was found.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Of [`ErrorKind::Io`], what the source said.
    pub fn io(&self) -> Option<&std::io::Error> {
        self.0.source.as_ref()
    }

    /// The key being read, if any.
    pub fn context(&self) -> Option<&Context> {
        self.0.context.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, at, reason, context, .. } = &*self.0;
        write!(f, "{kind} at byte {at}: ")?;
        if let Some(Context { db, key, rdb_type }) = context {
            write!(f, "db {db}, key {}, {rdb_type}: ", Quoted(key))?;
        }
        f.write_str(reason)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}

/// Damage inside one value whose end is known: it costs that key and reading goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Offset in the file where the damage shows; inside a compressed blob, of its start.
    pub at: u64,
    /// What was expected and what was found.
    pub reason: String,
}

/// Damage as a packed decoder sees it: it knows its blob and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedError {
    /// Offset in the blob.
    pub at: u64,
    /// What was expected and what was found.
    pub reason: String,
}

impl PackedError {
    #[cold]
    pub(crate) fn new(at: u64, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }

    /// Damage of a compressed payload that begins at `at`: offsets inside its expanded form
    /// are not offsets of the file.
    #[cold]
    pub(crate) fn in_expanded(self, at: u64) -> Damage {
        let reason = format!("{}, at byte {} of the expanded form", self.reason, self.at);
        Damage { at, reason }
    }
}

/// Prints a key's name in double quotes as `redis-cli` does: no byte outside printable
/// ASCII leaves as it is.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for byte in self.0 {
            match byte {
                b'"' => f.write_str("\\\"")?,
                b'\\' => f.write_str("\\\\")?,
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                0x20..=0x7e => write!(f, "{}", char::from(*byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_place_key_and_reason() {
        let error = Error::corrupt(73_014_448, "field of 300 bytes, 12 left in the blob")
            .within(|| Context::new(0, b"user:\x1b[1m", RdbType::HashListpack));
        assert_eq!(
            error.to_string(),
            "corrupt at byte 73014448: db 0, key \"user:\\x1b[1m\", hash-listpack: \
             field of 300 bytes, 12 left in the blob"
        );
    }

    #[test]
    fn long_key_is_cut_in_messages() {
        assert_eq!(Context::new(0, &[b'k'; 1000], RdbType::String).key.len(), 256);
    }
}
