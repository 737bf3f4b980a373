//! A set of hashes that may say of one too many that it is in it.

/// A Bloom filter of two bits in one word for each hash, so that a look costs one access.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// A power of two of words, or none: then nothing is in it.
    words: Vec<u64>,
}

impl Filter {
    /// Most words: a hash names no more.
    const WORDS_MAX: usize = 1 << 20;

    /// An empty filter of about so many words.
    pub(super) fn new(words: usize) -> Self {
        Self { words: vec![0; words.next_power_of_two().min(Self::WORDS_MAX)] }
    }

    pub(super) fn word_count(&self) -> usize {
        self.words.len()
    }

    #[inline]
    pub(super) fn has(&self, hash: u64) -> bool {
        let (place, bits) = self.place(Self::key(hash));
        self.words.get(place).is_some_and(|word| word & bits == bits)
    }

    /// Adds a hash; answers whether it seemed to be there.
    #[inline]
    pub(super) fn add(&mut self, hash: u64) -> bool {
        self.add_key(Self::key(hash))
    }

    /// Adds a hash of which this is what matters.
    #[inline]
    pub(super) fn add_key(&mut self, key: u32) -> bool {
        let (place, bits) = self.place(key);
        self.words.get_mut(place).is_some_and(|word| {
            let was_there = *word & bits == bits;
            *word |= bits;
            was_there
        })
    }

    /// What matters of a hash.
    #[inline]
    pub(super) fn key(hash: u64) -> u32 {
        (hash >> 32) as u32
    }

    #[inline]
    fn place(&self, key: u32) -> (usize, u64) {
        let bits = 1 << (key & 63) | 1 << (key >> 6 & 63);
        let place = usize::try_from(key >> 12).unwrap_or_default();
        (place & self.words.len().wrapping_sub(1), bits)
    }
}

#[cfg(test)]
mod tests {
    use offkey_testkit::Rng;

    use super::*;

    #[test]
    fn what_was_added_is_there_and_few_others_are() {
        let mut rng = Rng::new(1);
        for words in [1, 1000, 1 << 16] {
            let mut filter = Filter::new(words);
            let hashes: Vec<u64> = (0..words * 4).map(|_| rng.bits()).collect();
            for hash in &hashes {
                filter.add(*hash);
                assert!(filter.add(*hash) && filter.has(*hash));
            }
            assert!(hashes.iter().all(|hash| filter.has(*hash)));
            let others = (0..10_000).filter(|_| filter.has(rng.bits())).count();
            assert!(others < 700, "{others} of 10,000 with {words} words");
        }
        assert!(!Filter::default().has(7));
    }
}
