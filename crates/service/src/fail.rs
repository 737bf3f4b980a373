//! Points around every commit at which a test can have the process die or wait.
//!
//! Disarmed, as they are unless the caller of [`arm`] says otherwise, a point costs one load.

use std::sync::OnceLock;
use std::time::Duration;

/// Commits with a point before and one after: those of tasks.
pub const COMMITS: [&str; 13] = [
    "migrate",
    "end_leases",
    "create",
    "claim",
    "give_up",
    "beat",
    "release",
    "retry",
    "died",
    "done",
    "finish",
    "delete",
    "seen",
];

/// Those of backups that are taken, noted and forgotten.
pub const BACKUP_COMMITS: [&str; 7] = [
    "add_backup",
    "claim_backup",
    "beat_backup",
    "retry_backup",
    "end_backup",
    "note_backup",
    "forget_backup",
];

static ARMED: OnceLock<Armed> = OnceLock::new();

struct Armed {
    commit: String,
    moment: Moment,
    action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

enum Action {
    Abort,
    Sleep(Duration),
}

/// Arms one point for the rest of the process, such as `finish.before=abort` or
/// `done.after=sleep:3000` (milliseconds).
///
/// # Errors
/// There is no such point, or one is armed already.
pub fn arm(text: &str) -> Result<(), String> {
    let armed = parse(text).ok_or_else(|| format!("no fail point: {text}"))?;
    ARMED.set(armed).map_err(|_| format!("a fail point is armed already: {text}"))
}

fn parse(text: &str) -> Option<Armed> {
    let (point, action) = text.split_once('=')?;
    let (commit, moment) = point.split_once('.')?;
    let commit = commits().find(|known| *known == commit)?;
    let moment = match moment {
        "before" => Moment::Before,
        "after" => Moment::After,
        _ => return None,
    };
    let action = match action.split_once(':') {
        None if action == "abort" => Action::Abort,
        Some(("sleep", ms)) => Action::Sleep(Duration::from_millis(ms.parse().ok()?)),
        _ => return None,
    };
    Some(Armed { commit: commit.to_owned(), moment, action })
}

fn commits() -> impl Iterator<Item = &'static str> {
    COMMITS.into_iter().chain(BACKUP_COMMITS)
}

/// Does what the point is armed with.
pub(crate) async fn point(commit: &'static str, moment: Moment) {
    debug_assert!(commits().any(|known| known == commit), "{commit}");
    let Some(armed) = ARMED.get() else { return };
    if armed.commit != commit || armed.moment != moment {
        return;
    }
    match armed.action {
        Action::Abort => std::process::abort(),
        Action::Sleep(time) => tokio::time::sleep(time).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_a_commit_a_moment_and_an_action() {
        assert!(matches!(parse("finish.before=abort"), Some(Armed { action: Action::Abort, .. })));
        assert!(matches!(
            parse("done.after=sleep:20"),
            Some(Armed { moment: Moment::After, action: Action::Sleep(_), .. })
        ));
        for text in ["", "finish", "finish=abort", "finish.late=abort", "x.before=abort"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
