//! Keys and bytes under each prefix, per type, in bounded memory.
//!
//! The rule is RDR's, which the DCS API shows: digits count as `0`, every part of a key
//! before a separator is a prefix without its trailing separators, a key without any is its
//! own prefix.
//!
//! Prefixes form a tree: `a:b` hangs under `a` by its segment `:b`, so that a name of many
//! levels costs no more than its length. When the tree outgrows its bound, each type keeps
//! the prefixes that lead it by number or by bytes. What was dropped may come again and is
//! then counted from zero; [`Floor`] says how much it can have lost at most. Parents never
//! count less than their children, so what is kept is always a whole tree.

mod branches;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use offkey_rdb::ObjectType;

pub(crate) use self::branches::Branch;
use crate::facts::KeyFacts;

/// Types whose prefixes are told apart; more module types than that share the last.
const TYPES_MAX: usize = 64;

/// Levels of one key that are counted.
const LEVELS_MAX: u32 = 1024;

/// How keys are cut into prefixes.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// For each byte the one it counts as, and whether it separates.
    bytes: [(u8, bool); 256],
}

impl Rule {
    pub(crate) fn new(separators: &[u8], fold_digits: bool) -> Self {
        let mut bytes = [(0, false); 256];
        for (byte, (folded, separates)) in (0..=u8::MAX).zip(&mut bytes) {
            *folded = if fold_digits && byte.is_ascii_digit() { b'0' } else { byte };
            *separates = separators.contains(&byte);
        }
        Self { bytes }
    }

    /// Calls `each` with every prefix of `key`, longest last, as its text so far and where
    /// its own segment begins; stops when it says so. `folded` is room for the text.
    #[inline]
    fn cut(&self, key: &[u8], folded: &mut Vec<u8>, mut each: impl FnMut(&[u8], usize) -> bool) {
        let mut levels_left = LEVELS_MAX;
        let (mut segment_at, mut after_text, mut is_whole) = (0, false, true);
        if folded.len() < key.len() {
            folded.resize(key.len(), 0);
        }
        for (at, byte) in key.iter().enumerate() {
            let (counts_as, separates) =
                self.bytes.get(usize::from(*byte)).copied().unwrap_or_default();
            if separates {
                is_whole = false;
                if after_text {
                    levels_left -= 1;
                    if !each(folded.get(..at).unwrap_or_default(), segment_at) || levels_left == 0 {
                        return;
                    }
                    segment_at = at;
                }
            }
            after_text = !separates;
            if let Some(room) = folded.get_mut(at) {
                *room = counts_as;
            }
        }
        if is_whole && !key.is_empty() {
            each(folded.get(..key.len()).unwrap_or_default(), 0);
        }
    }
}

/// What a prefix that is not in the table can have at most; zero if nothing was dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) key_count: u64,
    pub(crate) bytes: u64,
}

/// The floors of a table's types, while a second pass counts.
#[derive(Debug)]
pub(crate) struct Floors(Vec<Floor>);

/// What is counted of a prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counts {
    pub(crate) key_count: u64,
    pub(crate) bytes: u64,
    /// Of these, the keys without an expiry; no floor of theirs is greater than those above.
    pub(crate) lasting_count: u64,
    pub(crate) lasting_bytes: u64,
}

impl Counts {
    #[inline]
    fn add(&mut self, other: Self) {
        self.key_count += other.key_count;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.lasting_count += other.lasting_count;
        self.lasting_bytes = self.lasting_bytes.saturating_add(other.lasting_bytes);
    }
}

/// A prefix: its parent's text and then its own segment.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Place of the parent, which always stands before its children.
    parent: u32,
    /// Place of the type in `types`.
    type_at: u16,
    /// The segment in `text`.
    start: usize,
    len: u32,
    counts: Counts,
}

/// Parent of the first segments.
const ROOT: u32 = u32::MAX;

