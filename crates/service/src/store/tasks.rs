//! The task table.

use std::ops::RangeInclusive;

use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Store, StoreError, is_taken, now_ms};
use crate::api::Page;
use crate::config::Role;
use crate::metrics::TaskCounts;
use crate::tasks::{Outcome, Part, Progress, State, Subject, Task};

/// How long a worker holds a task without renewing its lease.
const LEASE_MS: i64 = 30_000;

/// How many workers may die of a task.
const DEATHS_MAX: i64 = 3;

/// Columns that make a [`Task`].
macro_rules! task_columns {
    () => {
        "id, project_id, instance_id, backup_id, node_id, node_name, node_ip, node_role, \
         group_name, more, settings, state, created_at_ms, started_at_ms, finished_at_ms, \
         attempt, bytes_read, bytes_total, key_count, error"
    };
}

/// Which tasks a list is of: project, instance, state unless it is null, and creation.
macro_rules! listed {
    () => {
        "project_id = $1 AND instance_id = $2 AND ($3 IS NULL OR state = $3) \
         AND created_at_ms BETWEEN $4 AND $5"
    };
}

/// What became of a task that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    Deleted,
    Running,
    Unknown,
}

impl Store {
    /// Adds a waiting task; the instance may have no other one that waits or runs.
    pub(crate) async fn create(&self, id: Uuid, subject: &Subject) -> Result<(), StoreError> {
        self.within(async {
            let sql = concat!(
                "INSERT INTO tasks (id, project_id, instance_id, backup_id, node_id, node_name, ",
                "node_ip, node_role, group_name, more, settings, state, created_at_ms) ",
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'waiting', ",
                now_ms!(),
                ")"
            );
            let Subject { project_id, instance_id, first, more, settings } = subject;
            let inserted = sqlx::query(sql)
                .bind(id.to_string())
                .bind(project_id)
                .bind(instance_id.to_string())
                .bind(first.backup_id.to_string())
                .bind(&first.node_id)
                .bind(&first.node_name)
                .bind(&first.node_ip)
                .bind(role_name(first.node_role))
                .bind(&first.group_name)
                .bind(serde_json::to_string(more)?)
                .bind(serde_json::to_string(settings)?)
                .execute(&self.pool)
                .await;
            match inserted {
                Ok(_) => Ok(()),
                Err(error) if is_taken(&error) => Err(StoreError::Busy),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Whether a task of the instance waits or runs.
    pub(crate) async fn is_busy(&self, instance_id: Uuid) -> Result<bool, StoreError> {
        self.within(async {
            let sql = "SELECT COUNT(*) FROM tasks \
                   WHERE instance_id = $1 AND state IN ('waiting', 'running')";
            let count: i64 =
                sqlx::query_scalar(sql).bind(instance_id.to_string()).fetch_one(&self.pool).await?;
            Ok(count > 0)
        })
        .await
    }

    /// How many tasks there are in each state, in the order of [`State::ALL`].
    pub(crate) async fn count_by_state(&self) -> Result<TaskCounts, StoreError> {
        self.within(async {
            let sql = "SELECT state, COUNT(*) FROM tasks GROUP BY state";
            let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
            Ok(State::ALL.map(|state| {
                let row = rows.iter().find(|(name, _)| *name == state.name());
                row.map_or(0, |(_, count)| *count)
            }))
        })
        .await
    }

    /// A page of an instance's tasks, the newest first, and how many there are in all.
    pub(crate) async fn list(
        &self,
        project_id: &str,
        instance_id: Uuid,
        state: Option<State>,
        created_at_ms: RangeInclusive<i64>,
        page: Page,
    ) -> Result<(Vec<Task>, i64), StoreError> {
        self.within(async {
            let state = state.map(State::name);
            let mut transaction = self.pool.begin().await?;
            let count = sqlx::query_scalar(concat!("SELECT COUNT(*) FROM tasks WHERE ", listed!()))
                .bind(project_id)
                .bind(instance_id.to_string())
                .bind(state)
                .bind(*created_at_ms.start())
                .bind(*created_at_ms.end())
                .fetch_one(&mut *transaction)
                .await?;
            let rows = sqlx::query(concat!(
                "SELECT ",
                task_columns!(),
                " FROM tasks WHERE ",
                listed!(),
                " ORDER BY created_at_ms DESC, id DESC LIMIT $6 OFFSET $7"
            ))
            .bind(project_id)
            .bind(instance_id.to_string())
            .bind(state)
            .bind(*created_at_ms.start())
            .bind(*created_at_ms.end())
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset))
            .fetch_all(&mut *transaction)
            .await?;
            Ok((rows.iter().map(task).collect::<Result<_, _>>()?, count))
        })
        .await
    }

    /// One task of an instance, and its report if it has one.
    pub(crate) async fn show(
        &self,
        project_id: &str,
        instance_id: Uuid,
        id: Uuid,
    ) -> Result<Option<(Task, Option<String>)>, StoreError> {
        self.within(async {
            let row = sqlx::query(concat!(
                "SELECT ",
                task_columns!(),
                ", report FROM tasks WHERE id = $1 AND project_id = $2 AND instance_id = $3"
            ))
            .bind(id.to_string())
            .bind(project_id)
            .bind(instance_id.to_string())
            .fetch_optional(&self.pool)
            .await?;
            row.map(|row| Ok((task(&row)?, row.try_get("report")?))).transpose()
        })
        .await
    }

    /// Deletes a task; one that runs only if `force`, and its worker finds that it is lost.
    pub(crate) async fn delete(
        &self,
        project_id: &str,
        instance_id: Uuid,
        id: Uuid,
        force: bool,
    ) -> Result<Deletion, StoreError> {
        self.within(async {
            let deleted = sqlx::query(
                "DELETE FROM tasks \
             WHERE id = $1 AND project_id = $2 AND instance_id = $3 \
             AND ($4 OR state <> 'running')",
            )
            .bind(id.to_string())
            .bind(project_id)
            .bind(instance_id.to_string())
            .bind(force)
            .execute(&self.pool)
            .await?;
            if deleted.rows_affected() == 1 {
                return Ok(Deletion::Deleted);
            }
            match self.show(project_id, instance_id, id).await? {
                Some(_) => Ok(Deletion::Running),
                None => Ok(Deletion::Unknown),
            }
        })
        .await
    }

    /// Ends all leases: for the start of a process that knows to be the only one.
    pub(crate) async fn end_leases(&self) -> Result<(), StoreError> {
        self.within(async {
            sqlx::query("UPDATE tasks SET lease_until_ms = 0 WHERE state = 'running'")
                .execute(&self.pool)
                .await?;
            Ok(())
        })
        .await
    }

    /// Takes the oldest task that waits or whose worker has died, and starts an attempt.
    ///
    /// A task of which too many workers have died has failed.
    pub(crate) async fn claim(&self) -> Result<Option<Task>, StoreError> {
        self.within(async {
            let mut transaction = self.begin().await?;
            sqlx::query(concat!(
                "UPDATE tasks SET state = 'failed', finished_at_ms = ",
                now_ms!(),
                ", lease_until_ms = NULL, died = died + 1, error = 'worker died ' || (died + 1) ",
                "|| ' times, the last time at byte ' || bytes_read ",
                "WHERE state = 'running' AND died + 1 >= $1 AND lease_until_ms < ",
                now_ms!()
            ))
            .bind(DEATHS_MAX)
            .execute(&mut *transaction)
            .await?;
            let row = sqlx::query(concat!(
                "UPDATE tasks SET died = died + CASE state WHEN 'running' THEN 1 ELSE 0 END, ",
                "state = 'running', ",
                "attempt = attempt + 1, bytes_read = 0, bytes_total = 0, key_count = 0, ",
                "started_at_ms = ",
                now_ms!(),
                ", lease_until_ms = $1 + ",
                now_ms!(),
                " WHERE id = (SELECT id FROM tasks ",
                "WHERE state = 'waiting' OR (state = 'running' AND lease_until_ms < ",
                now_ms!(),
                ") ORDER BY created_at_ms, id LIMIT 1) ",
                // Another process may have taken it meanwhile.
                "AND (state = 'waiting' OR (state = 'running' AND lease_until_ms < ",
                now_ms!(),
                ")) RETURNING ",
                task_columns!()
            ))
            .bind(LEASE_MS)
            .fetch_optional(&mut *transaction)
            .await?;
            transaction.commit().await?;
            row.as_ref().map(task).transpose()
        })
        .await
    }

    /// Renews the lease of `claimed` and notes its progress; false if the task is lost.
    pub(crate) async fn renew(
        &self,
        claimed: &Task,
        progress: Progress,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let renewed = sqlx::query(concat!(
                "UPDATE tasks SET bytes_read = $3, bytes_total = $4, key_count = $5, ",
                "lease_until_ms = $6 + ",
                now_ms!(),
                " WHERE id = $1 AND attempt = $2 AND state = 'running'"
            ))
            .bind(claimed.id.to_string())
            .bind(claimed.attempt)
            .bind(saturated(progress.bytes_read))
            .bind(saturated(progress.bytes_total))
            .bind(saturated(progress.key_count))
            .bind(LEASE_MS)
            .execute(&self.pool)
            .await?;
            Ok(renewed.rows_affected() == 1)
        })
        .await
    }

