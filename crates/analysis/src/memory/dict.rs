//! The hash table of Redis, and of Valkey up to 8.0 (`dict.c`): one pointer a bucket.
//!
//! A table grows when it holds as many entries as buckets. The entries then move bucket by
//! bucket, one at every insertion, and both tables stay until the old one is empty: a load
//! that ends on the way leaves both. How many buckets are occupied depends on the server's
//! random seed; their expected number is used.

use std::sync::LazyLock;

/// Smallest table (`DICT_HT_INITIAL_SIZE`).
const INITIAL_SIZE: u64 = 4;

/// Buckets of a table made for `len` entries (`_dictNextExp`).
pub(crate) fn table_size(len: u64) -> u64 {
    len.max(INITIAL_SIZE).checked_next_power_of_two().unwrap_or(1 << 63)
}

/// Expected number of occupied buckets when `used` entries fall into `size` buckets.
#[inline]
pub(crate) fn occupied(used: u64, size: u64) -> f64 {
    /// Most entries of a table that is not computed anew.
    const SMALL_MAX: u64 = 1024;
    // Tables grow when they are full, and this is asked far more often than anything else.
    static WHEN_FULL: LazyLock<[f64; 64]> =
        LazyLock::new(|| std::array::from_fn(|log| expected_occupied(1 << log, 1 << log)));
    // So do tables that were made for what they hold.
    static SMALL: LazyLock<Vec<f64>> = LazyLock::new(|| {
        (0..=SMALL_MAX).map(|used| expected_occupied(used, table_size(used))).collect()
    });
    if used <= SMALL_MAX && size == table_size(used) {
        let small = usize::try_from(used).ok().and_then(|used| SMALL.get(used));
        return small.copied().unwrap_or_default();
    }
    if used == size && size.is_power_of_two() {
        let log = usize::try_from(size.trailing_zeros()).ok();
        return log.and_then(|log| WHEN_FULL.get(log)).copied().unwrap_or_default();
    }
    expected_occupied(used, size)
}

fn expected_occupied(used: u64, size: u64) -> f64 {
    if size == 0 {
        return 0.0;
    }
    let size = size as f64;
    // size * (1 - (1 - 1/size)^used), without the loss of digits.
    -size * (used as f64 * (-1.0 / size).ln_1p()).exp_m1()
}

/// Expected number of entries that share their bucket with an earlier one.
pub(crate) fn sharing(used: u64, size: u64) -> f64 {
    (used as f64 - occupied(used, size)).max(0.0)
}

/// A table while it is filled: sizes and counts only.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dict {
    used: u64,
    size: u64,
    /// The smaller table being emptied and the insertions until it is.
    old: Option<(u64, u64)>,
}

impl Dict {
    /// A table made for `len` entries at once.
    pub(crate) fn sized(len: u64) -> Self {
        Self { used: len, size: table_size(len), old: None }
    }

    /// Makes room for `len` entries (`dictExpand`): refused while entries move, when more
    /// are in already and when the size would not change.
    pub(crate) fn expand(&mut self, len: u64) {
        let size = table_size(len);
        if self.old.is_some() || self.used > len || size <= self.size {
            return;
        }
        if self.used > 0 {
            let steps = super::round(occupied(self.used, self.size));
            self.old = Some((self.size, steps.max(1)));
        }
        self.size = size;
    }

    /// Adds one entry (`dictAddRaw`).
    pub(crate) fn insert(&mut self) {
        match &mut self.old {
            Some((_, 1)) => self.old = None,
            Some((_, steps)) => *steps -= 1,
            None => {}
        }
        if self.old.is_none() && self.used >= self.size {
            self.expand(self.used + 1);
        }
        self.used += 1;
    }

    /// Adds `count` entries, in time that does not grow with their number.
    pub(crate) fn insert_many(&mut self, count: u64) {
        let mut left = count;
        while left > 0 {
            // As long as nothing moves and nothing grows, entries only count.
            let quiet = match self.old {
                Some((_, steps)) => steps.saturating_sub(1),
                None => self.size.saturating_sub(self.used),
            };
            let quiet = quiet.min(left);
            if let Some((_, steps)) = &mut self.old {
                *steps -= quiet;
            }
            self.used = self.used.saturating_add(quiet);
            left -= quiet;
            if left > 0 {
                self.insert();
                left -= 1;
            }
        }
    }

    /// Buckets of both tables (`dictSlots`).
    pub(crate) fn slots(&self) -> u64 {
        self.size.saturating_add(self.old.map_or(0, |(size, _)| size))
    }

    /// The tables' sizes in buckets: the newer one, and the one being emptied.
    pub(crate) fn tables(&self) -> (u64, Option<u64>) {
        (self.size, self.old.map(|(size, _)| size))
    }

    /// Expected number of entries that share their bucket.
    pub(crate) fn sharing(&self) -> f64 {
        sharing(self.used, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_powers_of_two_from_four() {
        for (len, size) in
            [(0, 4), (1, 4), (4, 4), (5, 8), (8, 8), (513, 1024), (u64::MAX, 1 << 63)]
        {
            assert_eq!(table_size(len), size);
        }
    }

    #[test]
    fn expected_collisions_are_those_of_balls_in_bins() {
        assert_eq!(sharing(0, 4), 0.0);
        assert!((sharing(1, 4)).abs() < 1e-12);
        assert!((sharing(2, 4) - 0.25).abs() < 1e-12);
        // A full table: 1/e of the entries find their bucket taken.
        assert!((sharing(1 << 20, 1 << 20) / f64::from(1 << 20) - (-1.0f64).exp()).abs() < 1e-5);
    }

    #[test]
    fn both_tables_stay_until_the_old_one_is_empty() {
        let mut dict = Dict::default();
        dict.insert_many(4);
        assert_eq!(dict.slots(), 4);
        dict.insert();
        assert_eq!(dict.tables(), (8, Some(4)));
        // 4 * (1 - 0.75^4) = 2.7 buckets of the old table hold something.
        dict.insert_many(2);
        assert_eq!(dict.slots(), 12);
        dict.insert();
        assert_eq!(dict.tables(), (8, None));
    }

    #[test]
    fn many_insertions_equal_single_ones() {
        for (before, expand, after) in [(0, 0, 3000), (300, 0, 250), (100, 400, 412), (1, 512, 511)]
        {
            let (mut one, mut many) = (Dict::default(), Dict::default());
            for _ in 0..before {
                one.insert();
            }
            many.insert_many(before);
            for dict in [&mut one, &mut many] {
                dict.expand(expand);
            }
            for _ in 0..after {
                one.insert();
            }
            many.insert_many(after);
            assert_eq!((one.used, one.tables()), (many.used, many.tables()), "{before} {expand}");
        }
    }

    #[test]
    fn expand_is_refused_while_entries_move() {
        let mut dict = Dict::default();
        dict.insert_many(5);
        dict.expand(1000);
        assert_eq!(dict.tables(), (8, Some(4)));
    }
}
