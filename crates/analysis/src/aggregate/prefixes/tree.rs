//! The tree of prefixes: each node holds a segment and hangs under the prefix before it.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use offkey_rdb::ObjectType;
use std::hash::BuildHasher;

use super::Prefix;
use crate::facts::KeyFacts;

/// Types whose prefixes are told apart; more module types than that share the last.
const TYPES_MAX: usize = 64;

/// What a prefix that is not in the table can have at most; zero if nothing was dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) key_count: u64,
    pub(crate) bytes: u64,
}

/// What is counted of a prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counts {
    pub(crate) key_count: u64,
    pub(crate) bytes: u64,
    /// Of these, the keys without an expiry, so that the floors hold for them too.
    pub(crate) lasting_count: u64,
    pub(crate) lasting_bytes: u64,
}

impl Counts {
    /// One key.
    #[inline]
    pub(super) fn of(facts: &KeyFacts<'_>) -> Self {
        Self::one(facts.size, facts.expire_at_ms.is_none())
    }

    /// One key of this size.
    #[inline]
    pub(super) fn one(size: u64, is_lasting: bool) -> Self {
        Self {
            key_count: 1,
            bytes: size,
            lasting_count: u64::from(is_lasting),
            lasting_bytes: if is_lasting { size } else { 0 },
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, other: Self) {
        self.key_count += other.key_count;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.lasting_count += other.lasting_count;
        self.lasting_bytes = self.lasting_bytes.saturating_add(other.lasting_bytes);
    }
}

/// A prefix: its parent's text and then its own segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// Place of the parent, which always stands before its children.
    pub(super) parent: u32,
    /// Place of the type in `types`.
    pub(super) type_at: u16,
    /// Whether it was there before anything was dropped: then its counts are whole.
    pub(super) is_whole: bool,
    /// The segment in `text`.
    pub(super) start: usize,
    pub(super) len: u32,
    /// Half of the hash of parent, type and segment, so that the index is built anew without a
    /// look at the texts.
    hash: u32,
    /// What the door knows it by; 0 where that is not known yet.
    pub(super) door_key: u32,
    pub(super) counts: Counts,
}

/// Parent of the first segments.
pub(super) const ROOT: u32 = u32::MAX;

#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub(super) types: Vec<ObjectType>,
    pub(super) floors: Vec<Floor>,
    pub(super) nodes: Vec<Node>,
    pub(super) text: Vec<u8>,
    pub(super) index: HashTable<u32>,
    pub(super) hasher: RandomState,
    /// Whether only the prefixes at hand are counted.
    pub(super) is_frozen: bool,
    /// Place of the type asked for last.
    last_type: u16,
    /// Nodes found last at the first levels: keys that follow each other are often alike.
    pub(super) last: [u32; 4],
}

