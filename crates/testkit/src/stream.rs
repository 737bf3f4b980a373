//! Streams: listpack nodes, groups, consumers, pending entries, producers.

use crate::encoder::Encoder;
use crate::packed::Listpack;

/// Id of an entry: milliseconds and sequence.
pub type StreamId = (u64, u64);

/// The five ways a stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamVersion {
    /// Type 15, Redis 5.0 to 6.2.
    V1,
    /// Type 19, Redis 7.0: first id, highest deleted id, entries added and read.
    V2,
    /// Type 21, Redis 7.2: when a consumer was last active.
    V3,
    /// Type 26, Redis 8.6: idempotent producers.
    V4,
    /// Type 27, Redis 8.8: entries that consumers refused.
    V5,
}

/// A stream's content.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// Entries in order.
    pub entries: Vec<StreamEntry>,
    /// Entries in a node.
    pub node_entries_max: usize,
    /// Consumer groups.
    pub groups: Vec<Group>,
    /// Idempotent producers (from [`StreamVersion::V4`]).
    pub producers: Vec<Producer>,
}

/// An entry of a stream.
#[derive(Debug, Clone, Default)]
pub struct StreamEntry {
    /// Its id.
    pub id: StreamId,
    /// Its fields and values.
    pub pairs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Marked as deleted, but still in its node.
    pub deleted: bool,
}

/// A consumer group.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Its name.
    pub name: Vec<u8>,
    /// Last id delivered.
    pub last_id: StreamId,
    /// Consumers with what each has pending; the group's list is made of these.
    pub consumers: Vec<Consumer>,
    /// Pending entries that no consumer owns (from [`StreamVersion::V5`]).
    pub nacked: Vec<StreamId>,
}

/// A consumer of a group.
#[derive(Debug, Clone, Default)]
pub struct Consumer {
    /// Its name.
    pub name: Vec<u8>,
    /// When it was last seen, in milliseconds since 1970.
    pub seen_at_ms: u64,
    /// Ids of its pending entries.
    pub pending: Vec<StreamId>,
}

/// An idempotent producer and the message ids remembered for it.
#[derive(Debug, Clone, Default)]
pub struct Producer {
    /// Its name.
    pub name: Vec<u8>,
    /// Message ids and the entries they made.
    pub messages: Vec<(Vec<u8>, StreamId)>,
}

/// An id as the file has it where it is no number: big endian.
pub(crate) fn raw_id((ms, seq): StreamId) -> [u8; 16] {
    let mut raw = [0; 16];
    raw[..8].copy_from_slice(&ms.to_be_bytes());
    raw[8..].copy_from_slice(&seq.to_be_bytes());
    raw
}

impl Stream {
    /// Entries that are not deleted.
    pub fn live_count(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.deleted).count()
    }

    /// Writes the value.
    pub fn write(&self, out: &mut Encoder, version: StreamVersion) {
        let nodes: Vec<_> = self.entries.chunks(self.node_entries_max.max(1)).collect();
        out.len(nodes.len());
        for node in nodes {
            out.string(raw_id(node[0].id)).string(Self::node(node));
        }
        let last = self.entries.last().map_or((0, 0), |entry| entry.id);
        out.len(self.live_count()).len(last.0).len(last.1);
        if version >= StreamVersion::V2 {
            let first = self.entries.iter().find(|entry| !entry.deleted);
            let first = first.map_or((0, 0), |entry| entry.id);
            let deleted = self.entries.iter().rev().find(|entry| entry.deleted);
            let deleted = deleted.map_or((0, 0), |entry| entry.id);
            out.len(first.0).len(first.1).len(deleted.0).len(deleted.1);
            out.len(self.entries.len());
        }
        out.len(self.groups.len());
        for group in &self.groups {
            group.write(out, version);
        }
        if version >= StreamVersion::V4 {
            self.write_producers(out);
        }
    }

    /// The listpack of a node: a master entry with the fields of its first entry, then the
    /// entries, which leave out the fields where they are the same.
    fn node(entries: &[StreamEntry]) -> Vec<u8> {
        const DELETED: i64 = 1;
        const SAME_FIELDS: i64 = 2;
        let integer = |n: usize| i64::try_from(n).unwrap();
        let StreamEntry { id: first, pairs: master, .. } = &entries[0];
        let deleted = entries.iter().filter(|entry| entry.deleted).count();
        let mut listpack = Listpack::new();
        listpack.push_integer(integer(entries.len() - deleted)).push_integer(integer(deleted));
        listpack.push_integer(integer(master.len()));
        for (field, _) in master {
            listpack.push(field);
        }
        listpack.push_integer(0);
        for StreamEntry { id, pairs, deleted } in entries {
            let same = pairs.iter().map(|p| &p.0).eq(master.iter().map(|p| &p.0));
            let flags = if *deleted { DELETED } else { 0 } | if same { SAME_FIELDS } else { 0 };
            listpack.push_integer(flags);
            listpack.push_integer(id.0.wrapping_sub(first.0).cast_signed());
            listpack.push_integer(id.1.wrapping_sub(first.1).cast_signed());
            if !same {
                listpack.push_integer(integer(pairs.len()));
            }
            for (field, value) in pairs {
                if !same {
                    listpack.push(field);
                }
                listpack.push(value);
            }
            let items = if same { pairs.len() + 3 } else { 2 * pairs.len() + 4 };
            listpack.push_integer(integer(items));
        }
        listpack.finish()
    }

    fn write_producers(&self, out: &mut Encoder) {
        const DURATION_SECONDS: usize = 100;
        const MESSAGES_MAX: usize = 100;
        out.len(DURATION_SECONDS).len(MESSAGES_MAX).len(self.producers.len());
        for producer in &self.producers {
            out.string(&producer.name).len(producer.messages.len());
            for (name, id) in &producer.messages {
                out.string(name).len(id.0).len(id.1);
            }
        }
        let added: usize = self.producers.iter().map(|p| p.messages.len()).sum();
        out.len(added).len(0);
    }
}

impl Group {
    fn write(&self, out: &mut Encoder, version: StreamVersion) {
        const DELIVERED_AT_MS: u64 = 1_700_000_000_000;
        let nacked: &[StreamId] = if version >= StreamVersion::V5 { &self.nacked } else { &[] };
        out.string(&self.name).len(self.last_id.0).len(self.last_id.1);
        if version >= StreamVersion::V2 {
            out.len(self.last_id.1);
        }
        let mut pending: Vec<_> = self.consumers.iter().flat_map(|c| &c.pending).collect();
        pending.extend(nacked);
        pending.sort_unstable();
        out.len(pending.len());
        for id in pending {
            out.raw(raw_id(*id)).raw(DELIVERED_AT_MS.to_le_bytes()).len(1);
        }
        out.len(self.consumers.len());
        for consumer in &self.consumers {
            out.string(&consumer.name).raw(consumer.seen_at_ms.to_le_bytes());
            if version >= StreamVersion::V3 {
                out.raw(consumer.seen_at_ms.to_le_bytes());
            }
            out.len(consumer.pending.len());
            for id in &consumer.pending {
                out.raw(raw_id(*id));
            }
        }
        if version >= StreamVersion::V5 {
            out.len(nacked.len());
            for id in nacked {
                out.raw(raw_id(*id));
            }
        }
    }
}
