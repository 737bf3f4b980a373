//! What of values is still to be checked once they were passed: compressed strings, of which
//! many at once are checked in half the time, and packed blobs of which nobody wants the items.
//!
//! All of it stands in blocks of the input, which it shares, so that another thread can do the
//! checking while the reader goes on.

use std::ops::Range;
use std::sync::Arc;

use prefetch_index::prefetch_index;

use crate::entry::Packed;
use crate::error::{Damage, PackedError};
use crate::lzf::{self, Payload};
use crate::packed::{listpack, ziplist};
use crate::source::{Fault, Padded, Slice};
use crate::value::{Columns, Unique, check_items, is_right};

/// What is still to be checked of the values that [`Reader::value_unchecked`] has read.
///
/// [`Reader::value_unchecked`]: crate::Reader::value_unchecked
#[derive(Debug, Default)]
pub struct Unchecked {
    /// Whole blocks, and how many strings and blobs there were at the end of each.
    blocks: Vec<(Arc<[u8]>, usize, usize)>,
    strings: Vec<Pending<PassedString>>,
    blobs: Vec<Pending<(Range<usize>, Blob)>>,
    /// Damage found already, with the numbers of the values; one for each value.
    damage: Vec<(u64, Damage)>,
}

/// Something in a block that waits for its check.
#[derive(Debug)]
struct Pending<T> {
    what: T,
    /// Offset in the file.
    at: u64,
    value_number: u64,
}

/// A compressed string whose text nobody wants.
#[derive(Debug)]
pub(crate) struct PassedString {
    /// Where it stands in its block.
    pub(crate) place: Range<usize>,
    /// What it expands to.
    pub(crate) len: u64,
}

impl PassedString {
    fn within<'b>(&self, block: &'b [u8]) -> Payload<'b> {
        let padded = block.get(self.place.start..).unwrap_or_default();
        Payload { padded, bytes_len: self.place.len(), len: self.len }
    }
}

/// A listpack or ziplist of whose items nobody wants to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blob {
    /// Which of the two it is.
    pub(crate) kind: Packed,
    /// What it expands to, if it is compressed.
    pub(crate) expanded_len: Option<usize>,
    /// What its entries are.
    pub(crate) columns: Columns,
    /// Entries it says it has.
    pub(crate) stated: u64,
}

impl Unchecked {
    /// Pieces from which on they had better be checked: the blocks they share are in memory.
    const BLOCKS: usize = 4;
    const COUNT: usize = 4096;
    /// How many times as much a single value may have before it is checked as it is read.
    const SPARE: usize = 2;

    /// Whether it is time to have all this checked.
    pub fn is_much(&self) -> bool {
        self.exceeds(1)
    }

    /// Whether nothing more may wait.
    pub(crate) fn is_full(&self) -> bool {
        self.exceeds(Self::SPARE)
    }

    fn exceeds(&self, times: usize) -> bool {
        self.blocks.len() >= times * Self::BLOCKS
            || self.strings.len() + self.blobs.len() >= times * Self::COUNT
    }

    pub(crate) fn push_string(&mut self, string: PassedString, at: u64, value_number: u64) {
        self.strings.push(Pending { what: string, at, value_number });
    }

    pub(crate) fn push_blob(
        &mut self,
        place: Range<usize>,
        blob: Blob,
        at: u64,
        value_number: u64,
    ) {
        self.blobs.push(Pending { what: (place, blob), at, value_number });
    }

    /// Takes note that what was pushed since the last block stands in this one.
    pub(crate) fn end_block(&mut self, block: &Arc<[u8]>) {
        let ends = self.blocks.last().map_or((0, 0), |(_, strings, blobs)| (*strings, *blobs));
        let now = (self.strings.len(), self.blobs.len());
        if ends != now {
            self.blocks.push((Arc::clone(block), now.0, now.1));
        }
    }

    /// Whether there is damage of this value among that found so far.
    pub(crate) fn is_damaged(&self, value_number: u64) -> bool {
        self.damage.last().is_some_and(|(number, _)| *number == value_number)
    }

    /// Hands out the damage found in the value read last.
    pub(crate) fn take_damage(&mut self, value_number: u64) -> Option<Damage> {
        let (_, damage) = self.damage.pop_if(|(number, _)| *number == value_number)?;
        Some(damage)
    }
}

/// Checks what had to wait; its buffers are used again.
#[derive(Debug, Default)]
pub struct Checker {
    /// Expanded form of a compressed blob.
    scratch: Vec<u8>,
    unique: Unique,
}

impl Checker {
    /// Checks all, which is nothing then, and tells what damage there is: the number of each
    /// value with the first damage in it that had to wait, in the order of the file.
    pub fn check(&mut self, unchecked: &mut Unchecked) -> Vec<(u64, Damage)> {
        self.find(unchecked);
        std::mem::take(&mut unchecked.damage)
    }

