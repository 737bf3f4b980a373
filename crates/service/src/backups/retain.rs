//! What of the backups that the service has taken is removed, and when.

use std::sync::Arc;

use uuid::Uuid;

use super::Taker;
use super::record::{Kind, Record, State};
use crate::config::Instance;
use crate::store::StoreError;

impl Taker {
    /// Removes backups of the schedule that are too many or too old.
    pub(super) async fn remove_old(&self, instance_id: Uuid) {
        let Some(instance) = self.finder.instances.get(instance_id) else { return };
        if let Err(error) = self.retain(&instance, (self.clock)()).await {
            tracing::error!(%error, "old backups not removed");
        }
    }

    pub(super) async fn retain(
        &self,
        instance: &Arc<Instance>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let Some(live) = &instance.live else { return Ok(()) };
        let oldest_ms =
            live.keep_days.map_or(i64::MIN, |days| now_ms - i64::from(days) * 86_400_000);
        let records = self.tasks.store.backups(instance.id).await?;
        let is_kept =
            |record: &&Record| record.kind == Kind::Auto && record.state == State::Succeed;
        for (number, record) in records.iter().filter(is_kept).enumerate() {
            let is_one_too_many = live.keep_count.is_some_and(|count| number >= count);
            if is_one_too_many || record.created_at_ms < oldest_ms {
                self.remove(instance, record).await?;
            }
        }
        Ok(())
    }

    /// Removes backups that were taken for an analysis alone which has ended.
    pub(super) async fn remove_unkept(&self) {
        let removed = async {
            for record in self.tasks.store.unkept_backups().await? {
                if let Some(instance) = self.finder.instances.get(record.instance_id) {
                    self.remove(&instance, &record).await?;
                }
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = removed.await {
            tracing::error!(%error, "backups of analyses not removed");
        }
    }

    /// Removes a backup, unless an analysis is to read it: then it is looked at again later.
    async fn remove(&self, instance: &Instance, record: &Record) -> Result<(), StoreError> {
        let store = &self.tasks.store;
        if store.is_read(instance.id, record.id).await? {
            return Ok(());
        }
        for file in &record.files {
            let Some(node) = instance.node(&file.node_id) else { continue };
            // What is gone already need not be removed.
            let _ = std::fs::remove_file(node.backups.join(&file.file_name));
        }
        store.forget_backup(record.id).await?;
        tracing::info!(backup_id = %record.id, "backup removed");
        Ok(())
    }
}
