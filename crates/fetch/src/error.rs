//! Why bytes could not be brought.

use std::fmt;
use std::io;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nobody answers there, or the line broke.
    Unreachable,
    /// Nothing came for too long.
    TimedOut,
    /// The peer answered, and does not let us: password, permission, a command it lacks.
    Refused,
    /// The peer is there and cannot serve now: it loads its data or has lost its master.
    NotReady,
    /// The peer does not speak the protocol, or breaks it.
    Protocol,
    /// An address outside the allowed networks.
    NotAllowed,
    /// The object is not there.
    NotFound,
    /// The object is no longer the one that was opened.
    Changed,
    /// Nobody wants the bytes any more.
    Stopped,
    /// A local file, a certificate or a setting cannot be used.
    Local,
}

/// Bytes could not be brought; the text names the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    text: String,
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::Refused | ErrorKind::NotAllowed => io::ErrorKind::PermissionDenied,
            ErrorKind::Protocol => io::ErrorKind::InvalidData,
            // These three may pass, and the analysis takes them so.
            ErrorKind::Unreachable => io::ErrorKind::NotConnected,
            ErrorKind::NotReady | ErrorKind::Changed => io::ErrorKind::ResourceBusy,
            ErrorKind::Stopped | ErrorKind::Local => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// What a peer said, fit for a message: short, and no control character gets through.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    const LEN_MAX: usize = 120;
    let (shown, more) = match bytes.get(..LEN_MAX) {
        Some(head) if bytes.len() > LEN_MAX => (head, "..."),
        _ => (bytes, ""),
    };
    format!("\"{}{more}\"", shown.escape_ascii())
}
