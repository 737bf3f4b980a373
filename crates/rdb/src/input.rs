//! The input as one stream of bytes: offset, look-ahead, checksum.

use std::collections::VecDeque;
use std::mem;

use crate::block::{Block, Blocks, HEADROOM};
use crate::error::{Damage, Error, ErrorKind};
use crate::unchecked::{Blob, Checker, PassedString, Unchecked};

/// Bytes of the source, in order, with those just ahead in one piece.
#[derive(Debug)]
pub(crate) struct Input<B> {
    blocks: B,
    block: Block,
    /// The block before, for the checksum of bytes copied from it.
    before: Block,
    /// Those before that, oldest first, to be filled again once nobody shares them.
    used: VecDeque<Block>,
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
    /// What of the values so far is still to be checked; its last block is the current one.
    unchecked: Unchecked,
    checker: Checker,
    /// Room for a short string that is compressed in the file.
    pub(crate) short: Vec<u8>,
}

/// Notes what of the bytes at hand is to be checked later.
pub(crate) struct Later<'i> {
    unchecked: &'i mut Unchecked,
    /// Place of the first of the bytes in the block and in the file.
    pos: usize,
    at: u64,
    /// Number of the first value in them.
    value_number: u64,
}

impl Later<'_> {
    /// Notes a compressed string that ends so many bytes from the first one and belongs to
    /// the value after so many.
    #[inline]
    pub(crate) fn string(&mut self, end: usize, compressed_len: usize, len: u64, value: u64) {
        let start = end - compressed_len;
        let string = PassedString { place: self.pos + start..self.pos + end, len };
        self.unchecked.push_string(string, self.at + start as u64, self.value_number + value);
    }

    /// Whether what waits to be checked is much.
    #[inline]
    pub(crate) fn is_much(&self) -> bool {
        self.unchecked.is_much()
    }
}

impl<B: Blocks> Input<B> {
    /// Used blocks that may wait to be given up by those who share them.
    const USED_MAX: usize = 16;

    /// Most bytes that [`Input::peek`] can show.
    pub(crate) const PEEK_MAX: usize = HEADROOM;

    pub(crate) fn new(blocks: B) -> Self {
        Self {
            blocks,
            block: Block::none(),
            before: Block::none(),
            used: VecDeque::new(),
            pos: HEADROOM,
            data_at: 0,
            ended: false,
            damage: None,
            value_number: 0,
            unchecked: Unchecked::default(),
            checker: Checker::default(),
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

    /// The bytes at hand, and what notes which of them are to be checked later.
    #[inline]
    pub(crate) fn rest_and_later(&mut self) -> (&[u8], Later<'_>) {
        let at = self.at();
        let bytes = self.block.buf.get(self.pos..self.block.end).unwrap_or_default();
        let (unchecked, pos, value_number) = (&mut self.unchecked, self.pos, self.value_number);
        (bytes, Later { unchecked, pos, at, value_number })
    }

    /// Number of the next value among those of the file.
    pub(crate) fn value_number(&self) -> u64 {
        self.value_number
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
        self.unchecked.is_damaged(self.value_number) || self.damage.is_some()
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
        let string = PassedString { place: self.pos..self.pos + compressed_len, len };
        self.pos += compressed_len;
        self.unchecked.push_string(string, at, self.value_number);
        self.check_if_full();
        Ok(())
    }

    /// Has a blob checked later that was just taken, the last `len` bytes.
    pub(crate) fn passed_unchecked(&mut self, len: usize, blob: Blob) {
        let at = self.at() - len as u64;
        let place = self.pos - len..self.pos;
        self.unchecked.push_blob(place, blob, at, self.value_number);
        self.check_if_full();
    }

    fn check_if_full(&mut self) {
        if self.unchecked.is_full() {
            self.check_late();
        }
    }

    /// Checks what waits for it.
    pub(crate) fn check_late(&mut self) {
        self.unchecked.end_block(&self.block.buf);
        self.checker.find(&mut self.unchecked);
    }

    /// Hands out the damage found in the value before, all of which was checked.
    pub(crate) fn take_late_of(&mut self, value_number: u64) -> Option<Damage> {
        self.unchecked.take_damage(value_number)
    }

    /// Whether what waits to be checked is much.
    #[inline]
    pub(crate) fn has_much_unchecked(&self) -> bool {
        self.unchecked.is_much()
    }

    /// Hands out what waits to be checked; `empty` takes its place.
    pub(crate) fn swap_unchecked(&mut self, empty: &mut Unchecked) {
        self.unchecked.end_block(&self.block.buf);
        mem::swap(&mut self.unchecked, empty);
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
        self.unchecked.end_block(&self.block.buf);
        let used = self.take_used();
        let mut next = self.blocks.next_block(used).map_err(|e| Error::from_io(self.at(), e))?;
        if next.data().is_empty() {
            self.ended = true;
            return Ok(());
        }
        let rest = self.block.buf.get(self.pos..self.block.end).unwrap_or_default();
        let start = HEADROOM - rest.len();
        if let Some(room) = next.buf_mut().get_mut(start..HEADROOM) {
            room.copy_from_slice(rest);
        }
        self.data_at += self.block.data().len() as u64;
        let before = mem::replace(&mut self.block, next);
        let used = mem::replace(&mut self.before, before);
        if !used.buf.is_empty() {
            self.used.push_back(used);
        }
        self.pos = start;
        Ok(())
    }

    /// The oldest of the used blocks, if it can be filled again or too many wait for that.
    fn take_used(&mut self) -> Block {
        let is_free = self.used.front().is_some_and(|block| !block.is_shared());
        let block =
            if is_free || self.used.len() > Self::USED_MAX { self.used.pop_front() } else { None };
        block.unwrap_or_else(Block::none)
    }
}
