//! Packed blobs: many elements in one string of bytes.
//!
//! Each decoder walks a [`Source`](crate::source::Source), checks all that a server checks
//! when it loads the blob, and hands out the entries. An entry's bytes are handed out if
//! they are few ([`Str::SHORT_LEN_MAX`](crate::Str)), else its length alone.

pub(crate) mod intset;
pub(crate) mod listpack;
pub(crate) mod ziplist;
pub(crate) mod zipmap;

use crate::entry::Str;
use crate::error::PackedError;

/// Bytes that hold any short entry with all that surrounds it.
pub(crate) const ENTRY_PEEK: usize = 96;

/// Takes one entry; the reason, if it cannot stand where it stands, ends the walk.
pub(crate) trait Each: FnMut(Str<'_>) -> Result<(), &'static str> {}

impl<F: FnMut(Str<'_>) -> Result<(), &'static str>> Each for F {}

#[cold]
pub(crate) fn header_cut(kind: &str, len: u64) -> PackedError {
    PackedError::new(0, format!("{kind} of {len} bytes is shorter than its own header"))
}

#[cold]
pub(crate) fn wrong_total(kind: &str, stated: u64, len: u64) -> PackedError {
    PackedError::new(0, format!("{kind} of {len} bytes states a length of {stated}"))
}

#[cold]
pub(crate) fn wrong_count(kind: &str, stated: u64, found: u64) -> PackedError {
    PackedError::new(4, format!("{kind} states {stated} entries and holds {found}"))
}

#[cold]
pub(crate) fn entry_cut(kind: &str, at: u64, index: u64, left: u64) -> PackedError {
    PackedError::new(
        at,
        format!("{kind} entry {index} reaches beyond the {left} bytes left in the blob"),
    )
}

#[cold]
pub(crate) fn no_end(kind: &str, at: u64) -> PackedError {
    PackedError::new(at, format!("{kind} does not end with byte 0xff"))
}

#[cold]
pub(crate) fn bytes_after_end(kind: &str, at: u64, count: u64) -> PackedError {
    PackedError::new(at, format!("{kind} has {count} bytes after its end"))
}

#[cold]
pub(crate) fn refused(kind: &str, at: u64, index: u64, reason: &str) -> PackedError {
    PackedError::new(at, format!("{kind} entry {index}: {reason}"))
}
