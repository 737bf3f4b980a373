//! Radix trees (`rax.c`): streams, pending lists, consumer groups.
//!
//! A node holds a run of bytes that all keys below share (compressed) or one byte for each
//! branch; a key that ends at a node gives it a value pointer:
//!
//! ```text
//! [header 4][bytes][pad to 8][child pointers: 1 if compressed, else one a byte][value 8]
//! ```
//!
//! The shape depends on the keys alone. It is counted while they pass in order: only the
//! places on the path to the last key where a node begins are kept.

use super::alloc::Allocator;
use super::model::Model;

/// Longest key that is followed byte by byte.
const KEY_LEN_MAX: usize = 64;
/// `sizeof(raxNode)` without its bytes.
const HEADER_LEN: u64 = 4;
/// What glibc leaves with other blocks while a fork grows to a number of children, in tenths
/// of a byte. It is moved for every other child; its old blocks are cut up for smaller nodes,
/// and a last piece of 16 bytes stays with the one before. Means, measured in Valkey 9.1.2
/// over ids at distances of 1 to 10^7 ms: little up to 12 children, whose blocks are used
/// again as they are.
fn left_by_growth(children: u64) -> u64 {
    let few = if (3..=6).contains(&children) { 7 } else { 0 };
    few + 24 * (children.clamp(12, 32) - 12) + 8 * (children.max(32) - 32)
}

/// What `streamRadixTreeMemoryUsage` takes a node and a key for.
const ESTIMATED_NODE_LEN: u64 = HEADER_LEN + 30 * 8;
const ESTIMATED_KEY_LEN: u64 = 16;

/// Counts the nodes of a tree whose keys come in ascending order.
#[derive(Debug)]
pub(crate) struct Rax {
    keys: u64,
    nodes: u64,
    bytes: u64,
    /// What growth left, in tenths of a byte.
    left: u64,
    /// Whether a key that ends below all others has a node of its own.
    leaves: bool,
    /// Whether keys have values.
    values: bool,
    last: [u8; KEY_LEN_MAX],
    last_len: usize,
    /// Forks and ends of keys on the path to the last key, outermost first.
    open: Vec<Place>,
}

/// Size of a whole tree without its struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RaxSizes {
    pub(crate) nodes: u64,
    /// Sum of the nodes' allocations.
    pub(crate) bytes: u64,
    /// What `MEMORY USAGE` took the tree for up to Redis 8.2.
    pub(crate) estimate: u64,
    /// What the allocator is expected to leave with the nodes, as whole blocks of 16.
    pub(crate) left: u64,
}

/// A place where a node begins.
#[derive(Debug, Clone, Copy)]
struct Place {
    depth: usize,
    is_key: bool,
    children: u64,
    /// Depth of the first child, whose run is counted once it is known not to be the only one.
    first_child: usize,
}

impl Rax {
    pub(crate) fn new(leaves: bool, values: bool) -> Self {
        Self {
            keys: 0,
            nodes: 0,
            bytes: 0,
            left: 0,
            leaves,
            values,
            last: [0; KEY_LEN_MAX],
            last_len: 0,
            open: Vec::new(),
        }
    }

    /// Adds a key that is not smaller than the last one; the same key counts once.
    pub(crate) fn insert(&mut self, model: &Model, key: &[u8]) {
        let key = key.get(..KEY_LEN_MAX).unwrap_or(key);
        let last = self.last.get(..self.last_len).unwrap_or(&[]);
        let common = last.iter().zip(key).take_while(|(a, b)| a == b).count();
        if !self.open.is_empty() {
            if common == key.len() {
                return;
            }
            self.close_below(model, common);
        }
        if let Some(room) = self.last.get_mut(..key.len()) {
            room.copy_from_slice(key);
        }
        self.last_len = key.len();
        self.keys += 1;
        self.open.push(Place { depth: key.len(), is_key: true, children: 0, first_child: 0 });
    }

    /// Adds a key whose bytes are not known: its run and its leaf.
    pub(crate) fn insert_unknown(&mut self, model: &Model, len: u64) {
        self.keys += 1;
        self.node(model, len, 8, false);
        self.node(model, 0, 0, self.values);
    }

    /// Ends the path to the last key below `depth`, where the next key leaves it.
    fn close_below(&mut self, model: &Model, depth: usize) {
        while let Some(place) = self.open.pop_if(|place| place.depth > depth) {
            if self.open.last().is_none_or(|outer| outer.depth < depth) {
                self.open.push(Place { depth, is_key: false, children: 0, first_child: 0 });
            }
            self.close(model, place);
        }
    }

