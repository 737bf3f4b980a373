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
//! count less than their children, so what is kept is always a whole tree. Once a type had to
//! drop some, its new prefixes are let in when they come a second time ([`door`]).
//!
//! A second pass counts the prefixes that are left; it needs no string key whose prefixes are
//! all counted whole or not in the table ([`wanted`]).

mod branches;
mod door;
mod filter;
mod recent;
mod rule;
#[cfg(test)]
pub(super) mod tests;
mod tree;
mod walk;
mod wanted;

use std::sync::Arc;

use offkey_rdb::ObjectType;

use crate::aggregate::leading::{Leading, RankBy};
use crate::facts::KeyFacts;
use crate::key_row::KeyRun;
use crate::strings::StringRun;

pub(crate) use self::branches::Branch;
pub use self::rule::PrefixRule;
pub(crate) use self::rule::Rule;
pub(crate) use self::tree::{Counts, Floor};
pub(crate) use self::walk::WholePrefix;
pub(crate) use self::wanted::Wanted;

use self::door::Door;
use self::recent::{Folded, Recent};
use self::tree::{Node, ROOT, Tree};

/// What is known of a table while a second pass counts.
#[derive(Debug)]
pub(crate) struct Floors {
    /// Of each of its types.
    floors: Vec<Floor>,
    /// Places of nodes that were counted whole in the first pass, with their counts.
    whole: Vec<(u32, Counts)>,
}

/// The prefixes seen, with their numbers and bytes.
#[derive(Debug, Clone)]
pub(crate) struct Prefixes {
    rule: Rule,
    /// Bytes the tree may take.
    memory_max: usize,
    tree: Tree,
    /// The key at hand, its digits folded.
    folded: Vec<u8>,
    recent: Recent,
    door: Door,
    /// In a second pass, which string keys matter; all of them where there is none.
    wanted: Option<Arc<Wanted>>,
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

/// The prefixes of one key, counted one after another.
struct Descent<'t> {
    tree: &'t mut Tree,
    parent: u32,
    level: usize,
    type_at: u16,
    one: Counts,
}

impl Descent<'_> {
    /// Counts the key for a prefix, if that was found last at this level.
    #[inline]
    fn count_last(&mut self, segment: &[u8]) -> Option<u32> {
        let at = self.tree.last_at(self.level, self.parent, self.type_at, segment)?;
        Some(self.count_at(at))
    }

    /// Counts the key for a prefix; answers its place, if it has one. `hash` is what the door
    /// knows it by.
    #[inline]
    fn count(
        &mut self,
        segment: &[u8],
        door: &mut Door,
        hash: impl FnOnce() -> Option<u64>,
    ) -> Option<u32> {
        let (at, is_new) = self.tree.place(self.parent, self.type_at, segment)?;
        if is_new
            && door.is_closed()
            && let Some(hash) = hash()
        {
            door.admit(self.tree, at, hash);
        }
        self.tree.set_last(self.level, at);
        Some(self.count_at(at))
    }

    #[inline]
    fn count_at(&mut self, at: u32) -> u32 {
        self.tree.add(at, self.one);
        (self.parent, self.level) = (at, self.level + 1);
        at
    }

    /// Whether a prefix that was not found last is turned away.
    #[inline]
    fn is_turned_away(&mut self, door: &mut Door, hash: impl FnOnce() -> u64) -> bool {
        let floor = self.tree.floors.get_mut(usize::from(self.type_at));
        floor.is_some_and(|floor| door.turns_away(self.type_at, self.one.bytes, floor, hash))
    }
}

impl Prefixes {
    pub(crate) fn new(rule: Rule, memory_max: usize) -> Self {
        let (tree, folded, recent) = (Tree::default(), Vec::new(), Recent::default());
        let door = Door::default();
        Self { rule, memory_max, tree, folded, recent, door, wanted: None }
    }

    #[inline]
    pub(crate) fn observe(&mut self, facts: &KeyFacts<'_>) {
        let type_at = self.tree.type_at(facts.object_type);
        let folded = self.rule.may_recall().then(|| Folded::new(facts.key, &self.rule)).flatten();
        self.observe_one(facts.key, folded.as_ref(), type_at, Counts::of(facts));
    }

