//! Elements that stand twice in one value: a server refuses such a value.

use crate::entry::{Str, Text};
use crate::packed::Item;

/// Remembers the hashes of a value's first elements, in a table small enough for the cache.
#[derive(Debug)]
pub(crate) struct Unique {
    /// Hash of each slot, 0 for an empty one; open addressing.
    slots: Vec<u64>,
    /// Slots that the value at hand uses, less one: a power of two less one.
    mask: usize,
    /// Elements that are still to be remembered.
    room: usize,
}

impl Default for Unique {
    fn default() -> Self {
        Self { slots: vec![0; Self::SLOTS], mask: 0, room: 0 }
    }
}

impl Unique {
    const SLOTS: usize = 2048;
    /// Elements remembered; servers keep fewer in a blob unless told otherwise.
    const COUNT_MAX: usize = Self::SLOTS / 2;

    /// Forgets the elements of the value before. The next one has at most `count_max`, as far
    /// as they are remembered: few take a small part of the table.
    #[inline]
    pub(crate) fn begin(&mut self, count_max: u64) {
        let count_max = usize::try_from(count_max).unwrap_or(usize::MAX);
        self.room = count_max.min(Self::COUNT_MAX);
        // Seldom do two want the same slot.
        let slots = (4 * self.room).next_power_of_two().min(Self::SLOTS);
        self.mask = slots - 1;
        self.slots.iter_mut().take(slots).for_each(|slot| *slot = 0);
    }

    /// Notes an element; false if it stood there before. Long elements and those beyond
    /// [`Unique::COUNT_MAX`] are not looked at.
    #[inline]
    pub(crate) fn insert(&mut self, element: &Str<'_>) -> bool {
        self.insert_item(match element.text {
            Text::Int(value) => Item::Int(value),
            Text::Short(bytes) => Item::Short(bytes),
            Text::Long => Item::Long(element.len),
        })
    }

    /// Whether no more elements are remembered.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.room == 0
    }

    /// As [`Unique::insert`].
    #[inline]
    pub(crate) fn insert_item(&mut self, element: Item<'_>) -> bool {
        if self.is_full() {
            return true;
        }
        let hash = match element {
            Item::Int(value) => mix(value.cast_unsigned(), 0x9e37_79b9_7f4a_7c15),
            Item::Short(bytes) => hash(bytes),
            Item::Long(_) => return true,
        };
        // An empty slot has hash 0.
        let hash = hash.max(1);
        #[expect(clippy::cast_possible_truncation, reason = "the low bits of a hash")]
        let mut at = hash as usize;
        loop {
            at &= self.mask;
            let Some(slot) = self.slots.get_mut(at) else { return true };
            if *slot == 0 {
                *slot = hash;
                self.room -= 1;
                return true;
            }
            if *slot == hash {
                return false;
            }
            at += 1;
        }
    }
}

/// Folds a 128-bit product, which spreads every bit of both factors.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x2545_f491_4f6c_dd1d) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are folded")]
    let folded = (product >> 64) as u64 ^ product as u64;
    folded
}

/// A hash of all of a text's bytes.
#[inline]
fn hash(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let four = |at: usize| {
        let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
        chunk.map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)))
    };
    let (first, last) = match *bytes {
        [] => (0, 0),
        [a] => (u64::from(a), 0),
        [a, b] => (u64::from(a), u64::from(b)),
        [a, b, c] => (u64::from(a) | u64::from(b) << 8, u64::from(c)),
        _ if len <= 16 => {
            // Four words that overlap where the text is shorter, whatever its length.
            let (step, end) = (len >> 3 << 2, len - 4);
            (four(0) << 32 | four(step), four(end) << 32 | four(end - step))
        }
        _ => {
            let (chunks, _) = bytes.as_chunks::<8>();
            let state = chunks.iter().fold(0, |state, chunk| {
                mix(state ^ u64::from_le_bytes(*chunk), 0xa076_1d64_78bd_642f)
            });
            (state, bytes.last_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk)))
        }
    };
    let length = (len as u64).wrapping_mul(0x8ebc_6af0_9c88_c6e3);
    mix(mix(first, 0xa076_1d64_78bd_642f) ^ last ^ length, 0xe703_7ed1_a0b4_28db)
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "lengths of the test are small")]
mod tests {
    use super::*;

    #[test]
    fn finds_the_second_of_two_and_forgets_on_clear() {
        let mut unique = Unique::default();
        let names: Vec<String> = (0..1000).map(|i| format!("field:{i}")).collect();
        for round in 0..3 {
            unique.begin(1001);
            for name in &names {
                assert!(unique.insert(&Str::from_bytes(name.as_bytes())), "round {round}: {name}");
            }
            assert!(!unique.insert(&Str::from_bytes(b"field:7")));
        }
        unique.begin(2);
        assert!(unique.insert(&Str::from_int(7)));
        assert!(!unique.insert(&Str::from_int(7)));
        assert!(unique.insert(&Str::from_bytes(b"x")));
    }

    #[test]
    fn short_texts_are_told_apart() {
        let mut unique = Unique::default();
        unique.begin(u64::MAX);
        assert!(unique.insert(&Str::from_bytes(b"")));
        for first in 0..=u8::MAX {
            for text in [&[first][..], &[first, 0], &[first, 0, 0], &[first; 8], &[first; 16]] {
                assert!(unique.insert(&Str::from_bytes(text)), "{text:?}");
            }
        }
    }

    #[test]
    fn every_byte_of_a_text_matters() {
        for len in 0..=Str::SHORT_LEN_MAX {
            let mut unique = Unique::default();
            unique.begin(u64::MAX);
            let mut text: Vec<u8> = (0..len).map(|i| b'a' + i as u8 % 7).collect();
            assert!(unique.insert(&Str::from_bytes(&text)));
            for at in 0..text.len() {
                text[at] ^= 0x20;
                assert!(unique.insert(&Str::from_bytes(&text)), "byte {at} of {len}");
                text[at] ^= 0x20;
                assert!(!unique.insert(&Str::from_bytes(&text)));
            }
        }
    }

    #[test]
    fn as_many_are_remembered_as_were_announced() {
        for count in [1u64, 2, 3, 64, 1000, 1024] {
            let mut unique = Unique::default();
            unique.begin(count);
            let insert =
                |unique: &mut Unique, i: u64| unique.insert(&Str::from_int(i.cast_signed()));
            assert!((0..count - 1).all(|i| insert(&mut unique, i)), "{count}");
            assert!(count < 2 || !insert(&mut unique, 0), "{count}");
            assert!(insert(&mut unique, count) && unique.is_full(), "{count}");
        }
    }
}
