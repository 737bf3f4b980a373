//! The table of backups that are taken of live nodes.

use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row};
use uuid::Uuid;

use super::listen::ADDED;
use super::{Store, StoreError, ahead, is_taken, now_ms};
use crate::backups::record::{File, Kind, Record, State};
use crate::fail::{self, Moment};

/// Most records of an instance that are looked at.
const LISTED_MAX: i64 = 10_000;

/// Columns that make a [`Record`].
macro_rules! record_columns {
    () => {
        "id, project_id, instance_id, remark, kind, state, files, created_at_ms, updated_at_ms, \
         attempt, faults, error, keep, bytes, progress"
    };
}

/// A backup that can be taken up: it waits and its time has come, or its process has died.
macro_rules! free {
    () => {
        concat!(
            "(state = 'waiting' AND NOT ",
            ahead!("not_before_ms"),
            " OR state = 'backuping' AND NOT ",
            ahead!("lease_until_ms"),
            ")"
        )
    };
}

impl Store {
    /// Adds a waiting backup; false if the instance has one that waits or is being taken.
    pub(crate) async fn add_backup(&self, record: &Record) -> Result<bool, StoreError> {
        self.within(async {
            fail::point("add_backup", Moment::Before).await;
            let added = match insert(record)?.execute(&self.pool).await {
                Ok(_) => true,
                Err(error) if is_taken(&error) => false,
                Err(error) => return Err(error.into()),
            };
            fail::point("add_backup", Moment::After).await;
            Ok(added)
        })
        .await
    }

    /// Notes a backup that is there already; of one that is known the remark.
    pub(crate) async fn note_backup(&self, record: &Record) -> Result<(), StoreError> {
        self.within(async {
            fail::point("note_backup", Moment::Before).await;
            sqlx::query(concat!(
                "INSERT INTO backups (id, project_id, instance_id, remark, kind, state, files, ",
                "created_at_ms, updated_at_ms) VALUES ($1, $2, $3, $4, $5, 'succeed', $6, ",
                now_ms!(),
                ", ",
                now_ms!(),
                ") ON CONFLICT (id) DO UPDATE SET remark = $4 WHERE backups.state = 'succeed'"
            ))
            .bind(record.id.to_string())
            .bind(&record.project_id)
            .bind(record.instance_id.to_string())
            .bind(&record.remark)
            .bind(record.kind.name())
            .bind(serde_json::to_string(&record.files)?)
            .execute(&self.pool)
            .await?;
            fail::point("note_backup", Moment::After).await;
            Ok(())
        })
        .await
    }

    /// The backups of an instance, the newest first.
    pub(crate) async fn backups(&self, instance_id: Uuid) -> Result<Vec<Record>, StoreError> {
        self.within(async {
            let rows = sqlx::query(concat!(
                "SELECT ",
                record_columns!(),
                " FROM backups WHERE instance_id = $1 ORDER BY created_at_ms DESC, id LIMIT $2"
            ))
            .bind(instance_id.to_string())
            .bind(LISTED_MAX)
            .fetch_all(&self.pool)
            .await?;
            rows.iter().map(record).collect()
        })
        .await
    }

    /// Backups that are there, or failed, and only until the analysis that they are for ends.
    pub(crate) async fn unkept_backups(&self) -> Result<Vec<Record>, StoreError> {
        self.within(async {
            let rows = sqlx::query(concat!(
                "SELECT ",
                record_columns!(),
                " FROM backups WHERE keep = 'no' AND state IN ('succeed', 'failed')"
            ))
            .fetch_all(&self.pool)
            .await?;
            rows.iter().map(record).collect()
        })
        .await
    }

    /// One backup.
    pub(crate) async fn backup(&self, id: Uuid) -> Result<Option<Record>, StoreError> {
        self.within(async {
            let row =
                sqlx::query(concat!("SELECT ", record_columns!(), " FROM backups WHERE id = $1"))
                    .bind(id.to_string())
                    .fetch_optional(&self.pool)
                    .await?;
            row.as_ref().map(record).transpose()
        })
        .await
    }

    /// Takes up the oldest backup that waits, or whose process has died.
    pub(crate) async fn claim_backup(&self, lease: Duration) -> Result<Option<Record>, StoreError> {
        self.within(async {
            fail::point("claim_backup", Moment::Before).await;
            let row = sqlx::query(concat!(
                "UPDATE backups SET state = 'backuping', attempt = attempt + 1, bytes = 0, ",
                "progress = 0, updated_at_ms = ",
                now_ms!(),
                ", lease_until_ms = $1 + ",
                now_ms!(),
                " WHERE id = (SELECT id FROM backups WHERE ",
                free!(),
                " ORDER BY created_at_ms, id LIMIT 1) AND ",
                // Another process may have taken it meanwhile.
                free!(),
                " RETURNING ",
                record_columns!()
            ))
            .bind(millis(lease))
            .fetch_optional(&self.pool)
            .await?;
            if row.is_some() {
                fail::point("claim_backup", Moment::After).await;
            }
            row.as_ref().map(record).transpose()
        })
        .await
    }

