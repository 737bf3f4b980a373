//! Keys that were read and are still to be observed: many at a time, since compressed strings
//! are checked faster so and another thread can check and observe them.

use std::ops::Range;

use offkey_rdb::{Checker, Damage, Key, ObjectType, Unchecked, ValueEnd};

use crate::memory::Sizes;
use crate::strings::{StringPlace, StringRun, Strings};

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
    /// A string key: its database, its name, the bytes of its value in the file.
    DamagedString(u64, &'b [u8], u64, Damage),
    Strings(StringRun<'b>),
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

/// What a batch holds.
#[derive(Debug)]
enum Item {
    Key(Row),
    /// Keys among the strings of the batch, of one database and slot, and the number of the
    /// first one's value.
    Strings(Range<StringPlace>, u64, Option<u64>, u64),
    Mark(Mark),
}

/// Keys in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    items: Vec<Item>,
    /// Names of the rows.
    names: Vec<u8>,
    strings: Strings,
    /// Damage of some of the keys, in the same order.
    damage: Vec<(u64, Damage)>,
    /// What of the keys is still to be checked.
    pub(crate) unchecked: Unchecked,
}

impl Batch {
    /// Items of a batch.
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
        self.items.push(Item::Key(Row {
            key,
            object_type,
            serialized_bytes: serialized_len,
            sizes,
            number,
            name_end: self.names.len(),
        }));
    }

    /// Takes in string keys of one database and slot: `read` adds them.
    pub(crate) fn push_strings(
        &mut self,
        db: u64,
        slot: Option<u64>,
        first_number: u64,
        read: impl FnOnce(&mut Strings),
    ) -> usize {
        let start = self.strings.end();
        read(&mut self.strings);
        let places = start..self.strings.end();
        let count = places.end.row - places.start.row;
        if count > 0 {
            match self.items.last_mut() {
                Some(Item::Strings(before, own_db, own_slot, own_number))
                    if (*own_db, *own_slot) == (db, slot)
                        && *own_number + (before.end.row - before.start.row) as u64
                            == first_number =>
                {
                    before.end = places.end;
                }
                _ => self.items.push(Item::Strings(places, db, slot, first_number)),
            }
        }
        count
    }

    pub(crate) fn mark(&mut self, mark: Mark) {
        self.items.push(Item::Mark(mark));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= Self::COUNT_MAX
            || self.names.len() >= Self::NAMES_LEN_MAX
            || self.strings.is_full()
    }

    /// Checks what is still to be checked.
    pub(crate) fn check(&mut self, checker: &mut Checker) {
        let late = checker.check(&mut self.unchecked);
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
        let mut name_start = 0;
        let goes_on = self.items.iter().all(|item| match item {
            Item::Key(row) => {
                let name = self.names.get(name_start..row.name_end).unwrap_or_default();
                name_start = row.name_end;
                let damage = damage.next_if(|(number, _)| *number == row.number);
                each(Event::Key(row, name, damage.map(|(_, damage)| damage)))
            }
            Item::Strings(places, db, slot, first_number) => {
                let (mut run, mut number) = (self.strings.run(places, *db, *slot), *first_number);
                let end = first_number + run.rows.len() as u64;
                while let Some((damaged, damage)) = damage.next_if(|(damaged, _)| *damaged < end) {
                    let count = usize::try_from(damaged.saturating_sub(number)).unwrap_or_default();
                    let Some((row, name, rest)) = run.after(count + 1) else { break };
                    let len = row.serialized_bytes();
                    if !each(Event::Strings(run.first(count)))
                        || !each(Event::DamagedString(*db, name, len, damage))
                    {
                        return false;
                    }
                    (run, number) = (rest, damaged + 1);
                }
                each(Event::Strings(run))
            }
            Item::Mark(mark) => each(Event::Mark(*mark)),
        });
        drop(damage);
        self.items.clear();
        self.names.clear();
        self.strings.clear();
        goes_on
    }
}
