//! How keys and bytes are spread: over expiries, sizes, numbers of elements, access times,
//! databases and slots. Every bound is fixed, so that merges are sums.

use std::collections::BTreeMap;

use offkey_rdb::ObjectType;

use crate::aggregate::types::Total;
use crate::facts::KeyFacts;
use crate::key_row::KeyRun;
use crate::strings::StringRun;

/// Databases told apart: those of the lowest numbers; keys of others are counted together.
const DBS_MAX: usize = 256;

/// Slots of a cluster; keys that claim others are not counted by slot.
const SLOTS: usize = 16384;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Upper ends of the first spans of time, of which the last one is open.
const SPAN_ENDS_MS: [u64; 4] = [HOUR_MS, DAY_MS, 7 * DAY_MS, 30 * DAY_MS];

/// Names of the spans of time.
pub(crate) const SPANS: [&str; 5] = ["hour", "day", "week", "month", "longer"];

/// Totals of each span of time.
pub(crate) type Spans = [Total; 5];

/// Totals of each power of two: the first of values 0, the next of 1, of 2 to 3, of 4 to 7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Powers([Total; 65]);

impl Default for Powers {
    fn default() -> Self {
        Self([Total::default(); 65])
    }
}

impl Powers {
    #[inline]
    fn add(&mut self, value: u64, total: Total) {
        let log = value.checked_ilog2().map_or(0, |log| log + 1);
        self.add_at(u64::from(log), total);
    }

    /// Adds to the power that is the `at`th.
    #[inline]
    pub(crate) fn add_at(&mut self, at: u64, total: Total) {
        if let Some(own) = usize::try_from(at).ok().and_then(|at| self.0.get_mut(at)) {
            own.add(total);
        }
    }

    /// The powers that have keys, each with its place.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u64, Total)> {
        (0..).zip(self.0).filter(|(_, total)| total.key_count > 0)
    }

    fn merge(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            own.add(*other);
        }
    }

    /// All powers.
    pub(crate) fn all(&self) -> &[Total] {
        &self.0
    }

    /// These totals, from the first power on.
    pub(crate) fn of(totals: &[Total]) -> Self {
        let mut powers = Self::default();
        powers.0.iter_mut().zip(totals).for_each(|(own, total)| *own = *total);
        powers
    }

    /// The powers that have keys, each with its least value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Total)> {
        let least = |at: u32| if at == 0 { 0 } else { 1 << (at - 1) };
        let used = self.0.into_iter().zip(0u32..).filter(|(total, _)| total.key_count > 0);
        used.map(move |(total, at)| (least(at), total))
    }
}

/// Keys of one database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Database {
    pub(crate) total: Total,
    pub(crate) expire_count: u64,
}

/// All spreads together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Keys without an expiry.
    pub(crate) lasting: Total,
    /// Keys that had expired when the file was written.
    pub(crate) expired: Total,
    /// Keys that expire, by the time they had left.
    pub(crate) expiring: Spans,
    /// By the size that ranks.
    pub(crate) sizes: Powers,
    /// Collections by their number of elements.
    pub(crate) elements: Powers,
    /// By the time since the last access, where the file has it.
    pub(crate) idle: Spans,
    /// By the access counter, where the file has it.
    pub(crate) freq: Powers,
    pub(crate) dbs: BTreeMap<u64, Database>,
    /// Keys of databases beyond the first [`DBS_MAX`].
    pub(crate) other_dbs: Database,
    /// Empty until a key tells its slot.
    pub(crate) slots: Vec<Total>,
}

impl Spread {
    #[inline]
    pub(crate) fn observe(&mut self, facts: &KeyFacts<'_>) {
        let one = Total { key_count: 1, bytes: facts.size };
        let is_collection = facts.object_type != ObjectType::String;
        self.add_key(one, is_collection.then_some(facts.num_of_elem), facts.expires_in_ms);
        self.add_access(one, facts.idle_seconds, facts.freq);
        let expire_count = u64::from(facts.expires_in_ms.is_some());
        self.add_to_db(facts.db, Database { total: one, expire_count });
        if let Some(slot) = facts.slot {
            self.add_to_slot(slot, one);
        }
    }

    pub(crate) fn observe_keys(&mut self, run: &KeyRun<'_>, written_at_ms: i64) {
        for row in run.rows {
            let one = Total { key_count: 1, bytes: row.size(run.by) };
            let is_collection = row.object_type() != ObjectType::String;
            let expires_in_ms = row.expire_at_ms().map(|at| at.saturating_sub(written_at_ms));
            self.add_key(one, is_collection.then_some(row.num_of_elem()), expires_in_ms);
            self.add_access(one, row.idle_seconds(), row.freq());
        }
        let (total, expire_count) = (run.total(), run.expire_count());
        self.add_to_db(run.place.db, Database { total, expire_count });
        if let Some(slot) = run.place.slot {
            self.add_to_slot(slot, total);
        }
    }

    /// Adds a key, with its elements if it is a collection.
    #[inline]
    fn add_key(&mut self, one: Total, elements: Option<u64>, expires_in_ms: Option<i64>) {
        self.add_expiry(expires_in_ms, one);
        self.sizes.add(one.bytes, one);
        if let Some(elements) = elements {
            self.elements.add(elements, one);
        }
    }

    #[inline]
    fn add_access(&mut self, one: Total, idle_seconds: Option<u64>, freq: Option<u8>) {
        if let Some(seconds) = idle_seconds {
            add_to_span(&mut self.idle, seconds.saturating_mul(1000), one);
        }
        if let Some(freq) = freq {
            self.freq.add(u64::from(freq), one);
        }
    }

