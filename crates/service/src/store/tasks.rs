//! The task table.

use std::ops::RangeInclusive;

use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::backups::insert;
use super::listen::{ADDED, DELETED};
use super::parts::add;
use super::{Store, StoreError, is_taken, now_ms};
use crate::api::Page;
use crate::backups::record::Record;
use crate::config::Role;
use crate::metrics::TaskCounts;
use crate::tasks::{Part, Progress, State, Step, Subject, Task};

/// What a task has of a number: that of its parts in the first pass, then its own.
macro_rules! sum_of_parts {
    ($column:literal) => {
        concat!(
            "CAST(",
            $column,
            " + COALESCE((SELECT SUM(p.",
            $column,
            ") FROM parts p WHERE p.task_id = tasks.id AND p.step IN ('whole', 'count')), 0) ",
            "AS BIGINT) AS ",
            $column
        )
    };
}

/// Columns that make a [`Task`].
macro_rules! task_columns {
    () => {
        concat!(
            "id, project_id, instance_id, backup_id, node_id, node_name, node_ip, node_role, ",
            "group_name, more, settings, priority, backup, state, created_at_ms, started_at_ms, ",
            "finished_at_ms, error, ",
            sum_of_parts!("bytes_read"),
            ", ",
            sum_of_parts!("bytes_total"),
            ", ",
            sum_of_parts!("key_count")
        )
    };
}
pub(super) use {sum_of_parts, task_columns};

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
    #[cfg(test)]
    pub(crate) async fn create(&self, id: Uuid, subject: &Subject) -> Result<(), StoreError> {
        self.create_with(id, subject, None).await
    }

    /// The same together with the backup that is to be taken for it: both or none.
    pub(crate) async fn create_with(
        &self,
        id: Uuid,
        subject: &Subject,
        backup: Option<&Record>,
    ) -> Result<(), StoreError> {
        let sql = concat!(
            "INSERT INTO tasks (id, project_id, instance_id, backup_id, node_id, node_name, ",
            "node_ip, node_role, group_name, more, settings, priority, backup, state, ",
            "created_at_ms) ",
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'waiting', ",
            now_ms!(),
            ")"
        );
        let Subject { project_id, instance_id, first, more, is_new, priority, settings } = subject;
        self.within(async {
            let mut transaction = self.begin().await?;
            sqlx::query(sql)
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
                .bind(*priority)
                .bind(if *is_new { "new" } else { "old" })
                .execute(&mut *transaction)
                .await
                .map_err(|error| match is_taken(&error) {
                    true => StoreError::Busy,
                    false => error.into(),
                })?;
            let (step, count) = Step::first(subject);
            add(&mut transaction, &id.to_string(), step, count).await?;
            if let Some(record) = backup {
                insert(record)?.execute(&mut *transaction).await.map_err(
                    |error| match is_taken(&error) {
                        true => StoreError::Backuping,
                        false => error.into(),
                    },
                )?;
            }
            self.announce(&mut transaction, ADDED).await?;
            self.commit(transaction, "create").await
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

    /// Whether an analysis of the instance that waits or runs is to read the backup.
    pub(crate) async fn is_read(
        &self,
        instance_id: Uuid,
        backup_id: Uuid,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let rows = sqlx::query(concat!(
                "SELECT ",
                task_columns!(),
                " FROM tasks WHERE instance_id = $1 AND state IN ('waiting', 'running')"
            ))
            .bind(instance_id.to_string())
            .fetch_all(&self.pool)
            .await?;
            let tasks: Vec<Task> = rows.iter().map(task).collect::<Result<_, _>>()?;
            let mut parts = tasks.iter().flat_map(|task| task.subject.parts());
            Ok(parts.any(|part| part.backup_id == backup_id))
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
            let mut transaction = self.begin().await?;
            let deleted = sqlx::query(
                "DELETE FROM tasks WHERE id = $1 AND project_id = $2 AND instance_id = $3 \
                 AND ($4 OR state <> 'running')",
            )
            .bind(id.to_string())
            .bind(project_id)
            .bind(instance_id.to_string())
            .bind(force)
            .execute(&mut *transaction)
            .await?;
            self.announce(&mut transaction, DELETED).await?;
            self.commit(transaction, "delete").await?;
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
}

/// The task in the columns of `task_columns!`.
pub(super) fn task(row: &AnyRow) -> Result<Task, StoreError> {
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
            is_new: row.try_get::<String, _>("backup")? == "new",
            priority: row.try_get("priority")?,
            settings: serde_json::from_str(row.try_get("settings")?)
                .map_err(|_| nonsense("settings"))?,
        },
        state: State::parse(row.try_get("state")?).ok_or_else(|| nonsense("state"))?,
        created_at_ms: row.try_get("created_at_ms")?,
        started_at_ms: row.try_get("started_at_ms")?,
        finished_at_ms: row.try_get("finished_at_ms")?,
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

/// The largest number that fits into a column.
pub(super) fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