impl Tree {
    /// Adds the nodes of `other`, parents first as they stand.
    pub(super) fn merge(&mut self, other: &Tree) {
        let type_places: Vec<u16> = other.types.iter().map(|t| self.type_at(*t)).collect();
        let own_floors = self.floors.clone();
        let mut is_in_both = vec![false; self.nodes.len()];
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
            let (place, _) =
                self.place(parent, type_at, other.segment(node)).unwrap_or((ROOT, false));
            self.add(place, node.counts);
            places.push(place);
            let Ok(at) = usize::try_from(place) else { continue };
            let Some(own) = self.nodes.get_mut(at) else { continue };
            if let Some(is_in_both) = is_in_both.get_mut(at) {
                *is_in_both = true;
                own.is_whole &= node.is_whole;
            } else {
                own.is_whole = node.is_whole && is_zero(&own_floors, type_at);
            }
        }
        let other_floors: Vec<Floor> = (self.floors.iter().zip(&own_floors))
            .map(|(sum, own)| Floor {
                key_count: sum.key_count - own.key_count,
                bytes: sum.bytes - own.bytes,
            })
            .collect();
        for (node, _) in self.nodes.iter_mut().zip(is_in_both).filter(|(_, in_both)| !in_both) {
            node.is_whole &= is_zero(&other_floors, node.type_at);
        }
    }

    #[inline]
    pub(super) fn add(&mut self, at: u32, counts: Counts) {
        if let Some(node) = usize::try_from(at).ok().and_then(|at| self.nodes.get_mut(at)) {
            node.counts.add(counts);
        }
    }

    pub(super) fn prefix(&self, node: &Node, object_type: ObjectType) -> Prefix {
        let mut text = Vec::new();
        let text_len = self.first_bytes(node, &mut Vec::new(), &mut text);
        Prefix { object_type, text, text_len, counts: node.counts }
    }

    /// Puts the first bytes of a node's text into `text`, at most [`Prefix::TEXT_LEN_MAX`];
    /// answers the length of the whole text. `segments` is room for its pieces.
    pub(super) fn first_bytes<'t>(
        &'t self,
        node: &'t Node,
        segments: &mut Vec<&'t [u8]>,
        text: &mut Vec<u8>,
    ) -> u64 {
        segments.clear();
        text.clear();
        let mut next = Some(node);
        let mut text_len = 0;
        while let Some(node) = next {
            segments.push(self.segment(node));
            text_len += u64::from(node.len);
            next = usize::try_from(node.parent).ok().and_then(|at| self.nodes.get(at));
        }
        for segment in segments.iter().rev() {
            let room = Prefix::TEXT_LEN_MAX - text.len();
            text.extend_from_slice(segment.get(..room).unwrap_or(segment));
            if text.len() == Prefix::TEXT_LEN_MAX {
                break;
            }
        }
        text_len
    }

    /// Puts the whole text of the node at this place into `text`.
    pub(super) fn text_of(&self, at: usize, text: &mut Vec<u8>) {
        text.clear();
        let mut next = self.nodes.get(at);
        while let Some(node) = next {
            text.extend(self.segment(node).iter().rev());
            next = usize::try_from(node.parent).ok().and_then(|at| self.nodes.get(at));
        }
        text.reverse();
    }

    /// Likewise, unless the text is longer than `len_max`.
    pub(super) fn short_text_of(&self, at: usize, len_max: usize, text: &mut Vec<u8>) -> bool {
        let (mut next, mut len) = (self.nodes.get(at), 0);
        while let Some(node) = next {
            // Node lengths came from slices, so they fit; none of them is zero.
            len += usize::try_from(node.len).unwrap_or_default();
            if len > len_max {
                return false;
            }
            next = usize::try_from(node.parent).ok().and_then(|at| self.nodes.get(at));
        }
        self.text_of(at, text);
        true
    }

    #[inline]
    pub(super) fn segment(&self, node: &Node) -> &[u8] {
        segment_of(&self.text, node)
    }

    /// The node found last at this level, if it is that of the segment under `parent`.
    #[inline]
    pub(super) fn last_at(
        &self,
        level: usize,
        parent: u32,
        type_at: u16,
        segment: &[u8],
    ) -> Option<u32> {
        let last = self.last.get(level).copied().unwrap_or(ROOT);
        let node = usize::try_from(last).ok().and_then(|last| self.nodes.get(last));
        node.is_some_and(|node| self.is(node, parent, type_at, segment)).then_some(last)
    }

    #[inline]
    pub(super) fn set_last(&mut self, level: usize, at: u32) {
        if let Some(last) = self.last.get_mut(level) {
            *last = at;
        }
    }

    #[inline]
    fn is(&self, node: &Node, parent: u32, type_at: u16, segment: &[u8]) -> bool {
        // Long segments that are as long as each other mostly end in other bytes.
        let own = self.segment(node);
        (node.parent, node.type_at) == (parent, type_at)
            && own.len() == segment.len()
            && match own.len() {
                // Compared at once, where a call would cost more than it does.
                4..=8 => {
                    own.first_chunk::<4>() == segment.first_chunk()
                        && own.last_chunk::<4>() == segment.last_chunk()
                }
                9.. => own.last_chunk::<8>() == segment.last_chunk() && own == segment,
                _ => own == segment,
            }
    }

    /// Finds the node of a segment under `parent`, or makes one unless the table is frozen;
    /// answers also whether it made one.
    #[inline]
    pub(super) fn place(
        &mut self,
        parent: u32,
        type_at: u16,
        segment: &[u8],
    ) -> Option<(u32, bool)> {
        let hash = half_hash(&self.hasher, parent, type_at, segment);
        let Self { nodes, text, index, floors, is_frozen, .. } = self;
        let is_it = |at: &u32| {
            let node = usize::try_from(*at).ok().and_then(|at| nodes.get(at));
            node.is_some_and(|node| {
                (node.hash, node.parent, node.type_at) == (hash, parent, type_at)
                    && segment_of(text, node) == segment
            })
        };
        if let Some(found) = index.find(spread(hash), is_it) {
            return Some((*found, false));
        }
        if *is_frozen {
            return None;
        }
        let at = u32::try_from(nodes.len()).ok().filter(|at| *at != ROOT)?;
        let len = u32::try_from(segment.len()).ok()?;
        index.insert_unique(spread(hash), at, |at| hash_at(nodes, *at));
        let counts = Counts::default();
        let is_whole = is_zero(floors, type_at);
        let start = text.len();
        nodes.push(Node { parent, type_at, is_whole, start, len, hash, door_key: 0, counts });
        text.extend_from_slice(segment);
        Some((at, true))
    }

    /// Builds the index of all nodes.
    fn index_anew(&mut self) {
        let Self { nodes, index, .. } = self;
        index.clear();
        for (at, node) in (0..).zip(nodes.iter()) {
            index.insert_unique(spread(node.hash), at, |at| hash_at(nodes, *at));
        }
    }

    pub(super) fn type_at(&mut self, object_type: ObjectType) -> u16 {
        // Keys that follow each other are often of one type.
        let last = usize::from(self.last_type);
        if self.types.get(last) == Some(&object_type) {
            return self.last_type;
        }
        let known = self.types.iter().position(|t| *t == object_type);
        let at = known.unwrap_or_else(|| {
            if self.types.len() < TYPES_MAX {
                self.types.push(object_type);
                self.floors.push(Floor::default());
            }
            self.types.len() - 1
        });
        // At most TYPES_MAX.
        self.last_type = u16::try_from(at).unwrap_or_default();
        self.last_type
    }

    pub(super) fn memory(&self) -> usize {
        // An index slot is a place and a control byte, and one in eight stays empty.
        self.nodes.len() * (size_of::<Node>() + 6) + self.text.len()
    }

    /// Keeps the leading prefixes of each type, at most half of all; answers the most that one
    /// of the others had.
    pub(super) fn prune(&mut self) -> Vec<Floor> {
        let quota = (self.nodes.len() / 4 / self.types.len().max(1)).max(1);
        let thresholds: Vec<(u64, u64)> = (0..self.types.len())
            .map(|type_at| {
                let of_type = |node: &&Node| usize::from(node.type_at) == type_at;
                let counts = self.nodes.iter().filter(of_type).map(|node| node.counts.key_count);
                let bytes = self.nodes.iter().filter(of_type).map(|node| node.counts.bytes);
                (below_top(counts.collect(), quota), below_top(bytes.collect(), quota))
            })
            .collect();
        let mut dropped = vec![Floor::default(); self.types.len()];
        // In place: a second table would double what is held.
        let mut places: Vec<u32> = Vec::with_capacity(self.nodes.len());
        let (mut kept, mut text_len) = (0, 0);
        for at in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(at).copied() else { break };
            let type_at = usize::from(node.type_at);
            let (count_min, bytes_min) = thresholds.get(type_at).copied().unwrap_or_default();
            if node.counts.key_count > count_min || node.counts.bytes > bytes_min {
                let (start, len) = (text_len, segment_of(&self.text, &node).len());
                self.text.copy_within(node.start..node.start + len, start);
                text_len += len;
                let parent = place_of(&places, node.parent);
                let hash = if parent == node.parent {
                    node.hash
                } else {
                    let segment = self.text.get(start..text_len).unwrap_or_default();
                    half_hash(&self.hasher, parent, node.type_at, segment)
                };
                if let Some(room) = self.nodes.get_mut(kept) {
                    *room = Node { parent, start, hash, ..node };
                }
                places.push(u32::try_from(kept).unwrap_or(ROOT));
                kept += 1;
                continue;
            }
            if let Some(dropped) = dropped.get_mut(type_at) {
                dropped.key_count = dropped.key_count.max(node.counts.key_count);
                dropped.bytes = dropped.bytes.max(node.counts.bytes);
            }
            places.push(ROOT);
        }
        self.nodes.truncate(kept);
        self.text.truncate(text_len);
        self.index_anew();
        for (floor, dropped) in self.floors.iter_mut().zip(&dropped) {
            floor.key_count += dropped.key_count;
            floor.bytes = floor.bytes.saturating_add(dropped.bytes);
        }
        dropped
    }
}

/// Whether nothing of this type was dropped.
#[inline]
fn is_zero(floors: &[Floor], type_at: u16) -> bool {
    floors.get(usize::from(type_at)).is_none_or(|floor| *floor == Floor::default())
}

#[inline]
fn half_hash(hasher: &RandomState, parent: u32, type_at: u16, segment: &[u8]) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "half of it will do")]
    let half = hasher.hash_one((parent, type_at, segment)) as u32;
    half
}

/// A hash of which every bit matters, as the index wants it, of half of one.
#[inline]
fn spread(half: u32) -> u64 {
    u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn hash_at(nodes: &[Node], at: u32) -> u64 {
    usize::try_from(at).ok().and_then(|at| nodes.get(at)).map_or(0, |node| spread(node.hash))
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
pub(super) fn below_top(mut values: Vec<u64>, quota: usize) -> u64 {
    if values.len() <= quota {
        return 0;
    }
    let (_, value, _) = values.select_nth_unstable_by(quota, |a, b| b.cmp(a));
    *value
}