    /// Counts the node at a place and hangs it under the next place outwards.
    fn close(&mut self, model: &Model, place: Place) {
        let Place { depth, is_key, children, first_child } = place;
        let value = is_key && self.values;
        match children {
            0 if self.leaves => self.node(model, 0, 0, value),
            0 => {}
            // The end of a key inside a longer one: the run below begins here.
            1 => self.run(model, depth, first_child, value),
            _ => {
                self.node(model, children, children * 8, value);
                self.left += left_by_growth(children);
            }
        }
        let Some(outer) = self.open.last_mut() else {
            return self.run(model, 0, depth, false);
        };
        outer.children += 1;
        let (outer_depth, first_child) = (outer.depth, outer.first_child);
        match outer.children {
            1 => outer.first_child = depth,
            2 => {
                self.run(model, outer_depth + 1, first_child, false);
                self.run(model, outer_depth + 1, depth, false);
            }
            _ => self.run(model, outer_depth + 1, depth, false),
        }
    }

    /// Counts the node for the bytes from `from` to `to`, if there are any.
    fn run(&mut self, model: &Model, from: usize, to: usize, value: bool) {
        let len = to.saturating_sub(from) as u64;
        if len > 0 {
            self.node(model, len, 8, value);
        }
    }

    fn node(&mut self, model: &Model, bytes: u64, pointers: u64, value: bool) {
        let value_len = if value { 8 } else { 0 };
        let len = (HEADER_LEN + bytes).next_multiple_of(8) + pointers + value_len;
        self.nodes += 1;
        self.bytes = self.bytes.saturating_add(model.usable(len));
    }

    /// The size of the tree; the next one can begin.
    pub(crate) fn finish(&mut self, model: &Model) -> RaxSizes {
        while let Some(place) = self.open.pop() {
            self.close(model, place);
        }
        if self.keys == 0 {
            self.node(model, 0, 0, false);
        }
        const BLOCK: u64 = 16;
        let blocks = match model.allocator {
            Allocator::Libc => self.left / (BLOCK * 10),
            Allocator::Jemalloc | Allocator::JemallocQ16 | Allocator::JemallocQ16p => 0,
        };
        // The rest counts with the next tree.
        self.left -= blocks * BLOCK * 10;
        let sizes = RaxSizes {
            left: blocks * BLOCK,
            nodes: self.nodes,
            bytes: self.bytes,
            estimate: ESTIMATED_KEY_LEN * self.keys + ESTIMATED_NODE_LEN * self.nodes,
        };
        (self.keys, self.nodes, self.bytes) = (0, 0, 0);
        sizes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Config;

    fn tree(leaves: bool, keys: &[&[u8]]) -> (u64, u64) {
        let profile = "redis-7.2".parse().unwrap();
        let model = Model::new(profile, Allocator::Jemalloc, Config::default());
        let mut rax = Rax::new(leaves, true);
        keys.iter().for_each(|key| rax.insert(&model, key));
        let sizes = rax.finish(&model);
        assert_eq!(sizes.estimate, 16 * keys.len() as u64 + 244 * sizes.nodes);
        assert_eq!(rax.finish(&model).nodes, 1, "the next tree begins empty");
        (sizes.nodes, sizes.bytes)
    }

    #[test]
    fn glibc_leaves_blocks_where_forks_grow() {
        let left = |allocator| {
            let model = Model::new("redis-7.2".parse().unwrap(), allocator, Config::default());
            let mut rax = Rax::new(true, true);
            (0..32_u8).for_each(|byte| rax.insert(&model, &[byte]));
            rax.finish(&model).left
        };
        assert_eq!(left(Allocator::Libc), 48);
        assert_eq!(left(Allocator::Jemalloc), 0);
    }

    #[test]
    fn nodes_are_those_of_the_tree() {
        // An empty root of 8 bytes.
        assert_eq!(tree(true, &[]), (1, 8));
        // A run of 16 (4 + 16 + pad 4 + 8) and a leaf (8 + 8).
        assert_eq!(tree(true, &[&[7; 16]]), (2, 32 + 16));
        assert_eq!(tree(false, &[&[7; 16]]), (1, 32));
        // "ab" fork "c" "d": run 2, fork of 2 (4 + 2 + 2 + 16), two leaves.
        assert_eq!(tree(true, &[b"abc", b"abd"]), (4, 16 + 24 + 16 + 16));
        // "foo" inside "foobar": run 3, run 3 with a value, leaf.
        assert_eq!(tree(true, &[b"foo", b"foobar"]), (3, 16 + 24 + 16));
        // And a fork at its end: run 3, fork with value, runs "ar" and "p", two leaves.
        assert_eq!(tree(true, &[b"foo", b"foobar", b"footp"]), (6, 16 + 32 + 16 + 16 + 16 + 16));
        // A fork at the root.
        assert_eq!(tree(true, &[b"a", b"b", b"c"]), (4, 32 + 3 * 16));
    }
}
