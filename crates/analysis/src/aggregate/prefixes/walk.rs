//! Prefixes on their way out of a table, each with its whole text.

use std::ops::ControlFlow;

use offkey_rdb::ObjectType;

use super::{Counts, Node, Prefix, Prefixes, ROOT, Tree};

/// A prefix on its way out of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WholePrefix<'a> {
    pub(crate) object_type: ObjectType,
    /// First bytes of the text, at most [`Prefix::TEXT_LEN_MAX`].
    pub(crate) text: &'a [u8],
    /// Length of the whole text.
    pub(crate) text_len: u64,
    /// FNV-1a of the whole text.
    pub(crate) digest: u128,
    /// The same of the next shorter prefix; of a length of zero there is none.
    pub(crate) parent_len: u64,
    pub(crate) parent_digest: u128,
    /// Number of shorter prefixes.
    pub(crate) depth: usize,
    /// What it adds to the next shorter one.
    pub(crate) segment: &'a [u8],
    pub(crate) counts: Counts,
}

impl Prefixes {
    /// Hands every prefix to `each` and begins anew, with an empty table.
    pub(crate) fn drain(
        &mut self,
        mut each: impl FnMut(WholePrefix<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let tree = std::mem::take(&mut self.tree);
        self.recent.forget();
        self.tree.types.clone_from(&tree.types);
        self.tree.floors.clone_from(&tree.floors);
        let mut walk = Walk::default();
        for (at, node) in (0..).zip(&tree.nodes) {
            walk.go_to(at, node, &tree);
            let object_type = tree.types.get(usize::from(node.type_at));
            each(WholePrefix {
                object_type: object_type.copied().unwrap_or(ObjectType::String),
                text: &walk.text,
                text_len: walk.text_len,
                digest: walk.digest,
                parent_len: walk.parent_len,
                parent_digest: walk.parent_digest,
                depth: walk.depth,
                segment: tree.segment(node),
                counts: node.counts,
            })?;
        }
        ControlFlow::Continue(())
    }
}

/// The text of one node after another. A child mostly stands right behind its parent, and
/// then its text is the parent's and one segment more.
#[derive(Debug)]
struct Walk {
    at: u32,
    text: Vec<u8>,
    text_len: u64,
    digest: u128,
    parent_len: u64,
    parent_digest: u128,
    depth: usize,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            at: ROOT,
            text: Vec::new(),
            text_len: 0,
            digest: Self::FNV_BASIS,
            parent_len: 0,
            parent_digest: 0,
            depth: 0,
        }
    }
}

impl Walk {
    const FNV_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    fn go_to(&mut self, at: u32, node: &Node, tree: &Tree) {
        if self.at != node.parent {
            *self = Self::default();
            let mut above = Vec::new();
            let mut next = node.parent;
            while let Some(parent) = usize::try_from(next).ok().and_then(|at| tree.nodes.get(at)) {
                above.push(parent);
                next = parent.parent;
            }
            above.iter().rev().for_each(|parent| self.push(tree.segment(parent)));
            self.depth = above.len();
        } else if node.parent != ROOT {
            self.depth += 1;
        }
        (self.parent_len, self.parent_digest) = (self.text_len, self.digest);
        self.push(tree.segment(node));
        self.at = at;
    }

    fn push(&mut self, segment: &[u8]) {
        let room = Prefix::TEXT_LEN_MAX - self.text.len();
        self.text.extend_from_slice(segment.get(..room).unwrap_or(segment));
        self.text_len += segment.len() as u64;
        for byte in segment {
            self.digest = (self.digest ^ u128::from(*byte)).wrapping_mul(Self::FNV_PRIME);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::prefixes::Rule;
    use crate::aggregate::prefixes::tests::facts;

    #[test]
    fn every_prefix_leaves_with_its_text() {
        let mut prefixes = Prefixes::new(Rule::new(b":", true), usize::MAX);
        for key in ["a:b:c", "x:y", "a:b:d", "a:z:z:z"] {
            prefixes.observe(&facts(key.as_bytes(), 7));
        }
        let mut found = Vec::new();
        let _ = prefixes.drain(|prefix| {
            let text = String::from_utf8(prefix.text.to_vec()).unwrap();
            assert_eq!(prefix.text_len, text.len() as u64);
            found.push((text, prefix.counts.key_count, prefix.counts.bytes));
            let shown = |text: &[u8]| text.iter().filter(|byte| **byte == b':').count();
            assert_eq!(prefix.depth, shown(prefix.text));
            assert_eq!(prefix.parent_len + prefix.segment.len() as u64, prefix.text_len);
            ControlFlow::Continue(())
        });
        found.sort();
        let named = |text: &str, n, b| (text.to_owned(), n, b);
        let expected =
            [named("a", 3, 21), named("a:b", 2, 14), named("a:z", 1, 7), named("a:z:z", 1, 7)];
        assert_eq!(found[..4], expected);
        assert_eq!(found[4..], [named("x", 1, 7)]);
        assert_eq!(prefixes.memory(), 0);
        prefixes.observe(&facts(b"a:b", 1));
        let _ = prefixes.drain(|prefix| {
            assert_eq!((prefix.text, prefix.counts.key_count), (&b"a"[..], 1), "counts begin anew");
            ControlFlow::Continue(())
        });
    }

    #[test]
    fn digest_is_fnv_1a_of_the_whole_text() {
        let mut walk = Walk::default();
        walk.push(b"a");
        assert_eq!(walk.digest, 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        walk.push(&[b'b'; 2000]);
        assert_eq!((walk.text.len(), walk.text_len), (Prefix::TEXT_LEN_MAX, 2001));
        let mut other = Walk::default();
        other.push(&[&b"a"[..], &[b'b'; 2000]].concat());
        assert_eq!(walk.digest, other.digest);
    }
}
