//! Turns away prefixes that come once: most of those that are new to a table which had to drop
//! some already are never seen again, and would only drive others out.

use super::filter::Filter;
use super::recent::{Folded, LEN_MAX};
use super::tree::{Node, Tree};
use super::{Floor, Rule};

/// Remembers which prefixes were turned away. What comes again before it forgets is let in, so
/// that no prefix loses more than one key to it between two times that it forgets.
///
/// It knows those in the table as well, so that strangers need not be looked for there.
#[derive(Debug, Clone, Default)]
pub(super) struct Door {
    /// The hashes that it knows; nothing while everyone is let in.
    known: Filter,
    /// Those that it can still turn away before it forgets.
    room: usize,
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
    /// Least words: a quarter of a MiB, which stays near the core.
    const WORDS_MIN: usize = 1 << 15;
    /// Prefixes of the table for each word, at most, where there are enough words.
    const NODES_EACH: usize = 2;
    /// Those turned away for each word, at most: beyond, too many strangers would be taken for
    /// acquaintances.
    const STRANGERS_EACH: usize = 12;

    /// Begins to turn away those that are no larger than what was dropped of each type.
    pub(super) fn close(&mut self, dropped: &[Floor], tree: &mut Tree, rule: &Rule) {
        self.types.resize(self.types.len().max(dropped.len()), OfType::default());
        for (of_type, dropped) in self.types.iter_mut().zip(dropped) {
            of_type.bytes_max = dropped.bytes;
        }
        if !self.is_closed() {
            self.forget(tree, rule);
        }
    }

    /// Lets everyone in.
    pub(super) fn open(&mut self) {
        if self.is_closed() {
            *self = Self::default();
        }
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.known.word_count() > 0
    }

    /// Whether it is to forget.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.is_closed() && self.room == 0
    }

    /// Whether a prefix is turned away when it comes with a key of this size: then it is not in
    /// the table. The next time it is not, and what it has lost is added to the floor of its
    /// type.
    #[inline]
    pub(super) fn turns_away(
        &mut self,
        type_at: u16,
        size: u64,
        floor: &mut Floor,
        hash: impl FnOnce() -> u64,
    ) -> bool {
        let Some(of_type) = self.types.get_mut(usize::from(type_at)) else { return false };
        if size > of_type.bytes_max || *floor == Floor::default() {
            return false;
        }
        if self.known.add(hash()) {
            return false;
        }
        self.room = self.room.saturating_sub(1);
        floor.key_count += 1 - of_type.lost.key_count;
        of_type.lost.key_count = 1;
        floor.bytes = floor.bytes.saturating_add(size.saturating_sub(of_type.lost.bytes));
        of_type.lost.bytes = of_type.lost.bytes.max(size);
        true
    }

    /// Notes that a prefix is in the table now.
    pub(super) fn admit(&mut self, tree: &mut Tree, at: u32, hash: u64) {
        let node = usize::try_from(at).ok().and_then(|at| tree.nodes.get_mut(at));
        if let Some(node) = node {
            node.door_key = Filter::key(hash);
            self.known.add_key(node.door_key);
        }
    }

    /// Forgets whom it turned away, and knows those in the table.
    #[cold]
    pub(super) fn forget(&mut self, tree: &mut Tree, rule: &Rule) {
        self.known = Filter::new((tree.nodes.len() / Self::NODES_EACH).max(Self::WORDS_MIN));
        self.room = self.known.word_count() * Self::STRANGERS_EACH;
        for of_type in &mut self.types {
            of_type.lost = Floor::default();
        }
        let mut text = Vec::new();
        for at in 0..tree.nodes.len() {
            let Some(Node { mut door_key, type_at, .. }) = tree.nodes.get(at).copied() else {
                break;
            };
            // Longer ones are those of longer names, which never come to this door.
            if door_key == 0 && tree.short_text_of(at, LEN_MAX, &mut text) {
                let folded = Folded::new(&text, rule);
                door_key = folded.map_or(0, |f| Filter::key(f.hash(type_at)));
                if let Some(node) = tree.nodes.get_mut(at) {
                    node.door_key = door_key;
                }
            }
            // Of 0 as well: a short one may have that.
            self.known.add_key(door_key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use offkey_rdb::ObjectType;

    use super::super::ROOT;
    use super::*;

    #[test]
    fn what_is_lost_is_what_the_floor_grows_by() {
        let before = Floor { key_count: 1, bytes: 10 };
        let mut floor = before;
        let (mut door, mut tree) = (Door::default(), Tree::default());
        let rule = Rule::new(b":", true);
        let name = |n: u64| n << 32;
        assert!(!door.turns_away(0, 1, &mut floor, || name(7)), "it is open at first");
        door.close(&[Floor { key_count: 1, bytes: 50 }], &mut tree, &rule);
        assert!(!door.turns_away(0, 51, &mut floor, || name(7)), "a large key is let in");
        assert!(!door.turns_away(1, 1, &mut floor, || name(7)), "nothing was dropped of this type");
        assert!(!door.turns_away(0, 1, &mut Floor::default(), || name(7)), "counts are whole");
        assert_eq!(floor, before);

        let mut lost: HashMap<u64, Floor> = HashMap::new();
        let mut rng = offkey_testkit::Rng::new(1);
        let some: Vec<u64> = (0..100).map(|_| rng.bits()).collect();
        for round in 0..4 {
            for size in [20, 40, 30] {
                for hash in &some {
                    if door.turns_away(0, size + round, &mut floor, || *hash) {
                        let lost = lost.entry(*hash).or_default();
                        lost.key_count += 1;
                        lost.bytes += size + round;
                    }
                }
            }
            // Strangers, until it forgets; they come with larger keys.
            while !door.is_full() {
                door.turns_away(0, 45 + round, &mut floor, || rng.bits());
            }
            door.forget(&mut tree, &rule);
        }
        assert!(some.iter().all(|hash| lost[hash].key_count == 4), "turned away once a round");
        assert!(some.iter().all(|hash| lost[hash].bytes == 4 * 20 + 6));
        assert_eq!(floor.key_count - before.key_count, 4);
        assert_eq!(floor.bytes - before.bytes, 4 * 45 + 6);
    }

    /// It must know them: what it turns away is taken not to be in the table.
    #[test]
    fn those_in_the_table_are_never_turned_away() {
        let dropped = [Floor { key_count: 1, bytes: 50 }];
        let rule = Rule::new(b":", true);
        let (mut door, mut tree) = (Door::default(), Tree::default());
        let type_at = tree.type_at(ObjectType::String);
        let long = "x".repeat(LEN_MAX + 1);
        let texts: Vec<String> =
            (0..1000).map(|n: u32| format!("{n:b}").replace('1', "i")).collect();
        let hash_of = |text: &str| Folded::new(text.as_bytes(), &rule).unwrap().hash(type_at);
        let (early, late) = texts.split_at(500);
        for text in early.iter().chain([&long]) {
            tree.place(ROOT, type_at, text.as_bytes()).unwrap();
        }
        door.close(&dropped, &mut tree, &rule);
        for text in late {
            let (at, is_new) = tree.place(ROOT, type_at, text.as_bytes()).unwrap();
            assert!(is_new);
            door.admit(&mut tree, at, hash_of(text));
        }
        for _ in 0..2 {
            for text in &texts {
                let mut floor = Floor { key_count: 1, bytes: 50 };
                let is_turned_away = door.turns_away(type_at, 1, &mut floor, || hash_of(text));
                assert!(!is_turned_away, "{text}");
            }
            door.forget(&mut tree, &rule);
        }
    }
}
