//! How many backups are taken at the same time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often a waiting thread looks whether it should still wait.
const TICK: Duration = Duration::from_millis(100);

/// Lets in a limited number of backups in all and for each host: a server forks and writes
/// all of its data for each.
#[derive(Debug)]
pub struct Gate {
    all_max: usize,
    host_max: usize,
    inside: Mutex<HashMap<IpAddr, usize>>,
    left: Condvar,
}

impl Gate {
    /// A gate for `all_max` backups, and `host_max` of one host; at least one of each.
    #[must_use]
    pub fn new(all_max: usize, host_max: usize) -> Arc<Self> {
        Arc::new(Self {
            all_max: all_max.max(1),
            host_max: host_max.max(1),
            inside: Mutex::default(),
            left: Condvar::new(),
        })
    }

    /// Waits until a backup of `host` may begin; `None` once `stop` is set.
    pub(crate) fn enter(self: &Arc<Self>, host: IpAddr, stop: &AtomicBool) -> Option<Pass> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let of_host = inside.get(&host).copied().unwrap_or(0);
            if of_host < self.host_max && inside.values().sum::<usize>() < self.all_max {
                inside.insert(host, of_host + 1);
                return Some(Pass { gate: Arc::clone(self), host });
            }
            inside = self.left.wait_timeout(inside, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The right to take one backup, given back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    host: IpAddr,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = inside.get_mut(&self.host) {
            *count = count.saturating_sub(1);
        }
        inside.retain(|_, count| *count > 0);
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn limits_hold_for_a_host_and_for_all() {
        let gate = Gate::new(2, 1);
        let go = AtomicBool::new(false);
        let [a, b, c] = [1, 2, 3].map(|last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)));
        let first = gate.enter(a, &go).unwrap();
        let second = gate.enter(b, &go).unwrap();
        std::thread::scope(|scope| {
            for host in [a, c] {
                let stop = Arc::new(AtomicBool::new(false));
                let (gate, seen) = (&gate, Arc::clone(&stop));
                let waiting = scope.spawn(move || gate.enter(host, &seen).is_some());
                std::thread::sleep(Duration::from_millis(20));
                assert!(!waiting.is_finished());
                stop.store(true, Ordering::Relaxed);
                assert!(!waiting.join().unwrap());
            }
        });
        drop(second);
        assert!(gate.enter(c, &go).is_some());
        drop(first);
        assert!(gate.enter(a, &go).is_some());
        assert!(gate.inside.lock().unwrap().is_empty());
    }
}
