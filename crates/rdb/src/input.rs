//! The input as one stream of bytes: offset, look-ahead, checksum.

use std::mem;

use crate::block::{Block, Blocks, HEADROOM};
use crate::error::{Damage, Error, ErrorKind};
use crate::lzf::{self, Payload};
use crate::source::{Fault, Slice};

/// Bytes of the source, in order, with those just ahead in one piece.
#[derive(Debug)]
pub(crate) struct Input<B> {
    blocks: B,
    block: Block,
    /// The block before, for the checksum of bytes copied from it.
    before: Block,
    /// The one before that, to be filled again.
    spare: Block,
    /// Next byte in `block.buf`; below [`HEADROOM`] while copied bytes are left.
    pos: usize,
    /// Offset in the file of the first byte of the block's data.
    data_at: u64,
    /// Whether the source has ended behind the current block.
    ended: bool,
    /// First damage found inside the current value.
    damage: Option<Damage>,
    /// Number of the current value among those of the file.
    value_number: u64,
    /// Compressed strings of the current block that are still to be checked: many at once are
    /// checked faster than one by one.
    unchecked: Vec<Unchecked>,
    /// Room for what of them is to be looked at.
    payloads: Vec<Payload>,
    /// Damage found in them, with the numbers of their values; one for each value.
    late: Vec<(u64, Damage)>,
    /// Room for a short string that is compressed in the file.
    pub(crate) short: Vec<u8>,
}

/// A compressed string that is still to be checked.
#[derive(Debug)]
struct Unchecked {
    payload: Payload,
    /// Offset in the file.
    at: u64,
    value_number: u64,
}

impl<B: Blocks> Input<B> {
    /// Compressed strings that may wait to be checked.
    const UNCHECKED_MAX: usize = 1024;

    /// Most bytes that [`Input::peek`] can show.
    pub(crate) const PEEK_MAX: usize = HEADROOM;

    pub(crate) fn new(blocks: B) -> Self {
        Self {
            blocks,
            block: Block::none(),
            before: Block::none(),
            spare: Block::none(),
            pos: HEADROOM,
            data_at: 0,
            ended: false,
            damage: None,
            value_number: 0,
            unchecked: Vec::new(),
            payloads: Vec::new(),
            late: Vec::new(),
            short: Vec::new(),
        }
    }

    /// Offset in the file of the next byte.
    pub(crate) fn at(&self) -> u64 {
        // Copied bytes came before `data_at`, so the sum never goes below zero.
        self.data_at + self.pos as u64 - HEADROOM as u64
    }

    /// The bytes at hand, as many as they are.
    #[inline]
    pub(crate) fn rest(&self) -> &[u8] {
        self.block.buf.get(self.pos..self.block.end).unwrap_or_default()
    }

    /// The bytes at hand, at least `want` of them unless the input ends before.
    ///
    /// `want` must not be above [`Input::PEEK_MAX`].
    #[inline]
    pub(crate) fn peek_some(&mut self, want: usize) -> Result<&[u8], Error> {
        if self.block.end - self.pos < want {
            self.refill(want)?;
        }
        Ok(self.rest())
    }

    /// Exactly the next `want` bytes, at most [`Input::PEEK_MAX`].
    #[inline]
    pub(crate) fn peek(&mut self, want: usize) -> Result<&[u8], Error> {
        if self.block.end - self.pos < want {
            self.refill(want)?;
        }
        match self.rest().get(..want) {
            // Asked again, since a borrow that is returned cannot be given up for the error.
            Some(_) => Ok(self.rest().get(..want).unwrap_or_default()),
            None => Err(self.truncated(want as u64)),
        }
    }

    /// Passes `len` bytes that were peeked at.
    #[inline]
    pub(crate) fn consume(&mut self, len: usize) {
        debug_assert!(self.pos + len <= self.block.end, "only peeked bytes are consumed");
        self.pos += len;
    }

    /// Passes `head_len` and then `len` bytes that were peeked at, and hands out the latter.
    #[inline]
    pub(crate) fn pass(&mut self, head_len: usize, len: usize) -> &[u8] {
        let start = self.pos + head_len;
        self.consume(head_len + len);
        self.block.buf.get(start..start + len).unwrap_or_default()
    }

    /// Takes the next `len` bytes, at most [`Input::PEEK_MAX`].
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&[u8], Error> {
        self.peek(len)?;
        let start = self.pos;
        self.pos += len;
        Ok(self.block.buf.get(start..self.pos).unwrap_or_default())
    }