    /// Gives `claimed` back unfinished; false if the task is lost.
    pub(crate) async fn release(&self, claimed: &Task) -> Result<bool, StoreError> {
        self.within(async {
            let released = sqlx::query(
                "UPDATE tasks SET state = 'waiting', started_at_ms = NULL, lease_until_ms = NULL, \
             bytes_read = 0, bytes_total = 0, key_count = 0 \
             WHERE id = $1 AND attempt = $2 AND state = 'running'",
            )
            .bind(claimed.id.to_string())
            .bind(claimed.attempt)
            .execute(&self.pool)
            .await?;
            Ok(released.rows_affected() == 1)
        })
        .await
    }

    /// Ends `claimed` with its result; false if the task is lost.
    pub(crate) async fn finish(
        &self,
        claimed: &Task,
        outcome: &Outcome,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let state = match outcome.error {
                None => State::Success,
                Some(_) => State::Failed,
            };
            let finished = sqlx::query(concat!(
                "UPDATE tasks SET state = $3, bytes_read = $4, bytes_total = $5, key_count = $6, ",
                "error = $7, report = $8, lease_until_ms = NULL, finished_at_ms = ",
                now_ms!(),
                " WHERE id = $1 AND attempt = $2 AND state = 'running'"
            ))
            .bind(claimed.id.to_string())
            .bind(claimed.attempt)
            .bind(state.name())
            .bind(saturated(outcome.progress.bytes_read))
            .bind(saturated(outcome.progress.bytes_total))
            .bind(saturated(outcome.progress.key_count))
            .bind(&outcome.error)
            .bind(&outcome.report)
            .execute(&self.pool)
            .await?;
            Ok(finished.rows_affected() == 1)
        })
        .await
    }
}