    /// Checks all; what is found stays there.
    pub(crate) fn find(&mut self, unchecked: &mut Unchecked) {
        let Unchecked { blocks, strings, blobs, damage } = unchecked;
        if blocks.is_empty() {
            return;
        }
        let damage_count = damage.len();
        find_in_strings(blocks, strings, damage);
        let mut start = 0;
        for (block, _, end) in blocks.drain(..) {
            let blobs = blobs.get(start..end).unwrap_or_default();
            for (number, blob) in blobs.iter().enumerate() {
                if let Some(next) = blobs.get(number + BLOBS_AHEAD) {
                    let (place, blob) = &next.what;
                    bring(&block, blob.begin_of_walk(place));
                }
                let Pending { what: (place, what), at, value_number } = blob;
                if let Err(found) = self.check_blob(&block, place, *what, *at) {
                    damage.push((*value_number, found));
                }
            }
            start = end;
        }
        strings.clear();
        blobs.clear();
        if damage.len() > damage_count {
            // Strings come before blobs, and the lanes overtake each other.
            damage.sort_by_key(|(number, damage)| (*number, damage.at));
            damage.dedup_by_key(|(number, _)| *number);
        }
    }

    /// Checks a blob that has this place in `block` and begins at `at` of the file.
    fn check_blob(
        &mut self,
        block: &[u8],
        place: &Range<usize>,
        blob: Blob,
        at: u64,
    ) -> Result<(), Damage> {
        let Self { scratch, unique } = self;
        let padded = block.get(place.start..).unwrap_or_default();
        match blob.expanded_len {
            None => blob
                .walk(padded, place.len(), unique)
                .map_err(|error| Damage { at: at.saturating_add(error.at), reason: error.reason }),
            Some(len) => lzf::expand_padded(padded, place.len(), len, scratch)
                .and_then(|expanded| blob.walk(expanded, len, unique))
                .map_err(|error| error.in_expanded(at)),
        }
    }
}

/// How many strings and blobs before their turn they are fetched from where another core left them,
/// and how many bytes of each: more follow by themselves.
const STRINGS_AHEAD: usize = 6;
const STRING_LEN_MAX: usize = 256;
const BLOBS_AHEAD: usize = 2;
const BLOB_LEN_MAX: usize = 512;

/// Has what stands in `place` fetched while other things are done.
fn bring(block: &[u8], place: Range<usize>) {
    const LINE_LEN: usize = 64;
    let end = place.end;
    for at in place.step_by(LINE_LEN) {
        prefetch_index(block, at);
    }
    prefetch_index(block, end);
}

/// Checks strings side by side, whichever of the blocks they are in.
fn find_in_strings(
    blocks: &[(Arc<[u8]>, usize, usize)],
    strings: &[Pending<PassedString>],
    damage: &mut Vec<(u64, Damage)>,
) {
    let mut start = 0;
    let payloads = blocks.iter().flat_map(|(block, end, _)| {
        let strings = strings.get(start..*end).unwrap_or_default();
        start = *end;
        strings.iter().enumerate().map(move |(number, string)| {
            if let Some(next) = strings.get(number + STRINGS_AHEAD) {
                let Range { start, end } = next.what.place;
                bring(block, start..end.min(start + STRING_LEN_MAX));
            }
            string.what.within(block)
        })
    });
    lzf::check_all(payloads, |number| {
        let block = blocks.iter().find(|(_, end, _)| number < *end);
        let (Some((block, ..)), Some(string)) = (block, strings.get(number)) else { return };
        let PassedString { place, len } = &string.what;
        let bytes = block.get(place.clone()).unwrap_or_default();
        if let Err(Fault::Damage(error)) = lzf::check(&mut Slice(bytes), *len) {
            damage.push((string.value_number, error.in_expanded(string.at)));
        }
    });
}

impl Blob {
    /// What is looked at first of the blob in `place`: its end, unless it is to be expanded.
    fn begin_of_walk(&self, place: &Range<usize>) -> Range<usize> {
        let Range { start, end } = *place;
        match self.expanded_len {
            Some(_) => start..end.min(start + BLOB_LEN_MAX),
            None => start.max(end.saturating_sub(BLOB_LEN_MAX))..end,
        }
    }

    /// Walks the blob that begins `bytes` and has `len` of them.
    fn walk(&self, bytes: &[u8], len: usize, unique: &mut Unique) -> Result<(), PackedError> {
        if self.is_right(bytes, len, unique) {
            return Ok(());
        }
        let mut source = Padded::new(bytes, len);
        self.columns.begin(unique, &source, Some(self.stated));
        match check_items(self.kind, &mut source, self.columns, unique) {
            Ok(_) => Ok(()),
            Err(Fault::Damage(error)) => Err(error),
            // Bytes in memory do not fail.
            Err(Fault::Stop(error)) => Err(PackedError::new(0, error.reason())),
        }
    }

    /// Whether the blob is right and that is told from its end.
    fn is_right(&self, bytes: &[u8], len: usize, unique: &mut Unique) -> bool {
        let Self { kind, columns, stated, .. } = *self;
        match kind {
            Packed::Listpack => listpack::FromEnd::new(bytes, len)
                .is_some_and(|blob| is_right(blob, stated, columns, unique)),
            Packed::Ziplist => ziplist::FromEnd::new(bytes, len)
                .is_some_and(|blob| is_right(blob, stated, columns, unique)),
            Packed::Zipmap | Packed::Intset => false,
        }
    }
}