    /// Takes the next `N` bytes by value.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.peek(N)?.first_chunk() {
            Some(bytes) => {
                let bytes = *bytes;
                self.pos += N;
                Ok(bytes)
            }
            None => Err(self.truncated(N as u64)),
        }
    }

    /// Takes one byte.
    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Passes `len` bytes by.
    pub(crate) fn skip(&mut self, len: u64) -> Result<(), Error> {
        let mut left = len;
        loop {
            let at_hand = (self.block.end - self.pos) as u64;
            if left <= at_hand {
                // Fits: it is not more than what is at hand.
                self.pos += usize::try_from(left).unwrap_or(usize::MAX);
                return Ok(());
            }
            left -= at_hand;
            self.pos = self.block.end;
            self.refill(1)?;
            if self.block.end == self.pos {
                return Err(Error::new(
                    ErrorKind::Truncated,
                    self.at(),
                    format!("{len} bytes announced, {} left in the file", len - left),
                ));
            }
        }
    }

    /// Checksum of all bytes taken so far; 0 where none is computed.
    pub(crate) fn crc(&self) -> u64 {
        match self.block.buf.get(HEADROOM..self.pos) {
            Some(taken) => crate::crc64::update(self.block.crc_before, taken),
            None => {
                // Still among the bytes copied from the end of the block before.
                let not_taken = HEADROOM - self.pos;
                let data = self.before.data();
                let taken = data.get(..data.len() - not_taken).unwrap_or_default();
                crate::crc64::update(self.before.crc_before, taken)
            }
        }
    }

    /// Notes damage inside the current value; only the first is kept.
    #[cold]
    pub(crate) fn note_damage(&mut self, at: u64, reason: impl Into<String>) {
        if !self.is_damaged() {
            self.damage = Some(Damage { at, reason: reason.into() });
        }
    }

    /// Tells whether the current value is damaged so far.
    #[cold]
    pub(crate) fn is_damaged(&mut self) -> bool {
        self.check_late();
        let late = self.late.last().is_some_and(|(number, _)| *number == self.value_number);
        late || self.damage.is_some()
    }

    /// Ends the current value; answers its number and its damage so far.
    pub(crate) fn end_value(&mut self) -> (u64, Option<Damage>) {
        self.value_number += 1;
        (self.value_number - 1, self.damage.take())
    }

    /// Counts `count` values that were passed, none of them damaged.
    pub(crate) fn pass_values(&mut self, count: u64) {
        self.value_number += count;
    }

    /// Forgets damage that concerns no value.
    pub(crate) fn forget_damage(&mut self) {
        self.damage = None;
    }

    /// Passes a compressed string of `compressed_len` bytes, at most [`Input::PEEK_MAX`],
    /// which expands to `len` if it is right.
    pub(crate) fn pass_unchecked(&mut self, compressed_len: usize, len: u64) -> Result<(), Error> {
        let at = self.at();
        self.peek(compressed_len)?;
        let payload = Payload { start: self.pos, end: self.pos + compressed_len, len };
        self.pos += compressed_len;
        self.unchecked.push(Unchecked { payload, at, value_number: self.value_number });
        if self.unchecked.len() == Self::UNCHECKED_MAX {
            self.check_late();
        }
        Ok(())
    }

    /// Checks the compressed strings that wait for it.
    pub(crate) fn check_late(&mut self) {
        if self.unchecked.is_empty() {
            return;
        }
        let Self { block, unchecked, payloads, late, .. } = self;
        payloads.clear();
        payloads.extend(unchecked.iter().map(|string| string.payload));
        lzf::check_all(&block.buf, payloads, |at| {
            let Some(string) = unchecked.get(at) else { return };
            let Payload { start, end, len } = string.payload;
            let bytes = block.buf.get(start..end).unwrap_or_default();
            if let Err(Fault::Damage(error)) = lzf::check(&mut Slice(bytes), len) {
                late.push((string.value_number, error.in_expanded(string.at)));
            }
        });
        unchecked.clear();
        // The lanes overtake each other.
        late.sort_by_key(|(number, damage)| (*number, damage.at));
        late.dedup_by_key(|(number, _)| *number);
    }

    /// Hands out the damage found in the strings of the value before.
    pub(crate) fn take_late_of(&mut self, value_number: u64) -> Option<Damage> {
        let (_, damage) = self.late.pop_if(|(number, _)| *number == value_number)?;
        Some(damage)
    }

    /// Hands out the damage found in strings that had to wait, in the order of their values.
    pub(crate) fn take_late(&mut self) -> Vec<(u64, Damage)> {
        self.check_late();
        mem::take(&mut self.late)
    }

    #[cold]
    pub(crate) fn truncated(&self, want: u64) -> Error {
        let left = self.rest().len();
        Error::new(
            ErrorKind::Truncated,
            self.at(),
            format!("{want} bytes expected, {left} left in the file"),
        )
    }

    /// Brings blocks until `want` bytes are at hand or the input ends. One block is enough
    /// unless a failure of the source cut it short, which the next one then reports.
    #[cold]
    fn refill(&mut self, want: usize) -> Result<(), Error> {
        assert!(want <= HEADROOM, "no more than the headroom can be seen in one piece");
        while !self.ended && self.block.end - self.pos < want {
            self.next_block()?;
        }
        Ok(())
    }

    /// Brings the next block, with the bytes at hand in front of its data.
    fn next_block(&mut self) -> Result<(), Error> {
        self.check_late();
        let used = mem::replace(&mut self.spare, Block::none());
        let mut next = self.blocks.next_block(used).map_err(|e| Error::from_io(self.at(), e))?;
        if next.data().is_empty() {
            self.ended = true;
            return Ok(());
        }
        let rest = self.block.buf.get(self.pos..self.block.end).unwrap_or_default();
        let start = HEADROOM - rest.len();
        if let Some(room) = next.buf.get_mut(start..HEADROOM) {
            room.copy_from_slice(rest);
        }
        self.data_at += self.block.data().len() as u64;
        let before = mem::replace(&mut self.block, next);
        self.spare = mem::replace(&mut self.before, before);
        self.pos = start;
        Ok(())
    }
}
