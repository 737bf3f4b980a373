//! Two who want the same at the same time, many times over.

use super::*;
use crate::store::{Deletion, Next, StoreError};

/// Rounds of a race on each database.
fn rounds(usual: u128) -> u128 {
    std::env::var("OFFKEY_ROUNDS").ok().map_or(usual, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_equal_creates_from_64_threads_one_wins() {
    with_each(|store| async move {
        for round in 0..rounds(20) {
            let creates: Vec<_> = (0..64)
                .map(|number| {
                    let (store, id) = (store.clone(), Uuid::from_u128(round * 64 + number));
                    tokio::spawn(async move { store.create(id, &subject(round)).await })
                })
                .collect();
            let mut won = 0;
            for create in creates {
                match create.await.unwrap() {
                    Ok(()) => won += 1,
                    Err(error) => assert!(matches!(error, StoreError::Busy), "{error}"),
                }
            }
            assert_eq!(won, 1);
        }
        let tasks = count(&store, "SELECT COUNT(*) FROM tasks").await;
        assert_eq!(tasks, count(&store, "SELECT COUNT(*) FROM parts").await);
    })
    .await;
}

/// Cancelling deletes the task. Whoever comes first, nothing of it is left, and the worker
/// knows whether its result counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cancel_and_finish_leave_one_outcome() {
    with_each(|store| async move {
        let rounds = rounds(5000);
        let lanes: Vec<_> = (0..4)
            .map(|lane| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut finished = 0;
                    for round in 0..rounds / 4 {
                        let id = Uuid::from_u128((lane << 64) + round);
                        finished += u128::from(cancel_against_finish(&store, id).await);
                    }
                    finished
                })
            })
            .collect();
        let mut finished = 0;
        for lane in lanes {
            finished += lane.await.unwrap();
        }
        eprintln!("of {rounds} rounds {finished} were finished before they were cancelled");
        assert_eq!(count(&store, "SELECT COUNT(*) FROM tasks").await, 0);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM parts").await, 0);
    })
    .await;
}

async fn cancel_against_finish(store: &Store, id: Uuid) -> bool {
    let subject = subject(id.as_u128());
    store.create(id, &subject).await.unwrap();
    // Another lane may take it, and this one the other's.
    let claim = take(store).await;
    let id = claim.task.id;
    let delete = {
        let (store, instance_id) = (store.clone(), claim.task.subject.instance_id);
        tokio::spawn(async move { store.delete("p", instance_id, id, true).await.unwrap() })
    };
    let finish = {
        let store = store.clone();
        tokio::spawn(async move { store.finish(&claim, &success()).await.unwrap() })
    };
    assert_eq!(delete.await.unwrap(), Deletion::Deleted);
    finish.await.unwrap()
}

/// What stopping a worker for longer than its lease comes to, without the process.
#[tokio::test]
async fn worker_that_slept_through_its_lease_is_refused_everything() {
    with_each(|store| async move {
        let short = Terms { lease: Duration::from_millis(1), ..terms() };
        let progress = Progress { bytes_read: 1, ..Progress::default() };
        for round in 0..rounds(500) {
            let id = Uuid::from_u128(round);
            store.create(id, &subject(round)).await.unwrap();
            let stopped = store.claim(&short).await.unwrap().unwrap();
            tokio::time::sleep(Duration::from_millis(3)).await;
            let other = take(&store).await;
            assert_eq!((other.task.id, other.attempt), (id, 2));
            let write = match round % 6 {
                0 => store.beat(&stopped, progress, None, terms().lease).await,
                1 => store.release(&stopped).await,
                2 => store.retry(&stopped, Duration::ZERO).await,
                3 => store.died(&stopped, Duration::ZERO).await,
                4 => store.done(&stopped, b"old", progress, Next::Together(Step::Join)).await,
                _ => store.finish(&stopped, &success()).await,
            };
            assert!(!write.unwrap(), "round {round}");
            let failed = Outcome { error: Some("second".to_owned()), ..success() };
            assert!(store.finish(&other, &failed).await.unwrap());
            assert!(!store.finish(&stopped, &success()).await.unwrap());
            assert_eq!(only(&store, round).await.error.as_deref(), Some("second"));
        }
    })
    .await;
}

/// While claims, beats, ends and cancels of many parts run at once, nobody waits for ever and
/// nothing is left over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_at_once_comes_to_an_end() {
    with_each(|store| async move {
        let tasks: u128 = rounds(60);
        for id in 1..=tasks {
            store.create(Uuid::from_u128(id), &subject_of(id, 3)).await.unwrap();
        }
        let workers: Vec<_> = (0..6)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    while let Some(claim) = store.claim(&terms()).await.unwrap() {
                        let held = store
                            .beat(&claim, Progress::default(), None, terms().lease)
                            .await
                            .unwrap();
                        let progress = Progress::default();
                        match claim.step {
                            _ if !held => {}
                            Step::Count if claim.attempt == 1 && claim.number == number % 3 => {
                                store.release(&claim).await.unwrap();
                            }
                            Step::Count => {
                                let next = Next::Together(Step::Join);
                                store.done(&claim, b"x", progress, next).await.unwrap();
                            }
                            Step::Join | Step::Whole | Step::Recount | Step::Report => {
                                store.finish(&claim, &success()).await.unwrap();
                            }
                        }
                    }
                })
            })
            .collect();
        for id in (1..=tasks).step_by(3) {
            let id = Uuid::from_u128(id);
            let deletion = store.delete("p", id, id, true).await.unwrap();
            assert_eq!(deletion, Deletion::Deleted);
        }
        for worker in workers {
            worker.await.unwrap();
        }
        // A worker that found nothing left a little early may have left something.
        while let Some(claim) = store.claim(&terms()).await.unwrap() {
            match claim.step {
                Step::Count => {
                    let next = Next::Together(Step::Join);
                    store.done(&claim, b"x", Progress::default(), next).await.unwrap();
                }
                Step::Join | Step::Whole | Step::Recount | Step::Report => {
                    store.finish(&claim, &success()).await.unwrap();
                }
            }
        }
        let all = count(&store, "SELECT COUNT(*) FROM tasks").await;
        let ended = count(&store, "SELECT COUNT(*) FROM tasks WHERE state = 'success'").await;
        assert_eq!(i64::try_from(tasks - tasks.div_ceil(3)).unwrap(), all);
        assert_eq!(ended, all);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM parts").await, 0);
    })
    .await;
}
