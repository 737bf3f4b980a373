//! Keys that were read and are still to be observed: many at a time, since compressed strings
//! are checked faster so and another thread can check and observe them.
//!
//! That thread is on another core, which fetches every byte it looks at: rows are small, and
//! what keys have in common stands before them.

use std::ops::Range;

use offkey_rdb::{Checker, Damage, Key, ObjectType, Unchecked, ValueEnd};

use crate::SizeKind;
use crate::key_row::{KeyRow, KeyRun};
use crate::memory::Sizes;
use crate::strings::{StringPlace, StringRun, Strings};

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// Database.
    pub(crate) db: u64,
    /// Slot, where the file tells slots.
    pub(crate) slot: Option<u64>,
    /// Place of its value in the file.
    pub(crate) number: u64,
}

/// A key of which something does not fit in a [`KeyRow`], or that is damaged.
#[derive(Debug)]
pub(crate) struct OddKey {
    pub(crate) key: Key,
    pub(crate) object_type: ObjectType,
    pub(crate) serialized_bytes: u64,
    /// What it costs; nothing if it is damaged.
    sizes: Option<Sizes>,
    /// Where its name stands, as far as it is held.
    name: Range<usize>,
}

/// What stands in the file, in its order.
#[derive(Debug)]
pub(crate) enum Event<'b> {
    Keys(KeyRun<'b>),
    OddKey(&'b OddKey, &'b Sizes, &'b [u8]),
    Strings(StringRun<'b>),
    Damaged(DamagedRow<'b>),
    Mark(Mark),
}

/// A key whose value is damaged.
#[derive(Debug)]
pub(crate) struct DamagedRow<'b> {
    pub(crate) db: u64,
    pub(crate) object_type: ObjectType,
    pub(crate) name: &'b [u8],
    /// Bytes of its value in the file.
    pub(crate) serialized_bytes: u64,
    pub(crate) damage: Damage,
}

/// What stands between keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The keys that follow are of another database.
    NextDb,
    /// The keys that follow are of another slot.
    NextSlot,
}

/// What a batch holds, in the order of the file.
#[derive(Debug)]
enum Item {
    /// The next of the places is that of the next key; each further one has the next number.
    Place,
    /// So many of the rows, and where the name of the first one stands.
    Keys {
        count: u32,
        name: u32,
    },
    /// So many of the string keys, from this place on.
    Strings(StringPlace, u32),
    /// The next of the odd keys.
    OddKey,
    Mark(Mark),
}

/// Keys in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    items: Vec<Item>,
    places: Vec<Place>,
    rows: Vec<KeyRow>,
    odd: Vec<OddKey>,
    /// Names of the rows and odd keys.
    names: Vec<u8>,
    strings: Strings,
    /// Place of a key that follows the last one.
    next: Option<Place>,
    /// Damage of some of the keys, in the same order.
    damage: Vec<(u64, Damage)>,
    /// What of the keys is still to be checked.
    pub(crate) unchecked: Unchecked,
}

impl Batch {
    /// Items of a batch, and rows.
    const COUNT_MAX: usize = 2048;
    /// Bytes of names from which on a batch is full.
    const NAMES_LEN_MAX: usize = 128 << 10;

    /// Takes in a key of this name; without sizes, it is damaged.
    #[inline]
    pub(crate) fn push(&mut self, key: &Key, name: &[u8], end: ValueEnd, sizes: Option<Sizes>) {
        let ValueEnd { object_type, serialized_len, damage, number } = end;
        self.begin(Place { db: key.db, slot: key.slot, number }, 1);
        let name_start = self.names.len();
        self.names.extend_from_slice(name);
        let row = sizes.as_ref().and_then(|sizes| KeyRow::new(key, serialized_len, sizes));
        if let Some(row) = row.filter(|row| row.name_len() == name.len()) {
            self.rows.push(row);
            match self.items.last_mut() {
                Some(Item::Keys { count, .. }) => *count += 1,
                _ => {
                    let name = u32::try_from(name_start).unwrap_or(u32::MAX);
                    self.items.push(Item::Keys { count: 1, name });
                }
            }
        } else {
            let (key, serialized_bytes) = (*key, serialized_len);
            let name = name_start..self.names.len();
            self.odd.push(OddKey { key, object_type, serialized_bytes, sizes, name });
            self.items.push(Item::OddKey);
        }
        if let Some(damage) = damage {
            self.damage.push((number, damage));
        }
    }

