//! Who knows when a hash's fields expire: `ebuckets` in Redis 7.4 on (`ebuckets.c`), vectors
//! in a radix tree in Valkey 9 (`vset.c`).

use super::model::Model;
use super::rax::Rax;

/// Fields up to which Redis links them without an allocation (`EB_LIST_MAX_ITEMS`).
const LINKED_MAX: u64 = 16;
/// Entries of one of Valkey's vectors (`VOLATILESET_VECTOR_BUCKET_MAX_SIZE`).
const VECTOR_MAX: u64 = 127;
/// Milliseconds of a bucket at its widest and at its narrowest.
const WINDOW_MS_MAX: u64 = 8192;
const WINDOW_MS_MIN: u64 = 16;
/// Expiries kept to tell the buckets apart; beyond them a bucket's cost is the mean so far.
const KEPT_MAX: usize = 1 << 20;

/// Collects the expiries of a hash's fields.
#[derive(Debug, Default)]
pub(crate) struct ExpireIndex {
    count: u64,
    at_ms: Vec<u64>,
}

impl ExpireIndex {
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.at_ms.clear();
    }

    /// Adds a field's expiry; `keep` says whether the time matters.
    pub(crate) fn add(&mut self, at_ms: u64, keep: bool) {
        self.count += 1;
        if keep && self.at_ms.len() < KEPT_MAX {
            self.at_ms.push(at_ms);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of Valkey's index: none for one field, a vector for up to 127, then a tree of
    /// vectors, one for every window of time.
    pub(crate) fn valkey_index_len(&self, model: &Model) -> u64 {
        if self.count <= VECTOR_MAX {
            return vector_len(model, self.count);
        }
        let mut at_ms = self.at_ms.clone();
        at_ms.sort_unstable();
        let mut tree = Rax::new(true, true);
        let mut len = 0;
        for wide in at_ms.chunk_by(|a, b| a / WINDOW_MS_MAX == b / WINDOW_MS_MAX) {
            let window = if wide.len() as u64 > VECTOR_MAX { WINDOW_MS_MIN } else { WINDOW_MS_MAX };
            for bucket in wide.chunk_by(|a, b| a / window == b / window) {
                let end = bucket.first().map_or(0, |at| (at / window + 1).saturating_mul(window));
                tree.insert(model, &end.to_be_bytes());
                len += vector_len(model, bucket.len() as u64);
            }
        }
        let kept = at_ms.len().max(1) as f64;
        let total = (len + tree.finish(model).bytes) as f64;
        model.usable(model.rules.stream.rax_len) + super::round(total * self.count as f64 / kept)
    }
}

/// A vector of pointers; a single one stands in its place.
fn vector_len(model: &Model, count: u64) -> u64 {
    if count < 2 { 0 } else { model.usable(8 + 8 * count) }
}

impl Model {
    /// Redis' index of a hash's fields with expiry: nodes of a radix tree whose buckets hold
    /// up to 16 fields. Not counted by `MEMORY USAGE`; measured, 5.4 bytes a field to 8.8 and
    /// 5.0 from 8.10 on.
    pub(crate) fn expiring_fields(&self, count: u64) -> u64 {
        if count <= LINKED_MAX {
            return 0;
        }
        let tenths = if self.rules.stream.rax_leaves { 54 } else { 50 };
        count.saturating_mul(tenths) / 10
    }

    /// The hash's share of the database's index of hashes with field expiry (measured).
    pub(crate) fn expiring_hash(&self) -> u64 {
        if self.rules.stream.rax_leaves { 5 } else { 4 }
    }
}