/// The prefixes seen, with their numbers and bytes.
#[derive(Debug, Clone)]
pub(crate) struct Prefixes {
    rule: Rule,
    /// Bytes the tree may take.
    memory_max: usize,
    tree: Tree,
    /// The key at hand, its digits folded.
    folded: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
struct Tree {
    types: Vec<ObjectType>,
    floors: Vec<Floor>,
    nodes: Vec<Node>,
    text: Vec<u8>,
    index: HashTable<u32>,
    hasher: RandomState,
    /// Whether only the prefixes at hand are counted.
    is_frozen: bool,
    /// Nodes found last at the first levels: keys that follow each other are often alike.
    last: [u32; 4],
}

/// A prefix as a report shows it; prefixes of a type are in the order of their texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    pub(crate) object_type: ObjectType,
    /// First bytes of the text, at most [`Prefix::TEXT_LEN_MAX`].
    pub(crate) text: Vec<u8>,
    /// Length of the whole text.
    pub(crate) text_len: u64,
    pub(crate) counts: Counts,
}

/// A prefix as it stands in the table, after its parent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'t> {
    /// Place of its parent's row; `u32::MAX` if it has none.
    pub(crate) parent: u32,
    /// Place of its type among [`Prefixes::floors`].
    pub(crate) type_at: u16,
    /// The text beyond its parent's.
    pub(crate) segment: &'t [u8],
    pub(crate) counts: Counts,
}

impl Prefix {
    /// Bytes of a prefix that a report shows.
    pub(crate) const TEXT_LEN_MAX: usize = 1 << 10;
}

/// By what prefixes are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RankBy {
    KeyCount,
    Bytes,
    /// Bytes without an expiry.
    LastingBytes,
}

impl Prefixes {
    pub(crate) fn new(rule: Rule, memory_max: usize) -> Self {
        Self { rule, memory_max, tree: Tree::default(), folded: Vec::new() }
    }

    #[inline]
    pub(crate) fn observe(&mut self, facts: &KeyFacts<'_>) {
        let Self { rule, memory_max, tree, folded } = self;
        let type_at = tree.type_at(facts.object_type);
        let (mut parent, mut level) = (ROOT, 0);
        let lasts = facts.expire_at_ms.is_none();
        let one = Counts {
            key_count: 1,
            bytes: facts.size,
            lasting_count: u64::from(lasts),
            lasting_bytes: if lasts { facts.size } else { 0 },
        };
        rule.cut(facts.key, folded, |text, segment_at| {
            let segment = text.get(segment_at..).unwrap_or_default();
            let Some(at) = tree.place_at_level(level, parent, type_at, segment) else {
                return false;
            };
            tree.add(at, one);
            (parent, level) = (at, level + 1);
            true
        });
        if tree.memory() > *memory_max {
            tree.prune();
        }
    }

    /// Adds what `other` counted.
    pub(crate) fn merge(&mut self, other: &Prefixes) {
        self.tree.merge(&other.tree);
        if self.tree.memory() > self.memory_max {
            self.tree.prune();
        }
    }

    /// Gives the table another bound.
    pub(crate) fn set_memory_max(&mut self, memory_max: usize) {
        self.memory_max = memory_max;
    }

    /// Tells whether prefixes were dropped, so that counts are too low by up to the floors.
    pub(crate) fn is_pruned(&self) -> bool {
        self.tree.floors.iter().any(|floor| *floor != Floor::default())
    }

    /// Makes this the table of a second pass, which counts the prefixes at hand and no
    /// others; answers what the others can have.
    pub(crate) fn freeze(&mut self) -> Floors {
        self.tree.is_frozen = true;
        for node in &mut self.tree.nodes {
            node.counts = Counts::default();
        }
        let types = self.tree.types.len();
        Floors(std::mem::replace(&mut self.tree.floors, vec![Floor::default(); types]))
    }

    /// Ends a second pass.
    pub(crate) fn set_floors(&mut self, floors: Floors) {
        self.tree.floors = floors.0;
    }

    /// Tells whether the counts are those of a second pass, and so exact.
    pub(crate) fn is_frozen(&self) -> bool {
        self.tree.is_frozen
    }

    /// The types that have prefixes, with what a prefix not at hand can have at most.
    pub(crate) fn floors(&self) -> impl Iterator<Item = (ObjectType, Floor)> {
        self.tree.types.iter().copied().zip(self.tree.floors.iter().copied())
    }

