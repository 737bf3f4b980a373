//! Signs of life of the workers in this process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Of a worker that has had no answer yet.
const NEVER: u64 = u64::MAX;

/// When each worker last got an answer from the database.
#[derive(Debug)]
pub(crate) struct Pulse {
    start: Instant,
    /// Milliseconds after the start, or [`NEVER`].
    slots: Vec<AtomicU64>,
}

impl Pulse {
    pub(crate) fn new(slots: usize) -> Self {
        Self { start: Instant::now(), slots: (0..slots).map(|_| AtomicU64::new(NEVER)).collect() }
    }

    /// How many workers there are to be.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// A worker is alive and the database answers it.
    pub(crate) fn beat(&self, slot: usize) {
        if let Some(own) = self.slots.get(slot) {
            own.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// Workers that gave a sign of life in the time before now.
    pub(crate) fn alive(&self, within: Duration) -> usize {
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let since_ms = self.now_ms().saturating_sub(within_ms);
        let lately = |ms| ms != NEVER && ms >= since_ms;
        self.slots.iter().filter(|slot| lately(slot.load(Ordering::Relaxed))).count()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_worker_is_not_alive() {
        let pulse = Pulse::new(2);
        assert_eq!(pulse.alive(Duration::from_secs(1)), 0);
        pulse.beat(1);
        pulse.beat(7);
        assert_eq!(pulse.alive(Duration::from_secs(1)), 1);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(pulse.alive(Duration::from_millis(10)), 0);
        assert_eq!(Pulse::new(0).alive(Duration::from_secs(1)), 0);
    }
}
