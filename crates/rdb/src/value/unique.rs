//! Elements that stand twice in one value: a server refuses such a value.

use std::hash::{BuildHasher, RandomState};

use crate::entry::{Str, Text};
use crate::packed::Item;

/// Remembers the hashes of a value's first elements, in little enough memory for the cache.
///
/// Nearly every element is told to be new by two bits of its hash: two bits of one word are set
/// for each, and those of one that stands twice are set already. Where they are, which is seldom
/// without that reason, the hashes are looked through.
#[derive(Debug)]
pub(crate) struct Unique {
    words: Box<[u64; Self::COUNT_MAX]>,
    /// Words that the value at hand uses, less one: a power of two less one.
    mask: usize,
    /// Filled from the place `count_max` down, so that what is left is all there is to look at.
    hashes: Box<[u64; Self::COUNT_MAX]>,
    /// Elements that may be remembered, and how many of them still can be.
    count_max: usize,
    left: usize,
    keys: Keys,
}

/// What hashes are made with: others each time, so that no file can hold elements that are made
/// to be taken for one.
#[derive(Debug)]
struct Keys {
    first: u64,
    /// One for each length of a text in a window.
    last: [u64; WINDOW_LEN + 1],
    /// Of integers, which are no texts, whatever their bytes.
    int: u64,
    /// Of longer texts.
    long: u64,
}

impl Keys {
    fn new() -> Self {
        let (random, mut number) = (RandomState::new(), 0u8);
        let mut next = || {
            number += 1;
            random.hash_one(number)
        };
        Self {
            first: next(),
            last: [(); WINDOW_LEN + 1].map(|()| next()),
            int: next(),
            long: next(),
        }
    }

    /// Folds a product, which spreads every bit of both factors.
    #[inline(always)]
    fn hash(&self, first: u64, last: u64) -> u64 {
        let product = u128::from(first ^ self.first).wrapping_mul(u128::from(last));
        let [high, low] = words_of(product);
        high ^ low
    }
}

impl Default for Unique {
    fn default() -> Self {
        let [words, hashes] = [0; 2].map(|zero| Box::new([zero; Self::COUNT_MAX]));
        Self { words, mask: 0, hashes, count_max: 0, left: 0, keys: Keys::new() }
    }
}

impl Unique {
    /// Elements remembered; servers keep fewer in a blob unless told otherwise.
    const COUNT_MAX: usize = 1024;

    /// Forgets the elements of the value before. The next one has at most `count_max`, as far
    /// as they are remembered: few take little of the words.
    #[inline]
    pub(crate) fn begin(&mut self, count_max: u64) {
        self.count_max =
            usize::try_from(count_max).map_or(Self::COUNT_MAX, |max| max.min(Self::COUNT_MAX));
        self.left = self.count_max;
        let words = self.count_max.next_power_of_two();
        self.mask = words - 1;
        self.words.iter_mut().take(words).for_each(|word| *word = 0);
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
        self.left == 0
    }

    /// As [`Unique::insert`].
    #[inline]
    pub(crate) fn insert_item(&mut self, element: Item<'_>) -> bool {
        match element {
            Item::Int(value) => {
                self.insert_hash(self.keys.hash(value.cast_unsigned(), self.keys.int))
            }
            Item::Short(bytes) => self.insert_hash(self.hash(bytes)),
            Item::Long(_) => true,
        }
    }

    /// As [`Unique::insert`], of a text of `len` bytes, at most [`WINDOW_LEN`], that begins
    /// `window`. What follows it does not matter, and there is no branch on its length.
    #[inline(always)]
    pub(crate) fn insert_in(&mut self, window: &[u8; WINDOW_LEN], len: usize) -> bool {
        self.insert_hash(self.hash_in(window, len))
    }

    #[inline(always)]
    fn insert_hash(&mut self, hash: u64) -> bool {
        let left = self.left.wrapping_sub(1);
        let Some(own) = self.hashes.get_mut(left) else { return true };
        #[expect(clippy::cast_possible_truncation, reason = "the low bits of a hash")]
        let at = hash as usize & self.mask & (Self::COUNT_MAX - 1);
        let bits = 1 << (hash >> 58) | 1 << (hash >> 52 & 63);
        let Some(word) = self.words.get_mut(at) else { return true };
        let may_be_there = *word & bits == bits;
        *word |= bits;
        *own = hash;
        if may_be_there && self.is_there(hash) {
            return false;
        }
        self.left = left;
        true
    }

    #[cold]
    fn is_there(&self, hash: u64) -> bool {
        let hashes = self.hashes.get(self.left..self.count_max);
        hashes.is_some_and(|hashes| hashes.contains(&hash))
    }

    #[inline(always)]
    fn hash_in(&self, window: &[u8; WINDOW_LEN], len: usize) -> u64 {
        let mask = MASK.as_flattened().get(WINDOW_LEN.saturating_sub(len)..);
        let mask = mask.and_then(|mask| mask.first_chunk()).unwrap_or(&[0; WINDOW_LEN]);
        let text = u128::from_le_bytes(*window) & u128::from_le_bytes(*mask);
        let [first, last] = words_of(text);
        let key = self.keys.last.get(len).unwrap_or(&self.keys.long);
        self.keys.hash(first, last ^ key)
    }

    /// A hash of all of a text's bytes.
    fn hash(&self, bytes: &[u8]) -> u64 {
        let end = bytes.last_chunk().filter(|_| bytes.len() > WINDOW_LEN);
        let Some(end) = end else {
            let mut window = [0; WINDOW_LEN];
            window.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            return self.hash_in(&window, bytes.len());
        };
        let (windows, _) = bytes.as_chunks::<WINDOW_LEN>();
        let add = |state: u64, window: &[u8; WINDOW_LEN]| {
            let [first, last] = words_of(u128::from_le_bytes(*window));
            self.keys.hash(first ^ state, last ^ self.keys.long)
        };
        let state = self.keys.hash(bytes.len() as u64, self.keys.long);
        add(windows.iter().fold(state, add), end)
    }
}

/// Longest text that [`Unique::insert_in`] takes from the bytes it begins.
pub(crate) const WINDOW_LEN: usize = 16;

/// What is left of the bytes of a text in a window, and then of those behind it.
static MASK: [[u8; WINDOW_LEN]; 2] = [[u8::MAX; WINDOW_LEN], [0; WINDOW_LEN]];

/// The two halves, the lower one first.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the two halves are taken one by one")]
fn words_of(both: u128) -> [u64; 2] {
    [both as u64, (both >> 64) as u64]
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
    fn integers_and_texts_are_told_apart() {
        let mut unique = Unique::default();
        unique.begin(u64::MAX);
        for value in (-100..100).chain([i64::MIN, i64::MAX]) {
            assert!(unique.insert(&Str::from_int(value)), "{value}");
        }
        for len in 0..=Str::SHORT_LEN_MAX as usize {
            for byte in [0, 1, b'0', 0xff] {
                let text = vec![byte; len];
                assert_eq!(
                    unique.insert(&Str::from_bytes(&text)),
                    len > 0 || byte == 0,
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn what_follows_a_text_does_not_matter() {
        let (mut rng, unique) = (Rng::new(1), Unique::default());
        for len in 0..=WINDOW_LEN {
            let bytes: [u8; WINDOW_LEN] = rng.bytes(WINDOW_LEN).try_into().unwrap();
            assert_eq!(unique.hash_in(&bytes, len), unique.hash(&bytes[..len]), "{len}");
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
