//! Arrays (Redis 8.8 on): slices of 4096 indexes, found through a directory. A slice with up
//! to ten values lists them, others have a window with a slot for every index in it.

use offkey_rdb::Part;

use super::model::Model;
use super::object::ObjectCost;
use super::{Cost, Encoding, LEN_MAX};

/// `sizeof` of the array's struct.
const ARRAY_LEN: u64 = 80;
const SLICE_LEN: u64 = 32;
/// Indexes of a slice.
const SLICE_INDEXES: u64 = 1 << 12;
/// Most values of a slice that lists them.
const SPARSE_MAX: u64 = 10;
/// Smallest window of a slice that does not.
const WINDOW_MIN: u64 = 8;
/// Slices that a flat directory may reach; beyond, a directory of such blocks.
const BLOCK_SLICES: u64 = 1 << 11;
const BLOCK_LEN: u64 = BLOCK_SLICES * 8;
/// An entry of the directory of blocks.
const BLOCK_ENTRY_LEN: u64 = 24;

/// Sizes an array while its parts pass.
#[derive(Debug, Default)]
pub(crate) struct ArraySizer {
    count: u64,
    strings: u64,
    slices: u64,
    slice: Option<Slice>,
    /// The block of the last slice and how many blocks there are.
    last_block: Option<u64>,
    blocks: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slice {
    id: u64,
    count: u64,
    /// First and last index of the window, as offsets in the slice.
    first: u64,
    last: u64,
    /// Slots of the window, once there is one.
    window: u64,
}

impl ArraySizer {
    pub(crate) fn begin(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn part(&mut self, model: &Model, part: &Part<'_>) {
        let Part::ArrayValue { index, string } = part else { return };
        self.count += 1;
        if let Some(string) = string {
            self.strings += model.usable(string.len.min(LEN_MAX) + 2);
        }
        let (id, offset) = (index / SLICE_INDEXES, index % SLICE_INDEXES);
        match &mut self.slice {
            Some(slice) if slice.id == id => slice.add(offset),
            _ => {
                self.end_slice(model);
                self.slice = Some(Slice { id, count: 1, first: offset, last: offset, window: 0 });
            }
        }
    }

    fn end_slice(&mut self, model: &Model) {
        let Some(slice) = self.slice else { return };
        let slots = match slice.count {
            // Offsets of two bytes each, then the values; the capacity grows 4, 8, 10.
            ..=SPARSE_MAX => {
                let capacity: u64 = match slice.count {
                    ..=4 => 4,
                    5..=8 => 8,
                    _ => SPARSE_MAX,
                };
                (2 * capacity).next_multiple_of(8) + 8 * capacity
            }
            _ => 8 * slice.window,
        };
        self.slices += model.usable(SLICE_LEN + slots);
        let block = slice.id / BLOCK_SLICES;
        if self.last_block != Some(block) {
            self.last_block = Some(block);
            self.blocks += 1;
        }
    }

    pub(crate) fn finish(&mut self, model: &Model, object: ObjectCost) -> (Encoding, u64, Cost) {
        self.end_slice(model);
        let last_slice = self.slice.take().map_or(0, |slice| slice.id);
        let directory = if last_slice < BLOCK_SLICES {
            model.usable(8 * (last_slice + 1).next_power_of_two())
        } else {
            let capacity = self.blocks.max(4).next_power_of_two();
            model.usable(BLOCK_ENTRY_LEN * capacity)
                + model.usable(BLOCK_LEN).saturating_mul(self.blocks)
        };
        let size = model.usable(ARRAY_LEN) + directory + self.slices + self.strings;
        (Encoding::SlicedArray, self.count, object.head + object.object + Cost::same(size))
    }
}

impl Slice {
    fn add(&mut self, offset: u64) {
        self.count += 1;
        self.first = self.first.min(offset);
        self.last = self.last.max(offset);
        if self.count <= SPARSE_MAX {
            return;
        }
        // The window begins with the span of the first ten and doubles to reach later ones.
        let span = self.last - self.first + 1;
        if self.window == 0 {
            self.window = WINDOW_MIN;
        }
        while self.window < span {
            self.window *= 2;
        }
    }
}
