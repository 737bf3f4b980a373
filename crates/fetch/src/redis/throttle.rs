//! A limit on how fast bytes are taken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest sleep without a look whether to go on.
const TICK: Duration = Duration::from_millis(100);

/// Spreads bytes over time; what was not taken earlier is not made up for.
#[derive(Debug)]
pub(crate) struct Throttle {
    bytes_per_second: u64,
    next_at: Option<Instant>,
}

impl Throttle {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), next_at: None }
    }

    /// Bytes to take at once: no more than a tenth of a second's.
    pub(crate) fn chunk_len(&self) -> usize {
        usize::try_from(self.bytes_per_second / 10).unwrap_or(usize::MAX).max(1)
    }

    /// Waits until more may be taken; not once `stop` is set.
    pub(crate) fn pause(&self, stop: &AtomicBool) {
        let Some(next_at) = self.next_at else { return };
        while !stop.load(Ordering::Relaxed) {
            let left = next_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            sleep(left.min(TICK));
        }
    }

    /// Notes that `len` bytes were taken.
    pub(crate) fn took(&mut self, len: usize) {
        let now = Instant::now();
        let from = self.next_at.map_or(now, |at| at.max(now));
        let nanos = u128::from(u64::try_from(len).unwrap_or(u64::MAX)) * 1_000_000_000;
        let nanos = nanos / u128::from(self.bytes_per_second);
        self.next_at = Some(from + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time() {
        let go = AtomicBool::new(false);
        let mut throttle = Throttle::new(1_000_000);
        let since = Instant::now();
        for _ in 0..5 {
            throttle.pause(&go);
            throttle.took(throttle.chunk_len().min(20_000));
        }
        throttle.pause(&go);
        let took = since.elapsed();
        assert!(took >= Duration::from_millis(95), "{took:?}");
        throttle.took(60_000_000);
        throttle.pause(&AtomicBool::new(true));
        assert!(since.elapsed() < Duration::from_secs(30));
    }
}
