//! The queue: which part a worker gets.

use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};
use uuid::Uuid;

use super::parts::{DEATHS_MAX, ms};
use super::tasks::{sum_of_parts, task, task_columns};
use super::{Kind, Store, StoreError, ahead, now_ms};
use crate::tasks::{Claim, Step};

/// How a process takes parts.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The process.
    pub(crate) worker_id: Uuid,
    /// How long a part is its own without a sign of life.
    pub(crate) lease: Duration,
    /// Parts of one instance that may run at the same time, on whatever machines.
    pub(crate) parts_per_instance: u32,
}

/// A part that runs and whose lease holds.
macro_rules! held {
    ($parts:literal) => {
        concat!($parts, ".state = 'running' AND ", ahead!(concat!($parts, ".lease_until_ms")))
    };
}

/// A part that runs, but whose worker has died.
macro_rules! dead {
    ($parts:literal) => {
        concat!($parts, ".state = 'running' AND NOT ", ahead!(concat!($parts, ".lease_until_ms")))
    };
}

/// A part that can be taken: it waits and its time has come, or its worker has died.
macro_rules! free {
    ($parts:literal) => {
        concat!(
            "(",
            $parts,
            ".state = 'waiting' AND NOT ",
            ahead!(concat!($parts, ".not_before_ms")),
            " OR ",
            dead!($parts),
            ")"
        )
    };
}

/// Chooses a part: of the tasks with the highest priority, of the project that has the fewest
/// running, the oldest. An instance has one task at a time, so that a task's parts are its own.
///
/// What runs is counted once and not for each part that could be taken: there may be thousands.
const CHOOSE: &str = concat!(
    "WITH busy AS (SELECT r.task_id, o.project_id FROM parts r JOIN tasks o ON o.id = r.task_id ",
    "WHERE ",
    held!("r"),
    ") SELECT p.task_id, p.step, p.number FROM parts p JOIN tasks t ON t.id = p.task_id ",
    "LEFT JOIN (SELECT task_id, COUNT(*) AS parts FROM busy GROUP BY task_id) own ",
    "ON own.task_id = t.id ",
    "LEFT JOIN (SELECT project_id, COUNT(*) AS parts FROM busy GROUP BY project_id) shared ",
    "ON shared.project_id = t.project_id WHERE ",
    free!("p"),
    // A task whose backup is still on its way waits, and no worker with it.
    " AND NOT EXISTS (SELECT 1 FROM backups b WHERE b.instance_id = t.instance_id ",
    "AND b.state IN ('waiting', 'backuping') ",
    "AND (b.id = t.backup_id OR t.more LIKE '%' || b.id || '%')) ",
    "AND COALESCE(own.parts, 0) < $1 ORDER BY t.priority DESC, COALESCE(shared.parts, 0), ",
    "t.created_at_ms, t.id, p.number LIMIT 1"
);

const TAKE: &str = concat!(
    "UPDATE parts SET died = died + CASE state WHEN 'running' THEN 1 ELSE 0 END, ",
    "state = 'running', attempt = attempt + 1, bytes_read = 0, bytes_total = 0, key_count = 0, ",
    "worker_id = $4, lease_until_ms = $5 + ",
    now_ms!(),
    " WHERE task_id = $1 AND step = $2 AND number = $3 AND ",
    free!("parts"),
    " RETURNING attempt, died, faults"
);

/// Ends the tasks whose parts have killed too many workers.
const GIVE_UP: &str = concat!(
    "UPDATE tasks SET state = 'failed', finished_at_ms = ",
    now_ms!(),
    ", error = (SELECT 'worker died ' || (died + 1) || ' times, the last time after byte ' ",
    "|| bytes_read || COALESCE(' of ' || file, '') FROM parts ",
    "WHERE task_id = tasks.id AND died + 1 >= $1 AND ",
    dead!("parts"),
    " LIMIT 1) WHERE state = 'running' AND id IN (SELECT task_id FROM parts ",
    "WHERE died + 1 >= $1 AND ",
    dead!("parts"),
    ")"
);

impl Store {
    /// Takes a part that waits or whose worker has died, and starts an attempt.
    ///
    /// A task with a part of which too many workers have died has failed.
    pub(crate) async fn claim(&self, terms: &Terms) -> Result<Option<Claim>, StoreError> {
        self.within(async {
            let mut transaction = self.begin().await?;
            self.alone(&mut transaction).await?;
            let given_up = sqlx::query(GIVE_UP).bind(DEATHS_MAX).execute(&mut *transaction).await?;
            if given_up.rows_affected() > 0 {
                drop_parts_of_ended(&mut transaction).await?;
                self.commit(transaction, "give_up").await?;
                transaction = self.begin().await?;
                self.alone(&mut transaction).await?;
            }
            let chosen = sqlx::query(CHOOSE)
                .bind(i64::from(terms.parts_per_instance))
                .fetch_optional(&mut *transaction)
                .await?;
            let Some(chosen) = chosen else {
                transaction.rollback().await?;
                return Ok(None);
            };
            // Task before part, as everybody locks them.
            let id: String = chosen.try_get("task_id")?;
            self.lock_task(&mut transaction, &id).await?;
            let claim = self.take(&mut transaction, id, &chosen, terms).await?;
            self.commit(transaction, "claim").await?;
            Ok(claim)
        })
        .await
    }

    async fn take(
        &self,
        transaction: &mut Transaction<'static, Any>,
        id: String,
        chosen: &AnyRow,
        terms: &Terms,
    ) -> Result<Option<Claim>, StoreError> {
        let (step, number): (String, i64) = (chosen.try_get("step")?, chosen.try_get("number")?);
        let taken = sqlx::query(TAKE)
            .bind(&id)
            .bind(&step)
            .bind(number)
            .bind(terms.worker_id.to_string())
            .bind(ms(terms.lease))
            .fetch_optional(&mut **transaction)
            .await?;
        // Somebody has deleted it or ended its task meanwhile.
        let Some(taken) = taken else { return Ok(None) };
        let step =
            Step::parse(&step).ok_or_else(|| StoreError::Row { id: id.clone(), column: "step" })?;
        let started = sqlx::query(concat!(
            "UPDATE tasks SET state = 'running', started_at_ms = CASE WHEN $2 = 'whole' THEN ",
            now_ms!(),
            " ELSE COALESCE(started_at_ms, ",
            now_ms!(),
            ") END WHERE id = $1 AND state IN ('waiting', 'running') RETURNING ",
            task_columns!()
        ))
        .bind(&id)
        .bind(step.name())
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(row) = started else { return Ok(None) };
        Ok(Some(Claim {
            task: task(&row)?,
            step,
            number,
            attempt: taken.try_get("attempt")?,
            deaths: taken.try_get("died")?,
            faults: taken.try_get("faults")?,
        }))
    }

    /// Has all who claim wait for each other, so that limits hold.
    async fn alone(&self, transaction: &mut Transaction<'static, Any>) -> Result<(), StoreError> {
        /// Any number, as long as nobody else in the database uses it.
        const CLAIMS: i64 = 0x6f66_666b;
        if self.kind == Kind::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(CLAIMS)
                .execute(&mut **transaction)
                .await?;
        }
        Ok(())
    }
}

async fn drop_parts_of_ended(
    transaction: &mut Transaction<'static, Any>,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM parts \
         WHERE (SELECT state FROM tasks WHERE id = task_id) IN ('success', 'failed')",
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
