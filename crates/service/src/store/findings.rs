//! The table of what was found of instances, whose nodes are looked for.

use std::time::Duration;

use sqlx::Row as _;
use uuid::Uuid;

use super::{Store, StoreError, now_ms};
use crate::discovery::Finding;

impl Store {
    /// Notes that a look begins, unless another one began less than `refresh` ago: false then.
    pub(crate) async fn begin_look(
        &self,
        instance_id: Uuid,
        refresh: Duration,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let begun = sqlx::query(concat!(
                "INSERT INTO findings (instance_id, looked_at_ms) VALUES ($1, ",
                now_ms!(),
                ") ON CONFLICT (instance_id) DO UPDATE SET looked_at_ms = ",
                now_ms!(),
                " WHERE findings.looked_at_ms + $2 <= ",
                now_ms!(),
                // The clock was put back since.
                " OR findings.looked_at_ms > ",
                now_ms!()
            ))
            .bind(instance_id.to_string())
            .bind(i64::try_from(refresh.as_millis()).unwrap_or(i64::MAX))
            .execute(&self.pool)
            .await?;
            Ok(begun.rows_affected() == 1)
        })
        .await
    }

    /// Instances that were looked at, the number of what was found, and how many milliseconds
    /// ago the last look began.
    pub(crate) async fn findings(&self) -> Result<Vec<(Uuid, i64, i64)>, StoreError> {
        self.within(async {
            let rows = sqlx::query(concat!(
                "SELECT instance_id, number, ",
                now_ms!(),
                " - looked_at_ms AS age_ms FROM findings"
            ))
            .fetch_all(&self.pool)
            .await?;
            rows.iter()
                .map(|row| {
                    let id: String = row.try_get("instance_id")?;
                    let parsed = id.parse();
                    let id = parsed.map_err(|_| StoreError::Row { id, column: "instance_id" })?;
                    Ok((id, row.try_get("number")?, row.try_get("age_ms")?))
                })
                .collect()
        })
        .await
    }

    /// What was found of an instance the last time, and its number.
    pub(crate) async fn finding(&self, instance_id: Uuid) -> Result<(i64, Finding), StoreError> {
        self.within(async {
            let row = sqlx::query("SELECT number, finding FROM findings WHERE instance_id = $1")
                .bind(instance_id.to_string())
                .fetch_optional(&self.pool)
                .await?;
            let Some(row) = row else { return Ok((0, Finding::default())) };
            let finding: String = row.try_get("finding")?;
            Ok((row.try_get("number")?, serde_json::from_str(&finding)?))
        })
        .await
    }

    /// Stores what was found; false if that of another look has taken the place of the one with
    /// `number`.
    pub(crate) async fn store_finding(
        &self,
        instance_id: Uuid,
        number: i64,
        finding: &Finding,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let stored = sqlx::query(
                "UPDATE findings SET number = number + 1, finding = $3 \
                 WHERE instance_id = $1 AND number = $2",
            )
            .bind(instance_id.to_string())
            .bind(number)
            .bind(serde_json::to_string(finding)?)
            .execute(&self.pool)
            .await?;
            Ok(stored.rows_affected() == 1)
        })
        .await
    }
}
