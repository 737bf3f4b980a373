//! The largest keys, exactly: by size descending, then name, then database.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use offkey_rdb::ObjectType;

use crate::facts::KeyFacts;
use crate::key_row::KeyRun;
use crate::memory::Encoding;
use crate::strings::StringRun;

/// Bytes of a name that are kept; the rest of a longer one is told by its length.
pub(crate) const NAME_LEN_MAX: usize = 64 << 10;

/// A key among the largest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Large {
    pub(crate) size: u64,
    pub(crate) key: Vec<u8>,
    pub(crate) key_len: u64,
    pub(crate) db: u64,
    pub(crate) object_type: ObjectType,
    pub(crate) encoding: Encoding,
    pub(crate) num_of_elem: u64,
    pub(crate) bytes: u64,
    pub(crate) memory_usage: Option<u64>,
    pub(crate) serialized_bytes: u64,
    pub(crate) expire_at_ms: Option<i64>,
    pub(crate) idle_seconds: Option<u64>,
    pub(crate) freq: Option<u8>,
}

/// Greater is larger: what a report shows first.
impl Ord for Large {
    fn cmp(&self, other: &Self) -> Ordering {
        // Everything of a key decides, so that equal names in several files have an order.
        let rest = |large: &Large| {
            let Large { key_len, object_type, num_of_elem, serialized_bytes, .. } = *large;
            let sizes = (large.bytes, large.memory_usage, serialized_bytes, large.expire_at_ms);
            (key_len, object_type, num_of_elem, sizes, large.idle_seconds, large.freq)
        };
        (self.size.cmp(&other.size))
            .then_with(|| other.key.cmp(&self.key))
            .then_with(|| other.db.cmp(&self.db))
            .then_with(|| rest(other).cmp(&rest(self)))
    }
}

impl PartialOrd for Large {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `limit` largest keys.
#[derive(Debug, Clone)]
pub(crate) struct LargestKeys {
    limit: usize,
    /// Smallest on top.
    heap: BinaryHeap<Reverse<Large>>,
    /// A smaller key cannot get in. Zero until the list is full.
    threshold: u64,
}

impl LargestKeys {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::new(), threshold: 0 }
    }

    #[inline]
    pub(crate) fn observe(&mut self, facts: &KeyFacts<'_>) {
        // Nearly every key ends here, before anything is copied.
        if facts.size >= self.threshold {
            self.offer(facts);
        }
    }

    pub(crate) fn observe_keys(&mut self, run: &KeyRun<'_>, written_at_ms: i64) {
        for (row, rest) in run.keys() {
            if row.size(run.by) >= self.threshold {
                let name = rest.get(..row.name_len()).unwrap_or_default();
                self.offer(&row.facts(run.place, name, written_at_ms, run.by));
            }
        }
    }

    pub(crate) fn observe_strings(&mut self, run: &StringRun<'_>, written_at_ms: i64) {
        for (row, padded) in run.keys() {
            if row.size() >= self.threshold {
                self.offer(&run.facts(row, padded, written_at_ms));
            }
        }
    }

    #[cold]
    fn offer(&mut self, facts: &KeyFacts<'_>) {
        let key = facts.key.get(..NAME_LEN_MAX).unwrap_or(facts.key);
        let is_full = self.heap.len() >= self.limit;
        let least = self.heap.peek().filter(|_| is_full);
        if least.is_some_and(|Reverse(least)| facts.size == least.size && key > &*least.key) {
            return;
        }
        self.push(Large {
            size: facts.size,
            key: key.to_vec(),
            key_len: facts.key_len,
            db: facts.db,
            object_type: facts.object_type,
            encoding: facts.encoding,
            num_of_elem: facts.num_of_elem,
            bytes: facts.bytes,
            memory_usage: facts.memory_usage,
            serialized_bytes: facts.serialized_bytes,
            expire_at_ms: facts.expire_at_ms,
            idle_seconds: facts.idle_seconds,
            freq: facts.freq,
        });
    }

    pub(crate) fn push(&mut self, large: Large) {
        self.heap.push(Reverse(large));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
        if self.heap.len() == self.limit {
            self.threshold = self.heap.peek().map_or(u64::MAX, |Reverse(least)| least.size);
        }
    }

    pub(crate) fn merge(&mut self, other: &LargestKeys) {
        other.heap.iter().for_each(|Reverse(large)| self.push(large.clone()));
    }

    /// The keys, largest first.
    pub(crate) fn sorted(&self) -> Vec<&Large> {
        let mut keys: Vec<&Large> = self.heap.iter().map(|Reverse(large)| large).collect();
        keys.sort_unstable_by(|a, b| b.cmp(a));
        keys
    }
}
