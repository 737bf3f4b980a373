//! Work that goes on for as long as the process does, whatever befalls it.

use std::time::Duration;

use tokio::time::sleep;

/// Until work that ended badly begins again.
const RETRY: Duration = Duration::from_secs(1);

/// Does the work that `begin` makes until it ends by itself; what panics begins anew.
pub(crate) async fn keep_up<F: Future<Output = ()> + Send + 'static>(
    what: &'static str,
    begin: impl Fn() -> F,
) {
    while let Err(error) = tokio::spawn(begin()).await {
        tracing::error!(%error, what, "ended badly and begins again");
        sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_panics_begins_again_and_what_ends_has_ended() {
        let begun = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&begun);
        keep_up("test", move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move { assert!(number == 1, "not yet") }
        })
        .await;
        assert_eq!(begun.load(Ordering::Relaxed), 2);
    }
}
