//! Tables of sets, hashes and sorted sets: a `dict`, or Valkey's `hashtable` from 8.1 on.

use super::Cost;
use super::dict::{self, Dict};
use super::model::Model;
use super::object::DICT_ENTRY_LEN;
use super::rules::{Entries, SdsUsage};
use super::valkey_hashtable::{BUCKET_LEN, Hashtable};

/// `sizeof(dictEntryNoValue)`: a key and the next entry of the bucket.
const NO_VALUE_ENTRY_LEN: u64 = 16;

/// A table while it is filled: sizes and counts only.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Table {
    Dict(Dict),
    Hashtable(Hashtable),
}

impl Table {
    /// An empty table.
    pub(crate) fn empty(entries: Entries) -> Self {
        match entries {
            Entries::Buckets { .. } => Self::Hashtable(Hashtable::default()),
            _ => Self::Dict(Dict::default()),
        }
    }

    /// A table made for `len` entries at once.
    pub(crate) fn sized(entries: Entries, len: u64) -> Self {
        match entries {
            Entries::Buckets { .. } => Self::Hashtable(Hashtable::sized(len)),
            _ => Self::Dict(Dict::sized(len)),
        }
    }

    pub(crate) fn expand(&mut self, len: u64) {
        match self {
            Self::Dict(dict) => dict.expand(len),
            Self::Hashtable(table) => table.expand(len),
        }
    }

    pub(crate) fn insert_many(&mut self, count: u64) {
        match self {
            Self::Dict(dict) => dict.insert_many(count),
            // Only tables of a few hundred entries are filled one by one here.
            Self::Hashtable(table) => (0..count).for_each(|_| table.insert()),
        }
    }
}

impl Model {
    /// A table of `count` entries: its structs and buckets, and its entries without what
    /// they hold.
    pub(crate) fn table(
        &self,
        table: &Table,
        entries: Entries,
        meta_len: u64,
        count: u64,
    ) -> (Cost, Cost) {
        let buckets = |tables: (u64, Option<u64>), len: u64| {
            let bytes = |size: u64| self.usable(size.saturating_mul(len));
            bytes(tables.0) + tables.1.map_or(0, bytes)
        };
        match (table, entries) {
            (Table::Hashtable(table), Entries::Buckets { table_len }) => {
                let children = table.children();
                let (new, old) = table.tables();
                let usage = BUCKET_LEN.saturating_mul(new + old.unwrap_or(0)) + table_len;
                let bytes = self.usable(table_len) + buckets((new, old), BUCKET_LEN);
                let children = |len: u64| super::round(children * len as f64);
                let cost = Cost {
                    bytes: bytes + children(self.usable(BUCKET_LEN)),
                    usage: usage + children(BUCKET_LEN),
                };
                (cost, Cost::default())
            }
            (Table::Dict(dict), _) => {
                let bytes = self.usable(self.rules.dict_len + meta_len) + buckets(dict.tables(), 8);
                let usage = self.rules.dict_len + dict.slots().saturating_mul(8);
                (Cost { bytes, usage }, self.entries(entries, count, dict.sharing()))
            }
            (Table::Hashtable(_), _) => (Cost::default(), Cost::default()),
        }
    }

    /// The entries of a dict with `count` of them, `sharing` of which share their bucket.
    fn entries(&self, entries: Entries, count: u64, sharing: f64) -> Cost {
        let shared = super::round(sharing * self.usable(NO_VALUE_ENTRY_LEN) as f64);
        match entries {
            Entries::Each { usage } => {
                Cost { bytes: self.usable(DICT_ENTRY_LEN), usage }.times(count)
            }
            Entries::Shared { usage } => Cost { bytes: shared, usage: usage.saturating_mul(count) },
            Entries::SharedCounted => Cost::same(shared),
            Entries::Buckets { .. } => Cost::default(),
        }
    }

    /// A packed blob, an intset or a node of its own.
    pub(crate) fn blob(&self, len: u64) -> Cost {
        let bytes = self.usable(len);
        Cost { bytes, usage: if self.rules.blob_usage_rounded { bytes } else { len } }
    }

    /// A listpack made of a ziplist: it was given the ziplist's length, filled and shrunk
    /// (`lpNew`, `lpShrinkToFit`).
    pub(crate) fn converted_blob(&self, ziplist_len: u64, len: u64) -> Cost {
        let bytes = self.shrunk(ziplist_len, len);
        Cost { bytes, usage: if self.rules.blob_usage_rounded { bytes } else { len } }
    }

    /// A struct that `MEMORY USAGE` counts by its `sizeof`, from 8.4 on as allocated.
    pub(crate) fn counted_struct(&self, len: u64) -> Cost {
        let bytes = self.usable(len);
        Cost { bytes, usage: if self.tracks_allocations() { bytes } else { len } }
    }

    /// Whether the server keeps account of what it allocates (Redis 8.4 on).
    pub(crate) fn tracks_allocations(&self) -> bool {
        self.rules.sds_usage == SdsUsage::Tracked
    }

    /// What the server answers for a container of `count` elements that cost `elements` beside
    /// `fixed`: it adds up a sample of all, divides and multiplies again, in a `double`.
    pub(crate) fn averaged(&self, fixed: Cost, elements: Cost, count: u64) -> Cost {
        let mut cost = fixed + elements;
        if self.rules.averages && count > 0 {
            let average = elements.usage as f64 / count as f64;
            cost.usage = super::truncate(fixed.usage as f64 + average * count as f64);
        }
        cost
    }

    /// Entries that share a bucket of a database's dict.
    pub(crate) fn sharing_entries(&self, count: u64, size: u64) -> u64 {
        let entry = self.usable(NO_VALUE_ENTRY_LEN) as f64;
        super::round(dict::sharing(count, size) * entry)
    }
}
