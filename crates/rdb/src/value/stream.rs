//! Streams: nodes of packed entries, then groups, their consumers and what is pending.
//!
//! ```text
//! <nodes> (<16-byte id> <listpack>)...
//! <entries> <last id>
//! from type 19: <first id> <greatest deleted id> <entries ever added>
//! <groups> (
//!   <name> <last delivered id>  from type 19: <entries read>
//!   <pending> (<16-byte id> <u64 delivered at> <delivery count>)...
//!   <consumers> (
//!     <name> <u64 seen at>  from type 21: <u64 active at>
//!     <pending> (<16-byte id>)... )...
//!   from type 27: <refused> (<16-byte id>)... )...
//! from type 26: <duration> <most ids> <producers> (<name> <ids> (<id> <ms> <seq>)...)...
//!               <ids added> <ids that were duplicates>
//! ```
//!
//! An id is two lengths (milliseconds, sequence) unless it says 16 bytes, which are big
//! endian; times are in milliseconds since 1970, little endian.

use crate::block::Blocks;
use crate::entry::{Part, Str, Text, Visit};
use crate::error::Error;
use crate::length::Walk;
use crate::source::{Fault, Source};
use crate::types::RdbType;
use crate::value::Value;
use crate::value::stream_node::walk_node;

/// What each version of the type added.
#[derive(Debug, Clone, Copy)]
struct Layout {
    has_counters: bool,
    has_active_time: bool,
    has_producers: bool,
    has_refused: bool,
}

impl Layout {
    fn of(rdb_type: RdbType) -> Self {
        let at_least = |from: RdbType| rdb_type >= from;
        Self {
            has_counters: at_least(RdbType::StreamListpacks2),
            has_active_time: at_least(RdbType::StreamListpacks3),
            has_producers: at_least(RdbType::StreamListpacks4),
            has_refused: at_least(RdbType::StreamListpacks5),
        }
    }
}

/// Sums of mixed ids: equal for two lists of the same ids in any order.
///
/// Every pending entry of a group has one owner, a consumer or the list of refused ones.
/// Comparing sums finds an entry without an owner or with two, in no memory.
#[derive(Debug, Default, PartialEq, Eq)]
struct IdSum(u64, u64);

impl IdSum {
    fn add(&mut self, id: [u8; 16]) {
        let [high, low] = [id.first_chunk(), id.last_chunk()]
            .map(|half| half.map_or(0, |bytes: &[u8; 8]| u64::from_be_bytes(*bytes)));
        let mixed = (high ^ low.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = self.0.wrapping_add((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        self.1 = self.1.wrapping_add(1);
    }
}

/// The names of a radix tree's members, which stand in its order: each above the last.
#[derive(Debug, Default)]
struct Names {
    before: Option<([u8; Self::LEN_MAX], usize)>,
}

impl Names {
    const LEN_MAX: usize = 64;

    /// Takes the next name; false if it is not above the one before. A name too long to be
    /// handed out is let pass, and the one after it as well.
    fn take(&mut self, name: &Str<'_>) -> bool {
        let mut text = [0; Self::LEN_MAX];
        let decimal;
        let bytes = match name.text {
            Text::Short(bytes) => bytes,
            Text::Int(value) => {
                decimal = value.to_string();
                decimal.as_bytes()
            }
            Text::Long => {
                self.before = None;
                return true;
            }
        };
        let is_above =
            self.before.is_none_or(|(before, len)| before.get(..len).is_some_and(|b| b < bytes));
        if let Some(room) = text.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self.before = Some((text, bytes.len()));
        is_above
    }
}

/// The node's listpack on its way to the visitor.
struct Node<'v, V> {
    visitor: &'v mut V,
    id: [u8; 16],
    len: u64,
    count: u64,
}

impl<V: Visit> Walk for Node<'_, V> {
    fn begin(&mut self, len: u64, _: Option<u64>) {
        self.len = len;
    }

    fn walk<S: Source>(&mut self, source: &mut S) -> Result<(), Fault> {
        self.count = walk_node(source)?;
        self.visitor.part(Part::StreamNode { id: self.id, len: self.len, count: self.count });
        Ok(())
    }
}

impl<B: Blocks, V: Visit> Value<'_, B, V> {
    pub(super) fn stream(&mut self, rdb_type: RdbType) -> Result<(), Error> {
        let layout = Layout::of(rdb_type);
        let entry_count = self.nodes()?;
        let length_at = self.input.at();
        let length = self.input.value_count()?;
        if length != entry_count {
            self.input.note_damage(
                length_at,
                format!("stream states {length} entries, its nodes hold {entry_count}"),
            );
        }
        self.counts(2)?;
        if layout.has_counters {
            self.counts(5)?;
        }
        let group_count = self.input.value_count()?;
        self.visitor.part(Part::StreamMeta { length, group_count });
        let mut names = Names::default();
        for _ in 0..group_count {
            self.group(layout, &mut names)?;
        }
        if layout.has_producers {
            self.producers()?;
        }
        Ok(())
    }