    /// The table, for another one to be made of by [`Prefixes::add_floor`] for each type and
    /// then [`Prefixes::add_row`] in this order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.tree.nodes.iter().map(|node| Row {
            parent: node.parent,
            type_at: node.type_at,
            segment: self.tree.segment(node),
            counts: node.counts,
        })
    }

    pub(crate) fn add_floor(&mut self, object_type: ObjectType, floor: Floor) {
        let type_at = usize::from(self.tree.type_at(object_type));
        if let Some(own) = self.tree.floors.get_mut(type_at) {
            *own = floor;
        }
    }

    /// Adds a row; one that names no type or no earlier row counts as one without a parent.
    pub(crate) fn add_row(&mut self, row: Row<'_>) {
        let is_known = |at: u32| usize::try_from(at).is_ok_and(|at| at < self.tree.nodes.len());
        let parent = if is_known(row.parent) { row.parent } else { ROOT };
        let last_type = self.tree.types.len().saturating_sub(1);
        let type_at = row.type_at.min(u16::try_from(last_type).unwrap_or(u16::MAX));
        let place = self.tree.place(parent, type_at, row.segment).unwrap_or(ROOT);
        self.tree.add(place, row.counts);
    }

    /// Makes this a table of a second pass.
    pub(crate) fn set_frozen(&mut self) {
        self.tree.is_frozen = true;
    }

    /// The `limit` leading prefixes of a type, best first; ties by the other measure, then
    /// by text.
    pub(crate) fn leading(
        &self,
        object_type: ObjectType,
        rank_by: RankBy,
        limit: usize,
    ) -> Vec<Prefix> {
        let rank = |node: &Node| match rank_by {
            RankBy::KeyCount => (node.counts.key_count, node.counts.bytes),
            RankBy::Bytes => (node.counts.bytes, node.counts.key_count),
            RankBy::LastingBytes => (node.counts.lasting_bytes, node.counts.lasting_count),
        };
        let tree = &self.tree;
        let of_type = |node: &&Node| {
            tree.types.get(usize::from(node.type_at)) == Some(&object_type) && rank(node).0 > 0
        };
        // Worst on top. A text can be much longer than what the table holds of it, so that
        // no more are made than are listed.
        let mut leading: BinaryHeap<(Reverse<(u64, u64)>, Prefix)> = BinaryHeap::new();
        for node in tree.nodes.iter().filter(of_type) {
            let is_full = leading.len() >= limit;
            if is_full && leading.peek().is_none_or(|(worst, _)| rank(node) < worst.0) {
                continue;
            }
            leading.push((Reverse(rank(node)), tree.prefix(node, object_type)));
            if is_full {
                leading.pop();
            }
        }
        leading.into_sorted_vec().into_iter().map(|(_, prefix)| prefix).collect()
    }
}

impl Tree {
    /// Adds the nodes of `other`, parents first as they stand.
    fn merge(&mut self, other: &Tree) {
        let type_places: Vec<u16> = other.types.iter().map(|t| self.type_at(*t)).collect();
        for (type_at, floor) in type_places.iter().zip(&other.floors) {
            if let Some(own) = self.floors.get_mut(usize::from(*type_at)) {
                own.key_count += floor.key_count;
                own.bytes = own.bytes.saturating_add(floor.bytes);
            }
        }
        let mut places: Vec<u32> = Vec::with_capacity(other.nodes.len());
        for node in &other.nodes {
            let parent = place_of(&places, node.parent);
            let type_at = type_places.get(usize::from(node.type_at)).copied().unwrap_or_default();
            let place = self.place(parent, type_at, other.segment(node)).unwrap_or(ROOT);
            self.add(place, node.counts);
            places.push(place);
        }
    }

    #[inline]
    fn add(&mut self, at: u32, counts: Counts) {
        if let Some(node) = usize::try_from(at).ok().and_then(|at| self.nodes.get_mut(at)) {
            node.counts.add(counts);
        }
    }

    fn prefix(&self, node: &Node, object_type: ObjectType) -> Prefix {
        let mut segments = Vec::new();
        let mut next = Some(node);
        let mut text_len = 0;
        while let Some(node) = next {
            segments.push(self.segment(node));
            text_len += u64::from(node.len);
            next = usize::try_from(node.parent).ok().and_then(|at| self.nodes.get(at));
        }
        let mut text = Vec::new();
        for segment in segments.iter().rev() {
            let room = Prefix::TEXT_LEN_MAX - text.len();
            text.extend_from_slice(segment.get(..room).unwrap_or(segment));
            if text.len() == Prefix::TEXT_LEN_MAX {
                break;
            }
        }
        Prefix { object_type, text, text_len, counts: node.counts }
    }

