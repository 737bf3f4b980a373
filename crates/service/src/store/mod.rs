//! The database: SQLite in the data folder, or PostgreSQL for any number of processes.
//!
//! All SQL is in this folder, a file for each family of tables, and is the same text for both:
//! columns are TEXT, BIGINT or BYTEA, flags and states are words, and the present is
//! [`now_ms`], the database's own clock. What differs is here and in [`migrations`].

mod backups;
mod claims;
mod credentials;
mod findings;
mod hosts;
mod listen;
mod migrations;
mod parts;
mod tasks;
#[cfg(test)]
pub(crate) mod tests;
mod workers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::error::DatabaseError;
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::timeout;

pub(crate) use self::claims::Terms;
pub(crate) use self::credentials::CredentialRow;
pub(crate) use self::listen::{News, listen};
pub(crate) use self::parts::{DEATHS_MAX, Next};
pub(crate) use self::tasks::Deletion;
use crate::Secret;
use crate::fail::{self, Moment};

/// How long an operation may take, whatever the database does.
const ANSWER_MAX: Duration = Duration::from_secs(12);

/// How long a connection may take to be there.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The present in SQL.
macro_rules! now_ms {
    () => {
        "(SELECT now_ms FROM clock)"
    };
}
/// A time that lies ahead, but no further than an hour: no lease and no delay is longer. One that
/// does was set before the clock was put back, and is over.
macro_rules! ahead {
    ($column:expr) => {
        concat!("(", $column, " > ", now_ms!(), " AND ", $column, " <= ", now_ms!(), " + 3600000)")
    };
}

pub(crate) use {ahead, now_ms};

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A URL, with its password.
    Postgres(Secret),
}

/// An open database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) pool: AnyPool,
    pub(crate) kind: Kind,
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// The store could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("an analysis of the instance is waiting or running")]
    Busy,
    #[error("a backup of the instance is waiting or being taken")]
    Backuping,
    /// The database is not there, full or overloaded: the same may succeed later.
    #[error("database cannot be used at present: {0}")]
    Unavailable(String),
    #[error("database: {0}")]
    Database(sqlx::Error),
    #[error("database: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("database: cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("database: row {id} makes no sense: {column}")]
    Row { id: String, column: &'static str },
}

impl Store {
    /// Opens the database, making or migrating its tables where needed.
    pub(crate) async fn open(location: &Location) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (kind, options) = match location {
            Location::Sqlite(path) => (Kind::Sqlite, sqlite_options(path)?),
            Location::Postgres(url) => (Kind::Postgres, url.expose().parse()?),
        };
        if kind == Kind::Sqlite {
            // The pool tries for a while, and then only says that there was no time left.
            let mut first = AnyConnection::connect_with(&options).await?;
            prepare(kind, &mut first).await?;
            first.close().await?;
        }
        let pool = AnyPoolOptions::new()
            .max_connections(match kind {
                Kind::Sqlite => 4,
                Kind::Postgres => 8,
            })
            .acquire_timeout(CONNECT_MAX)
            .after_connect(move |connection, _| Box::pin(prepare(kind, connection)))
            // Where a commit failed, the database may have ended the transaction and the driver
            // not: such a connection is of no use any more.
            .before_acquire(|connection, _| {
                let is_usable = !connection.is_in_transaction();
                Box::pin(std::future::ready(Ok(is_usable)))
            })
            // One that was given up in the middle of something, as no answer came, may be lost
            // without a word. The pool would ask it for ever whether it is there, and keep its
            // place for it.
            .after_release(|connection, _| {
                Box::pin(async {
                    match timeout(CONNECT_MAX, connection.ping()).await {
                        Ok(asked) => asked.map(|()| true),
                        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
                    }
                })
            })
            .connect_with(options)
            .await?;
        fail::point("migrate", Moment::Before).await;
        migrations::migrate(&pool, kind).await?;
        fail::point("migrate", Moment::After).await;
        Ok(Self { pool, kind })
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Any>, StoreError> {
        Ok(match self.kind {
            // Waits for the others' write lock now, when nothing has been read yet.
            Kind::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await?,
            Kind::Postgres => self.pool.begin().await?,
        })
    }

    /// Ends a transaction that writes; `name` is that of its fail points.
    async fn commit(
        &self,
        transaction: sqlx::Transaction<'static, sqlx::Any>,
        name: &'static str,
    ) -> Result<(), StoreError> {
        fail::point(name, Moment::Before).await;
        transaction.commit().await?;
        fail::point(name, Moment::After).await;
        Ok(())
    }

    /// Waits for an operation, but not for ever: a database can be there and not answer.
    pub(crate) async fn within<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        timeout(ANSWER_MAX, operation).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(format!("no answer within {} s", ANSWER_MAX.as_secs())))
        })
    }
}

impl StoreError {
    /// Whether the same may succeed later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let may_pass = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => true,
            sqlx::Error::Database(error) => database_error_may_pass(error.as_ref()),
            // A type that may grow.
            _ => false,
        };
        if may_pass { Self::Unavailable(error.to_string()) } else { Self::Database(error) }
    }
}

/// Whether `error` is that another row is there already.
pub(crate) fn is_taken(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.is_unique_violation())
}

/// Codes have five letters in PostgreSQL and are numbers in SQLite.
fn database_error_may_pass(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    match code.parse::<u32>() {
        // Internal busy, locked, out of memory, read-only, I/O error, corrupt, full, cannot open,
        // no database, with what SQLite adds in the higher bits. Corrupt is also what it calls a
        // read that ends with EIO (SQLITE_IOERR_CORRUPTFS in its vdbe.c); what is really corrupt
        // can be put back.
        Ok(number) if code.len() != 5 => {
            matches!(number & 0xff, 5 | 6 | 7 | 8 | 10 | 11 | 13 | 14 | 26)
        }
        // Connection, rollback of a transaction, lack of room, operator's intervention, system
        // error, lock not available, read-only server, transaction that took too long.
        _ => ["08", "40", "53", "57", "58", "55P03", "25006", "25P03", "25P04"]
            .iter()
            .any(|class| code.starts_with(class)),
    }
}

fn sqlite_options(path: &Path) -> Result<AnyConnectOptions, StoreError> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    Ok(AnyConnectOptions::from_url(&options.to_url_lossy())?)
}

/// Sets up a new connection: a commit is on the disk before anybody hears of it.
async fn prepare(kind: Kind, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let settings = match kind {
        Kind::Sqlite => {
            "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON"
        }
        // A process that was stopped in a transaction, or whose machine is gone, must not hold
        // its rows: the others wait for them, those who claim for the lock of all claims.
        Kind::Postgres => {
            "SET synchronous_commit = on; SET statement_timeout = '10s'; \
             SET idle_in_transaction_session_timeout = '10s'"
        }
    };
    connection.execute(settings).await?;
    Ok(())
}
