//! A database whose clock is put forward or back by a day while parts run and wait.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

const DAY_MS: i64 = 86_400_000;

/// Has the database's clock say what it is ahead of the right time.
async fn put(store: &Store, ahead_ms: i64) {
    let now = match store.kind {
        Kind::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        Kind::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    };
    let mut transaction = store.begin().await.unwrap();
    sqlx::query("DROP VIEW clock").execute(&mut *transaction).await.unwrap();
    let view = format!("CREATE VIEW clock AS SELECT {now} + {ahead_ms} AS now_ms");
    sqlx::query(sqlx::AssertSqlSafe(view)).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn part_that_waits_for_its_time_waits_no_day_for_it() {
    with_each(|store| async move {
        store.create(Uuid::from_u128(1), &subject(1)).await.unwrap();
        let claim = take(&store).await;
        assert!(store.retry(&claim, Duration::from_secs(64)).await.unwrap());
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
        put(&store, -DAY_MS).await;
        let again = take(&store).await;
        assert_eq!((again.task.id, again.attempt, again.faults), (claim.task.id, 2, 1));
        assert!(store.retry(&again, Duration::from_secs(64)).await.unwrap());
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
        put(&store, 0).await;
        let again = take(&store).await;
        assert_eq!((again.attempt, again.faults), (3, 2));
    })
    .await;
}

async fn beat(store: &Store, claim: &Claim) -> bool {
    store.beat(claim, Progress::default(), None, terms().lease).await.unwrap()
}

#[tokio::test]
async fn worker_that_gives_signs_keeps_its_part_and_a_dead_ones_is_taken() {
    with_each(|store| async move {
        for (round, ahead_ms) in [(1, DAY_MS), (2, -DAY_MS), (3, 0)] {
            for id in [10 * round, 10 * round + 1] {
                store.create(Uuid::from_u128(id), &subject(id)).await.unwrap();
            }
            let (lives, died) = (take(&store).await, take(&store).await);
            assert_eq!(store.claim(&terms()).await.unwrap(), None);
            put(&store, ahead_ms).await;
            assert!(beat(&store, &lives).await);
            let other = take(&store).await;
            assert_eq!((other.task.id, other.attempt), (died.task.id, 2), "{ahead_ms}");
            assert!(!beat(&store, &died).await);
            assert!(!store.finish(&died, &success()).await.unwrap());
            assert_eq!(store.claim(&terms()).await.unwrap(), None);
            for claim in [&lives, &other] {
                assert!(store.finish(claim, &success()).await.unwrap(), "{ahead_ms}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn third_death_is_seen_whatever_the_clock_says() {
    with_each(|store| async move {
        store.create(Uuid::from_u128(1), &subject(1)).await.unwrap();
        for ahead_ms in [0, -DAY_MS, -2 * DAY_MS] {
            put(&store, ahead_ms).await;
            take(&store).await;
        }
        put(&store, -3 * DAY_MS).await;
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
        let task = only(&store, 1).await;
        assert_eq!(task.error.as_deref(), Some("worker died 3 times, the last time after byte 0"));
    })
    .await;
}

#[tokio::test]
async fn process_that_is_to_be_seen_tomorrow_is_not_alive() {
    with_each(|store| async move {
        let minute = Duration::from_secs(60);
        store.seen(Uuid::from_u128(1), 3).await.unwrap();
        assert_eq!(store.workers(minute).await.unwrap(), 1);
        put(&store, -DAY_MS).await;
        assert_eq!(store.workers(minute).await.unwrap(), 0);
        store.seen(Uuid::from_u128(2), 3).await.unwrap();
        assert_eq!(store.workers(minute).await.unwrap(), 1);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM workers").await, 1);
    })
    .await;
}

#[tokio::test]
async fn backup_that_waits_or_whose_process_died_waits_no_day() {
    with_each(|store| async move {
        let lease = terms().lease;
        for id in [1, 2] {
            assert!(store.add_backup(&coming_backup(id)).await.unwrap());
        }
        let waits = store.claim_backup(lease).await.unwrap().unwrap();
        store.claim_backup(lease).await.unwrap().unwrap();
        assert!(store.retry_backup(&waits, Duration::from_secs(16)).await.unwrap());
        assert_eq!(store.claim_backup(lease).await.unwrap(), None);
        put(&store, -DAY_MS).await;
        for _ in [1, 2] {
            let again = store.claim_backup(lease).await.unwrap().unwrap();
            assert_eq!(again.attempt, 2);
        }
        assert_eq!(store.claim_backup(lease).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn host_and_look_of_a_process_that_died_wait_no_day() {
    with_each(|store| async move {
        let (host, minute) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Duration::from_secs(60));
        let [first, second] = [1, 2].map(Uuid::from_u128);
        assert!(store.hold_host(host, first, minute).await.unwrap());
        assert!(store.begin_look(first, minute).await.unwrap());
        assert!(!store.hold_host(host, second, minute).await.unwrap());
        assert!(!store.begin_look(first, minute).await.unwrap());
        put(&store, -DAY_MS).await;
        assert!(store.hold_host(host, second, minute).await.unwrap());
        assert!(store.begin_look(first, minute).await.unwrap());
        assert!(!store.hold_host(host, first, minute).await.unwrap());
        assert!(!store.begin_look(first, minute).await.unwrap());
    })
    .await;
}
