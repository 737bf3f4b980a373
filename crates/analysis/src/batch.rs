//! Keys that were read and are still to be observed: many at a time, since compressed strings
//! are checked faster so.

use offkey_rdb::{Damage, Key, ObjectType, ValueEnd};

use crate::memory::Sizes;

/// One key, without its name.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) object_type: ObjectType,
    pub(crate) serialized_bytes: u64,
    /// What it costs; nothing if it is damaged.
    pub(crate) sizes: Option<Sizes>,
    /// Place of its value in the file.
    number: u64,
    /// End of its name among those of the batch.
    name_end: usize,
}

/// Keys in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    rows: Vec<Row>,
    names: Vec<u8>,
    /// Damage of some of them, in the same order.
    damage: Vec<(u64, Damage)>,
}

impl Batch {
    /// Keys of a batch.
    const ROWS_MAX: usize = 512;
    /// Bytes of names from which on a batch is full.
    const NAMES_LEN_MAX: usize = 64 << 10;

    #[inline]
    pub(crate) fn push(&mut self, key: Key, name: &[u8], end: ValueEnd, sizes: Option<Sizes>) {
        let ValueEnd { object_type, serialized_len, damage, number } = end;
        self.names.extend_from_slice(name);
        if let Some(damage) = damage {
            self.damage.push((number, damage));
        }
        self.rows.push(Row {
            key,
            object_type,
            serialized_bytes: serialized_len,
            sizes,
            number,
            name_end: self.names.len(),
        });
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= Self::ROWS_MAX || self.names.len() >= Self::NAMES_LEN_MAX
    }

    /// Adds damage that was found after the values were read.
    pub(crate) fn add_late(&mut self, late: Vec<(u64, Damage)>) {
        if !late.is_empty() {
            self.damage.extend(late);
            // Stable: what was found first comes first.
            self.damage.sort_by_key(|(number, _)| *number);
            self.damage.dedup_by_key(|(number, _)| *number);
        }
    }

    /// Hands each key with its name and damage to `each` until that says false.
    pub(crate) fn rows(
        &mut self,
        mut each: impl FnMut(&Row, &[u8], Option<Damage>) -> bool,
    ) -> bool {
        let mut damage = self.damage.drain(..).peekable();
        let mut name_start = 0;
        let goes_on = self.rows.iter().all(|row| {
            let name = self.names.get(name_start..row.name_end).unwrap_or_default();
            name_start = row.name_end;
            let damage = damage.next_if(|(number, _)| *number == row.number);
            each(row, name, damage.map(|(_, damage)| damage))
        });
        drop(damage);
        goes_on
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.names.clear();
        self.damage.clear();
    }
}
