//! The hash table of Valkey 8.1 on (`hashtable.c`): buckets of 64 bytes with seven entries.
//!
//! A bucket that overflows turns its last place into a pointer to a child bucket. How many
//! children there are depends on the server's random seed; their expected number is used.

/// Bytes of a bucket, a cache line.
pub(crate) const BUCKET_LEN: u64 = 64;
/// `ENTRIES_PER_BUCKET`.
const BUCKET_ENTRIES: u64 = 7;

/// Buckets made for `len` entries: `5/32` of them, to the next power of two
/// (`BUCKET_FACTOR`, `BUCKET_DIVISOR`).
pub(crate) fn bucket_count(len: u64) -> u64 {
    let wanted = u128::from(len) * 5;
    u64::try_from(wanted.div_ceil(32)).unwrap_or(1).max(1).next_power_of_two()
}

/// Expected number of child buckets when `used` entries fall into `buckets`.
pub(crate) fn child_count(used: u64, buckets: u64) -> f64 {
    if used <= BUCKET_ENTRIES {
        return 0.0;
    }
    if buckets <= 1 {
        return children(used) as f64;
    }
    // The entries of one bucket are binomial(used, 1/buckets); walk its probabilities until
    // the tail no longer counts.
    let (n, b) = (used as f64, buckets as f64);
    let mut probability = (n * (-1.0 / b).ln_1p()).exp();
    let mut expected = 0.0;
    let limit = used.min(200);
    for count in 0..limit {
        probability *= (n - count as f64) / ((count + 1) as f64 * (b - 1.0));
        expected += probability * children(count + 1) as f64;
        if count as f64 > n / b && probability < 1e-12 {
            break;
        }
    }
    b * expected
}

/// Child buckets of a bucket that received `count` entries.
fn children(count: u64) -> u64 {
    count.saturating_sub(BUCKET_ENTRIES).div_ceil(BUCKET_ENTRIES - 1)
}

/// A table while it is filled: sizes and counts only.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hashtable {
    used: u64,
    buckets: u64,
    /// The smaller table being emptied, its entries and its buckets not yet moved.
    old: Option<Old>,
}

#[derive(Debug, Clone, Copy)]
struct Old {
    used: u64,
    buckets: u64,
    left: u64,
}

impl Hashtable {
    /// A table made for `len` entries at once.
    pub(crate) fn sized(len: u64) -> Self {
        Self { used: len, buckets: bucket_count(len), old: None }
    }

    /// Makes room for `len` entries (`hashtableExpand`): refused while entries move and when
    /// the size would not change.
    pub(crate) fn expand(&mut self, len: u64) {
        let buckets = bucket_count(len);
        if self.old.is_some() || len < self.used || buckets <= self.buckets {
            return;
        }
        if self.used > 0 {
            self.old = Some(Old { used: self.used, buckets: self.buckets, left: self.buckets });
        }
        self.buckets = buckets;
    }

    /// Adds one entry: one old bucket moves, the table grows when it would be over full.
    pub(crate) fn insert(&mut self) {
        if let Some(old) = &mut self.old {
            old.left -= 1;
            if old.left == 0 {
                self.old = None;
            }
        }
        if self.old.is_none() && self.used + 1 > BUCKET_ENTRIES.saturating_mul(self.buckets) {
            self.expand(self.used + 1);
        }
        self.used += 1;
    }

    /// Buckets of the tables alone: the newer one, and the one being emptied.
    pub(crate) fn tables(&self) -> (u64, Option<u64>) {
        (self.buckets, self.old.map(|old| old.buckets))
    }

    /// Expected number of child buckets of both tables.
    pub(crate) fn children(&self) -> f64 {
        match self.old {
            None => child_count(self.used, self.buckets),
            Some(old) => {
                let unmoved = old.left as f64 / old.buckets.max(1) as f64;
                let stay = super::round(old.used as f64 * unmoved);
                let moved = self.used.saturating_sub(stay);
                child_count(old.used, old.buckets) * unmoved + child_count(moved, self.buckets)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_hold_six_entries_a_bucket_and_a_bit() {
        for (len, buckets) in
            [(0, 1), (1, 1), (6, 1), (7, 2), (12, 2), (13, 4), (25, 4), (26, 8), (1000, 256)]
        {
            assert_eq!(bucket_count(len), buckets, "{len}");
        }
    }

    #[test]
    fn expected_children_follow_the_binomial() {
        assert_eq!(child_count(7, 2), 0.0);
        assert_eq!(child_count(8, 1), 1.0);
        assert_eq!(child_count(14, 1), 2.0);
        // Eight entries in two buckets: all in one of them, twice 2^-8, or none over seven.
        assert!((child_count(8, 2) - 2.0 / 256.0).abs() < 1e-12);
        // Far more entries than places: a child for every six over seven, begun ones too.
        assert!((child_count(100_000, 1000) / 1000.0 - 16.0).abs() < 0.2);
    }

    #[test]
    fn both_tables_stay_until_every_old_bucket_moved() {
        let mut table = Hashtable::default();
        for _ in 0..8 {
            table.insert();
        }
        assert_eq!(table.tables(), (2, Some(1)));
        table.insert();
        assert_eq!(table.tables(), (2, None));
    }
}