    pub(crate) fn observe_keys(&mut self, run: &KeyRun<'_>) {
        let may_recall = self.rule.may_recall();
        for (row, rest) in run.keys() {
            let type_at = self.tree.type_at(row.object_type());
            let one = Counts::one(row.size(run.by), row.expire_at_ms().is_none());
            let name = rest.get(..row.name_len()).unwrap_or_default();
            let folded = match rest.first_chunk() {
                _ if !may_recall => None,
                Some(padded) => Folded::of_padded(padded, name.len(), &self.rule),
                None => Folded::new(name, &self.rule),
            };
            self.observe_one(name, folded.as_ref(), type_at, one);
        }
    }

    pub(crate) fn observe_strings(&mut self, run: &StringRun<'_>) {
        let type_at = self.tree.type_at(ObjectType::String);
        let may_recall = self.rule.may_recall();
        // Keys that follow each other are often alike: their counts are added at once.
        let mut alike: Option<(usize, Folded)> = None;
        let mut counts = Counts::default();
        for (row, padded) in run.keys() {
            let one = Counts::one(row.size(), row.expire_at_ms().is_none());
            let folded = if may_recall {
                Folded::of_padded(padded, row.name_len(), &self.rule)
            } else {
                None
            };
            if let (Some((_, before)), Some(folded)) = (&alike, &folded)
                && before.is_like(folded)
            {
                counts.add(one);
                continue;
            }
            self.add_alike(alike, counts);
            let name = padded.get(..row.name_len()).unwrap_or_default();
            let place = self.observe_one(name, folded.as_ref(), type_at, one);
            alike = place.zip(folded);
            counts = Counts::default();
        }
        self.add_alike(alike, counts);
    }

    /// Adds to the prefixes of a name that is remembered at this place.
    #[inline]
    fn add_alike(&mut self, alike: Option<(usize, Folded)>, counts: Counts) {
        if let Some((place, _)) = alike
            && counts.key_count > 0
        {
            self.add_at(place, counts);
        }
    }

    #[inline]
    fn add_at(&mut self, place: usize, counts: Counts) {
        self.recent.path_at(place).iter().for_each(|at| self.tree.add(*at, counts));
    }

    /// Observes a key of this name as it counts; answers the place where it is remembered.
    #[inline]
    fn observe_one(
        &mut self,
        name: &[u8],
        folded: Option<&Folded>,
        type_at: u16,
        one: Counts,
    ) -> Option<usize> {
        let Some(folded) = folded else {
            self.observe_long(name, type_at, one);
            return None;
        };
        let (place, is_again) = self.recent.place(folded.hash(type_at));
        if is_again && self.recent.is_at(place, folded, type_at) {
            self.add_at(place, one);
            return Some(place);
        }
        self.observe_short(folded, is_again.then_some(place), type_at, one);
        (is_again && self.recent.is_at(place, folded, type_at)).then_some(place)
    }

    /// Observes a key of a short name unlike those remembered; one that is to be remembered
    /// has a place.
    fn observe_short(&mut self, short: &Folded, place: Option<usize>, type_at: u16, one: Counts) {
        let Self { rule, tree, recent, door, .. } = self;
        let mut descent = Descent { tree, parent: ROOT, level: 0, type_at, one };
        let mut path = place.and_then(|at| recent.renew(at, short, type_at));
        let hashes = short.hashes();
        let mut is_out = false;
        short.cut(rule, |text, segment_at| {
            let hash = || hashes.first(text.len(), type_at);
            if is_out {
                // What is longer is turned away with it, and so let in the next time.
                descent.is_turned_away(door, hash);
                return true;
            }
            let segment = text.get(segment_at..).unwrap_or_default();
            let at = match descent.count_last(segment) {
                None if descent.is_turned_away(door, hash) => None,
                None => descent.count(segment, door, || Some(hash())),
                found => found,
            };
            match (at, &mut path) {
                (Some(at), Some(path)) => path.push(at),
                (Some(_), None) => {}
                (None, _) if descent.tree.is_frozen => return false,
                (None, path) => {
                    // It has prefixes that are not here, and may be the next time.
                    path.iter_mut().for_each(|path| path.forget());
                    is_out = true;
                }
            }
            true
        });
        self.keep_bounds();
    }

    /// Observes a key of a name too long to be remembered.
    fn observe_long(&mut self, name: &[u8], type_at: u16, one: Counts) {
        let Self { rule, tree, folded, door, .. } = self;
        let mut descent = Descent { tree, parent: ROOT, level: 0, type_at, one };
        rule.cut(name, folded, |text, segment_at| {
            let segment = text.get(segment_at..).unwrap_or_default();
            let hash = || Folded::new(text, rule).map(|text| text.hash(type_at));
            let found = descent.count_last(segment);
            found.or_else(|| descent.count(segment, door, hash)).is_some()
        });
        self.keep_bounds();
    }