    pub(crate) fn observe_strings(&mut self, run: &StringRun<'_>, written_at_ms: i64) {
        for row in run.rows {
            let one = Total { key_count: 1, bytes: row.size() };
            self.add_key(one, None, row.expire_at_ms().map(|at| at.saturating_sub(written_at_ms)));
        }
        let (total, expire_count) = (run.total(), run.expire_count());
        self.add_to_db(run.db, Database { total, expire_count });
        if let Some(slot) = run.slot {
            self.add_to_slot(slot, total);
        }
    }

    #[inline]
    fn add_expiry(&mut self, expires_in_ms: Option<i64>, one: Total) {
        match expires_in_ms {
            None => self.lasting.add(one),
            Some(left_ms) => match u64::try_from(left_ms) {
                Ok(left_ms) => add_to_span(&mut self.expiring, left_ms, one),
                Err(_) => self.expired.add(one),
            },
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.lasting.add(other.lasting);
        self.expired.add(other.expired);
        for (own, other) in [(&mut self.expiring, &other.expiring), (&mut self.idle, &other.idle)] {
            own.iter_mut().zip(other).for_each(|(own, other)| own.add(*other));
        }
        self.sizes.merge(&other.sizes);
        self.elements.merge(&other.elements);
        self.freq.merge(&other.freq);
        for (db, database) in &other.dbs {
            self.add_to_db(*db, *database);
        }
        add_database(&mut self.other_dbs, other.other_dbs);
        for (slot, total) in (0..).zip(&other.slots) {
            self.add_to_slot(slot, *total);
        }
    }

    #[inline]
    pub(crate) fn add_to_db(&mut self, db: u64, database: Database) {
        if let Some(own) = self.dbs.get_mut(&db) {
            add_database(own, database);
            return;
        }
        self.dbs.insert(db, database);
        // What leaves never comes back: the highest number of those that stay only falls.
        if self.dbs.len() > DBS_MAX
            && let Some((_, highest)) = self.dbs.pop_last()
        {
            add_database(&mut self.other_dbs, highest);
        }
    }

    pub(crate) fn add_to_slot(&mut self, slot: u64, total: Total) {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Total::default());
        }
        if let Some(own) = usize::try_from(slot).ok().and_then(|slot| self.slots.get_mut(slot)) {
            own.add(total);
        }
    }
}

pub(crate) fn add_database(own: &mut Database, other: Database) {
    own.total.add(other.total);
    own.expire_count += other.expire_count;
}

#[inline]
fn add_to_span(spans: &mut Spans, ms: u64, total: Total) {
    let at = SPAN_ENDS_MS.iter().position(|end| ms < *end).unwrap_or(SPAN_ENDS_MS.len());
    if let Some(own) = spans.get_mut(at) {
        own.add(total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Encoding;

    fn facts(number: u64) -> KeyFacts<'static> {
        KeyFacts {
            db: number % 200,
            key: b"key",
            key_len: 3,
            object_type: if number.is_multiple_of(2) {
                ObjectType::String
            } else {
                ObjectType::List
            },
            encoding: Encoding::Raw,
            num_of_elem: number % 70,
            bytes: number * 10,
            memory_usage: None,
            serialized_bytes: 1,
            expire_at_ms: None,
            expires_in_ms: match number % 3 {
                0 => None,
                1 => Some(-1),
                _ => i64::try_from(number * HOUR_MS / 10).ok(),
            },
            idle_seconds: Some(number * 1000),
            freq: u8::try_from(number % 256).ok(),
            slot: Some(number * 37 % 20_000),
            size: number * 10,
        }
    }

    fn spread(numbers: impl Iterator<Item = u64>) -> Spread {
        let mut spread = Spread::default();
        numbers.for_each(|number| spread.observe(&facts(number)));
        spread
    }

    #[test]
    fn merged_parts_equal_one_pass() {
        let mut merged = spread(0..1000);
        merged.merge(&spread(1000..1500));
        merged.merge(&Spread::default());
        merged.merge(&spread(1500..3000));
        assert_eq!(merged, spread(0..3000));
    }

    #[test]
    fn spans_and_powers_begin_where_they_say() {
        let mut spans = Spans::default();
        let one = Total { key_count: 1, bytes: 1 };
        for ms in [0, HOUR_MS - 1, HOUR_MS, DAY_MS, 30 * DAY_MS - 1, 30 * DAY_MS, u64::MAX] {
            add_to_span(&mut spans, ms, one);
        }
        assert_eq!(spans.map(|total| total.key_count), [2, 1, 1, 1, 2]);
        let mut powers = Powers::default();
        [0, 1, 2, 3, 4, 7, 8, u64::MAX].iter().for_each(|value| powers.add(*value, one));
        let counts: Vec<_> = powers.iter().map(|(least, total)| (least, total.key_count)).collect();
        assert_eq!(counts, [(0, 1), (1, 1), (2, 2), (4, 2), (8, 1), (1 << 63, 1)]);
    }

    #[test]
    fn databases_and_slots_are_bounded() {
        let mut spread = Spread::default();
        let numbers = || (0..20_000).chain(0..20_000);
        numbers().for_each(|number| spread.observe(&KeyFacts { db: number, ..facts(number) }));
        assert_eq!(spread.dbs.len(), DBS_MAX);
        assert_eq!(spread.other_dbs.total.key_count, 2 * (20_000 - 256));
        assert_eq!(spread.slots.len(), SLOTS);
        let mut backwards = Spread::default();
        for number in (0..20_000).rev().chain(0..20_000) {
            backwards.observe(&KeyFacts { db: number, ..facts(number) });
        }
        assert_eq!(backwards, spread, "order does not matter");
    }
}