fn task(row: &AnyRow) -> Result<Task, StoreError> {
    let id: String = row.try_get("id")?;
    let nonsense = |column| StoreError::Row { id: id.clone(), column };
    let uuid = |column| -> Result<Uuid, StoreError> {
        let text: &str = row.try_get(column)?;
        Uuid::try_parse(text).map_err(|_| nonsense(column))
    };
    let count = |column| -> Result<u64, StoreError> {
        u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| nonsense(column))
    };
    Ok(Task {
        id: uuid("id")?,
        subject: Subject {
            project_id: row.try_get("project_id")?,
            instance_id: uuid("instance_id")?,
            first: Part {
                backup_id: uuid("backup_id")?,
                node_id: row.try_get("node_id")?,
                node_name: row.try_get("node_name")?,
                node_ip: row.try_get("node_ip")?,
                node_role: [Role::Master, Role::Slave]
                    .into_iter()
                    .find(|role| {
                        row.try_get("node_role").is_ok_and(|name: &str| name == role_name(*role))
                    })
                    .ok_or_else(|| nonsense("node_role"))?,
                group_name: row.try_get("group_name")?,
            },
            more: serde_json::from_str(row.try_get("more")?).map_err(|_| nonsense("more"))?,
            settings: serde_json::from_str(row.try_get("settings")?)
                .map_err(|_| nonsense("settings"))?,
        },
        state: State::parse(row.try_get("state")?).ok_or_else(|| nonsense("state"))?,
        created_at_ms: row.try_get("created_at_ms")?,
        started_at_ms: row.try_get("started_at_ms")?,
        finished_at_ms: row.try_get("finished_at_ms")?,
        attempt: row.try_get("attempt")?,
        progress: Progress {
            bytes_read: count("bytes_read")?,
            bytes_total: count("bytes_total")?,
            key_count: count("key_count")?,
        },
        error: row.try_get("error")?,
    })
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Master => "master",
        Role::Slave => "slave",
    }
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::AnalysisConfig;
    use crate::store::Kind;
    use crate::store::tests::{empty, with_each};

    const ALL: Page = Page { offset: 0, limit: 1000 };
    const EVER: RangeInclusive<i64> = i64::MIN..=i64::MAX;

    fn subject(instance: u128) -> Subject {
        Subject {
            project_id: "p".to_owned(),
            instance_id: Uuid::from_u128(instance),
            first: part("n"),
            more: vec![part("m")],
            settings: AnalysisConfig { top: 7, ..AnalysisConfig::default() },
        }
    }

    fn part(node_id: &str) -> Part {
        Part {
            backup_id: Uuid::nil(),
            node_id: node_id.to_owned(),
            node_name: "name".to_owned(),
            node_ip: String::new(),
            node_role: Role::Slave,
            group_name: "g".to_owned(),
        }
    }

    fn success() -> Outcome {
        Outcome { error: None, report: Some("{}".to_owned()), progress: Progress::default() }
    }

    async fn only(store: &Store, instance: u128) -> Task {
        let listed = store.list("p", Uuid::from_u128(instance), None, EVER, ALL).await.unwrap();
        assert_eq!((listed.0.len(), listed.1), (1, 1));
        listed.0[0].clone()
    }

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
            let task = store.claim().await.unwrap().unwrap();
            assert!(matches!(create(4, 1).await, Err(StoreError::Busy)));
            assert!(store.finish(&task, &success()).await.unwrap());
            create(5, 1).await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn of_many_equal_creates_one_wins() {
        with_each(|store| async move {
            let creates: Vec<_> = (0..64)
                .map(|id| {
                    let store = store.clone();
                    tokio::spawn(
                        async move { store.create(Uuid::from_u128(id), &subject(1)).await },
                    )
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
        })
        .await;
    }

    #[tokio::test]
    async fn oldest_task_is_claimed_once() {
        with_each(|store| async move {
            for id in 1..=3 {
                store.create(Uuid::from_u128(id), &subject(id)).await.unwrap();
            }
            for id in 1..=3 {
                let task = store.claim().await.unwrap().unwrap();
                assert_eq!((task.id, task.state), (Uuid::from_u128(id), State::Running));
                assert_eq!(task.attempt, 1);
            }
            assert_eq!(store.claim().await.unwrap(), None);
        })
        .await;
    }

    #[tokio::test]
    async fn worker_that_lost_its_task_writes_nothing() {
        with_each(|store| async move {
            store.create(Uuid::from_u128(1), &subject(1)).await.unwrap();
            let first = store.claim().await.unwrap().unwrap();
            store.end_leases().await.unwrap();
            let second = store.claim().await.unwrap().unwrap();
            assert_eq!((second.id, second.attempt), (first.id, 2));

            let progress = Progress { bytes_read: 7, bytes_total: 8, key_count: 9 };
            assert!(!store.renew(&first, progress).await.unwrap());
            assert!(!store.release(&first).await.unwrap());
            assert!(!store.finish(&first, &success()).await.unwrap());
            assert_eq!(only(&store, 1).await, second);

            assert!(store.renew(&second, progress).await.unwrap());
            assert_eq!(only(&store, 1).await.progress, progress);
            assert!(store.finish(&second, &success()).await.unwrap());
            assert!(!store.finish(&second, &success()).await.unwrap());
            assert!(!store.renew(&second, progress).await.unwrap());
            assert_eq!(only(&store, 1).await.state, State::Success);
        })
        .await;
    }

    #[tokio::test]
    async fn third_death_fails_the_task() {
        with_each(|store| async move {
            store.create(Uuid::from_u128(1), &subject(1)).await.unwrap();
            for attempt in 1..=3 {
                let task = store.claim().await.unwrap().unwrap();
                assert_eq!(task.attempt, attempt);
                let progress = Progress { bytes_read: 42, ..Progress::default() };
                assert!(store.renew(&task, progress).await.unwrap());
                store.end_leases().await.unwrap();
            }
            assert_eq!(store.claim().await.unwrap(), None);
            let task = only(&store, 1).await;
            assert_eq!(task.state, State::Failed);
            let error = "worker died 3 times, the last time at byte 42";
            assert_eq!(task.error.as_deref(), Some(error));
            assert!(task.finished_at_ms.is_some());
        })
        .await;
    }

    #[tokio::test]
    async fn task_given_back_is_no_death() {
        with_each(|store| async move {
            store.create(Uuid::from_u128(1), &subject(1)).await.unwrap();
            for attempt in 1..=10 {
                let task = store.claim().await.unwrap().unwrap();
                assert_eq!(task.attempt, attempt);
                assert!(store.release(&task).await.unwrap());
                assert_eq!(only(&store, 1).await.state, State::Waiting);
            }
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
            let task = store.claim().await.unwrap().unwrap();
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
            let task = store.claim().await.unwrap().unwrap();
            assert_eq!(store.delete("other", id, id, true).await.unwrap(), Deletion::Unknown);
            assert_eq!(store.delete("p", id, id, true).await.unwrap(), Deletion::Deleted);
            assert!(!store.renew(&task, Progress::default()).await.unwrap());
            assert!(!store.finish(&task, &success()).await.unwrap());
            assert!(!store.release(&task).await.unwrap());
            assert_eq!(store.list("p", id, None, EVER, ALL).await.unwrap(), (vec![], 0));
            // A worker that ends first has ended it, and the deletion takes its report along.
            store.create(id, &subject(1)).await.unwrap();
            let task = store.claim().await.unwrap().unwrap();
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
                let task = store.claim().await.unwrap().unwrap();
                let error = (id % 2 == 0).then(|| "bad".to_owned());
                store.finish(&task, &Outcome { error, ..success() }).await.unwrap();
            }
            let list = |state, offset, limit| {
                let store = store.clone();
                async move {
                    let page = Page { offset, limit };
                    let instance = Uuid::from_u128(1);
                    let (tasks, total) =
                        store.list("p", instance, state, EVER, page).await.unwrap();
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
}
