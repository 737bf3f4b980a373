//! The table of hosts of which a backup is being taken: one at a time, whatever process takes it.

use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

use super::{Store, StoreError, ahead, now_ms};

impl Store {
    /// Takes hold of a host, or keeps it; false while another one has it.
    pub(crate) async fn hold_host(
        &self,
        host: IpAddr,
        holder: Uuid,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let held = sqlx::query(concat!(
                "INSERT INTO hosts (host, holder, lease_until_ms) VALUES ($1, $2, $3 + ",
                now_ms!(),
                ") ON CONFLICT (host) DO UPDATE SET holder = $2, lease_until_ms = $3 + ",
                now_ms!(),
                " WHERE hosts.holder = $2 OR NOT ",
                ahead!("hosts.lease_until_ms")
            ))
            .bind(host.to_string())
            .bind(holder.to_string())
            .bind(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
            .execute(&self.pool)
            .await?;
            Ok(held.rows_affected() == 1)
        })
        .await
    }

    /// Lets go of a host; one that is held by another stays.
    pub(crate) async fn leave_host(&self, host: IpAddr, holder: Uuid) -> Result<(), StoreError> {
        self.within(async {
            sqlx::query("DELETE FROM hosts WHERE host = $1 AND holder = $2")
                .bind(host.to_string())
                .bind(holder.to_string())
                .execute(&self.pool)
                .await?;
            Ok(())
        })
        .await
    }
}
