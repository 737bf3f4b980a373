//! Lists (`t_list.c`, `quicklist.c`): linked nodes that hold a blob each, and from 7.2 on a
//! single listpack where one node would do.
//!
//! Files of Redis 3.2 on hold the nodes as they are. Files of older servers hold elements,
//! which the loading server packs into nodes of 8 KiB (`quicklistPushTail`).

use std::collections::VecDeque;

use offkey_rdb::{Packed, Part, RdbType, Str};

use super::model::Model;
use super::object::ObjectCost;
use super::packed::{Repacked, ziplist_estimate};
use super::{Cost, Encoding, LEN_MAX};

/// Shorter nodes are not compressed (`MIN_COMPRESS_BYTES`).
const COMPRESS_LEN_MIN: u64 = 48;
/// Bytes that compression has to save (`MIN_COMPRESS_IMPROVE`).
const COMPRESS_SAVE_MIN: u64 = 8;
/// `sizeof(quicklistLZF)` without the data.
const LZF_HEADER_LEN: u64 = 8;

/// Sizes a list while its parts pass.
#[derive(Debug, Default)]
pub(crate) struct ListSizer {
    count: u64,
    nodes: u64,
    cost: Cost,
    source: Source,
    /// The node being filled.
    open: Option<Node>,
    /// The only node, if there is one and it is packed: cost and length of its blob, elements.
    single: Option<(Cost, u64, u64)>,
    /// The last `list-compress-depth` nodes, uncompressed and compressed.
    tail: VecDeque<(Cost, Cost)>,
}

/// How the elements stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Source {
    /// Nodes.
    #[default]
    Nodes,
    /// Elements, pushed one by one (types 1 and 10).
    Elements { may_be_listpack: bool },
}

#[derive(Debug, Clone, Copy)]
enum Node {
    /// A blob in the server's own form.
    Kept { len: u64, compressed_len: Option<u64>, count: u64 },
    /// A blob that is built again.
    Built { blob: Repacked, count: u64 },
    /// The same, made of a ziplist of `old_len` bytes.
    Converted { blob: Repacked, count: u64, old_len: u64 },
}

impl ListSizer {
    pub(crate) fn begin(&mut self, rdb_type: RdbType) {
        self.tail.clear();
        let source = match rdb_type {
            RdbType::List => Source::Elements { may_be_listpack: true },
            RdbType::ListZiplist => Source::Elements { may_be_listpack: false },
            _ => Source::Nodes,
        };
        *self = Self { tail: std::mem::take(&mut self.tail), source, ..Self::default() };
    }

    pub(crate) fn part(&mut self, model: &Model, part: &Part<'_>) {
        match part {
            Part::Member(item) => self.member(model, item),
            Part::Packed { kind, len, compressed_len } if self.source == Source::Nodes => {
                self.close(model);
                self.open = Some(if *kind == model.rules.packed {
                    let len = (*len).min(LEN_MAX);
                    Node::Kept { len, compressed_len: *compressed_len, count: 0 }
                } else {
                    let old_len = (*len).min(LEN_MAX);
                    Node::Converted { blob: Repacked::new(model.rules.packed), count: 0, old_len }
                });
            }
            Part::Rows(rows) => {
                self.count += rows;
                if let Some(Node::Kept { count, .. }) = &mut self.open {
                    *count += rows;
                }
            }
            Part::PlainNode { len, compressed_len } => {
                self.close(model);
                self.count += 1;
                self.plain_node(model, (*len).min(LEN_MAX), *compressed_len);
            }
            _ => {}
        }
    }

    /// Whether the elements of the blob at hand matter one by one.
    pub(crate) fn wants_items(&self) -> bool {
        !matches!(self.open, Some(Node::Kept { .. }))
    }

    fn member(&mut self, model: &Model, item: &Str<'_>) {
        self.count += 1;
        if self.source != Source::Nodes {
            return self.push(model, item);
        }
        match &mut self.open {
            Some(Node::Kept { count, .. }) => *count += 1,
            Some(Node::Built { blob, count } | Node::Converted { blob, count, .. }) => {
                *count += 1;
                blob.push(item);
            }
            None => {}
        }
    }

