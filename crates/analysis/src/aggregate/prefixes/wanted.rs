//! What a second pass is to count: it passes over the other string keys before they are sized.

use super::Tree;
use super::filter::Filter;
use super::recent::{Folded, LEN_MAX};
use super::rule::Rule;
use crate::strings::PADDED_LEN;

/// Tells which string keys may have a prefix that is to be counted; a key too many is let
/// through now and then.
#[derive(Debug)]
pub(crate) struct Wanted {
    rule: Rule,
    /// Length of the shortest of the prefixes.
    least_len: usize,
    /// Their first bytes, so many: most names begin otherwise, and need not be cut.
    beginnings: Filter,
    texts: Filter,
}

impl Wanted {
    /// Prefixes for each word of a filter, at most: one key in a hundred or less is let through
    /// for nothing.
    const EACH: usize = 4;

    /// A filter of the prefixes of `tree` that `is_counted` names by their places.
    pub(super) fn new(tree: &Tree, rule: &Rule, is_counted: impl Fn(usize) -> bool) -> Self {
        // Twice, since a list of the texts could be as large as the tree.
        let each_text = |each: &mut dyn FnMut(Folded)| {
            let mut text = Vec::new();
            for at in (0..tree.nodes.len()).filter(|at| is_counted(*at)) {
                // Longer ones are those of longer names, which are all let through.
                let is_short = tree.short_text_of(at, LEN_MAX, &mut text);
                is_short
                    .then(|| Folded::new(&text, rule))
                    .flatten()
                    .into_iter()
                    .for_each(&mut *each);
            }
        };
        let (mut count, mut least_len) = (0, usize::MAX);
        each_text(&mut |text| (count, least_len) = (count + 1, least_len.min(text.len())));
        let filter = || Filter::new(count / Self::EACH);
        let (mut beginnings, mut texts) = (filter(), filter());
        each_text(&mut |text| {
            let hashes = text.hashes();
            beginnings.add(hashes.first(least_len, 0));
            texts.add(text.hash(0));
        });
        Self { rule: rule.clone(), least_len, beginnings, texts }
    }

    /// Whether a name, which is followed by something else, may have such a prefix.
    #[inline]
    pub(crate) fn may_want(&self, padded: &[u8; PADDED_LEN], name_len: usize) -> bool {
        let Some(name) = Folded::of_padded(padded, name_len, &self.rule) else { return true };
        let hashes = name.hashes();
        if name_len < self.least_len || !self.beginnings.has(hashes.first(self.least_len, 0)) {
            return false;
        }
        let mut is_wanted = false;
        name.cut(&self.rule, |text, _| {
            is_wanted = self.texts.has(hashes.first(text.len(), 0));
            !is_wanted
        });
        is_wanted
    }
}
