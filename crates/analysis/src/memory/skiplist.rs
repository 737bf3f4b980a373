//! Skip lists (`t_zset.c`): a node has as many forward pointers as it has levels.
//!
//! Levels are drawn when a member is inserted: one with probability 3/4, two with 3/16 and
//! so on. A load draws them anew, so only the mean size of a node can be told.

use super::alloc::Allocator;

/// Probability of one more level (`ZSKIPLIST_P`).
const P: f64 = 0.25;
/// Pointer and span.
const LEVEL_LEN: u64 = 16;
/// Levels worth counting: the share of higher nodes is below 4^-24.
const LEVELS: u64 = 24;

/// Mean allocation of a node with `base` bytes beside its levels.
pub(crate) fn node_mean(allocator: Allocator, base: u64) -> f64 {
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
