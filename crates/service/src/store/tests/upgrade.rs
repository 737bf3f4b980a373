//! Databases of earlier versions, also where the process is killed on the way.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions as _};

use super::*;
use crate::store::migrations::migrate_to;

/// The last migration of version 0.1.
const OLD: i64 = 2;

/// Tasks in the old database.
const TASKS: i64 = 3000;

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

/// Makes the tables of version 0.1 with tasks in every state.
async fn old(location: &Location) {
    let (pool, kind) = pool(location).await;
    migrate_to(&pool, kind, OLD).await.unwrap();
    let insert = "INSERT INTO tasks (id, project_id, instance_id, backup_id, node_id, node_name, \
         node_ip, node_role, group_name, more, settings, state, created_at_ms, started_at_ms, \
         attempt, died, lease_until_ms, report) \
         VALUES ($1, 'p', $2, $3, 'n', 'n', '', 'master', 'g', $4, '{}', $5, $6, $7, 2, 1, $7, $8)";
    let mut transaction = pool.begin().await.unwrap();
    for number in 0..TASKS {
        let id = Uuid::from_u128(u128::try_from(number).unwrap());
        // One instance has the ended ones; the others have an active one each.
        let state =
            ["waiting", "running", "success", "failed"][usize::try_from(number % 4).unwrap()];
        let more = match number % 8 {
            0 => serde_json::to_string(&[part("m")]).unwrap(),
            _ => "[]".to_owned(),
        };
        sqlx::query(insert)
            .bind(id.to_string())
            .bind(id.to_string())
            .bind(Uuid::nil().to_string())
            .bind(more)
            .bind(state)
            .bind(number)
            .bind((state != "waiting").then_some(number))
            .bind((state == "success").then_some("{}"))
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    pool.close().await;
}

async fn check(store: &Store) {
    assert_eq!(count(store, "SELECT COUNT(*) FROM tasks").await, TASKS);
    for (sql, quarters) in [
        ("SELECT COUNT(*) FROM tasks WHERE state = 'waiting' AND started_at_ms IS NULL", 2),
        ("SELECT COUNT(*) FROM tasks WHERE state = 'success' AND report = '{}'", 1),
        ("SELECT COUNT(*) FROM parts WHERE step = 'whole' AND state = 'waiting'", 2),
        ("SELECT COUNT(*) FROM parts WHERE died = 1 AND attempt = 2", 2),
    ] {
        assert_eq!(count(store, sql).await, quarters * TASKS / 4, "{sql}");
    }
    let claim = take(store).await;
    assert_eq!((claim.task.id, claim.attempt, claim.deaths), (Uuid::nil(), 3, 1));
    assert_eq!(claim.task.subject.more, [part("m")]);
    assert!(store.finish(&claim, &success()).await.unwrap());
}

#[tokio::test]
async fn database_of_version_0_1_is_migrated_with_its_tasks() {
    for empty in empty() {
        old(&empty.location).await;
        let store = Store::open(&empty.location).await.unwrap();
        check(&store).await;
        store.close().await;
        // A second start finds nothing to do.
        Store::open(&empty.location).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn migration_that_is_killed_on_its_way_is_done_by_the_next_start() {
    for empty in empty() {
        old(&empty.location).await;
        let (url, kind) = match &empty.location {
            Location::Sqlite(path) => (path.to_string_lossy().into_owned(), Kind::Sqlite),
            Location::Postgres(url) => (url.expose().to_owned(), Kind::Postgres),
        };
        let mut numbers = std::collections::BTreeSet::new();
        for round in 0..200 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--ignored", "--quiet"])
                .arg("store::tests::upgrade::migrates_in_a_process_of_its_own")
                .env(VARIABLE, &url)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            sleep(Duration::from_millis(round * 3 % 97));
            child.kill().unwrap();
            let ended = child.wait().unwrap().success();
            let (pool, _) = pool(&empty.location).await;
            let row = sqlx::query("SELECT CAST(MAX(version) AS BIGINT) FROM _sqlx_migrations")
                .fetch_one(&pool)
                .await
                .unwrap();
            let tasks = sqlx::query("SELECT COUNT(*) FROM tasks").fetch_one(&pool).await.unwrap();
            assert_eq!(tasks.get::<i64, _>(0), TASKS);
            pool.close().await;
            numbers.insert(row.get::<i64, _>(0));
            if ended || (numbers.len() > 1 && row.get::<i64, _>(0) > OLD + 1) {
                break;
            }
        }
        eprintln!("{kind:?}: processes were killed after migrations {numbers:?}");
        let store = Store::open(&empty.location).await.unwrap();
        check(&store).await;
        store.close().await;
    }
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
