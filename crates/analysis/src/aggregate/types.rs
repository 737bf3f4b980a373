//! Keys and bytes of each type.

use std::collections::BTreeMap;

use offkey_rdb::ObjectType;

use crate::facts::KeyFacts;
use crate::key_row::KeyRun;

/// Types of modules counted apart; a file that invents more has them counted as the last.
const MODULES_MAX: usize = 256;

/// Totals of one type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) key_count: u64,
    pub(crate) bytes: u64,
}

impl Total {
    pub(crate) fn add(&mut self, other: Total) {
        self.key_count += other.key_count;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Keys and bytes per type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TypeTotals {
    /// The core types, in the order of [`CORE`].
    core: [Total; 7],
    modules: BTreeMap<ObjectType, Total>,
}

/// The place of a core type in reports: that of the DCS API, then the newer ones.
const CORE: [ObjectType; 7] = [
    ObjectType::String,
    ObjectType::List,
    ObjectType::Set,
    ObjectType::Zset,
    ObjectType::Hash,
    ObjectType::Stream,
    ObjectType::Array,
];

impl TypeTotals {
    #[inline]
    pub(crate) fn observe(&mut self, facts: &KeyFacts<'_>) {
        self.add(facts.object_type, Total { key_count: 1, bytes: facts.size });
    }

    pub(crate) fn observe_keys(&mut self, run: &KeyRun<'_>) {
        for row in run.rows {
            self.add(row.object_type(), Total { key_count: 1, bytes: row.size(run.by) });
        }
    }

    pub(crate) fn merge(&mut self, other: &TypeTotals) {
        for (object_type, total) in other.iter() {
            self.add(object_type, total);
        }
    }

    /// Types that have keys, and the five classic ones in any case.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ObjectType, Total)> {
        let core = CORE.into_iter().zip(self.core);
        let classic_or_used = core.enumerate().filter(|(i, (_, t))| *i < 5 || t.key_count > 0);
        classic_or_used
            .map(|(_, row)| row)
            .chain(self.modules.iter().map(|(t, total)| (*t, *total)))
    }

    pub(crate) fn sum(&self) -> Total {
        let mut sum = Total::default();
        self.iter().for_each(|(_, total)| sum.add(total));
        sum
    }

    /// Adds to the totals of a type.
    #[inline]
    pub(crate) fn add(&mut self, object_type: ObjectType, total: Total) {
        let [string, list, set, zset, hash, stream, array] = &mut self.core;
        let own = match object_type {
            ObjectType::String => string,
            ObjectType::List => list,
            ObjectType::Set => set,
            ObjectType::Zset => zset,
            ObjectType::Hash => hash,
            ObjectType::Stream => stream,
            ObjectType::Array => array,
            ObjectType::Module(_) => return self.add_module(object_type, total),
        };
        own.add(total);
    }

    fn add_module(&mut self, object_type: ObjectType, total: Total) {
        self.modules.entry(object_type).or_default().add(total);
        // The last one hands on what it holds, so that the order of keys does not matter.
        if self.modules.len() > MODULES_MAX
            && let Some((_, beyond)) = self.modules.pop_last()
            && let Some(mut last) = self.modules.last_entry()
        {
            last.get_mut().add(beyond);
        }
    }
}
