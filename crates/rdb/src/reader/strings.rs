//! Keys with plain string values, by far the most frequent ones: many of them in one loop over
//! the bytes at hand.

use std::ops::ControlFlow;

use super::key_head::expiry;
use super::{Pending, Reader};
use crate::block::Blocks;
use crate::entry::{Str, StringKey};
use crate::length::string_at_hand;

/// The type byte of strings, in every version.
const STRING: u8 = 0;

impl<B: Blocks> Reader<B> {
    /// Reads keys of the commonest form, up to the first that is of another form or not all
    /// at hand, and hands them to `each` until that breaks off. [`Reader::next_entry`] reads
    /// what follows.
    ///
    /// The form is: an expiry in milliseconds or nothing, a name of less than 64 bytes, and a
    /// string that is an integer or of less than 16 KiB. In such a key nothing can be damaged
    /// but a compressed string, which waits to be checked as in [`Reader::value_unchecked`].
    pub fn strings_at_hand(&mut self, mut each: impl FnMut(StringKey<'_>) -> ControlFlow<()>) {
        if self.pending != Pending::Entry {
            return;
        }
        let (bytes, mut later) = self.input.rest_and_later();
        let (mut rest, mut count) = (bytes, 0);
        while let Some((key, compressed_len, after)) = string_key(rest) {
            if let Some(compressed_len) = compressed_len {
                if later.is_much() {
                    break;
                }
                later.string(bytes.len() - after.len(), compressed_len, key.value.len, count);
            }
            rest = after;
            count += 1;
            if each(key).is_break() {
                break;
            }
        }
        let len = bytes.len() - rest.len();
        self.input.consume(len);
        self.input.pass_values(count);
    }

    /// Number of the next value among those of the file, as [`ValueEnd::number`] counts.
    ///
    /// [`ValueEnd::number`]: crate::ValueEnd::number
    pub fn value_number(&self) -> u64 {
        self.input.value_number()
    }

    /// Database of the keys at hand.
    pub fn db(&self) -> u64 {
        self.db
    }

    /// Slot of the keys at hand, where the file tells slots.
    pub fn slot(&self) -> Option<u64> {
        self.slot
    }
}

/// Decodes the key that begins `bytes`, if it is of the form; answers also the length of its
/// compressed string and what follows it.
///
/// Always inlined: called, it answers through memory, and its caller waits for that.
#[inline(always)]
fn string_key(bytes: &[u8]) -> Option<(StringKey<'_>, Option<usize>, &[u8])> {
    let (expire_at_ms, bytes) = expiry(bytes)?;
    let [STRING, name_len @ 0..=0x3f, rest @ ..] = bytes else { return None };
    let padded = rest.first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from(*name_len))?;
    let (value, compressed_len, after) = match string_at_hand(rest) {
        Some((value, after)) => (value, None, after),
        None => {
            let (value, compressed_len, after) = lzf_at_hand(rest)?;
            (value, Some(compressed_len), after)
        }
    };
    let serialized_len = (rest.len() - after.len()) as u64;
    let is_compressed = compressed_len.is_some();
    let key = StringKey { name, padded, expire_at_ms, value, is_compressed, serialized_len };
    Some((key, compressed_len, after))
}

/// Passes the compressed string that begins `bytes`, if it is all there and its text is not
/// wanted; answers also its compressed length and what follows it.
#[inline]
fn lzf_at_hand(bytes: &[u8]) -> Option<(Str<'_>, usize, &[u8])> {
    let [0xc3, rest @ ..] = bytes else { return None };
    let (compressed_len, rest) = count_at_hand(rest)?;
    let (len, rest) = count_at_hand(rest)?;
    let after = rest.get(compressed_len..)?;
    let len = len as u64;
    (len > Str::SHORT_LEN_MAX).then_some((Str::long(len), compressed_len, after))
}

/// Decodes the length of one or two bytes that begins `bytes`.
#[inline]
fn count_at_hand(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [first @ 0..=0x3f, rest @ ..] => Some((usize::from(*first), rest)),
        [first @ 0x40..=0x7f, second, rest @ ..] => {
            Some((usize::from(first & 0x3f) << 8 | usize::from(*second), rest))
        }
        _ => None,
    }
}
