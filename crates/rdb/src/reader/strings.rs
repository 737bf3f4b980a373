//! Keys with plain string values, by far the most frequent ones: many of them in one loop over
//! the bytes at hand.

use std::ops::ControlFlow;

use super::{Pending, Reader};
use crate::block::Blocks;
use crate::entry::StringKey;
use crate::length::string_at_hand;
use crate::types::opcode;

/// The type byte of strings, in every version.
const STRING: u8 = 0;

impl<B: Blocks> Reader<B> {
    /// Reads keys of the commonest form, up to the first that is of another form or not all
    /// at hand, and hands them to `each` until that breaks off. [`Reader::next_entry`] reads
    /// what follows.
    ///
    /// The form is: an expiry in milliseconds or nothing, a name of less than 64 bytes, and a
    /// string that is an integer or not compressed and of less than 16 KiB. In such a key
    /// nothing can be damaged.
    pub fn strings_at_hand(&mut self, mut each: impl FnMut(StringKey<'_>) -> ControlFlow<()>) {
        if self.pending != Pending::Entry {
            return;
        }
        let bytes = self.input.rest();
        let (mut rest, mut count) = (bytes, 0);
        while let Some((key, after)) = string_key(rest) {
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

    /// Database of the keys at hand.
    pub fn db(&self) -> u64 {
        self.db
    }

    /// Slot of the keys at hand, where the file tells slots.
    pub fn slot(&self) -> Option<u64> {
        self.slot
    }
}

/// Decodes the key that begins `bytes`, if it is of the form; answers also what follows it.
#[inline]
fn string_key(bytes: &[u8]) -> Option<(StringKey<'_>, &[u8])> {
    let (expire_at_ms, bytes) = match bytes {
        [opcode::EXPIRETIME_MS, rest @ ..] => {
            let (time, rest) = rest.split_first_chunk()?;
            (Some(i64::from_le_bytes(*time)), rest)
        }
        _ => (None, bytes),
    };
    let [STRING, name_len @ 0..=0x3f, rest @ ..] = bytes else { return None };
    let padded = rest.first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from(*name_len))?;
    let (value, after) = string_at_hand(rest)?;
    let serialized_len = (rest.len() - after.len()) as u64;
    Some((StringKey { name, padded, expire_at_ms, value, serialized_len }, after))
}
