//! Databases of earlier versions, also where the process is killed on the way.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions as _};

use super::*;
use crate::store::migrations::{MIGRATIONS, migrate_to};

/// Tasks in the old database.
const TASKS: i64 = 3000;

/// Their states, in turn.
const STATES: [&str; 4] = ["waiting", "running", "success", "failed"];

/// Kills of a migration are that much later each, in milliseconds.
const STEP_MS: u64 = 3;

/// Names the database that the process of [`migrates_in_a_process_of_its_own`] opens.
const VARIABLE: &str = "OFFKEY_TEST_DATABASE";

async fn pool(location: &Location) -> (AnyPool, Kind) {
    sqlx::any::install_default_drivers();
    let (kind, options) = match location {
        Location::Sqlite(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let url = options.create_if_missing(true).to_url_lossy();
            (Kind::Sqlite, AnyConnectOptions::from_url(&url).unwrap())
        }
        Location::Postgres(url) => (Kind::Postgres, url.expose().parse().unwrap()),
    };
    (AnyPoolOptions::new().max_connections(1).connect_with(options).await.unwrap(), kind)
}

/// Every version that a database can have before it is opened.
fn versions() -> RangeInclusive<i64> {
    1..=newest() - 1
}

fn newest() -> i64 {
    MIGRATIONS.iter().map(|(number, _, _)| *number).max().unwrap()
}

/// Makes the tables as they were after migration `version`, with tasks in every state.
async fn old(location: &Location, version: i64) {
    let (pool, kind) = pool(location).await;
    migrate_to(&pool, kind, version).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    for number in 0..TASKS {
        let id = Uuid::from_u128(u128::try_from(number).unwrap()).to_string();
        // One task for each instance.
        let state = STATES[usize::try_from(number % 4).unwrap()];
        let more = match number % 8 {
            0 if version >= 2 => serde_json::to_string(&[part("m")]).unwrap(),
            _ => "[]".to_owned(),
        };
        // Other columns came or went with a migration.
        let (names, values) = match version {
            1 => (", attempt, died, lease_until_ms", ", 2, 1, 5"),
            2 | 3 => (", attempt, died, lease_until_ms, more, settings", ", 2, 1, 5, $8, '{}'"),
            _ => (", more, settings, priority", ", $8, '{}', 0"),
        };
        let insert = format!(
            "INSERT INTO tasks (id, project_id, instance_id, backup_id, node_id, node_name, \
             node_ip, node_role, group_name, state, created_at_ms, started_at_ms, report{names}) \
             VALUES ($1, 'p', $2, $3, 'n', 'n', '', 'master', 'g', $4, $5, $6, $7{values})"
        );
        let task = sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(&id)
            .bind(&id)
            .bind(Uuid::nil().to_string())
            .bind(state)
            .bind(number)
            .bind((state != "waiting").then_some(number))
            .bind((state == "success").then_some("{}"));
        let task = if version == 1 { task } else { task.bind(more) };
        task.execute(&mut *transaction).await.unwrap();
        if version >= 4 && ["waiting", "running"].contains(&state) {
            sqlx::query(
                "INSERT INTO parts (task_id, step, number, state, attempt, died, lease_until_ms) \
                 VALUES ($1, 'whole', 0, $2, 2, 1, 5)",
            )
            .bind(&id)
            .bind(state)
            .execute(&mut *transaction)
            .await
            .unwrap();
        }
    }
    for (since, insert) in [
        (
            5,
            "INSERT INTO credentials (ak, projects, role, key_id, sealed_sk) \
             SELECT id, '[]', 'admin', 'k', CAST('x' AS BYTEA) FROM tasks",
        ),
        (
            6,
            "INSERT INTO backups (id, project_id, instance_id, remark, kind, state, files, \
             created_at_ms, updated_at_ms) SELECT id, 'p', id, '', 'manual', 'waiting', '[]', 1, 1 \
             FROM tasks",
        ),
    ] {
        if version >= since {
            sqlx::query(insert).execute(&mut *transaction).await.unwrap();
        }
    }
    transaction.commit().await.unwrap();
    pool.close().await;
}