    #[inline]
    fn segment(&self, node: &Node) -> &[u8] {
        segment_of(&self.text, node)
    }

    /// Like [`Tree::place`], trying first the node found last at this level.
    #[inline]
    fn place_at_level(
        &mut self,
        level: usize,
        parent: u32,
        type_at: u16,
        segment: &[u8],
    ) -> Option<u32> {
        let last = self.last.get(level).copied().unwrap_or(ROOT);
        let node = usize::try_from(last).ok().and_then(|last| self.nodes.get(last));
        if node.is_some_and(|node| self.is(node, parent, type_at, segment)) {
            return Some(last);
        }
        let found = self.place(parent, type_at, segment)?;
        if let Some(last) = self.last.get_mut(level) {
            *last = found;
        }
        Some(found)
    }

    #[inline]
    fn is(&self, node: &Node, parent: u32, type_at: u16, segment: &[u8]) -> bool {
        (node.parent, node.type_at) == (parent, type_at) && self.segment(node) == segment
    }

    /// Finds the node of a segment under `parent`, or makes one unless the table is frozen.
    #[inline]
    fn place(&mut self, parent: u32, type_at: u16, segment: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one((parent, type_at, segment));
        let Self { nodes, text, index, hasher, .. } = self;
        let node_at = |at: u32| usize::try_from(at).ok().and_then(|at| nodes.get(at));
        let found = index.find(hash, |at| {
            node_at(*at).is_some_and(|node| {
                (node.parent, node.type_at) == (parent, type_at)
                    && segment_of(text, node) == segment
            })
        });
        if let Some(at) = found {
            return Some(*at);
        }
        if self.is_frozen {
            return None;
        }
        let at = u32::try_from(nodes.len()).ok().filter(|at| *at != ROOT)?;
        let len = u32::try_from(segment.len()).ok()?;
        let counts = Counts::default();
        nodes.push(Node { parent, type_at, start: text.len(), len, counts });
        text.extend_from_slice(segment);
        index.insert_unique(hash, at, |at| {
            let node = usize::try_from(*at).ok().and_then(|at| nodes.get(at));
            node.map_or(0, |node| {
                hasher.hash_one((node.parent, node.type_at, segment_of(text, node)))
            })
        });
        Some(at)
    }

    fn type_at(&mut self, object_type: ObjectType) -> u16 {
        let known = self.types.iter().position(|t| *t == object_type);
        let at = known.unwrap_or_else(|| {
            if self.types.len() < TYPES_MAX {
                self.types.push(object_type);
                self.floors.push(Floor::default());
            }
            self.types.len() - 1
        });
        // At most TYPES_MAX.
        u16::try_from(at).unwrap_or_default()
    }

    fn memory(&self) -> usize {
        // An index slot is a place and a control byte, and one in eight stays empty.
        self.nodes.len() * (size_of::<Node>() + 6) + self.text.len()
    }

    /// Keeps the leading prefixes of each type, at most half of all.
    fn prune(&mut self) {
        let quota = (self.nodes.len() / 4 / self.types.len().max(1)).max(1);
        let thresholds: Vec<(u64, u64)> = (0..self.types.len())
            .map(|type_at| {
                let of_type = |node: &&Node| usize::from(node.type_at) == type_at;
                let counts = self.nodes.iter().filter(of_type).map(|node| node.counts.key_count);
                let bytes = self.nodes.iter().filter(of_type).map(|node| node.counts.bytes);
                (below_top(counts.collect(), quota), below_top(bytes.collect(), quota))
            })
            .collect();
        let nodes = std::mem::take(&mut self.nodes);
        let text = std::mem::take(&mut self.text);
        self.index.clear();
        let mut dropped = vec![Floor::default(); self.types.len()];
        let mut places: Vec<u32> = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let type_at = usize::from(node.type_at);
            let (count_min, bytes_min) = thresholds.get(type_at).copied().unwrap_or_default();
            let mut place = ROOT;
            let Counts { key_count, bytes, .. } = node.counts;
            if key_count > count_min || bytes > bytes_min {
                let parent = place_of(&places, node.parent);
                place = self.place(parent, node.type_at, segment_of(&text, node)).unwrap_or(ROOT);
                self.add(place, node.counts);
            } else if let Some(dropped) = dropped.get_mut(type_at) {
                dropped.key_count = dropped.key_count.max(key_count);
                dropped.bytes = dropped.bytes.max(bytes);
            }
            places.push(place);
        }
        for (floor, dropped) in self.floors.iter_mut().zip(dropped) {
            floor.key_count += dropped.key_count;
            floor.bytes = floor.bytes.saturating_add(dropped.bytes);
        }
    }
}

