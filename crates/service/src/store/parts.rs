//! The parts of tasks, which workers take: the queue.

use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};
use uuid::Uuid;

use super::tasks::{saturated, sum_of_parts, task, task_columns};
use super::{Kind, Store, StoreError, now_ms};
use crate::fail::{self, Moment};
use crate::tasks::{Claim, Outcome, Progress, Step};

/// How many workers may die of a part.
pub(crate) const DEATHS_MAX: i64 = 3;

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

/// What becomes of a task once its part is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Once all parts of the step are done, a part of this one follows.
    Together(Step),
    /// A part of this step follows for each backup.
    Each(Step, usize),
}

/// A part that runs and whose lease holds.
macro_rules! held {
    ($parts:literal) => {
        concat!($parts, ".state = 'running' AND ", $parts, ".lease_until_ms >= ", now_ms!())
    };
}

/// A part that can be taken: it waits and its time has come, or its worker has died.
macro_rules! free {
    ($parts:literal) => {
        concat!(
            "(",
            $parts,
            ".state = 'waiting' AND ",
            $parts,
            ".not_before_ms <= ",
            now_ms!(),
            " OR ",
            $parts,
            ".state = 'running' AND ",
            $parts,
            ".lease_until_ms < ",
            now_ms!(),
            ")"
        )
    };
}

/// The part of a claim, unless somebody else has it by now: task, step, number and attempt.
macro_rules! own {
    () => {
        "task_id = $1 AND step = $2 AND number = $3 AND attempt = $4 AND state = 'running'"
    };
}

/// What the parts of a task of several backups have counted.
macro_rules! counted {
    ($column:literal) => {
        concat!(
            "(SELECT CAST(COALESCE(SUM(",
            $column,
            "), 0) AS BIGINT) FROM parts WHERE task_id = $1 AND step = 'count')"
        )
    };
}

/// Chooses a part: of the tasks with the highest priority, of the project that has the fewest
/// running, the oldest. An instance has one task at a time, so that a task's parts are its own.
const CHOOSE: &str = concat!(
    "SELECT p.task_id, p.step, p.number FROM parts p JOIN tasks t ON t.id = p.task_id WHERE ",
    free!("p"),
    " AND (SELECT COUNT(*) FROM parts r WHERE r.task_id = p.task_id AND ",
    held!("r"),
    ") < $1 ORDER BY t.priority DESC, (SELECT COUNT(*) FROM parts r JOIN tasks o ",
    "ON o.id = r.task_id WHERE o.project_id = t.project_id AND ",
    held!("r"),
    "), t.created_at_ms, t.id, p.number LIMIT 1"
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
    ", error = (SELECT 'worker died ' || (died + 1) || ' times, the last time at byte ' ",
    "|| bytes_read FROM parts WHERE task_id = tasks.id AND state = 'running' AND died + 1 >= $1 ",
    "AND lease_until_ms < ",
    now_ms!(),
    " LIMIT 1) WHERE state = 'running' AND id IN (SELECT task_id FROM parts ",
    "WHERE state = 'running' AND died + 1 >= $1 AND lease_until_ms < ",
    now_ms!(),
    ")"
);

impl Store {
    /// Ends all leases: for the start of a process that knows to be the only one.
    pub(crate) async fn end_leases(&self) -> Result<(), StoreError> {
        self.within(async {
            fail::point("end_leases", Moment::Before).await;
            sqlx::query("UPDATE parts SET lease_until_ms = 0 WHERE state = 'running'")
                .execute(&self.pool)
                .await?;
            fail::point("end_leases", Moment::After).await;
            Ok(())
        })
        .await
    }

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

