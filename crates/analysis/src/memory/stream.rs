//! Streams (`t_stream.c`): listpacks in a radix tree; consumer groups with their pending
//! entries in two trees each, one of the group and one of the consumer.
//!
//! Up to Redis 8.2 `MEMORY USAGE` guesses trees from their nodes (`streamRadixTreeMemoryUsage`)
//! and forgets those of names; Valkey 8.1 and Redis 8.4 count their allocations.

use offkey_rdb::{Part, Str, Text};

use super::model::Model;
use super::object::ObjectCost;
use super::rax::{Rax, RaxSizes};
use super::rules::StreamUsage;
use super::{Cost, Encoding, LEN_MAX};

/// `sizeof(list)` and `sizeof(listNode)`: who refers to an id (Redis 8.2 on).
const LIST_LEN: u64 = 48;
const LIST_NODE_LEN: u64 = 24;
/// A producer's struct, and what an id it sent has beside its text (Redis 8.6 on).
const PRODUCER_LEN: u64 = 24;
const PRODUCED_ID_LEN: u64 = 32;
/// Pending ids kept to tell which groups share them; beyond them the mean so far counts.
const KEPT_MAX: usize = 1 << 20;

/// Sizes a stream while its parts pass.
#[derive(Debug)]
pub(crate) struct StreamSizer {
    length: u64,
    groups: u64,
    /// Everything but trees, as far as it is known.
    cost: Cost,
    nodes: Rax,
    group_names: Rax,
    consumer_names: Rax,
    pending: Rax,
    consumer_pending: Rax,
    producer_names: Rax,
    producers: u64,
    in_group: bool,
    in_consumer: bool,
    /// Ids pending in any group, and the number of pending entries.
    pending_ids: Vec<[u8; 16]>,
    pending_count: u64,
    /// Delivery time and id of the group's pending entries (8.4).
    pending_times: Vec<[u8; 24]>,
}

impl StreamSizer {
    pub(crate) fn new(model: &Model) -> Self {
        let ids = || Rax::new(model.rules.stream.rax_leaves, true);
        let names = || Rax::new(true, true);
        Self {
            length: 0,
            groups: 0,
            cost: Cost::default(),
            nodes: ids(),
            group_names: names(),
            consumer_names: names(),
            pending: ids(),
            consumer_pending: ids(),
            producer_names: names(),
            producers: 0,
            in_group: false,
            in_consumer: false,
            pending_ids: Vec::new(),
            pending_count: 0,
            pending_times: Vec::new(),
        }
    }

    pub(crate) fn part(&mut self, model: &Model, part: &Part<'_>) {
        match part {
            Part::StreamNode { id, len, .. } => {
                self.nodes.insert(model, id);
                let len = (*len).min(LEN_MAX);
                let bytes = model.usable(len);
                let rounded = model.rules.stream.blob_rounded;
                self.cost += Cost { bytes, usage: if rounded { bytes } else { len } };
            }
            Part::StreamMeta { length, .. } => self.length = *length,
            Part::Group { name } => {
                self.end_group(model);
                self.in_group = true;
                self.groups += 1;
                insert_name(&mut self.group_names, model, name);
                self.cost += model.counted_struct(model.rules.stream.group_len);
            }
            Part::Pending { id, delivered_at_ms } => self.pending(model, id, *delivered_at_ms),
            Part::Consumer { name } => {
                self.end_consumer(model);
                self.in_consumer = true;
                insert_name(&mut self.consumer_names, model, name);
                let text = model.sds(name.len.min(LEN_MAX));
                let text_usage =
                    if model.tracks_allocations() { text.usage } else { name.len.min(LEN_MAX) };
                self.cost += model.counted_struct(model.rules.stream.consumer_len)
                    + Cost { usage: text_usage, ..text };
            }
            Part::ConsumerPending { id } => self.consumer_pending.insert(model, id),
            Part::Producer { name, .. } => {
                self.producers += 1;
                insert_name(&mut self.producer_names, model, name);
                self.cost += Cost::same(model.usable(PRODUCER_LEN));
            }
            Part::ProducedId(id) => {
                self.cost += Cost::same(model.usable(PRODUCED_ID_LEN + id.len.min(LEN_MAX)));
            }
            _ => {}
        }
    }

    fn pending(&mut self, model: &Model, id: &[u8; 16], delivered_at_ms: u64) {
        let rules = &model.rules.stream;
        self.pending.insert(model, id);
        self.pending_count += 1;
        self.cost += model.counted_struct(rules.nack_len);
        if rules.cgroups_ref && self.pending_ids.len() < KEPT_MAX {
            self.pending_ids.push(*id);
        }
        if rules.time_tree && self.pending_times.len() < KEPT_MAX {
            let mut key = [0; 24];
            let (time, rest) = key.split_at_mut(8);
            time.copy_from_slice(&delivered_at_ms.to_be_bytes());
            rest.copy_from_slice(id);
            self.pending_times.push(key);
        }
    }

