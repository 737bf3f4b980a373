//! Whether elements of one value may stand twice, told faster than by [`Unique`]: most are told
//! apart, and where one may have been there before, `Unique` has to say.
//!
//! [`Unique`]: super::Unique

use super::unique::{WINDOW_LEN, mix, words_in};

/// Keeps three bits for each element, all in one word: of one that stands twice they are set.
#[derive(Debug)]
pub(crate) struct Seen {
    words: Vec<u64>,
    /// Words that the value at hand uses, less one: a power of two less one.
    mask: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self { words: vec![0; Self::WORDS], mask: 0 }
    }
}

impl Seen {
    const WORDS: usize = 2048;

    /// Forgets the elements of the value before; the next one has `count`.
    #[inline]
    pub(crate) fn begin(&mut self, count: u64) {
        // Seldom do two share a word.
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(Self::WORDS);
        let words = (4 * count).next_power_of_two().min(Self::WORDS);
        self.mask = words - 1;
        self.words.iter_mut().take(words).for_each(|word| *word = 0);
    }

    /// Notes an element of this hash; false if it may have stood there before.
    #[inline(always)]
    pub(crate) fn insert(&mut self, hash: u64) -> bool {
        let bits = 1 << (hash & 63) | 1 << (hash >> 6 & 63) | 1 << (hash >> 12 & 63);
        #[expect(clippy::cast_possible_truncation, reason = "some bits of a hash")]
        let at = (hash >> 18) as usize & self.mask;
        let Some(word) = self.words.get_mut(at) else { return false };
        let is_new = *word & bits != bits;
        *word |= bits;
        is_new
    }
}

/// A hash of a text of `len` bytes, at most [`WINDOW_LEN`], that begins `window`. Those of other
/// texts may be the same, as they never are in [`Unique`](super::Unique).
#[inline(always)]
pub(crate) fn rough_hash_in(window: &[u8; WINDOW_LEN], len: usize) -> u64 {
    let (first, last) = words_in(window, len);
    mix(first ^ last.rotate_left(32) ^ (len as u64) << 8, 0xe703_7ed1_a0b4_28db)
}

#[cfg(test)]
mod tests {
    use offkey_testkit::Rng;

    use super::*;

    #[test]
    fn what_stands_twice_is_never_missed_and_little_else_is_doubted() {
        let (mut seen, mut doubted, mut rng) = (Seen::default(), 0, Rng::new(3));
        for round in 0..400u64 {
            let count = 1 + round;
            seen.begin(count);
            let texts: Vec<[u8; WINDOW_LEN]> = (0..count)
                .map(|i| {
                    let mut window: [u8; WINDOW_LEN] = rng.bytes(WINDOW_LEN).try_into().unwrap();
                    window[..8].copy_from_slice(&(i + 1000 * round).to_le_bytes());
                    window
                })
                .collect();
            let hashes = texts.iter().map(|text| rough_hash_in(text, 12));
            doubted += hashes.clone().filter(|hash| !seen.insert(*hash)).count();
            for hash in hashes {
                assert!(!seen.insert(hash), "round {round}");
            }
        }
        assert!(doubted < 40, "{doubted} of 80,200 were doubted");
    }

    #[test]
    fn what_follows_a_text_does_not_matter() {
        let mut rng = Rng::new(4);
        for len in 0..=WINDOW_LEN {
            let window: [u8; WINDOW_LEN] = rng.bytes(WINDOW_LEN).try_into().unwrap();
            let mut other: [u8; WINDOW_LEN] = rng.bytes(WINDOW_LEN).try_into().unwrap();
            other[..len].copy_from_slice(&window[..len]);
            assert_eq!(rough_hash_in(&window, len), rough_hash_in(&other, len), "{len}");
        }
    }
}
