//! Packed blobs: many elements in one string of bytes.
//!
//! Each decoder walks a [`Source`](crate::source::Source), checks all that a server checks
//! when it loads the blob, and hands out the entries. An entry's bytes are handed out if
//! they are few ([`Str::SHORT_LEN_MAX`](crate::Str)), else its length alone.

pub(crate) mod intset;
pub(crate) mod listpack;
pub(crate) mod ziplist;
pub(crate) mod zipmap;

use crate::entry::{Str, parse_int};
use crate::error::PackedError;
use crate::value::WINDOW_LEN;

/// Bytes that hold any short entry with all that surrounds it.
pub(crate) const ENTRY_PEEK: usize = 96;

/// An entry of a blob. Most are looked at by few, so that no more is known of it than had to
/// be found out to pass it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item<'a> {
    Int(i64),
    /// At most [`Str::SHORT_LEN_MAX`] bytes.
    Short(&'a [u8]),
    /// The length of a longer string.
    Long(u64),
}

impl<'a> Item<'a> {
    /// A string of `len` bytes that begins `bytes`, if all of it is there.
    #[inline]
    pub(crate) fn text(bytes: &'a [u8], len: u64) -> Self {
        let short = usize::try_from(len).ok().filter(|_| len <= Str::SHORT_LEN_MAX);
        short.and_then(|short| bytes.get(..short)).map_or(Self::Long(len), Self::Short)
    }

    #[inline]
    pub(crate) fn to_str(self) -> Str<'a> {
        match self {
            Self::Int(value) => Str::from_int(value),
            Self::Short(bytes) => Str::from_bytes(bytes),
            Self::Long(len) => Str::long(len),
        }
    }

    /// As [`Str::to_int`].
    #[inline]
    pub(crate) fn to_int(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value),
            Self::Short(bytes) => parse_int(bytes),
            Self::Long(_) => None,
        }
    }
}

/// Takes the entries of a blob one by one; the reason, if one cannot stand where it stands, ends
/// the walk.
pub(crate) trait Entries {
    /// Takes an entry.
    fn item(&mut self, item: Item<'_>) -> Result<(), &'static str>;

    /// Takes an entry of a common form.
    #[inline]
    fn common(&mut self, entry: &impl Common) -> Result<(), &'static str> {
        self.item(entry.item())
    }
}

impl<F: FnMut(Item<'_>) -> Result<(), &'static str>> Entries for F {
    #[inline]
    fn item(&mut self, item: Item<'_>) -> Result<(), &'static str> {
        self(item)
    }
}

/// An entry of a common form, which is right in itself: what most that walk a blob want to know
/// of it needs no decoding. It is an integer, or a text that follows a single byte of encoding.
pub(crate) trait Common {
    /// Encoding and data.
    fn bytes(&self) -> &[u8];

    /// What follows the first byte of these, whether it is of the entry or behind it.
    fn window(&self) -> &[u8; WINDOW_LEN];

    /// Whether it is an integer.
    fn is_int(&self) -> bool;

    /// The integer, if it is one.
    fn int(&self) -> i64;

    /// A text of no more bytes than the window has, as that window and its length.
    #[inline]
    fn short_text(&self) -> Option<(&[u8; WINDOW_LEN], usize)> {
        let len = self.bytes().len().checked_sub(1)?;
        (!self.is_int() && len <= WINDOW_LEN).then(|| (self.window(), len))
    }

    /// The entry, decoded.
    #[inline]
    fn item(&self) -> Item<'_> {
        match self.bytes() {
            [_, text @ ..] if !self.is_int() => Item::Short(text),
            _ => Item::Int(self.int()),
        }
    }
}

/// A blob in memory, walked from its end. Passed on by value: behind a reference, each step
/// would wait until the one before was written.
pub(crate) trait Backward: Copy {
    /// An entry of a common form.
    type Entry: Common;

    /// Passes the entry before those that were passed, if it is right and of a form that can be
    /// passed so.
    fn back(self) -> Option<(Passed<Self::Entry>, Self)>;

    /// Whether the first entry was passed.
    fn is_at_beginning(self) -> bool;
}

/// An entry that was passed on the way from a blob's end.
#[derive(Debug)]
pub(crate) enum Passed<E> {
    Common(E),
    /// One of another form, mostly a long text.
    Long,
}

/// A table of what a `const fn` says of each byte.
macro_rules! table_of {
    ($said:path) => {{
        let mut table = [0; 256];
        let mut byte: u8 = 0;
        loop {
            table[byte as usize] = $said(byte);
            if byte == u8::MAX {
                break table;
            }
            byte += 1;
        }
    }};
}
pub(crate) use table_of;

/// Takes one entry; the reason, if it cannot stand where it stands, ends the walk.
pub(crate) trait Each: FnMut(Item<'_>) -> Result<(), &'static str> {}

impl<F: FnMut(Item<'_>) -> Result<(), &'static str>> Each for F {}

/// The number of entries as a header says it in two bytes, of which the greatest means
/// "count them".
#[inline]
fn stated(low: u8, high: u8) -> Option<u64> {
    let count = u16::from_le_bytes([low, high]);
    (count != u16::MAX).then_some(u64::from(count))
}

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
