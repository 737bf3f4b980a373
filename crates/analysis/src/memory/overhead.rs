//! What a database costs beside its keys: the bucket arrays of its tables (`db.c`,
//! `kvstore.c`), of each slot in cluster mode.

use super::dict::table_size;
use super::model::Model;
use super::rules::DbTable;
use super::valkey_hashtable::{BUCKET_LEN, bucket_count, child_count};

/// How much a database, or one slot of it, holds. Servers size their tables by what the file
/// announces, which includes keys that expire while it is loaded: where the file announces
/// counts ([`offkey_rdb::Entry::ResizeDb`], [`offkey_rdb::Entry::SlotInfo`]), use those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DbCounts {
    /// Keys.
    pub keys: u64,
    /// Keys with an expiry.
    pub expires: u64,
    /// Hashes with fields that expire (kept in a table of their own by Valkey 9).
    pub expiring_hashes: u64,
}

/// A part of a database's memory that belongs to no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverheadLine {
    /// What it is.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: u64,
}

impl DbCounts {
    /// The lines of a database beside its keys; `slots` are the counts of its slots in cluster
    /// mode, empty otherwise. Lines of zero bytes are left out.
    pub fn overhead(&self, model: &Model, slots: &[Self]) -> Vec<OverheadLine> {
        let own_tables = slots.is_empty() || model.rules.db.slot_len == 0;
        let parts = if own_tables { std::slice::from_ref(self) } else { slots };
        let sum = |len: &dyn Fn(&Self) -> u64| parts.iter().map(len).fold(0, u64::saturating_add);
        let db = &model.rules.db;
        let (main_len, expires_len) = if own_tables {
            (db.main_meta_len, db.expires_meta_len)
        } else {
            (db.slot_len, db.slot_expires_len)
        };
        let structs = sum(&|counts: &Self| {
            let main = if counts.keys > 0 { main_len } else { 0 };
            main + if counts.expires > 0 { expires_len } else { 0 }
        });
        let volatile = sum(&|counts: &Self| {
            if model.rules.hash.expire_index { model.db_table(counts.expiring_hashes) } else { 0 }
        });
        [
            ("keys table", sum(&|counts: &Self| model.db_table(counts.keys))),
            ("expires table", sum(&|counts: &Self| model.db_table(counts.expires))),
            ("field expires table", volatile),
            ("table structs", structs),
        ]
        .into_iter()
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(name, bytes)| OverheadLine { name, bytes })
        .collect()
    }
}

impl Model {
    /// Memory of the templates of template hashes (Redis 8.10), which belongs to no database.
    pub fn template_overhead(&self) -> Option<OverheadLine> {
        let bytes = self.templates.bytes();
        (bytes > 0).then_some(OverheadLine { name: "hash templates", bytes })
    }

    /// A database's table with `count` entries: buckets, and entries that share one.
    fn db_table(&self, count: u64) -> u64 {
        let count = count.min(super::LEN_MAX);
        if count == 0 {
            return 0;
        }
        match self.rules.db.table {
            DbTable::Dict => self.usable(8 * table_size(count)),
            DbTable::DictOfObjects => {
                let size = table_size(count);
                self.usable(8 * size) + self.sharing_entries(count, size)
            }
            DbTable::Hashtable => {
                let buckets = bucket_count(count);
                let children = self.usable(BUCKET_LEN) as f64 * child_count(count, buckets);
                self.usable(BUCKET_LEN * buckets) + super::round(children)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Allocator, Config};

    fn overhead(profile: &str, counts: DbCounts, slots: &[DbCounts]) -> Vec<(&'static str, u64)> {
        let model = Model::new(profile.parse().unwrap(), Allocator::Jemalloc, Config::default());
        counts.overhead(&model, slots).iter().map(|line| (line.name, line.bytes)).collect()
    }

    #[test]
    fn tables_are_bucket_arrays() {
        let counts = DbCounts { keys: 1000, expires: 3, expiring_hashes: 0 };
        assert_eq!(
            overhead("redis-6.2", counts, &[]),
            [("keys table", 8 * 1024), ("expires table", 32)]
        );
        let one = DbCounts { keys: 1, expires: 0, expiring_hashes: 1 };
        assert_eq!(
            overhead("valkey-9.1", one, &[]),
            [("keys table", 64), ("field expires table", 64)]
        );
        assert_eq!(overhead("redis-8.10", DbCounts::default(), &[]), []);
    }

    #[test]
    fn slots_have_tables_of_their_own_where_the_version_keeps_them() {
        let slots = [DbCounts { keys: 2, expires: 1, expiring_hashes: 0 }; 3];
        let counts = DbCounts { keys: 6, expires: 3, expiring_hashes: 0 };
        assert_eq!(overhead("redis-7.0", counts, &slots), overhead("redis-7.0", counts, &[]));
        let lines = overhead("redis-8.2", counts, &slots);
        assert_eq!(lines.last(), Some(&("table structs", 3 * (2560 + 64))));
    }
}