    /// Renews the lease and notes how far the backup is; false if the backup is lost, since it was
    /// deleted or taken over.
    pub(crate) async fn beat_backup(
        &self,
        claimed: &Record,
        (bytes, progress): (i64, i64),
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.within(async {
            fail::point("beat_backup", Moment::Before).await;
            let renewed = sqlx::query(concat!(
                "UPDATE backups SET bytes = $4, progress = $5, lease_until_ms = $3 + ",
                now_ms!(),
                " WHERE id = $1 AND attempt = $2 AND state = 'backuping'"
            ))
            .bind(claimed.id.to_string())
            .bind(claimed.attempt)
            .bind(millis(lease))
            .bind(bytes)
            .bind(progress)
            .execute(&self.pool)
            .await?;
            fail::point("beat_backup", Moment::After).await;
            Ok(renewed.rows_affected() == 1)
        })
        .await
    }

    /// Ends a backup; false if it is lost.
    pub(crate) async fn finish_backup(
        &self,
        claimed: &Record,
        error: Option<&str>,
    ) -> Result<bool, StoreError> {
        let state = if error.is_some() { State::Failed } else { State::Succeed };
        self.end_backup(claimed, state, error).await
    }

    /// Gives a backup back that could not be taken to its end.
    pub(crate) async fn release_backup(&self, claimed: &Record) -> Result<bool, StoreError> {
        self.end_backup(claimed, State::Waiting, None).await
    }

    /// Has a backup taken again after `delay`, since it met a fault that may pass.
    pub(crate) async fn retry_backup(
        &self,
        claimed: &Record,
        delay: Duration,
    ) -> Result<bool, StoreError> {
        self.within(async {
            fail::point("retry_backup", Moment::Before).await;
            let retried = sqlx::query(concat!(
                "UPDATE backups SET state = 'waiting', faults = faults + 1, not_before_ms = $3 + ",
                now_ms!(),
                ", updated_at_ms = ",
                now_ms!(),
                " WHERE id = $1 AND attempt = $2 AND state = 'backuping'"
            ))
            .bind(claimed.id.to_string())
            .bind(claimed.attempt)
            .bind(millis(delay))
            .execute(&self.pool)
            .await?;
            fail::point("retry_backup", Moment::After).await;
            Ok(retried.rows_affected() == 1)
        })
        .await
    }

    async fn end_backup(
        &self,
        claimed: &Record,
        state: State,
        error: Option<&str>,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let mut transaction = self.begin().await?;
            let ended = sqlx::query(concat!(
                "UPDATE backups SET state = $3, error = $4, updated_at_ms = ",
                now_ms!(),
                " WHERE id = $1 AND attempt = $2 AND state = 'backuping'"
            ))
            .bind(claimed.id.to_string())
            .bind(claimed.attempt)
            .bind(state.name())
            .bind(error)
            .execute(&mut *transaction)
            .await?;
            // An analysis may have waited for it.
            self.announce(&mut transaction, ADDED).await?;
            self.commit(transaction, "end_backup").await?;
            Ok(ended.rows_affected() == 1)
        })
        .await
    }

    /// Forgets a backup.
    pub(crate) async fn forget_backup(&self, id: Uuid) -> Result<(), StoreError> {
        self.within(async {
            fail::point("forget_backup", Moment::Before).await;
            sqlx::query("DELETE FROM backups WHERE id = $1")
                .bind(id.to_string())
                .execute(&self.pool)
                .await?;
            fail::point("forget_backup", Moment::After).await;
            Ok(())
        })
        .await
    }
}

/// Adds a waiting backup.
pub(super) fn insert(record: &Record) -> Result<Query<'static, Any, AnyArguments>, StoreError> {
    Ok(sqlx::query(concat!(
        "INSERT INTO backups (id, project_id, instance_id, remark, kind, state, files, keep, ",
        "created_at_ms, updated_at_ms) VALUES ($1, $2, $3, $4, $5, 'waiting', $6, $7, ",
        now_ms!(),
        ", ",
        now_ms!(),
        ")"
    ))
    .bind(record.id.to_string())
    .bind(record.project_id.clone())
    .bind(record.instance_id.to_string())
    .bind(record.remark.clone())
    .bind(record.kind.name())
    .bind(serde_json::to_string(&record.files)?)
    .bind(if record.keep { "yes" } else { "no" }))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn record(row: &AnyRow) -> Result<Record, StoreError> {
    let id: String = row.try_get("id")?;
    let nonsense = |column| StoreError::Row { id: id.clone(), column };
    let text = |column| row.try_get::<String, _>(column);
    let files: Vec<File> = serde_json::from_str(&text("files")?).map_err(|_| nonsense("files"))?;
    Ok(Record {
        id: id.parse().map_err(|_| nonsense("id"))?,
        project_id: text("project_id")?,
        instance_id: text("instance_id")?.parse().map_err(|_| nonsense("instance_id"))?,
        remark: text("remark")?,
        kind: Kind::parse(&text("kind")?).ok_or_else(|| nonsense("kind"))?,
        state: State::parse(&text("state")?).ok_or_else(|| nonsense("state"))?,
        files,
        created_at_ms: row.try_get("created_at_ms")?,
        updated_at_ms: row.try_get("updated_at_ms")?,
        attempt: row.try_get("attempt")?,
        faults: row.try_get("faults")?,
        error: row.try_get("error")?,
        keep: text("keep")? == "yes",
        bytes: row.try_get("bytes")?,
        progress: row.try_get("progress")?,
    })
}
