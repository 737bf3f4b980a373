//! Turns away prefixes that come once: most of those that are new to a table which had to drop
//! some already are never seen again, and would only drive others out.

use super::Floor;

/// Remembers which prefixes were turned away. What comes again before it forgets is let in, so
/// that no prefix loses more than one key to it between two times that it forgets.
#[derive(Debug, Clone, Default)]
pub(super) struct Door {
    /// One bit for each hash that was turned away; nothing while everyone is let in.
    bits: Vec<u64>,
    bits_set: usize,
    types: Vec<OfType>,
}

/// What is known of one type.
#[derive(Debug, Clone, Copy, Default)]
struct OfType {
    /// Most bytes of a key that is turned away: of a prefix that was dropped last.
    bytes_max: u64,
    /// What a prefix can have lost since the door forgot.
    lost: Floor,
}

impl Door {
    /// A quarter of a MiB, which stays near the core.
    const WORDS: usize = 1 << 15;
    /// From here on too many strangers would be taken for acquaintances.
    const BITS_SET_MAX: usize = Self::WORDS * 64 / 4;

    /// Begins to turn away those that are no larger than what was dropped of each type.
    pub(super) fn close(&mut self, dropped: &[Floor]) {
        self.types.resize(self.types.len().max(dropped.len()), OfType::default());
        for (of_type, dropped) in self.types.iter_mut().zip(dropped) {
            of_type.bytes_max = dropped.bytes;
        }
        self.bits.resize(Self::WORDS, 0);
    }

    /// Lets everyone in.
    pub(super) fn open(&mut self) {
        *self = Self::default();
    }

    /// Whether a new prefix is let in for a key of this size. If it is not, it is the next
    /// time, and what it has lost is added to the floor of its type.
    #[inline]
    pub(super) fn lets_in(
        &mut self,
        type_at: u16,
        size: u64,
        floor: &mut Floor,
        hash: impl FnOnce() -> u64,
    ) -> bool {
        let Some(of_type) = self.types.get_mut(usize::from(type_at)) else { return true };
        if size > of_type.bytes_max || *floor == Floor::default() {
            return true;
        }
        let hash = hash();
        let place = usize::try_from(hash >> 38).unwrap_or_default() % Self::WORDS;
        let Some(word) = self.bits.get_mut(place) else { return true };
        let bit = 1 << (hash >> 32 & 63);
        if *word & bit != 0 {
            return true;
        }
        *word |= bit;
        self.bits_set += 1;
        floor.key_count += 1 - of_type.lost.key_count;
        of_type.lost.key_count = 1;
        floor.bytes = floor.bytes.saturating_add(size.saturating_sub(of_type.lost.bytes));
        of_type.lost.bytes = of_type.lost.bytes.max(size);
        if self.bits_set > Self::BITS_SET_MAX {
            self.forget();
        }
        false
    }

    #[cold]
    fn forget(&mut self) {
        self.bits.fill(0);
        self.bits_set = 0;
        for of_type in &mut self.types {
            of_type.lost = Floor::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn what_is_lost_is_what_the_floor_grows_by() {
        let before = Floor { key_count: 1, bytes: 10 };
        let mut floor = before;
        let mut door = Door::default();
        assert!(door.lets_in(0, 1, &mut floor, || 7), "it is open at first");
        door.close(&[Floor { key_count: 1, bytes: 50 }]);
        assert!(door.lets_in(0, 51, &mut floor, || 7), "a large key is let in");
        assert!(door.lets_in(1, 1, &mut floor, || 7), "nothing was dropped of this type");
        assert!(door.lets_in(0, 1, &mut Floor::default(), || 7), "counts are whole");
        assert_eq!(floor, before);

        let mut lost: HashMap<u64, Floor> = HashMap::new();
        let mut rng = offkey_testkit::Rng::new(1);
        let some: Vec<u64> = (0..100).map(|_| rng.bits()).collect();
        for round in 0..4 {
            for size in [20, 40, 30] {
                for hash in &some {
                    if !door.lets_in(0, size + round, &mut floor, || *hash) {
                        let lost = lost.entry(*hash).or_default();
                        lost.key_count += 1;
                        lost.bytes += size + round;
                    }
                }
            }
            // Strangers, until it has forgotten; they come with larger keys.
            let bits_set = door.bits_set;
            while door.bits_set >= bits_set {
                door.lets_in(0, 45 + round, &mut floor, || rng.bits());
            }
        }
        assert!(some.iter().all(|hash| lost[hash].key_count == 4), "turned away once a round");
        assert!(some.iter().all(|hash| lost[hash].bytes == 4 * 20 + 6));
        assert_eq!(floor.key_count - before.key_count, 4);
        assert_eq!(floor.bytes - before.bytes, 4 * 45 + 6);
    }
}