    /// Takes in string keys that follow each other, the first of them in this place: `read`
    /// adds them.
    pub(crate) fn push_strings(&mut self, first: Place, read: impl FnOnce(&mut Strings)) -> usize {
        let start = self.strings.end();
        read(&mut self.strings);
        let count = self.strings.end().row - start.row;
        if count > 0 {
            self.begin(first, count.into());
            match self.items.last_mut() {
                Some(Item::Strings(_, before)) => *before += count,
                _ => self.items.push(Item::Strings(start, count)),
            }
        }
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Notes the place of the first of `count` keys, unless it follows from those before.
    #[inline]
    fn begin(&mut self, first: Place, count: u64) {
        if self.next != Some(first) {
            self.places.push(first);
            self.items.push(Item::Place);
        }
        self.next = Some(Place { number: first.number + count, ..first });
    }

    pub(crate) fn mark(&mut self, mark: Mark) {
        self.items.push(Item::Mark(mark));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= Self::COUNT_MAX
            || self.rows.len() >= Self::COUNT_MAX
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
    ///
    /// Keys are ranked by the size `by`.
    pub(crate) fn drain(&mut self, by: SizeKind, each: impl FnMut(Event<'_>) -> bool) -> bool {
        let damage = std::mem::take(&mut self.damage);
        let goes_on = self.each(by, damage, each);
        let Self { items, places, rows, odd, names, strings, next, .. } = self;
        items.clear();
        places.clear();
        rows.clear();
        odd.clear();
        names.clear();
        strings.clear();
        *next = None;
        goes_on
    }

    fn each(
        &self,
        by: SizeKind,
        damage: Vec<(u64, Damage)>,
        mut each: impl FnMut(Event<'_>) -> bool,
    ) -> bool {
        let mut damage = damage.into_iter().peekable();
        let (mut places, mut odd) = (self.places.iter(), self.odd.iter());
        let mut rows = self.rows.as_slice();
        let mut place = Place::default();
        self.items.iter().all(|item| match item {
            Item::Place => {
                place = places.next().copied().unwrap_or_default();
                true
            }
            Item::Keys { count, name } => {
                let (own, after) = rows.split_at_checked(*count as usize).unwrap_or_default();
                rows = after;
                let names = self.names.get(*name as usize..).unwrap_or_default();
                let mut run = KeyRun { place, rows: own, names, by };
                place.number += u64::from(*count);
                while let Some((damaged, damage)) =
                    damage.next_if(|(damaged, _)| *damaged < place.number)
                {
                    let count = damaged.saturating_sub(run.place.number);
                    let count = usize::try_from(count).unwrap_or_default();
                    let Some((row, name, rest)) = run.after(count + 1) else { break };
                    let row = DamagedRow {
                        db: place.db,
                        object_type: row.object_type(),
                        name,
                        serialized_bytes: row.serialized_bytes(),
                        damage,
                    };
                    let before = run.first(count);
                    let goes_on = before.rows.is_empty() || each(Event::Keys(before));
                    if !goes_on || !each(Event::Damaged(row)) {
                        return false;
                    }
                    run = rest;
                    run.place.number = damaged + 1;
                }
                run.rows.is_empty() || each(Event::Keys(run))
            }
            Item::OddKey => odd.next().is_none_or(|odd| {
                let name = self.names.get(odd.name.clone()).unwrap_or_default();
                let number = place.number;
                place.number += 1;
                match (damage.next_if(|(damaged, _)| *damaged == number), &odd.sizes) {
                    (None, Some(sizes)) => each(Event::OddKey(odd, sizes, name)),
                    (damage, _) => each(Event::Damaged(DamagedRow {
                        db: odd.key.db,
                        object_type: odd.object_type,
                        name,
                        serialized_bytes: odd.serialized_bytes,
                        damage: damage.map_or_else(
                            || Damage { at: odd.key.at, reason: String::new() },
                            |(_, damage)| damage,
                        ),
                    })),
                }
            }),
            Item::Strings(start, count) => {
                let mut run = self.strings.run(*start, *count, place);
                let mut number = place.number;
                place.number += u64::from(*count);
                let end = place.number;
                while let Some((damaged, damage)) = damage.next_if(|(damaged, _)| *damaged < end) {
                    let count = usize::try_from(damaged.saturating_sub(number)).unwrap_or_default();
                    let Some((row, name, rest)) = run.after(count + 1) else { break };
                    let row = DamagedRow {
                        db: place.db,
                        object_type: ObjectType::String,
                        name,
                        serialized_bytes: row.serialized_bytes(),
                        damage,
                    };
                    if !each(Event::Strings(run.first(count))) || !each(Event::Damaged(row)) {
                        return false;
                    }
                    (run, number) = (rest, damaged + 1);
                }
                each(Event::Strings(run))
            }
            Item::Mark(mark) => each(Event::Mark(*mark)),
        })
    }
}