/// What is in a database that was of this version once.
async fn check(store: &Store, version: i64) {
    // Before there were parts, a task that ran begins again.
    let (waiting, running) = if version < 4 { (2, 0) } else { (1, 1) };
    for (sql, quarters) in [
        ("SELECT COUNT(*) FROM tasks", 4),
        ("SELECT COUNT(*) FROM tasks WHERE state = 'waiting' AND started_at_ms IS NULL", waiting),
        ("SELECT COUNT(*) FROM tasks WHERE state = 'running'", running),
        ("SELECT COUNT(*) FROM tasks WHERE state = 'success' AND report = '{}'", 1),
        ("SELECT COUNT(*) FROM parts WHERE step = 'whole' AND state = 'waiting'", waiting),
        ("SELECT COUNT(*) FROM parts WHERE step = 'whole' AND state = 'running'", running),
        ("SELECT COUNT(*) FROM parts WHERE died = 1 AND attempt = 2", 2),
        ("SELECT COUNT(*) FROM credentials WHERE role = 'admin'", if version < 5 { 0 } else { 4 }),
        ("SELECT COUNT(*) FROM backups WHERE kind = 'manual'", if version < 6 { 0 } else { 4 }),
    ] {
        assert_eq!(count(store, sql).await, quarters * TASKS / 4, "of version {version}: {sql}");
    }
    sqlx::query("DELETE FROM backups").execute(&store.pool).await.unwrap();
    let claim = take(store).await;
    assert_eq!((claim.task.id, claim.attempt, claim.deaths), (Uuid::nil(), 3, 1));
    let more: &[Part] = if version == 1 { &[] } else { &[part("m")] };
    assert_eq!(claim.task.subject.more, more);
    assert!(store.finish(&claim, &success()).await.unwrap());
}

#[tokio::test]
async fn database_of_every_earlier_version_is_migrated_with_its_tasks() {
    for version in versions() {
        for empty in empty() {
            old(&empty.location, version).await;
            let store = Store::open(&empty.location).await.unwrap();
            check(&store, version).await;
            store.close().await;
            // A second start finds nothing to do.
            Store::open(&empty.location).await.unwrap().close().await;
        }
    }
}

/// The kills go through the time that a migration takes, from its start to its end.
#[tokio::test]
async fn migration_that_is_killed_on_its_way_is_done_by_the_next_start() {
    for version in versions() {
        for empty in empty() {
            old(&empty.location, version).await;
            let (url, kind) = match &empty.location {
                Location::Sqlite(path) => (path.to_string_lossy().into_owned(), Kind::Sqlite),
                Location::Postgres(url) => (url.expose().to_owned(), Kind::Postgres),
            };
            let mut found = vec![version];
            for kill in 0.. {
                let ended = migrate_for(&url, Duration::from_millis(kill * STEP_MS));
                let (pool, _) = pool(&empty.location).await;
                let number = sqlx::query_scalar::<_, i64>(
                    "SELECT CAST(MAX(version) AS BIGINT) FROM _sqlx_migrations",
                );
                found.push(number.fetch_one(&pool).await.unwrap());
                let tasks = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM tasks");
                assert_eq!(tasks.fetch_one(&pool).await.unwrap(), TASKS);
                pool.close().await;
                if ended || found.last() == Some(&newest()) {
                    break;
                }
            }
            assert!(found.is_sorted(), "{found:?}");
            let kills = found.len() - 1;
            found.dedup();
            eprintln!("{kind:?} of version {version}: {kills} kills found it at {found:?}");
            let store = Store::open(&empty.location).await.unwrap();
            check(&store, version).await;
            store.close().await;
        }
    }
}

/// Of many tasks it takes its time, and so does another process that has begun first.
#[tokio::test]
async fn migration_may_take_longer_than_any_other_statement() {
    /// The next migration alters the table of tasks.
    const VERSION: i64 = 7;
    for empty in empty() {
        old(&empty.location, VERSION).await;
        let (pool, kind) = pool(&empty.location).await;
        if kind == Kind::Sqlite {
            // It has one process.
            continue;
        }
        let mut busy = pool.begin().await.unwrap();
        let lock = "LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE";
        sqlx::query(lock).execute(&mut *busy).await.unwrap();
        let location = empty.location.clone();
        let opened = tokio::spawn(async move { Store::open(&location).await });
        // Other statements may take 10 s.
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert!(!opened.is_finished());
        busy.rollback().await.unwrap();
        let store = opened.await.unwrap().unwrap();
        check(&store, VERSION).await;
        let timeout = sqlx::query_scalar::<_, String>("SHOW statement_timeout");
        assert_eq!(timeout.fetch_one(&store.pool).await.unwrap(), "10s");
        store.close().await;
    }
}

/// Opens the database in a process of its own that is killed after the time; true if it ended.
fn migrate_for(url: &str, time: Duration) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--quiet"])
        .arg("store::tests::upgrade::migrates_in_a_process_of_its_own")
        .env(VARIABLE, url)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    sleep(time);
    child.kill().unwrap();
    child.wait().unwrap().success()
}

/// The process that is killed, which nobody else runs.
#[tokio::test]
#[ignore = "run by the test above"]
async fn migrates_in_a_process_of_its_own() {
    let Ok(database) = std::env::var(VARIABLE) else { return };
    let location = match database.starts_with("postgres:") {
        true => Location::Postgres(Secret::new(database)),
        false => Location::Sqlite(database.into()),
    };
    Store::open(&location).await.unwrap();
}
