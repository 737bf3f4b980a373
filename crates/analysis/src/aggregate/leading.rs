//! The leading prefixes of one type: the best by number or by bytes, in bounded memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// By what prefixes are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RankBy {
    KeyCount,
    Bytes,
}

/// The best `limit` prefixes that were offered; ties by the other measure, then by their order.
#[derive(Debug)]
pub(crate) struct Leading<P> {
    limit: usize,
    rank_by: RankBy,
    /// Worst on top.
    heap: BinaryHeap<(Reverse<(u64, u64)>, P)>,
}

impl<P: Ord> Leading<P> {
    pub(crate) fn new(limit: usize, rank_by: RankBy) -> Self {
        Self { limit, rank_by, heap: BinaryHeap::new() }
    }

    /// Offers a prefix of so many keys and bytes, made only if it may get in: a text can be
    /// much longer than what a table holds of it.
    pub(crate) fn offer(&mut self, key_count: u64, bytes: u64, make: impl FnOnce() -> P) {
        self.offer_beside(key_count, bytes, |_| Some(make()));
    }

    /// Likewise; where it is a tie with the worst, `make` is given that, and need not make one
    /// that comes after it.
    pub(crate) fn offer_beside(
        &mut self,
        key_count: u64,
        bytes: u64,
        make: impl FnOnce(Option<&P>) -> Option<P>,
    ) {
        let rank = match self.rank_by {
            RankBy::KeyCount => (key_count, bytes),
            RankBy::Bytes => (bytes, key_count),
        };
        let is_full = self.heap.len() >= self.limit;
        let worst = self.heap.peek().filter(|_| is_full);
        if is_full && worst.is_none_or(|(worst, _)| rank < worst.0) {
            return;
        }
        let tied = worst.filter(|(worst, _)| rank == worst.0);
        let Some(prefix) = make(tied.map(|(_, prefix)| prefix)) else { return };
        self.heap.push((Reverse(rank), prefix));
        if is_full {
            self.heap.pop();
        }
    }

    /// The prefixes, best first.
    pub(crate) fn into_sorted(self) -> Vec<P> {
        self.heap.into_sorted_vec().into_iter().map(|(_, prefix)| prefix).collect()
    }
}
