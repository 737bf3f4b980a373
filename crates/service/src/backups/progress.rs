//! How far a backup of several nodes is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use offkey_fetch::Meter;

use super::record::Record;

/// Hundredths of a percent of one file that is not whole yet.
const WHOLE: u64 = 10_000;

/// What has come of each file.
#[derive(Debug)]
pub(super) struct Progress(Vec<(Arc<Meter>, AtomicBool)>);

impl Progress {
    pub(super) fn new(record: &Record) -> Self {
        Self(record.files.iter().map(|_| Default::default()).collect())
    }

    /// Counts what comes of a file.
    pub(super) fn meter(&self, number: usize) -> Arc<Meter> {
        self.0.get(number).map(|(meter, _)| Arc::clone(meter)).unwrap_or_default()
    }

    /// Notes that a file is there.
    pub(super) fn ends(&self, number: usize) {
        if let Some((_, is_there)) = self.0.get(number) {
            is_there.store(true, Ordering::Relaxed);
        }
    }

    /// Bytes so far, and hundredths of a percent. A server that does not say how much is to come
    /// counts when all has come.
    pub(super) fn at_present(&self) -> (i64, i64) {
        let bytes: u64 = self.0.iter().map(|(meter, _)| meter.taken()).sum();
        let hundredths: u64 = self
            .0
            .iter()
            .map(|(meter, is_there)| match (is_there.load(Ordering::Relaxed), meter.whole()) {
                (true, _) => WHOLE,
                (false, Some(whole)) => {
                    let part = u128::from(meter.taken()) * u128::from(WHOLE) / u128::from(whole);
                    u64::try_from(part).unwrap_or(WHOLE).min(WHOLE - 1)
                }
                (false, None) => 0,
            })
            .sum();
        let count = u64::try_from(self.0.len()).unwrap_or(u64::MAX).max(1);
        let number = |value| i64::try_from(value).unwrap_or(i64::MAX);
        // All of it only once the record says so.
        (number(bytes), number((hundredths / count).min(WHOLE - 1)))
    }
}