/// New place of a parent whose old place is `old`.
fn place_of(places: &[u32], old: u32) -> u32 {
    usize::try_from(old).ok().and_then(|old| places.get(old)).copied().unwrap_or(ROOT)
}

#[inline]
fn segment_of<'t>(text: &'t [u8], node: &Node) -> &'t [u8] {
    // Node lengths came from slices, so they fit.
    let len = usize::try_from(node.len).unwrap_or_default();
    text.get(node.start..node.start + len).unwrap_or_default()
}

/// The greatest value that is not among the `quota` greatest; zero if all are.
fn below_top(mut values: Vec<u64>, quota: usize) -> u64 {
    if values.len() <= quota {
        return 0;
    }
    let (_, value, _) = values.select_nth_unstable_by(quota, |a, b| b.cmp(a));
    *value
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    pub(super) fn facts(key: &[u8], size: u64) -> KeyFacts<'_> {
        KeyFacts {
            db: 0,
            key,
            key_len: key.len() as u64,
            object_type: ObjectType::String,
            encoding: crate::memory::Encoding::Raw,
            num_of_elem: 1,
            bytes: size,
            memory_usage: None,
            serialized_bytes: 0,
            expire_at_ms: None,
            expires_in_ms: None,
            idle_seconds: None,
            freq: None,
            slot: None,
            size,
        }
    }

    pub(super) fn table(memory_max: usize) -> Prefixes {
        Prefixes::new(Rule::new(b":;,_- ", true), memory_max)
    }

    fn listed(prefixes: &Prefixes, limit: usize) -> Vec<(String, u64, u64)> {
        let text = |p: &Prefix| String::from_utf8_lossy(&p.text).into_owned();
        let leading = prefixes.leading(ObjectType::String, RankBy::KeyCount, limit);
        leading.iter().map(|p| (text(p), p.counts.key_count, p.counts.bytes)).collect()
    }

    #[test]
    fn rule_by_example() {
        let cases: &[(&str, &[&str])] = &[
            ("a:b:c", &["a", "a:b"]),
            ("user:17:profile", &["user", "user:00"]),
            ("plain", &["plain"]),
            ("plain17", &["plain00"]),
            ("a::b", &["a"]),
            ("a:", &["a"]),
            ("a::b:c", &["a", "a::b"]),
            (":a", &[]),
            (":a:b", &[":a"]),
            (":::", &[]),
            ("", &[]),
            ("a_b-c d;e,f", &["a", "a_b", "a_b-c", "a_b-c d", "a_b-c d;e"]),
        ];
        for (key, expected) in cases {
            let mut prefixes = table(1 << 20);
            prefixes.observe(&facts(key.as_bytes(), 10));
            let mut found: Vec<String> =
                listed(&prefixes, 50).into_iter().map(|(text, ..)| text).collect();
            found.sort_by_key(String::len);
            assert_eq!(found, *expected, "{key:?}");
        }
    }

    #[test]
    fn ranks_by_number_then_bytes_then_text() {
        let mut prefixes = table(1 << 20);
        for (key, size) in [("b:1", 5), ("b:2", 5), ("a:1", 50), ("d:1", 7), ("c:1", 7)] {
            prefixes.observe(&facts(key.as_bytes(), size));
        }
        let named = |s: &str, n, b| (s.to_owned(), n, b);
        let expected = [named("b", 2, 10), named("a", 1, 50), named("c", 1, 7), named("d", 1, 7)];
        assert_eq!(listed(&prefixes, 50), expected);
        assert_eq!(listed(&prefixes, 3), expected[..3]);
    }

    /// Keys with a few heavy families among names that never come twice.
    fn keys(seed: u64, count: u64) -> Vec<String> {
        let mut state = seed;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                let x = state >> 33;
                let name: String =
                    (0..8).map(|i| char::from(b'a' + (x >> (i * 3) & 7) as u8)).collect();
                if x.is_multiple_of(4) {
                    format!("heavy{}:{name}:x", (b'a' + (x % 64 / 4) as u8) as char)
                } else {
                    format!("{name}:x")
                }
            })
            .collect()
    }

    #[test]
    fn heavy_prefixes_are_exact_after_a_second_pass_in_bounded_memory() {
        let keys = keys(1, 200_000);
        let mut exact = table(usize::MAX);
        let mut bounded = table(100_000);
        for key in &keys {
            exact.observe(&facts(key.as_bytes(), 3));
            bounded.observe(&facts(key.as_bytes(), 3));
            assert!(bounded.tree.memory() <= 100_000);
        }
        assert!(bounded.is_pruned() && !exact.is_pruned());
        let floors = bounded.freeze();
        keys.iter().for_each(|key| bounded.observe(&facts(key.as_bytes(), 3)));
        bounded.set_floors(floors);
        assert_eq!(listed(&bounded, 16), listed(&exact, 16));
        let (_, floor) = bounded.floors().next().unwrap();
        let least_listed = listed(&bounded, 16)[15].1;
        assert!(floor.key_count < least_listed, "{floor:?} proves {least_listed}");
    }

    #[test]
    fn counts_lie_within_the_floor() {
        let keys = keys(2, 100_000);
        let mut exact = table(usize::MAX);
        let mut parts = [table(60_000), table(60_000), table(60_000)];
        for (i, key) in keys.iter().enumerate() {
            exact.observe(&facts(key.as_bytes(), 3));
            parts[i % 3].observe(&facts(key.as_bytes(), 3));
        }
        let [mut merged, b, c] = parts;
        merged.merge(&b);
        merged.merge(&c);
        let (_, floor) = merged.floors().next().unwrap();
        let counted: BTreeMap<String, u64> =
            listed(&merged, usize::MAX).into_iter().map(|(text, n, _)| (text, n)).collect();
        for (text, count, _) in listed(&exact, usize::MAX) {
            let found = counted.get(&text).copied().unwrap_or(0);
            assert!(found <= count && count <= found + floor.key_count, "{text}: {found} {count}");
        }
    }

    #[test]
    fn merge_equals_one_pass() {
        let keys = keys(3, 5000);
        let (mut whole, mut a, mut b) = (table(1 << 24), table(1 << 24), table(1 << 24));
        for (i, key) in keys.iter().enumerate() {
            whole.observe(&facts(key.as_bytes(), 7));
            if i % 3 == 0 { &mut a } else { &mut b }.observe(&facts(key.as_bytes(), 7));
        }
        a.merge(&b);
        assert_eq!(listed(&a, 10_000), listed(&whole, 10_000));
    }

    #[test]
    fn what_never_expires_is_counted_apart() {
        let mut prefixes = table(1 << 20);
        for number in 0..10_u8 {
            let expire_at_ms = (number % 2 == 0).then_some(1);
            let key = [b'a' + number % 5, b':', b'1'];
            prefixes.observe(&KeyFacts { expire_at_ms, ..facts(&key, u64::from(number)) });
        }
        // Of a, 0 and 5: the odd one lasts. Of c, 2 and 7.
        let leading = prefixes.leading(ObjectType::String, RankBy::LastingBytes, 2);
        let shown: Vec<_> = (leading.iter())
            .map(|p| (p.text[0], p.counts.bytes, p.counts.lasting_bytes, p.counts.lasting_count))
            .collect();
        assert_eq!(shown, [(b'e', 13, 9, 1), (b'c', 9, 7, 1)]);
    }

    #[test]
    fn half_a_million_levels_cost_their_length() {
        let key: Vec<u8> = std::iter::repeat_n(*b"a:", 500_000).flatten().collect();
        let mut prefixes = table(8 << 20);
        prefixes.observe(&facts(&key, 1));
        prefixes.observe(&facts(&key, 1));
        assert!(prefixes.tree.memory() <= 100_000, "{}", prefixes.tree.memory());
        let all = listed(&prefixes, usize::MAX);
        assert_eq!(all.len(), 1024, "deeper levels are not counted");
        assert!(all.iter().all(|(text, n, _)| *n == 2 && "a:".repeat(1024).starts_with(text)));
    }
}
