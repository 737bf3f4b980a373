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
        match element {
            Item::Int(value) => self.insert_hash(hash_of_int(value)),
            Item::Short(bytes) => self.insert_hash(hash(bytes)),
            Item::Long(_) => true,
        }
    }

    /// As [`Unique::insert`], of an element of this hash.
    #[inline]
    pub(crate) fn insert_hash(&mut self, hash: u64) -> bool {
        if self.is_full() {
            return true;
        }
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

/// Longest text whose hash [`hash_in`] takes from the bytes it begins.
pub(crate) const WINDOW_LEN: usize = 16;

/// What is left of the bytes of a text in a window, and then of those behind it.
static MASK: [[u8; WINDOW_LEN]; 2] = [[u8::MAX; WINDOW_LEN], [0; WINDOW_LEN]];

/// Folds a 128-bit product, which spreads every bit of both factors.
#[inline]
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x2545_f491_4f6c_dd1d) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are folded")]
    let folded = (product >> 64) as u64 ^ product as u64;
    folded
}

/// A hash of an element that is written as an integer.
#[inline]
pub(crate) fn hash_of_int(value: i64) -> u64 {
    mix(value.cast_unsigned(), 0x9e37_79b9_7f4a_7c15)
}

/// The two words of a text of `len` bytes, at most [`WINDOW_LEN`], that begins `window`. What
/// follows it does not matter, and there is no branch on its length.
#[inline(always)]
pub(crate) fn words_in(window: &[u8; WINDOW_LEN], len: usize) -> (u64, u64) {
    let mask = MASK.as_flattened().get(WINDOW_LEN.saturating_sub(len)..);
    let mask = mask.and_then(|mask| mask.first_chunk()).unwrap_or(&[0; WINDOW_LEN]);
    let text = u128::from_le_bytes(*window) & u128::from_le_bytes(*mask);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are taken one by one")]
    let words = (text as u64, (text >> 64) as u64);
    words
}

/// A hash of a text as [`words_in`] takes it.
#[inline]
pub(crate) fn hash_in(window: &[u8; WINDOW_LEN], len: usize) -> u64 {
    let (first, last) = words_in(window, len);
    finish(first, last, len)
}

/// A hash of all of a text's bytes.
#[inline]
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    if len <= WINDOW_LEN {
        let mut window = [0; WINDOW_LEN];
        window.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        return hash_in(&window, len);
    }
    let (chunks, _) = bytes.as_chunks::<8>();
    let state = chunks
        .iter()
        .fold(0, |state, chunk| mix(state ^ u64::from_le_bytes(*chunk), 0xa076_1d64_78bd_642f));
    finish(state, bytes.last_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk)), len)
}

#[inline]
fn finish(first: u64, last: u64, len: usize) -> u64 {
    let length = (len as u64).wrapping_mul(0x8ebc_6af0_9c88_c6e3);
    mix(mix(first, 0xa076_1d64_78bd_642f) ^ last ^ length, 0xe703_7ed1_a0b4_28db)
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "lengths of the test are small")]
mod tests {
    use offkey_testkit::Rng;

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
    fn what_follows_a_text_does_not_matter() {
        let mut rng = Rng::new(1);
        for len in 0..=WINDOW_LEN {
            let bytes: [u8; WINDOW_LEN] = rng.bytes(WINDOW_LEN).try_into().unwrap();
            assert_eq!(hash_in(&bytes, len), hash(&bytes[..len]), "{len}");
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
