//! Elements that stand twice in one packed blob: a server refuses such a blob.

use crate::entry::{Str, Text};
use crate::packed::Item;

/// Remembers the hashes of a blob's elements, in a table small enough for the cache.
#[derive(Debug)]
pub(crate) struct Unique {
    /// Hash of each slot, 0 for an empty one; open addressing.
    slots: Vec<u64>,
    /// Slots in use, to be emptied for the next blob.
    used: Vec<usize>,
}

impl Default for Unique {
    fn default() -> Self {
        Self { slots: vec![0; Self::SLOTS], used: Vec::with_capacity(Self::COUNT_MAX) }
    }
}

impl Unique {
    const SLOTS: usize = 2048;
    /// Elements remembered; servers keep fewer in a blob unless told otherwise.
    const COUNT_MAX: usize = Self::SLOTS / 2;

    /// Forgets the elements of the blob before.
    pub(crate) fn clear(&mut self) {
        for at in self.used.drain(..) {
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = 0;
            }
        }
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
        self.used.len() == Self::COUNT_MAX
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
        let mut at = hash;
        loop {
            // In range by the modulus.
            let index = usize::try_from(at % Self::SLOTS as u64).unwrap_or_default();
            let Some(slot) = self.slots.get_mut(index) else { return true };
            if *slot == 0 {
                *slot = hash;
                self.used.push(index);
                return true;
            }
            if *slot == hash {
                return false;
            }
            at = at.wrapping_add(1);
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

fn hash(bytes: &[u8]) -> u64 {
    let len = bytes.len() as u64;
    let four = |chunk: Option<&[u8; 4]>| chunk.map_or(0, |c| u64::from(u32::from_le_bytes(*c)));
    let eight = |chunk: Option<&[u8; 8]>| chunk.map_or(0, |c| u64::from_le_bytes(*c));
    // First and last bytes overlap where there are fewer than twice as many.
    let (first, last) = match *bytes {
        [] => (0, 0),
        [a] => (u64::from(a), 0),
        [a, b] => (u64::from(a), u64::from(b)),
        [a, b, c] => (u64::from(a) | u64::from(b) << 8, u64::from(c)),
        _ if len < 8 => (four(bytes.first_chunk()), four(bytes.last_chunk())),
        _ => {
            let mut state = len;
            let (chunks, _) = bytes.as_chunks::<8>();
            for chunk in chunks {
                state = mix(state ^ u64::from_le_bytes(*chunk), 0xa076_1d64_78bd_642f);
            }
            (state, eight(bytes.last_chunk()))
        }
    };
    mix(
        mix(first ^ 0xd6e8_feb8_6659_fd93, 0xa076_1d64_78bd_642f ^ len) ^ last,
        0xe703_7ed1_a0b4_28db,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_second_of_two_and_forgets_on_clear() {
        let mut unique = Unique::default();
        let names: Vec<String> = (0..1000).map(|i| format!("field:{i}")).collect();
        for round in 0..3 {
            unique.clear();
            for name in &names {
                assert!(unique.insert(&Str::from_bytes(name.as_bytes())), "round {round}: {name}");
            }
            assert!(!unique.insert(&Str::from_bytes(b"field:7")));
        }
        unique.clear();
        assert!(unique.insert(&Str::from_int(7)));
        assert!(!unique.insert(&Str::from_int(7)));
        assert!(unique.insert(&Str::from_bytes(b"x")));
    }

    #[test]
    fn short_texts_are_told_apart() {
        let mut unique = Unique::default();
        assert!(unique.insert(&Str::from_bytes(b"")));
        for first in 0..=u8::MAX {
            for text in [&[first][..], &[first, 0], &[first, 0, 0], &[first; 8], &[first; 16]] {
                assert!(unique.insert(&Str::from_bytes(text)), "{text:?}");
            }
        }
    }
}
