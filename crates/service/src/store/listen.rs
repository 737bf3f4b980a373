//! News between processes, so that nobody has to wait for the next look at the tables.
//!
//! PostgreSQL's NOTIFY, which is sent with the commit; a database in the data folder has one
//! process, which tells itself.

use std::io;
use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{Any, Executor as _, Transaction};
use tokio::time::{sleep, timeout};

use super::{ANSWER_MAX, Kind, Location, Store, StoreError};

/// The channel, one in each database.
const CHANNEL: &str = "offkey";

/// There is something to do.
pub(super) const ADDED: &str = "added";

/// A task that may run is gone.
pub(super) const DELETED: &str = "deleted";

/// How long to wait before a connection that was lost is made again.
const RETRY: Duration = Duration::from_secs(1);

/// How long silence is believed: a connection can be lost without a word.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    Added,
    Deleted,
}

impl Store {
    /// Tells the other processes with the commit of `transaction`.
    pub(super) async fn announce(
        &self,
        transaction: &mut Transaction<'static, Any>,
        what: &'static str,
    ) -> Result<(), StoreError> {
        if self.kind == Kind::Postgres {
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(what)
                .execute(&mut **transaction)
                .await?;
        }
        Ok(())
    }
}

/// Hands on what other processes tell, for ever; at once if there can be no others.
///
/// What is told while there is no connection is lost, as looking at the tables finds it too.
pub(crate) async fn listen(location: Location, mut tell: impl FnMut(News)) {
    let Location::Postgres(url) = location else { return };
    loop {
        if let Err(error) = follow(url.expose(), &mut tell).await {
            tracing::warn!(%error, "no news from the database");
        }
        // Whatever was missed, there may be something to do.
        tell(News::Added);
        tell(News::Deleted);
        sleep(RETRY).await;
    }
}

async fn follow(url: &str, tell: &mut impl FnMut(News)) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    loop {
        let Ok(heard) = timeout(SILENCE_MAX, listener.try_recv()).await else {
            let asked = timeout(ANSWER_MAX, listener.execute("SELECT 1")).await;
            asked.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            continue;
        };
        let Some(notification) = heard? else { return Ok(()) };
        match notification.payload() {
            ADDED => tell(News::Added),
            DELETED => tell(News::Deleted),
            // Of a version to come.
            _ => {}
        }
    }
}
