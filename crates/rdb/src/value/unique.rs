//! Elements that stand twice in one packed blob: a server refuses such a blob.

use crate::entry::{Str, Text};

/// Remembers the hashes of a blob's elements. Cleared for each blob by counting up a
/// generation, so that small blobs cost no more than their elements.
#[derive(Debug)]
pub(crate) struct Unique {
    /// Hash and generation of each slot, open addressing.
    slots: Vec<(u64, u32)>,
    generation: u32,
    count: usize,
}

impl Default for Unique {
    fn default() -> Self {
        Self { slots: vec![(0, 0); Self::SLOTS], generation: 1, count: 0 }
    }
}

impl Unique {
    const SLOTS: usize = 4096;
    /// Elements remembered; servers keep fewer in a blob unless told otherwise.
    const COUNT_MAX: usize = Self::SLOTS / 2;

    /// Forgets the elements of the blob before.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.generation = self.generation.checked_add(1).unwrap_or_else(|| {
            self.slots.fill((0, 0));
            1
        });
    }

    /// Notes an element; false if it stood there before. Long elements and those beyond
    /// [`Unique::COUNT_MAX`] are not looked at.
    #[inline]
    pub(crate) fn insert(&mut self, element: &Str<'_>) -> bool {
        let hash = match element.text {
            Text::Int(value) => mix(value.cast_unsigned(), 0x9e37_79b9_7f4a_7c15),
            Text::Short(bytes) => hash(bytes),
            Text::Long => return true,
        };
        if self.count == Self::COUNT_MAX {
            return true;
        }
        self.count += 1;
        let mut at = hash;
        loop {
            // In range by the modulus.
            let index = usize::try_from(at % Self::SLOTS as u64).unwrap_or_default();
            let Some(slot) = self.slots.get_mut(index) else { return true };
            if slot.1 != self.generation {
                *slot = (hash, self.generation);
                return true;
            }
            if slot.0 == hash {
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
    let mut state = 0xd6e8_feb8_6659_fd93;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        state = mix(state ^ u64::from_le_bytes(*chunk), 0xa076_1d64_78bd_642f);
    }
    // The last byte is free for the length, which tells "" from a zero byte.
    let mut last = [0, 0, 0, 0, 0, 0, 0, u8::try_from(rest.len()).unwrap_or_default()];
    if let Some(room) = last.get_mut(..rest.len()) {
        room.copy_from_slice(rest);
    }
    mix(state ^ u64::from_le_bytes(last), 0xe703_7ed1_a0b4_28db)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_second_of_two_and_forgets_on_clear() {
        let mut unique = Unique::default();
        let names: Vec<String> = (0..2000).map(|i| format!("field:{i}")).collect();
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