    #[inline]
    fn keep_bounds(&mut self) {
        if self.tree.memory() > self.memory_max {
            self.prune();
        }
        if self.door.is_full() {
            self.door.forget(&mut self.tree, &self.rule);
        }
    }

    fn prune(&mut self) {
        let dropped = self.tree.prune();
        self.door.close(&dropped, &mut self.tree, &self.rule);
        self.recent.forget();
    }

    /// Adds what `other` counted.
    pub(crate) fn merge(&mut self, other: &Prefixes) {
        self.tree.merge(&other.tree);
        // It does not know those that came in.
        self.door.open();
        if self.tree.memory() > self.memory_max {
            self.prune();
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
        self.door.open();
        for node in &mut self.tree.nodes {
            node.counts = Counts::default();
        }
        let types = self.tree.types.len();
        let floors = std::mem::replace(&mut self.tree.floors, vec![Floor::default(); types]);
        Floors { floors, whole: Vec::new() }
    }

    /// Like [`Prefixes::freeze`], for a second pass by this process over the same inputs:
    /// counts that are whole already stay, and string keys without any other prefix need not
    /// be observed.
    pub(crate) fn freeze_whole(&mut self) -> Floors {
        let nodes = (0..).zip(&self.tree.nodes);
        let whole = nodes.filter(|(_, node)| node.is_whole).map(|(at, node)| (at, node.counts));
        let whole = whole.collect();
        if self.rule.may_recall() {
            let is_counted = |at: usize| {
                self.tree.nodes.get(at).is_some_and(|node| {
                    let object_type = self.tree.types.get(usize::from(node.type_at));
                    !node.is_whole && object_type == Some(&ObjectType::String)
                })
            };
            self.wanted = Some(Arc::new(Wanted::new(&self.tree, &self.rule, is_counted)));
        }
        Floors { whole, ..self.freeze() }
    }

    /// Which string keys are to be observed, if not all of them.
    pub(crate) fn wanted(&self) -> Option<Arc<Wanted>> {
        self.wanted.clone()
    }

    /// Ends a second pass.
    pub(crate) fn set_floors(&mut self, floors: Floors) {
        self.tree.floors = floors.floors;
        for (at, counts) in floors.whole {
            if let Some(node) = usize::try_from(at).ok().and_then(|at| self.tree.nodes.get_mut(at))
            {
                node.counts = counts;
            }
        }
        self.wanted = None;
    }

    /// Tells whether the counts are those of a second pass, and so exact.
    pub(crate) fn is_frozen(&self) -> bool {
        self.tree.is_frozen
    }

    /// Bytes the tree takes.
    #[inline]
    pub(crate) fn memory(&self) -> usize {
        self.tree.memory()
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
        let (place, _) = self.tree.place(parent, type_at, row.segment).unwrap_or((ROOT, false));
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
        self.best(object_type, Leading::new(limit, rank_by), |c| (c.key_count, c.bytes))
    }

    /// The `limit` prefixes of a type whose keys without expiry have most bytes, best first.
    pub(crate) fn lasting(&self, object_type: ObjectType, limit: usize) -> Vec<Prefix> {
        let leading = Leading::new(limit, RankBy::Bytes);
        self.best(object_type, leading, |c| (c.lasting_count, c.lasting_bytes))
    }

    fn best(
        &self,
        object_type: ObjectType,
        mut leading: Leading<Prefix>,
        figures: impl Fn(&Counts) -> (u64, u64),
    ) -> Vec<Prefix> {
        let tree = &self.tree;
        let of_type =
            |node: &&Node| tree.types.get(usize::from(node.type_at)) == Some(&object_type);
        let (mut segments, mut text) = (Vec::new(), Vec::new());
        for node in tree.nodes.iter().filter(of_type) {
            let (key_count, bytes) = figures(&node.counts);
            if key_count == 0 {
                continue;
            }
            leading.offer_beside(key_count, bytes, |tied| {
                // There can be as many ties as prefixes: their texts are not worth a copy each.
                let text_len = tree.first_bytes(node, &mut segments, &mut text);
                let comes_after = |tied: &Prefix| (&text, text_len) > (&tied.text, tied.text_len);
                let is_out = tied.is_some_and(comes_after);
                (!is_out).then(|| Prefix {
                    object_type,
                    text: text.clone(),
                    text_len,
                    counts: node.counts,
                })
            });
        }
        leading.into_sorted()
    }
}
