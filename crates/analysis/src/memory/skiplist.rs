//! Skip lists (`t_zset.c`): a node has as many forward pointers as it has levels.
//!
//! Levels are drawn when a member is inserted: one with probability 3/4, two with 3/16 and
//! so on. A load draws them anew, so only the mean size of a node can be told.

use offkey_rdb::Weight;

use super::alloc::Allocator;

/// Probability of one more level (`ZSKIPLIST_P`).
const P: f64 = 0.25;
/// Pointer and span.
const LEVEL_LEN: u64 = 16;
/// Levels worth counting: the share of higher nodes is below 4^-24.
const LEVELS: u64 = 24;

/// Mean allocations in parts of a byte, so that they add up to the same in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Nodes(u128);

impl Nodes {
    /// Parts of a byte: the means of 2^24 nodes are off by half a byte at most.
    const PARTS: f64 = 16_777_216.0;
    const PARTS_BITS: u32 = 24;

    /// A node with `base` bytes beside its levels.
    pub(crate) fn one(allocator: Allocator, base: u64) -> Self {
        Self(u128::from(super::round(node_mean(allocator, base) * Self::PARTS)))
    }

    /// The parts as a weight, if it can hold them.
    pub(crate) fn weight(self) -> Option<Weight> {
        Some([u64::try_from(self.0).ok()?, 0])
    }

    /// Nodes that together have this weight.
    pub(crate) fn of([parts, _]: Weight) -> Self {
        Self(u128::from(parts))
    }

    /// So many nodes alike.
    pub(crate) fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(u128::from(count)))
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    /// Whole bytes.
    pub(crate) fn bytes(self) -> u64 {
        let half = 1 << (Self::PARTS_BITS - 1);
        u64::try_from(self.0.saturating_add(half) >> Self::PARTS_BITS).unwrap_or(u64::MAX)
    }
}

/// Mean allocation of a node with `base` bytes beside its levels.
fn node_mean(allocator: Allocator, base: u64) -> f64 {
    let mut probability = 1.0 - P;
    let mut mean = 0.0;
    for level in 1..=LEVELS {
        mean += probability * allocator.usable(base + LEVEL_LEN * level) as f64;
        probability *= P;
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_measured_per_allocator() {
        for (allocator, mean) in [
            (Allocator::Jemalloc, 45.84),
            (Allocator::JemallocQ16, 53.34),
            (Allocator::Libc, 45.33),
        ] {
            let found = node_mean(allocator, 24);
            assert!((found - mean).abs() < 0.01, "{allocator}: {found}");
        }
    }
}
