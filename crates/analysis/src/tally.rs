//! Counts keys per database and slot, for the memory that belongs to no key.

use crate::memory::{DbCounts, Model, OverheadLine};
use crate::report::Overhead;

/// Slots of one database whose tables are told apart: those a cluster has.
const SLOTS_MAX: usize = 16384;

/// Counts of the database at hand, and the memory of those before it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    db: DbCounts,
    slots: Vec<DbCounts>,
    lines: Vec<OverheadLine>,
}

impl Tally {
    /// Counts keys, so many of which expire or are hashes whose fields do.
    pub(crate) fn keys(&mut self, keys: u64, expires: u64, expiring_hashes: u64) {
        for counts in std::iter::once(&mut self.db).chain(self.slots.last_mut()) {
            counts.keys += keys;
            counts.expires += expires;
            counts.expiring_hashes += expiring_hashes;
        }
    }

    /// The keys that follow are of another slot.
    pub(crate) fn next_slot(&mut self) {
        if self.slots.len() < SLOTS_MAX {
            self.slots.push(DbCounts::default());
        }
    }

    /// The keys that follow are of another database.
    pub(crate) fn next_db(&mut self, model: &Model) {
        let counts = std::mem::take(&mut self.db);
        for line in counts.overhead(model, &self.slots) {
            self.add(line);
        }
        self.slots.clear();
    }

    /// The memory beside the keys, a line for each kind.
    pub(crate) fn finish(mut self, model: &Model, functions_len: u64) -> Vec<Overhead> {
        self.next_db(model);
        if let Some(line) = model.template_overhead() {
            self.add(line);
        }
        if functions_len > 0 {
            self.add(OverheadLine { name: "functions", bytes: functions_len });
        }
        let named =
            |line: &OverheadLine| Overhead { name: line.name.to_owned(), bytes: line.bytes };
        self.lines.iter().map(named).collect()
    }

    fn add(&mut self, line: OverheadLine) {
        match self.lines.iter_mut().find(|known| known.name == line.name) {
            Some(known) => known.bytes = known.bytes.saturating_add(line.bytes),
            None => self.lines.push(line),
        }
    }
}