    /// Adds an element as `quicklistPushTail` does.
    fn push(&mut self, model: &Model, item: &Str<'_>) {
        let (len_max, count_max) = model.list_node_limits();
        let len = item.len.min(LEN_MAX);
        if model.rules.list.plain_nodes && len > len_max {
            self.close(model);
            return self.plain_node(model, len, None);
        }
        let growth = match model.rules.packed {
            Packed::Listpack => len + 8,
            Packed::Ziplist | Packed::Zipmap | Packed::Intset => ziplist_estimate(len),
        };
        let fits = matches!(&self.open, Some(Node::Built { blob, count })
            if blob.len() + growth <= len_max && *count < count_max);
        if !fits {
            self.close(model);
            self.open = Some(Node::Built { blob: Repacked::new(model.rules.packed), count: 0 });
        }
        if let Some(Node::Built { blob, count }) = &mut self.open {
            blob.push(item);
            *count += 1;
        }
    }

    /// A node that is one element; before there were such, a blob of one entry.
    fn plain_node(&mut self, model: &Model, len: u64, compressed_len: Option<u64>) {
        match model.rules.packed {
            Packed::Listpack => self.add(model, model.blob(len), len, compressed_len),
            Packed::Ziplist | Packed::Zipmap | Packed::Intset => {
                let mut blob = Repacked::new(model.rules.packed);
                blob.push(&Str { len, text: offkey_rdb::Text::Long });
                self.add(model, model.blob(blob.len()), blob.len(), None);
            }
        }
        self.single = None;
    }

    fn close(&mut self, model: &Model) {
        let Some(node) = self.open.take() else { return };
        let (blob, len, compressed_len, count) = match node {
            Node::Kept { len, compressed_len, count } => {
                (model.blob(len), len, compressed_len, count)
            }
            Node::Built { blob, count } => (model.blob(blob.len()), blob.len(), None, count),
            Node::Converted { blob, count, old_len } => {
                (model.converted_blob(old_len, blob.len()), blob.len(), None, count)
            }
        };
        self.add(model, blob, len, compressed_len);
        self.single = (self.nodes == 1).then_some((blob, len, count));
    }

    /// Adds a node; compressed are those that have `list-compress-depth` nodes on either side.
    fn add(&mut self, model: &Model, blob: Cost, len: u64, compressed_len: Option<u64>) {
        let node = model.counted_struct(model.rules.list.node_len);
        let plain = node + blob;
        let lzf_len = compressed_len
            .map(|compressed_len| compressed_len.min(LEN_MAX))
            .filter(|c| len >= COMPRESS_LEN_MIN && c + COMPRESS_SAVE_MIN < len);
        let compressed = match (lzf_len, model.rules.packed) {
            (None, _) => plain,
            // Up to 6.2 the length was read as if the data were a ziplist.
            (Some(lzf_len), Packed::Ziplist) => {
                let bytes = model.usable(LZF_HEADER_LEN + lzf_len);
                node + Cost { bytes, usage: lzf_len }
            }
            (Some(lzf_len), _) => node + model.blob(LZF_HEADER_LEN + lzf_len),
        };
        let depth = model.config.list_compress_depth;
        self.nodes += 1;
        if self.nodes <= depth || depth == 0 {
            self.cost += plain;
            return;
        }
        self.tail.push_back((plain, compressed));
        if self.tail.len() as u64 > depth
            && let Some((_, compressed)) = self.tail.pop_front()
        {
            self.cost += compressed;
        }
    }

    pub(crate) fn finish(&mut self, model: &Model, object: ObjectCost) -> (Encoding, u64, Cost) {
        self.close(model);
        for (plain, _) in self.tail.drain(..) {
            self.cost += plain;
        }
        let (len_max, count_max) = model.list_node_limits();
        let may_be_listpack =
            model.rules.list.listpack && self.source != Source::Elements { may_be_listpack: false };
        if let Some((blob, len, count)) = self.single
            && may_be_listpack
            && len <= len_max
            && count <= count_max
        {
            let cost = object.head + object.object + blob;
            return (Encoding::Listpack, self.count, cost);
        }
        let fixed = object.object + model.counted_struct(model.rules.list.quicklist_len);
        let averaged_over =
            if model.rules.list.averages_elements { self.count } else { self.nodes };
        let cost = object.head + model.averaged(fixed, self.cost, averaged_over);
        (Encoding::Quicklist, self.count, cost)
    }
}
