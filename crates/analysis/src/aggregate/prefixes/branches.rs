//! The tree of the greatest prefixes: what a map of the memory is drawn from.

use std::collections::HashMap;

use offkey_rdb::ObjectType;

use super::tree::below_top;
use super::{Counts, Node, Prefix, Prefixes, Tree};

/// A node of the tree of the greatest prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) object_type: ObjectType,
    /// Place of the parent in the list.
    pub(crate) parent: Option<usize>,
    /// First bytes of what it adds to its parent's text, at most [`Branch::SEGMENT_LEN_MAX`].
    pub(crate) segment: Vec<u8>,
    pub(crate) segment_len: u64,
    pub(crate) counts: Counts,
}

impl Branch {
    /// Bytes of a segment that a report shows.
    pub(crate) const SEGMENT_LEN_MAX: usize = 1 << 8;
}

impl Prefixes {
    /// The prefixes of all types that have more bytes than any other, at most `limit`, as a
    /// tree: most bytes first, parents before their children, which never have more.
    pub(crate) fn branches(&self, limit: usize) -> Vec<Branch> {
        let nodes = &self.tree.nodes;
        // Equal ones are all in or all out, so that the order of merges does not matter.
        let least = below_top(nodes.iter().map(|node| node.counts.bytes).collect(), limit);
        let mut chosen: Vec<(usize, &Node, Prefix, usize)> = (nodes.iter().enumerate())
            .filter(|(_, node)| node.counts.bytes > least)
            .map(|(at, node)| {
                let object_type = self.tree.types.get(usize::from(node.type_at));
                let object_type = object_type.copied().unwrap_or(ObjectType::String);
                (at, node, self.tree.prefix(node, object_type), self.tree.depth(node))
            })
            .collect();
        chosen.sort_by(|(_, a, text_a, depth_a), (_, b, text_b, depth_b)| {
            (b.counts.bytes.cmp(&a.counts.bytes))
                .then_with(|| depth_a.cmp(depth_b))
                .then_with(|| text_a.cmp(text_b))
        });
        let places: HashMap<usize, usize> =
            chosen.iter().enumerate().map(|(place, (at, ..))| (*at, place)).collect();
        let parent = |node: &Node| places.get(&usize::try_from(node.parent).ok()?).copied();
        chosen
            .iter()
            .map(|(_, node, prefix, _)| {
                let segment = self.tree.segment(node);
                Branch {
                    object_type: prefix.object_type,
                    parent: parent(node),
                    segment: segment.get(..Branch::SEGMENT_LEN_MAX).unwrap_or(segment).to_vec(),
                    segment_len: u64::from(node.len),
                    counts: node.counts,
                }
            })
            .collect()
    }
}

impl Tree {
    /// Number of prefixes above a node.
    fn depth(&self, node: &Node) -> usize {
        let up = |node: &&Node| usize::try_from(node.parent).ok().and_then(|at| self.nodes.get(at));
        std::iter::successors(up(&node), up).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{facts, table};
    use super::*;
    use crate::facts::KeyFacts;

    fn shown(prefixes: &Prefixes, limit: usize) -> Vec<(Option<usize>, String, u64, u64)> {
        let text = |branch: &Branch| String::from_utf8_lossy(&branch.segment).into_owned();
        let figures = |b: &Branch| (b.parent, text(b), b.counts.bytes, b.counts.lasting_bytes);
        prefixes.branches(limit).iter().map(figures).collect()
    }

    #[test]
    fn parents_stand_before_children_and_equal_prefixes_are_all_in_or_out() {
        let mut prefixes = table(1 << 20);
        for (key, size, expires) in [
            ("user:eu:1", 50, false),
            ("user:us:1", 30, true),
            ("cart:1", 10, false),
            ("seat:1", 10, false),
        ] {
            let expire_at_ms = expires.then_some(1);
            prefixes.observe(&KeyFacts { expire_at_ms, ..facts(key.as_bytes(), size) });
        }
        let leading = [
            (None, "user".into(), 80, 50),
            (Some(0), ":eu".into(), 50, 50),
            (Some(0), ":us".into(), 30, 0),
        ];
        assert_eq!(shown(&prefixes, 3), leading);
        assert_eq!(shown(&prefixes, 4), leading, "two are equal, and only one has room");
        assert_eq!(shown(&prefixes, 5).len(), 5);
    }

    #[test]
    fn order_of_merges_does_not_matter() {
        let part = |range: std::ops::Range<u64>| {
            let mut part = table(1 << 20);
            for number in range {
                part.observe(&facts(format!("a:{}:b", number % 7).as_bytes(), number));
                part.observe(&facts(format!("{}x:c:d", number % 5).as_bytes(), 3));
            }
            part
        };
        let mut forward = part(0..50);
        forward.merge(&part(50..80));
        let mut backward = part(50..80);
        backward.merge(&part(0..50));
        assert!(!forward.branches(100).is_empty());
        assert_eq!(forward.branches(100), backward.branches(100));
    }

    #[test]
    fn long_segments_are_cut() {
        let mut prefixes = table(1 << 20);
        prefixes.observe(&facts(&[b'x'; 1000], 1));
        let [branch] = prefixes.branches(5).try_into().unwrap();
        assert_eq!((branch.segment.len(), branch.segment_len), (Branch::SEGMENT_LEN_MAX, 1000));
    }
}