    fn end_consumer(&mut self, model: &Model) {
        if std::mem::take(&mut self.in_consumer) {
            let tree = self.consumer_pending.finish(model);
            self.cost += id_tree(model, tree);
        }
    }

    fn end_group(&mut self, model: &Model) {
        self.end_consumer(model);
        if !std::mem::take(&mut self.in_group) {
            return;
        }
        let pending = self.pending.finish(model);
        let consumers = self.consumer_names.finish(model);
        self.cost += id_tree(model, pending) + name_tree(model, consumers);
        if model.rules.stream.time_tree {
            self.pending_times.sort_unstable();
            let mut tree = Rax::new(true, false);
            self.pending_times.drain(..).for_each(|key| tree.insert(model, &key));
            self.cost += id_tree(model, tree.finish(model));
        }
    }

    pub(crate) fn finish(&mut self, model: &Model, object: ObjectCost) -> (Encoding, u64, Cost) {
        let rules = &model.rules.stream;
        self.end_group(model);
        let nodes = self.nodes.finish(model);
        let struct_usage = match rules.stream_usage {
            StreamUsage::EstimateOnly => 0,
            StreamUsage::Estimate | StreamUsage::Trees => rules.stream_len,
            StreamUsage::Tracked => model.usable(rules.stream_len),
        };
        let bytes = model.usable(rules.stream_len);
        let mut cost = self.cost + id_tree(model, nodes) + Cost { bytes, usage: struct_usage };
        if self.groups > 0 {
            cost += name_tree(model, self.group_names.finish(model));
        }
        if rules.cgroups_ref && self.pending_count > 0 {
            cost += self.references(model);
        }
        if self.producers > 0 {
            let tree = name_tree(model, self.producer_names.finish(model));
            let usage = if rules.producer_tree { tree.usage } else { 0 };
            cost += Cost { usage, ..tree };
        }
        let encoding = match rules.stream_usage {
            // `strEncoding` did not know the encoding.
            StreamUsage::EstimateOnly if model.rules.name == "redis-5.0" => Encoding::Unknown,
            _ => Encoding::Stream,
        };
        (encoding, self.length, object.head + object.object + cost)
    }

    /// The tree of pending ids (`cgroups_ref`), each with a list of the groups it is pending
    /// in; `MEMORY USAGE` counts only the tree, and that from 8.4 on.
    fn references(&mut self, model: &Model) -> Cost {
        let mut tree = Rax::new(model.rules.stream.rax_leaves, true);
        self.pending_ids.sort_unstable();
        let mut distinct = 0;
        for ids in self.pending_ids.chunk_by(|a, b| a == b) {
            if let Some(id) = ids.first() {
                tree.insert(model, id);
                distinct += 1;
            }
        }
        let kept = self.pending_ids.len().max(1) as f64;
        let scale = self.pending_count as f64 / kept;
        let tree_bytes = super::round(tree.finish(model).bytes as f64 * scale)
            + model.usable(model.rules.stream.rax_len);
        let lists = super::round((distinct * model.usable(LIST_LEN)) as f64 * scale)
            + self.pending_count.saturating_mul(model.usable(LIST_NODE_LEN));
        let usage = match model.rules.stream.stream_usage {
            StreamUsage::Tracked => tree_bytes,
            _ => 0,
        };
        Cost { bytes: tree_bytes.saturating_add(lists), usage }
    }
}

fn insert_name(tree: &mut Rax, model: &Model, name: &Str<'_>) {
    match name.text {
        Text::Short(bytes) => tree.insert(model, bytes),
        Text::Int(value) => tree.insert(model, value.to_string().as_bytes()),
        Text::Long => tree.insert_unknown(model, name.len.min(LEN_MAX)),
    }
}

/// A tree of stream ids with its struct.
fn id_tree(model: &Model, tree: RaxSizes) -> Cost {
    let bytes = model.usable(model.rules.stream.rax_len) + tree.bytes + tree.left;
    let usage = match model.rules.stream.stream_usage {
        StreamUsage::EstimateOnly | StreamUsage::Estimate => tree.estimate,
        StreamUsage::Trees | StreamUsage::Tracked => bytes,
    };
    // What is left goes to the pending entries too, a quarter more, which nobody counts.
    Cost { bytes: bytes + tree.left / 4, usage }
}

/// A tree of names with its struct, which only 8.4 on counts.
fn name_tree(model: &Model, tree: RaxSizes) -> Cost {
    let bytes = model.usable(model.rules.stream.rax_len) + tree.bytes;
    let usage = match model.rules.stream.stream_usage {
        StreamUsage::EstimateOnly | StreamUsage::Estimate | StreamUsage::Trees => 0,
        StreamUsage::Tracked => bytes,
    };
    Cost { bytes, usage }
}
