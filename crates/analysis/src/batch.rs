//! Keys that were read and are still to be observed: many at a time, since compressed strings
//! are checked faster so and another thread can observe them.

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

/// What stands in the file, in its order.
#[derive(Debug)]
pub(crate) enum Event<'b> {
    Key(&'b Row, &'b [u8], Option<Damage>),
    Mark(Mark),
}

/// What stands between keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The keys that follow are of another database.
    NextDb,
    /// The keys that follow are of another slot.
    NextSlot,
}

/// Keys in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    rows: Vec<Row>,
    names: Vec<u8>,
    /// Marks and the number of keys before them.
    marks: Vec<(usize, Mark)>,
    /// Damage of some of the keys, in the same order.
    damage: Vec<(u64, Damage)>,
}

impl Batch {
    /// Keys of a batch, and its marks.
    const COUNT_MAX: usize = 1024;
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

    pub(crate) fn mark(&mut self, mark: Mark) {
        self.marks.push((self.rows.len(), mark));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() + self.marks.len() >= Self::COUNT_MAX
            || self.names.len() >= Self::NAMES_LEN_MAX
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

    /// Hands all to `each`, until that says false, and is empty then.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Event<'_>) -> bool) -> bool {
        let mut damage = self.damage.drain(..).peekable();
        let mut marks = self.marks.drain(..).peekable();
        let (mut name_start, mut goes_on) = (0, true);
        for (at, row) in self.rows.iter().enumerate() {
            while let Some((_, mark)) = marks.next_if(|(before, _)| *before <= at) {
                goes_on &= each(Event::Mark(mark));
            }
            let name = self.names.get(name_start..row.name_end).unwrap_or_default();
            name_start = row.name_end;
            let damage = damage.next_if(|(number, _)| *number == row.number);
            goes_on &= each(Event::Key(row, name, damage.map(|(_, damage)| damage)));
            if !goes_on {
                break;
            }
        }
        goes_on = goes_on && marks.all(|(_, mark)| each(Event::Mark(mark)));
        drop(damage);
        self.rows.clear();
        self.names.clear();
        goes_on
    }
}
