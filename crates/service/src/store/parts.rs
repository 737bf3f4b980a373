//! What workers say of the parts they have: signs of life, results, ends.

use std::time::Duration;

use sqlx::{Any, Row, Transaction};
use uuid::Uuid;

use super::tasks::saturated;
use super::{Kind, Store, StoreError, now_ms};
use crate::fail::{self, Moment};
use crate::tasks::{Claim, Outcome, Progress, Step};

/// How many workers may die of a part.
pub(crate) const DEATHS_MAX: i64 = 3;

/// What becomes of a task once its part is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Once all parts of the step are done, a part of this one follows.
    Together(Step),
    /// A part of this step follows for each backup.
    Each(Step, usize),
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

impl Store {
    /// Ends all leases: for the start of a process that knows to be the only one.
    pub(crate) async fn end_leases(&self) -> Result<(), StoreError> {
        self.within(async {
            fail::point("end_leases", Moment::Before).await;
            for held in [
                "UPDATE parts SET lease_until_ms = 0 WHERE state = 'running'",
                "UPDATE backups SET lease_until_ms = 0 WHERE state = 'backuping'",
                "DELETE FROM hosts",
            ] {
                sqlx::query(held).execute(&self.pool).await?;
            }
            fail::point("end_leases", Moment::After).await;
            Ok(())
        })
        .await
    }

    /// Renews the lease of `claim` and notes its progress, with the name of the file that it
    /// reads if that is known; false if the part is lost.
    pub(crate) async fn beat(
        &self,
        claim: &Claim,
        progress: Progress,
        file: Option<&str>,
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
                    ", file = $9 WHERE ",
                    own!()
                ),
            )
            .bind(saturated(progress.bytes_read))
            .bind(saturated(progress.bytes_total))
            .bind(saturated(progress.key_count))
            .bind(ms(lease))
            .bind(file)
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
                self.announce(&mut transaction, super::listen::ADDED).await?;
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
            let follows = match next {
                Next::Together(_) if left > 0 => None,
                Next::Together(step) => Some((step, 1)),
                Next::Each(step, count) => Some((step, count)),
            };
            if let Some((step, count)) = follows {
                add(&mut transaction, &id, step, count).await?;
                self.announce(&mut transaction, super::listen::ADDED).await?;
            }
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

    /// Has all who change a task's parts wait for each other. SQLite has one writer anyway.
    pub(super) async fn lock_task(
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

pub(super) fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
