//! The processes that run tasks, as far as the others know.

use std::time::Duration;

use sqlx::Row;
use uuid::Uuid;

use super::{Store, StoreError, now_ms};
use crate::fail::{self, Moment};

/// How long a process that has gone is kept in the table.
const FORGET_MS: i64 = 3_600_000;

/// Seen within `$1` milliseconds; not so where it is to come, since the clock was put back.
macro_rules! lately {
    () => {
        concat!("seen_at_ms BETWEEN ", now_ms!(), " - $1 AND ", now_ms!(), " + $1")
    };
}

impl Store {
    /// Notes that a process is alive, with so many workers.
    pub(crate) async fn seen(&self, worker_id: Uuid, slots: usize) -> Result<(), StoreError> {
        self.within(async {
            fail::point("seen", Moment::Before).await;
            sqlx::query(concat!(
                "INSERT INTO workers (id, slots, seen_at_ms) VALUES ($1, $2, ",
                now_ms!(),
                ") ON CONFLICT (id) DO UPDATE SET slots = excluded.slots, seen_at_ms = ",
                now_ms!()
            ))
            .bind(worker_id.to_string())
            .bind(i64::try_from(slots).unwrap_or(i64::MAX))
            .execute(&self.pool)
            .await?;
            sqlx::query(concat!("DELETE FROM workers WHERE NOT ", lately!()))
                .bind(FORGET_MS)
                .execute(&self.pool)
                .await?;
            fail::point("seen", Moment::After).await;
            Ok(())
        })
        .await
    }

    /// Takes the process out, as it leaves in peace.
    pub(crate) async fn gone(&self, worker_id: Uuid) -> Result<(), StoreError> {
        self.within(async {
            sqlx::query("DELETE FROM workers WHERE id = $1")
                .bind(worker_id.to_string())
                .execute(&self.pool)
                .await?;
            Ok(())
        })
        .await
    }

    /// How many processes that run tasks were seen lately.
    pub(crate) async fn workers(&self, within: Duration) -> Result<u64, StoreError> {
        self.within(async {
            let row = sqlx::query(concat!(
                "SELECT COUNT(*) FROM workers WHERE slots > 0 AND ",
                lately!()
            ))
            .bind(i64::try_from(within.as_millis()).unwrap_or(i64::MAX))
            .fetch_one(&self.pool)
            .await?;
            Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::with_each;

    #[tokio::test]
    async fn process_is_known_for_as_long_as_it_says_so() {
        with_each(|store| async move {
            let minute = Duration::from_secs(60);
            let (id, idle) = (Uuid::from_u128(1), Uuid::from_u128(2));
            assert_eq!(store.workers(minute).await.unwrap(), 0);
            store.seen(id, 3).await.unwrap();
            store.seen(id, 3).await.unwrap();
            store.seen(idle, 0).await.unwrap();
            assert_eq!(store.workers(minute).await.unwrap(), 1);
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(store.workers(Duration::from_millis(5)).await.unwrap(), 0);
            // One whose workers have all come to grief runs nothing.
            store.seen(id, 3).await.unwrap();
            store.seen(id, 0).await.unwrap();
            assert_eq!(store.workers(minute).await.unwrap(), 0);
            store.seen(id, 1).await.unwrap();
            assert_eq!(store.workers(minute).await.unwrap(), 1);
            store.gone(id).await.unwrap();
            assert_eq!(store.workers(minute).await.unwrap(), 0);
        })
        .await;
    }
}
