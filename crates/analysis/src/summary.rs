//! All aggregates of keys as one value: what threads, files and parts merge.

use offkey_rdb::ObjectType;

use crate::aggregate::largest::LargestKeys;
use crate::aggregate::prefixes::{Floors, Prefixes, Rule};
use crate::aggregate::spread::Spread;
use crate::aggregate::types::TypeTotals;
use crate::facts::KeyFacts;
use crate::key_row::KeyRun;
use crate::strings::StringRun;
use crate::{DamagedKey, InputInfo, Options, Report};

/// What is known of the keys of some inputs.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) types: TypeTotals,
    pub(crate) largest: LargestKeys,
    pub(crate) prefixes: Prefixes,
    /// Whether an input changed before its prefixes were counted a second time.
    pub(crate) prefixes_changed: bool,
    pub(crate) spread: Spread,
    pub(crate) damaged: Vec<DamagedKey>,
    pub(crate) damaged_count: u64,
    pub(crate) inputs: Vec<InputInfo>,
}

impl Summary {
    /// A summary of nothing, whose prefixes take at most `prefix_memory` bytes.
    pub(crate) fn new(options: &Options, prefix_memory: usize) -> Self {
        let rule = Rule::new(&options.separators, options.fold_digits);
        Self {
            types: TypeTotals::default(),
            largest: LargestKeys::new(options.top),
            prefixes: Prefixes::new(rule, prefix_memory),
            prefixes_changed: false,
            spread: Spread::default(),
            damaged: Vec::new(),
            damaged_count: 0,
            inputs: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn observe(&mut self, facts: &KeyFacts<'_>) {
        self.types.observe(facts);
        self.prefixes.observe(facts);
        // A second pass is for the prefixes alone; the types tell whether it saw the same keys.
        if !self.prefixes.is_frozen() {
            self.largest.observe(facts);
            self.spread.observe(facts);
        }
    }

    pub(crate) fn observe_keys(&mut self, run: &KeyRun<'_>, written_at_ms: i64) {
        self.types.observe_keys(run);
        self.prefixes.observe_keys(run);
        if !self.prefixes.is_frozen() {
            self.largest.observe_keys(run, written_at_ms);
            self.spread.observe_keys(run, written_at_ms);
        }
    }

    pub(crate) fn observe_strings(&mut self, run: &StringRun<'_>, written_at_ms: i64) {
        self.types.add(ObjectType::String, run.total());
        self.prefixes.observe_strings(run);
        if !self.prefixes.is_frozen() {
            self.largest.observe_strings(run, written_at_ms);
            self.spread.observe_strings(run, written_at_ms);
        }
    }

    /// Notes a damaged key, as long as there is room for its name.
    pub(crate) fn observe_damaged(&mut self, damaged: DamagedKey) {
        self.damaged_count += 1;
        if self.damaged.len() < Report::DAMAGED_MAX {
            self.damaged.push(damaged);
        }
    }

    /// Adds a summary of inputs that come after those of this one.
    pub(crate) fn merge(&mut self, other: Summary) {
        self.types.merge(&other.types);
        self.largest.merge(&other.largest);
        self.prefixes.merge(&other.prefixes);
        self.spread.merge(&other.spread);
        self.damaged_count += other.damaged_count;
        let room = Report::DAMAGED_MAX.saturating_sub(self.damaged.len());
        self.damaged.extend(other.damaged.into_iter().take(room));
        self.inputs.extend(other.inputs);
    }

    /// Takes over the prefixes of a second pass, which counted only those that lead in this one.
    pub(crate) fn recounted(&mut self, again: Summary, floors: Floors) {
        // The types' numbers and bytes, but for strings where some were passed over; the keys of
        // each input, and what a server says of the moment it wrote them.
        let has_all_strings = again.prefixes.wanted().is_none();
        let is_told =
            |(of_type, _): &(ObjectType, _)| has_all_strings || *of_type != ObjectType::String;
        let types_changed =
            self.types.iter().filter(is_told).ne(again.types.iter().filter(is_told));
        let told = |input: &InputInfo| {
            let len = input.error.is_none().then_some(input.bytes_read);
            (len, input.num, input.damaged_num, input.created_at_ms, input.used_mem)
        };
        self.prefixes_changed =
            types_changed || self.inputs.iter().map(told).ne(again.inputs.iter().map(told));
        self.prefixes = again.prefixes;
        self.prefixes.set_floors(floors);
        // Of an input that could not be read once more the prefixes are missing.
        for (input, again) in self.inputs.iter_mut().zip(again.inputs) {
            if input.error.is_none() && again.error.is_some() {
                input.error = again.error;
                input.error_may_pass = again.error_may_pass;
                input.complete = false;
            }
        }
    }

    /// The types that have keys, in the order of reports.
    pub(crate) fn object_types(&self) -> Vec<ObjectType> {
        self.types.iter().map(|(object_type, _)| object_type).collect()
    }
}
