//! Holds a file's keys against a server's: equal, or off by what the server drew at random.

use std::collections::BTreeMap;

use crate::told::{Model, Name, Told};

/// Keys of one type and encoding.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) keys: u64,
    pub(crate) exact: u64,
    pub(crate) within_1pct: u64,
    /// Sum of what the server says, and of how much more the model says.
    pub(crate) real: i64,
    pub(crate) error: i64,
    /// The key that is off by most of its size.
    pub(crate) worst: (f64, String),
}

#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) groups: BTreeMap<String, Tally>,
    /// Keys whose type, encoding or number of elements differ.
    pub(crate) wrong: Vec<String>,
}

impl Comparison {
    /// Shares of all keys that are equal and within a percent, in percent.
    #[expect(clippy::cast_precision_loss, reason = "shares for people")]
    pub(crate) fn shares(&self) -> (f64, f64) {
        let sum = |number: fn(&Tally) -> u64| self.groups.values().map(number).sum::<u64>() as f64;
        let keys = sum(|tally| tally.keys);
        let share = |number| 100.0 * sum(number) / keys;
        (share(|tally| tally.exact), share(|tally| tally.within_1pct))
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares for people")]
pub(crate) fn compare(model: &Model, real: &BTreeMap<Name, Told>) -> Comparison {
    let mut comparison = Comparison::default();
    let names = |keys: &BTreeMap<Name, Told>| keys.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&model.keys), names(real));
    for (name, real) in real {
        let modelled = &model.keys[name];
        let same = Told { memory_usage: real.memory_usage, ..modelled.clone() };
        if same != *real {
            comparison.wrong.push(format!("{real:?} is not {modelled:?}"));
        }
        let error = modelled.memory_usage.cast_signed() - real.memory_usage.cast_signed();
        let group = format!("{} {}", real.object_type, real.encoding);
        let tally = comparison.groups.entry(group).or_default();
        tally.keys += 1;
        tally.exact += u64::from(error == 0);
        tally.real += real.memory_usage.cast_signed();
        tally.error += error;
        let share = error as f64 / real.memory_usage as f64;
        tally.within_1pct += u64::from(share.abs() <= 0.01);
        if share.abs() > tally.worst.0.abs() {
            let name = format!("{}:{}", name.0, name.1.escape_ascii());
            tally.worst = (share, format!("{name} {error} {real:?}"));
        }
    }
    comparison
}
