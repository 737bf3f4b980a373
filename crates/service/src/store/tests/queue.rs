//! What is claimed, in which order, and what becomes of it.

use super::*;
use crate::store::Next;

#[tokio::test]
async fn oldest_task_is_claimed_once() {
    with_each(|store| async move {
        for id in 1..=3 {
            store.create(Uuid::from_u128(id), &subject(id)).await.unwrap();
        }
        for id in 1..=3 {
            let claim = take(&store).await;
            assert_eq!((claim.task.id, claim.task.state), (Uuid::from_u128(id), State::Running));
            assert_eq!((claim.step, claim.number, claim.attempt), (Step::Whole, 0, 1));
        }
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn many_claimers_share_without_overlap() {
    with_each(|store| async move {
        for id in 1..=100 {
            store.create(Uuid::from_u128(id), &subject(id)).await.unwrap();
        }
        let claimers: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut ids = Vec::new();
                    while let Some(claim) = store.claim(&terms()).await.unwrap() {
                        ids.push(claim.task.id.as_u128());
                        assert!(store.finish(&claim, &success()).await.unwrap());
                    }
                    ids
                })
            })
            .collect();
        let mut ids = Vec::new();
        for claimer in claimers {
            ids.extend(claimer.await.unwrap());
        }
        ids.sort_unstable();
        assert_eq!(ids, (1..=100).collect::<Vec<_>>());
        assert_eq!(count(&store, "SELECT COUNT(*) FROM parts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn higher_priority_goes_first() {
    with_each(|store| async move {
        for (id, priority) in [(1, 0), (2, -1), (3, 5), (4, 0)] {
            let subject = Subject { priority, ..subject(id) };
            store.create(Uuid::from_u128(id), &subject).await.unwrap();
        }
        for id in [3, 1, 4, 2] {
            assert_eq!(take(&store).await.task.id.as_u128(), id);
        }
    })
    .await;
}

#[tokio::test]
async fn project_with_fewest_running_goes_first() {
    with_each(|store| async move {
        for (id, project) in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c"), (6, "b")] {
            let subject = Subject { project_id: project.to_owned(), ..subject(id) };
            store.create(Uuid::from_u128(id), &subject).await.unwrap();
        }
        let mut claims = Vec::new();
        for id in [1, 4, 5, 2, 6] {
            let claim = take(&store).await;
            assert_eq!(claim.task.id.as_u128(), id);
            claims.push(claim);
        }
        // What ends makes room.
        store.finish(&claims[0], &success()).await.unwrap();
        assert_eq!(take(&store).await.task.id.as_u128(), 3);
    })
    .await;
}

#[tokio::test]
async fn instance_has_no_more_parts_running_than_it_may() {
    with_each(|store| async move {
        let terms = Terms { parts_per_instance: 2, ..terms() };
        store.create(Uuid::from_u128(1), &subject_of(1, 4)).await.unwrap();
        store.create(Uuid::from_u128(2), &subject_of(2, 1)).await.unwrap();
        let mut claims = Vec::new();
        for id in [1, 1, 2] {
            let claim = store.claim(&terms).await.unwrap().unwrap();
            assert_eq!(claim.task.id.as_u128(), id);
            claims.push(claim);
        }
        assert_eq!(store.claim(&terms).await.unwrap(), None);
        store.release(&claims[0]).await.unwrap();
        let claim = store.claim(&terms).await.unwrap().unwrap();
        assert_eq!((claim.task.id.as_u128(), claim.number), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn worker_that_lost_its_part_writes_nothing() {
    with_each(|store| async move {
        store.create(Uuid::from_u128(1), &subject(1)).await.unwrap();
        let first = take(&store).await;
        store.end_leases().await.unwrap();
        let second = take(&store).await;
        assert_eq!((second.task.id, second.attempt, second.deaths), (first.task.id, 2, 1));

        let progress = Progress { bytes_read: 7, bytes_total: 8, key_count: 9 };
        let lease = terms().lease;
        assert!(!store.beat(&first, progress, None, lease).await.unwrap());
        assert!(!store.release(&first).await.unwrap());
        assert!(!store.retry(&first, lease).await.unwrap());
        assert!(!store.died(&first, lease).await.unwrap());
        assert!(!store.done(&first, b"", progress, Next::Together(Step::Join)).await.unwrap());
        assert!(!store.finish(&first, &success()).await.unwrap());
        assert_eq!(only(&store, 1).await, second.task);

        assert!(store.beat(&second, progress, None, lease).await.unwrap());
        assert_eq!(only(&store, 1).await.progress, progress);
        assert!(store.finish(&second, &success()).await.unwrap());
        assert!(!store.finish(&second, &success()).await.unwrap());
        assert!(!store.beat(&second, progress, None, lease).await.unwrap());
        assert_eq!(only(&store, 1).await.state, State::Success);
    })
    .await;
}

#[tokio::test]
async fn third_death_fails_the_task() {
    with_each(|store| async move {
        store.create(Uuid::from_u128(1), &subject(1)).await.unwrap();
        for attempt in 1..=3 {
            let claim = take(&store).await;
            assert_eq!((claim.attempt, claim.deaths), (attempt, attempt - 1));
            let progress = Progress { bytes_read: 42, ..Progress::default() };
            assert!(store.beat(&claim, progress, Some("a.rdb"), terms().lease).await.unwrap());
            store.end_leases().await.unwrap();
        }
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
        let task = only(&store, 1).await;
        assert_eq!(task.state, State::Failed);
        let error = "worker died 3 times, the last time after byte 42 of a.rdb";
        assert_eq!(task.error.as_deref(), Some(error));
        assert!(task.finished_at_ms.is_some());
        assert_eq!(count(&store, "SELECT COUNT(*) FROM parts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn task_whose_backup_is_on_its_way_waits_without_a_worker() {
    with_each(|store| async move {
        // The backup of the only part, that of the second of two, and one that nobody reads.
        let of = |id: u128| Part { backup_id: Uuid::from_u128(id), ..part("n0") };
        let only = Subject { first: of(1), ..subject(1) };
        let second = Subject { more: vec![of(2)], ..subject(2) };
        for (id, subject) in [(1, only), (2, second), (3, subject(3))] {
            assert!(store.add_backup(&coming_backup(id)).await.unwrap());
            store.create(Uuid::from_u128(id), &subject).await.unwrap();
        }
        assert_eq!(take(&store).await.task.id.as_u128(), 3);
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
        let lease = terms().lease;
        let mut taken = Vec::new();
        while let Some(record) = store.claim_backup(lease).await.unwrap() {
            taken.push(record);
        }
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
        // A fault that may pass is waited for; an end is one, whichever it is.
        assert!(store.retry_backup(&taken[0], Duration::from_secs(60)).await.unwrap());
        assert_eq!(store.claim_backup(lease).await.unwrap(), None);
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
        sqlx::query("UPDATE backups SET not_before_ms = 0").execute(&store.pool).await.unwrap();
        let again = store.claim_backup(lease).await.unwrap().unwrap();
        assert_eq!((again.id, again.attempt, again.faults), (taken[0].id, 2, 1));
        assert!(!store.finish_backup(&taken[0], None).await.unwrap());
        assert!(store.finish_backup(&again, None).await.unwrap());
        assert_eq!(take(&store).await.task.id.as_u128(), 1);
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
        assert!(store.finish_backup(&taken[1], Some("reset")).await.unwrap());
        assert_eq!(take(&store).await.task.id.as_u128(), 2);
    })
    .await;
}

#[tokio::test]
async fn part_given_back_is_no_death() {
    with_each(|store| async move {
        store.create(Uuid::from_u128(1), &subject(1)).await.unwrap();
        for attempt in 1..=10 {
            let claim = take(&store).await;
            assert_eq!((claim.attempt, claim.deaths), (attempt, 0));
            assert!(store.release(&claim).await.unwrap());
            let task = only(&store, 1).await;
            assert_eq!((task.state, task.started_at_ms), (State::Waiting, None));
        }
    })
    .await;
}

#[tokio::test]
async fn part_that_is_tried_again_waits_its_time() {
    with_each(|store| async move {
        store.create(Uuid::from_u128(1), &subject(1)).await.unwrap();
        let claim = take(&store).await;
        assert!(store.retry(&claim, Duration::from_secs(60)).await.unwrap());
        assert_eq!(only(&store, 1).await.state, State::Waiting);
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
        sqlx::query("UPDATE parts SET not_before_ms = 0").execute(&store.pool).await.unwrap();
        let claim = take(&store).await;
        assert_eq!((claim.attempt, claim.faults, claim.deaths), (2, 1, 0));
        assert!(store.died(&claim, Duration::ZERO).await.unwrap());
        let claim = take(&store).await;
        assert_eq!((claim.attempt, claim.faults, claim.deaths), (3, 1, 1));
    })
    .await;
}

#[tokio::test]
async fn parts_follow_each_other_and_only_missing_ones_are_redone() {
    with_each(|store| async move {
        let id = Uuid::from_u128(1);
        store.create(id, &subject_of(1, 3)).await.unwrap();
        let progress = Progress { bytes_read: 10, bytes_total: 10, key_count: 1 };
        let together = |step| Next::Together(step);
        let first = take(&store).await;
        let second = take(&store).await;
        assert_eq!((second.step, second.number), (Step::Count, 1));
        assert!(store.done(&first, b"one", progress, together(Step::Join)).await.unwrap());
        // The worker of the second one dies: the first is not done again.
        store.end_leases().await.unwrap();
        for (number, bytes) in [(1, b"two"), (2, b"six")] {
            let claim = take(&store).await;
            assert_eq!((claim.step, claim.number), (Step::Count, number));
            assert!(store.done(&claim, bytes, progress, together(Step::Join)).await.unwrap());
        }
        assert_eq!(only(&store, 1).await.progress.bytes_read, 30);
        let join = take(&store).await;
        assert_eq!((join.step, join.number), (Step::Join, 0));
        assert_eq!(store.result(id, Step::Count, 1).await.unwrap().unwrap(), b"two");
        assert_eq!(store.result(id, Step::Join, 0).await.unwrap(), None);
        let next = Next::Each(Step::Recount, 3);
        assert!(store.done(&join, b"all", Progress::default(), next).await.unwrap());
        for number in 0..3 {
            let claim = take(&store).await;
            assert_eq!((claim.step, claim.number), (Step::Recount, number));
            assert!(store.done(&claim, b"", progress, together(Step::Report)).await.unwrap());
        }
        let report = take(&store).await;
        assert_eq!(report.step, Step::Report);
        assert!(store.finish(&report, &success()).await.unwrap());
        let task = only(&store, 1).await;
        assert_eq!((task.state, task.progress.bytes_read), (State::Success, 30));
        assert_eq!(task.progress.key_count, 3);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM parts").await, 0);
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn failed_part_ends_its_task_for_the_others_too() {
    with_each(|store| async move {
        store.create(Uuid::from_u128(1), &subject_of(1, 3)).await.unwrap();
        let (first, second) = (take(&store).await, take(&store).await);
        let failed = Outcome { error: Some("gone".to_owned()), ..success() };
        assert!(store.finish(&second, &failed).await.unwrap());
        assert!(!store.beat(&first, Progress::default(), None, terms().lease).await.unwrap());
        assert!(!store.finish(&first, &success()).await.unwrap());
        assert_eq!(only(&store, 1).await.error.as_deref(), Some("gone"));
        assert_eq!(store.claim(&terms()).await.unwrap(), None);
    })
    .await;
}
