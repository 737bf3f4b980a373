//! What stands before a value, in its commonest form: read in one piece, for any type.

use super::{Pending, Reader};
use crate::block::Blocks;
use crate::entry::Key;
use crate::types::{RdbType, opcode};

/// A name of less than so many bytes is looked at with what follows it, in one piece.
const PADDED_LEN: usize = 64;

impl<B: Blocks> Reader<B> {
    /// As [`Reader::next_entry`], of a key whose record begins in the commonest form and is at
    /// hand so far: with an expiry in milliseconds or nothing, a type, and a name of less than 64
    /// bytes. Nothing if another entry or the value of the last one comes next.
    #[inline]
    pub fn key_at_hand(&mut self) -> Option<Key> {
        if self.pending != Pending::Entry {
            return None;
        }
        let at = self.input.at();
        let bytes = self.input.rest();
        let (expire_at_ms, [byte, name_len @ 0..=0x3f, rest @ ..]) = expiry(bytes)? else {
            return None;
        };
        let padded: &[u8; PADDED_LEN] = rest.first_chunk()?;
        let rdb_type = RdbType::from_byte(*byte, self.header.flavor)?;
        let name_len = usize::from(*name_len);
        // Copied in one length, which takes no call.
        self.key.clear();
        self.key.extend_from_slice(padded);
        self.key.truncate(name_len);
        let len = bytes.len() - rest.len() + name_len;
        self.input.consume(len);
        self.pending = Pending::Value(rdb_type);
        Some(Key {
            db: self.db,
            key_len: name_len as u64,
            rdb_type,
            expire_at_ms,
            idle_seconds: None,
            freq: None,
            slot: self.slot,
            meta_class_count: 0,
            at,
        })
    }
}

/// Decodes the expiry in milliseconds that begins `bytes`, if one does and is all there; answers
/// also what follows it.
#[inline(always)]
pub(super) fn expiry(bytes: &[u8]) -> Option<(Option<i64>, &[u8])> {
    match bytes {
        [opcode::EXPIRETIME_MS, rest @ ..] => {
            let (time, rest) = rest.split_first_chunk()?;
            Some((Some(i64::from_le_bytes(*time)), rest))
        }
        _ => Some((None, bytes)),
    }
}