    /// Renews the lease of `claim` and notes its progress; false if the part is lost.
    pub(crate) async fn beat(
        &self,
        claim: &Claim,
        progress: Progress,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.within(async {
            fail::point("beat", Moment::Before).await;
            let renewed = of_claim(
                claim,
                concat!(
                    "UPDATE parts SET bytes_read = $5, bytes_total = $6, key_count = $7, ",
                    "lease_until_ms = $8 + ",
                    now_ms!(),
                    " WHERE ",
                    own!()
                ),
            )
            .bind(saturated(progress.bytes_read))
            .bind(saturated(progress.bytes_total))
            .bind(saturated(progress.key_count))
            .bind(ms(lease))
            .execute(&self.pool)
            .await?;
            fail::point("beat", Moment::After).await;
            Ok(renewed.rows_affected() == 1)
        })
        .await
    }

    /// Gives `claim` back unfinished; false if the part is lost.
    pub(crate) async fn release(&self, claim: &Claim) -> Result<bool, StoreError> {
        self.within(async {
            let mut transaction = self.begin().await?;
            self.lock_task(&mut transaction, &claim.task.id.to_string()).await?;
            let released = of_claim(
                claim,
                concat!(
                    "UPDATE parts SET state = 'waiting', bytes_read = 0, bytes_total = 0, ",
                    "key_count = 0 WHERE ",
                    own!()
                ),
            )
            .execute(&mut *transaction)
            .await?;
            if released.rows_affected() == 1 {
                rest(&mut transaction, claim).await?;
            }
            self.commit(transaction, "release").await?;
            Ok(released.rows_affected() == 1)
        })
        .await
    }

    /// Has `claim` tried again after `delay`, since it met a fault that may pass.
    pub(crate) async fn retry(&self, claim: &Claim, delay: Duration) -> Result<bool, StoreError> {
        let sql = concat!(
            "UPDATE parts SET state = 'waiting', faults = faults + 1, not_before_ms = $5 + ",
            now_ms!(),
            " WHERE ",
            own!()
        );
        self.again(claim, delay, "retry", sql).await
    }

    /// Has `claim` tried again after `delay`, since the process that ran it has died.
    pub(crate) async fn died(&self, claim: &Claim, delay: Duration) -> Result<bool, StoreError> {
        let sql = concat!(
            "UPDATE parts SET state = 'waiting', died = died + 1, not_before_ms = $5 + ",
            now_ms!(),
            " WHERE ",
            own!()
        );
        self.again(claim, delay, "died", sql).await
    }