    /// Reads the nodes; answers the entries alive in them.
    fn nodes(&mut self) -> Result<u64, Error> {
        let node_count = self.input.value_count()?;
        let mut entry_count = 0u64;
        let mut before = None;
        for _ in 0..node_count {
            let at = self.input.at();
            let id = self.node_id()?;
            if before >= Some(id) {
                self.input.note_damage(at, "stream nodes are not in the order of their ids");
            }
            before = Some(id);
            let mut node = Node { visitor: self.visitor, id, len: 0, count: 0 };
            self.input.blob(&mut self.workspace.scratch, &mut node)?;
            entry_count = entry_count.saturating_add(node.count);
        }
        Ok(entry_count)
    }

    fn node_id(&mut self) -> Result<[u8; 16], Error> {
        let at = self.input.at();
        let bytes = &mut self.workspace.stream_id;
        let len = self.input.string_into(bytes, 16)?;
        let id = bytes.first_chunk().copied().unwrap_or_default();
        if len != 16 {
            self.input.note_damage(at, format!("stream node id of {len} bytes, 16 expected"));
        }
        Ok(id)
    }

    fn group(&mut self, layout: Layout, names: &mut Names) -> Result<(), Error> {
        let at = self.input.at();
        let name = self.input.str()?;
        let in_order = names.take(&name);
        self.visitor.part(Part::Group { name });
        if !in_order {
            self.input.note_damage(at, "stream groups are not in the order of their names");
        }
        self.counts(if layout.has_counters { 3 } else { 2 })?;
        let mut pending = IdSum::default();
        let mut before = None;
        for _ in 0..self.input.value_count()? {
            let id_at = self.input.at();
            let id = self.input.array()?;
            let delivered_at_ms = u64::from_le_bytes(self.input.array()?);
            self.input.value_count()?;
            if before >= Some(id) {
                self.input.note_damage(id_at, "pending entries are not in the order of their ids");
            }
            before = Some(id);
            pending.add(id);
            self.visitor.part(Part::Pending { id, delivered_at_ms });
        }
        let mut owned = IdSum::default();
        let mut names = Names::default();
        for _ in 0..self.input.value_count()? {
            self.consumer(layout, &mut owned, &mut names)?;
        }
        if layout.has_refused {
            for _ in 0..self.input.value_count()? {
                owned.add(self.input.array()?);
            }
        }
        if pending != owned {
            self.input.note_damage(
                at,
                format!(
                    "group has {} pending entries, its consumers own {} or others",
                    pending.1, owned.1
                ),
            );
        }
        Ok(())
    }

    fn consumer(
        &mut self,
        layout: Layout,
        owned: &mut IdSum,
        names: &mut Names,
    ) -> Result<(), Error> {
        let at = self.input.at();
        let name = self.input.str()?;
        let in_order = names.take(&name);
        self.visitor.part(Part::Consumer { name });
        if !in_order {
            self.input.note_damage(at, "stream consumers are not in the order of their names");
        }
        self.input.array::<8>()?;
        if layout.has_active_time {
            self.input.array::<8>()?;
        }
        for _ in 0..self.input.value_count()? {
            let id = self.input.array()?;
            owned.add(id);
            self.visitor.part(Part::ConsumerPending { id });
        }
        Ok(())
    }

    fn producers(&mut self) -> Result<(), Error> {
        self.counts(2)?;
        for _ in 0..self.input.value_count()? {
            let name = self.input.str()?;
            self.visitor.part(Part::Producer { name });
            for _ in 0..self.input.value_count()? {
                let id = self.input.str()?;
                self.visitor.part(Part::ProducedId(id));
                self.counts(2)?;
            }
        }
        self.counts(2)
    }

    /// Passes so many numbers by.
    fn counts(&mut self, how_many: u8) -> Result<(), Error> {
        for _ in 0..how_many {
            self.input.value_count()?;
        }
        Ok(())
    }
}
