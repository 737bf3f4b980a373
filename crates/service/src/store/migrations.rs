//! The tables, one migration after another. One that has been released is never changed.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, Executor as _, SqlStr};

use super::{Kind, StoreError};

/// A migration's SQL: the same for both databases, or one for each.
pub(super) enum Sql {
    Same(&'static str),
    Each { sqlite: &'static str, postgres: &'static str },
}

/// Number, name and SQL, in the order of numbers.
pub(super) const MIGRATIONS: &[(i64, &str, Sql)] = &[
    (1, "tasks", Sql::Same(include_str!("../../migrations/0001_tasks.sql"))),
    (
        2,
        "settings and nodes",
        Sql::Same(include_str!("../../migrations/0002_settings_and_nodes.sql")),
    ),
    (
        3,
        "clock",
        Sql::Each {
            sqlite: include_str!("../../migrations/0003_clock.sqlite.sql"),
            postgres: include_str!("../../migrations/0003_clock.postgres.sql"),
        },
    ),
    (4, "parts", Sql::Same(include_str!("../../migrations/0004_parts.sql"))),
    (5, "credentials", Sql::Same(include_str!("../../migrations/0005_credentials.sql"))),
    (6, "backups", Sql::Same(include_str!("../../migrations/0006_backups.sql"))),
    (7, "faults", Sql::Same(include_str!("../../migrations/0007_faults.sql"))),
    (8, "unkept backups", Sql::Same(include_str!("../../migrations/0008_unkept_backups.sql"))),
    (9, "found nodes", Sql::Same(include_str!("../../migrations/0009_found_nodes.sql"))),
];

/// Brings the tables up to date; a process that is killed on the way leaves whole migrations.
pub(super) async fn migrate(pool: &AnyPool, kind: Kind) -> Result<(), StoreError> {
    migrate_to(pool, kind, i64::MAX).await
}

/// The same, but not beyond a number.
pub(super) async fn migrate_to(pool: &AnyPool, kind: Kind, last: i64) -> Result<(), StoreError> {
    let migrations = MIGRATIONS
        .iter()
        .filter(|(number, _, _)| *number <= last)
        .map(|(number, name, sql)| {
            let sql = SqlStr::from_static(match (sql, kind) {
                (Sql::Same(sql), _) => sql,
                (Sql::Each { sqlite, .. }, Kind::Sqlite) => sqlite,
                (Sql::Each { postgres, .. }, Kind::Postgres) => postgres,
            });
            Migration::new(*number, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
        })
        .collect();
    let migrator = Migrator::with_migrations(migrations);
    match kind {
        Kind::Sqlite => migrator.run(pool).await?,
        Kind::Postgres => {
            // Of many tasks it may take longer than other statements, and so may waiting for
            // another process that has begun first.
            let mut connection = pool.acquire().await?;
            connection.execute("SET statement_timeout = 0").await?;
            migrator.run_direct(None, &mut *connection, false).await?;
            connection.close().await?;
        }
    }
    Ok(())
}
