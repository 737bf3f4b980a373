//! Creating, showing, listing and deleting.

use super::*;
use crate::store::{Deletion, StoreError};

#[tokio::test]
async fn commits_are_on_the_disk_before_they_are_answered() {
    with_each(|store| async move {
        let settings = match store.kind {
            Kind::Sqlite => [("PRAGMA journal_mode", "wal"), ("PRAGMA synchronous", "2")],
            Kind::Postgres => [("SHOW synchronous_commit", "on"); 2],
        };
        for (sql, expected) in settings {
            let row = sqlx::query(sql).fetch_one(&store.pool).await.unwrap();
            let text: Result<String, _> = row.try_get(0);
            let value = text.unwrap_or_else(|_| row.get::<i64, _>(0).to_string());
            assert_eq!(value, expected, "{sql}");
        }
    })
    .await;
}

#[tokio::test]
async fn instance_has_one_active_task() {
    with_each(|store| async move {
        let create = |id, instance| {
            let store = store.clone();
            async move { store.create(Uuid::from_u128(id), &subject(instance)).await }
        };
        create(1, 1).await.unwrap();
        assert!(matches!(create(2, 1).await, Err(StoreError::Busy)));
        create(3, 2).await.unwrap();
        let task = take(&store).await;
        assert!(matches!(create(4, 1).await, Err(StoreError::Busy)));
        assert!(store.finish(&task, &success()).await.unwrap());
        create(5, 1).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn running_task_is_not_deleted() {
    with_each(|store| async move {
        let id = Uuid::from_u128(1);
        let delete = |project: &'static str| {
            let store = store.clone();
            async move { store.delete(project, id, id, false).await.unwrap() }
        };
        assert_eq!(delete("p").await, Deletion::Unknown);
        store.create(id, &subject(1)).await.unwrap();
        let task = take(&store).await;
        assert_eq!(delete("p").await, Deletion::Running);
        store.finish(&task, &success()).await.unwrap();
        assert_eq!(delete("other").await, Deletion::Unknown);
        assert_eq!(delete("p").await, Deletion::Deleted);
        assert_eq!(delete("p").await, Deletion::Unknown);
    })
    .await;
}

#[tokio::test]
async fn forced_deletion_takes_the_task_from_its_worker() {
    with_each(|store| async move {
        let id = Uuid::from_u128(1);
        store.create(id, &subject(1)).await.unwrap();
        let task = take(&store).await;
        assert_eq!(store.delete("other", id, id, true).await.unwrap(), Deletion::Unknown);
        assert_eq!(store.delete("p", id, id, true).await.unwrap(), Deletion::Deleted);
        assert!(!store.beat(&task, Progress::default(), None, terms().lease).await.unwrap());
        assert!(!store.finish(&task, &success()).await.unwrap());
        assert!(!store.release(&task).await.unwrap());
        assert_eq!(store.list("p", id, None, EVER, ALL).await.unwrap(), (vec![], 0));
        // A worker that ends first has ended it, and the deletion takes its report along.
        store.create(id, &subject(1)).await.unwrap();
        let task = take(&store).await;
        assert!(store.finish(&task, &success()).await.unwrap());
        assert_eq!(store.delete("p", id, id, true).await.unwrap(), Deletion::Deleted);
    })
    .await;
}

#[tokio::test]
async fn list_has_the_newest_first_in_pages() {
    with_each(|store| async move {
        for id in 1..=5 {
            store.create(Uuid::from_u128(id), &subject(1)).await.unwrap();
            let task = take(&store).await;
            let error = (id % 2 == 0).then(|| "bad".to_owned());
            store.finish(&task, &Outcome { error, ..success() }).await.unwrap();
        }
        let list = |state, offset, limit| {
            let store = store.clone();
            async move {
                let page = Page { offset, limit };
                let instance = Uuid::from_u128(1);
                let (tasks, total) = store.list("p", instance, state, EVER, page).await.unwrap();
                (tasks.iter().map(|task| task.id.as_u128()).collect::<Vec<_>>(), total)
            }
        };
        assert_eq!(list(None, 0, 1000).await, (vec![5, 4, 3, 2, 1], 5));
        assert_eq!(list(None, 1, 2).await, (vec![4, 3], 5));
        assert_eq!(list(None, 5, 2).await, (vec![], 5));
        assert_eq!(list(None, 0, 0).await, (vec![], 5));
        assert_eq!(list(Some(State::Failed), 0, 10).await, (vec![4, 2], 2));
        assert_eq!(list(Some(State::Waiting), 0, 10).await, (vec![], 0));
    })
    .await;
}

#[tokio::test]
async fn tasks_survive_reopening() {
    for empty in empty() {
        let store = Store::open(&empty.location).await.unwrap();
        store.create(Uuid::from_u128(1), &subject(1)).await.unwrap();
        let before = only(&store, 1).await;
        store.close().await;
        let store = Store::open(&empty.location).await.unwrap();
        assert_eq!(only(&store, 1).await, before);
    }
}