    async fn again(
        &self,
        claim: &Claim,
        delay: Duration,
        commit: &'static str,
        sql: &'static str,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let mut transaction = self.begin().await?;
            self.lock_task(&mut transaction, &claim.task.id.to_string()).await?;
            let updated = of_claim(claim, sql).bind(ms(delay)).execute(&mut *transaction).await?;
            if updated.rows_affected() == 1 {
                rest(&mut transaction, claim).await?;
            }
            self.commit(transaction, commit).await?;
            Ok(updated.rows_affected() == 1)
        })
        .await
    }

    /// Stores what `claim` found, with what follows in the same transaction; false if the part
    /// is lost, and then nothing is stored.
    pub(crate) async fn done(
        &self,
        claim: &Claim,
        result: &[u8],
        progress: Progress,
        next: Next,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let id = claim.task.id.to_string();
            let mut transaction = self.begin().await?;
            self.lock_task(&mut transaction, &id).await?;
            let done = of_claim(
                claim,
                concat!(
                    "UPDATE parts SET state = 'done', result = $5, bytes_read = $6, ",
                    "bytes_total = $7, key_count = $8 WHERE ",
                    own!()
                ),
            )
            .bind(result)
            .bind(saturated(progress.bytes_read))
            .bind(saturated(progress.bytes_total))
            .bind(saturated(progress.key_count))
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            let left: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM parts WHERE task_id = $1 AND step = $2 AND state <> 'done'",
            )
            .bind(&id)
            .bind(claim.step.name())
            .fetch_one(&mut *transaction)
            .await?;
            match next {
                Next::Together(_) if left > 0 => {}
                Next::Together(step) => add(&mut transaction, &id, step, 1).await?,
                Next::Each(step, count) => add(&mut transaction, &id, step, count).await?,
            }
            self.announce(&mut transaction, super::listen::ADDED).await?;
            self.commit(transaction, "done").await?;
            Ok(true)
        })
        .await
    }

    /// Ends the task of `claim` with its result, both in one transaction; false if the part is
    /// lost, and then nothing is stored.
    pub(crate) async fn finish(
        &self,
        claim: &Claim,
        outcome: &Outcome,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let id = claim.task.id.to_string();
            let mut transaction = self.begin().await?;
            self.lock_task(&mut transaction, &id).await?;
            let owned = of_claim(claim, concat!("SELECT number FROM parts WHERE ", own!()))
                .fetch_optional(&mut *transaction)
                .await?;
            if owned.is_none() {
                return Ok(false);
            }
            let state = if outcome.error.is_some() { "failed" } else { "success" };
            let finished = sqlx::query(concat!(
                "UPDATE tasks SET state = $2, finished_at_ms = ",
                now_ms!(),
                ", bytes_read = $3 + ",
                counted!("bytes_read"),
                ", bytes_total = $4 + ",
                counted!("bytes_total"),
                ", key_count = $5 + ",
                counted!("key_count"),
                ", error = $6, report = $7 WHERE id = $1 AND state = 'running'"
            ))
            .bind(&id)
            .bind(state)
            .bind(saturated(outcome.progress.bytes_read))
            .bind(saturated(outcome.progress.bytes_total))
            .bind(saturated(outcome.progress.key_count))
            .bind(outcome.error.as_deref())
            .bind(outcome.report.as_deref())
            .execute(&mut *transaction)
            .await?;
            if finished.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query("DELETE FROM parts WHERE task_id = $1")
                .bind(&id)
                .execute(&mut *transaction)
                .await?;
            self.commit(transaction, "finish").await?;
            Ok(true)
        })
        .await
    }

    /// The partial that a part has left; none if it is lost with its task.
    pub(crate) async fn result(
        &self,
        task_id: Uuid,
        step: Step,
        number: i64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.within(async {
            let row = sqlx::query(
                "SELECT result FROM parts \
                 WHERE task_id = $1 AND step = $2 AND number = $3 AND state = 'done'",
            )
            .bind(task_id.to_string())
            .bind(step.name())
            .bind(number)
            .fetch_optional(&self.pool)
            .await?;
            Ok(row.map(|row| row.try_get("result")).transpose()?)
        })
        .await
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

    /// Has all who change a task's parts wait for each other. SQLite has one writer anyway.
    async fn lock_task(
        &self,
        transaction: &mut Transaction<'static, Any>,
        id: &str,
    ) -> Result<(), StoreError> {
        if self.kind == Kind::Postgres {
            sqlx::query("SELECT id FROM tasks WHERE id = $1 FOR UPDATE")
                .bind(id)
                .execute(&mut **transaction)
                .await?;
        }
        Ok(())
    }
}

/// A statement whose first four arguments are those of `own!`.
fn of_claim<'q>(
    claim: &Claim,
    sql: &'static str,
) -> sqlx::query::Query<'q, Any, sqlx::any::AnyArguments> {
    sqlx::query(sql)
        .bind(claim.task.id.to_string())
        .bind(claim.step.name())
        .bind(claim.number)
        .bind(claim.attempt)
}

/// Adds waiting parts.
pub(super) async fn add(
    transaction: &mut Transaction<'static, Any>,
    id: &str,
    step: Step,
    count: usize,
) -> Result<(), StoreError> {
    for number in 0..count {
        sqlx::query(
            "INSERT INTO parts (task_id, step, number, state) VALUES ($1, $2, $3, 'waiting')",
        )
        .bind(id)
        .bind(step.name())
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Lets the task of `claim` wait if none of its parts runs or is done.
async fn rest(
    transaction: &mut Transaction<'static, Any>,
    claim: &Claim,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE tasks SET state = 'waiting', started_at_ms = NULL WHERE id = $1 \
         AND state = 'running' AND NOT EXISTS \
         (SELECT 1 FROM parts WHERE task_id = $1 AND state <> 'waiting')",
    )
    .bind(claim.task.id.to_string())
    .execute(&mut **transaction)
    .await?;
    Ok(())
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

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
