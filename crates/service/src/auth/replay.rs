//! Signatures that have taken effect, so that a recorded request cannot be sent again. The
//! database has them too; here is what connection they came on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Most signatures that are remembered; each is forgotten when its date is too old anyway.
const SIGNATURES_MAX: usize = 100_000;

/// Identifies a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Remembers signatures of writes.
#[derive(Debug, Default)]
pub(crate) struct ReplayGuard {
    seen: Mutex<HashMap<[u8; 32], Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    connection: ConnectionId,
    expire_at_ms: i64,
}

/// Whether a write may take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fresh,
    /// By the client itself, on the connection of the first one.
    Repeated,
    Replayed,
    /// Too many writes to tell.
    Full,
}

impl ReplayGuard {
    /// Judges a write with this signature, and remembers it until `expire_at_ms`.
    ///
    /// The date in a signature counts whole seconds, so a client that asks the same twice
    /// within one sends the same bytes twice. On one connection that is the client itself:
    /// who has only recorded a request cannot write into it. On another one it is a replay.
    pub(crate) fn judge(
        &self,
        signature: [u8; 32],
        connection: ConnectionId,
        now_ms: i64,
        expire_at_ms: i64,
    ) -> Verdict {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = seen.get(&signature) {
            let is_own = first.connection == connection;
            return if is_own { Verdict::Repeated } else { Verdict::Replayed };
        }
        if seen.len() >= SIGNATURES_MAX {
            seen.retain(|_, seen| seen.expire_at_ms >= now_ms);
        }
        if seen.len() >= SIGNATURES_MAX {
            return Verdict::Full;
        }
        seen.insert(signature, Seen { connection, expire_at_ms });
        Verdict::Fresh
    }

    /// Takes back a judgement, as the write has not taken effect.
    pub(crate) fn forget(&self, signature: [u8; 32]) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&signature);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_connection_replays() {
        let guard = ReplayGuard::default();
        let judge = |signature, connection| guard.judge([signature; 32], connection, 0, 10);
        assert_eq!(judge(1, ConnectionId(1)), Verdict::Fresh);
        assert_eq!(judge(1, ConnectionId(1)), Verdict::Repeated);
        assert_eq!(judge(1, ConnectionId(2)), Verdict::Replayed);
        assert_eq!(judge(2, ConnectionId(2)), Verdict::Fresh);
        guard.forget([1; 32]);
        assert_eq!(judge(1, ConnectionId(3)), Verdict::Fresh);
    }

    #[test]
    fn expired_signatures_make_room() {
        let guard = ReplayGuard::default();
        let judge = |index: usize, now_ms| {
            let mut signature = [0; 32];
            signature[..8].copy_from_slice(&index.to_le_bytes());
            guard.judge(signature, ConnectionId(1), now_ms, 10)
        };
        for index in 0..SIGNATURES_MAX {
            assert_eq!(judge(index, 0), Verdict::Fresh);
        }
        assert_eq!(judge(SIGNATURES_MAX, 10), Verdict::Full);
        assert_eq!(judge(SIGNATURES_MAX, 11), Verdict::Fresh);
    }
}
