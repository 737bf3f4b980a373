//! What a second pass is to count: it passes over the other string keys before they are sized.

use super::Tree;
use super::recent::Folded;
use super::rule::Rule;
use crate::strings::PADDED_LEN;

/// Tells which string keys may have a prefix that is to be counted: a Bloom filter of the
/// prefixes' texts with one hash, so that a key too many is let through now and then.
#[derive(Debug)]
pub(crate) struct Wanted {
    rule: Rule,
    /// A power of two of words.
    bits: Vec<u64>,
}

impl Wanted {
    /// Bits for each prefix: one key in so many is let through for nothing.
    const BITS_EACH: usize = 16;
    /// Most words: a quarter of a MiB, which stays near the core.
    const WORDS_MAX: usize = 1 << 15;

    /// A filter of the prefixes of `tree` that `is_counted` names by their places.
    pub(super) fn new(tree: &Tree, rule: &Rule, is_counted: impl Fn(usize) -> bool) -> Self {
        let places: Vec<usize> = (0..tree.nodes.len()).filter(|at| is_counted(*at)).collect();
        let words = (places.len() * Self::BITS_EACH / 64).next_power_of_two();
        let mut wanted = Self { rule: rule.clone(), bits: vec![0; words.min(Self::WORDS_MAX)] };
        let mut text = Vec::new();
        for at in places {
            tree.text_of(at, &mut text);
            // Longer ones are those of longer names, which are all let through.
            if let Some(folded) = Folded::new(&text, rule) {
                let (word, bit) = wanted.place(folded.hash(0));
                if let Some(word) = wanted.bits.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        wanted
    }

    /// Whether a name, which is followed by something else, may have such a prefix.
    #[inline]
    pub(crate) fn may_want(&self, padded: &[u8; PADDED_LEN], name_len: usize) -> bool {
        let Some(name) = Folded::of_padded(padded, name_len, &self.rule) else { return true };
        let mut is_wanted = false;
        name.cut(&self.rule, |text, _| {
            let (word, bit) = self.place(name.hash_of_first(text.len(), 0));
            is_wanted = self.bits.get(word).is_some_and(|word| word & bit != 0);
            !is_wanted
        });
        is_wanted
    }

    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        let word = usize::try_from(hash >> 38).unwrap_or_default() & (self.bits.len() - 1);
        (word, 1 << (hash >> 32 & 63))
    }
}
