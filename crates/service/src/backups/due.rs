//! What schedules ask for: backups, and analyses of the newest ones.
//!
//! Of as many processes as share the database one does it, since the time decides of the id.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::Taker;
use super::record::{File, Kind, Record, State, id_of_due, nodes_of_groups};
use crate::config::Instance;
use crate::store::{News, StoreError};
use crate::tasks::{Part, Subject};

impl Taker {
    /// Adds a backup if its time came since `from_ms`.
    pub(super) async fn keep_schedule(&self, instance: &Arc<Instance>, from_ms: i64, now_ms: i64) {
        let Some(live) = &instance.live else { return };
        let Ok(Some(schedule)) = live.schedule() else { return };
        let Some(due_ms) = schedule.due(from_ms, now_ms) else { return };
        let record = match self.scheduled(instance, due_ms).await {
            Ok(record) => record,
            Err(why) => {
                tracing::warn!(instance = instance.name, why, "backup of the schedule left out");
                return;
            }
        };
        let store = &self.tasks.store;
        let added = match store.add_backup(&record).await {
            // Another process was faster, or there is another backup.
            Ok(false) => store.backup(record.id).await.map(|there| (false, there.is_some())),
            added => added.map(|added| (added, true)),
        };
        match added {
            Ok((true, _)) => tracing::info!(backup_id = %record.id, "backup of the schedule"),
            Ok((false, true)) => {}
            Ok((false, false)) => {
                tracing::warn!(instance = instance.name, "backup of the schedule left out");
            }
            Err(error) => tracing::error!(%error, "backup of the schedule not added"),
        }
    }

    /// Adds an analysis if its time came since `from_ms`, once the backup of the same time has
    /// been added.
    pub(super) async fn analyse_by_schedule(
        &self,
        instance: &Arc<Instance>,
        from_ms: i64,
        now_ms: i64,
    ) {
        let Ok(Some(schedule)) = instance.analyse_schedule() else { return };
        let Some(due_ms) = schedule.due(from_ms, now_ms) else { return };
        let task_id = Uuid::new_v5(&instance.id, format!("analysed at {due_ms}").as_bytes());
        match self.add_analysis(instance, task_id, due_ms).await {
            Ok(()) => {}
            Err(why) => {
                tracing::warn!(instance = instance.name, why, "analysis of the schedule left out");
            }
        }
    }

    async fn add_analysis(
        &self,
        instance: &Arc<Instance>,
        task_id: Uuid,
        due_ms: i64,
    ) -> Result<(), String> {
        let (parts, new) = self.chosen(instance, due_ms).await?;
        let mut parts = parts.into_iter();
        let subject = Subject {
            project_id: instance.project.clone(),
            instance_id: instance.id,
            first: parts.next().ok_or("there is no backup")?,
            more: parts.collect(),
            is_new: new.is_some(),
            priority: 0,
            settings: self.analysis.clone(),
        };
        let store = &self.tasks.store;
        match store.create_with(task_id, &subject, new.as_ref()).await {
            Ok(()) => {
                tracing::info!(%task_id, "analysis of the schedule");
                self.tasks.tell(News::Added);
                Ok(())
            }
            Err(error @ (StoreError::Busy | StoreError::Backuping)) => {
                let there = store.show(&instance.project, instance.id, task_id).await;
                match there.map_err(|error| error.to_string())? {
                    // Another process was faster.
                    Some(_) => Ok(()),
                    None => Err(error.to_string()),
                }
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The backups to analyse, and the one among them that has to be taken for it: where live
    /// nodes have no schedule of their own. Else it is that of the same time, or the newest.
    async fn chosen(
        &self,
        instance: &Arc<Instance>,
        due_ms: i64,
    ) -> Result<(Vec<Part>, Option<Record>), String> {
        if let Some(live) = &instance.live {
            let of_files = |record: &Record| {
                // Its nodes may have been found a moment ago.
                let instance = self.finder.instances.get(instance.id);
                let node = |file: &File| {
                    Some(Part::new(instance.as_ref()?.node(&file.node_id)?, record.id))
                };
                record.files.iter().filter_map(node).collect()
            };
            match live.schedule()? {
                None => {
                    let record = self.scheduled(instance, due_ms).await?;
                    return Ok((of_files(&record), Some(record)));
                }
                Some(schedule) if schedule.due(due_ms - 1, due_ms).is_some() => {
                    let id = id_of_due(instance, due_ms);
                    let there = self.tasks.store.backup(id).await;
                    let there = there.map_err(|error| error.to_string())?;
                    if let Some(there) = there.filter(|there| there.state != State::Failed) {
                        return Ok((of_files(&there), None));
                    }
                }
                Some(_) => {}
            }
        }
        let newest = spawn_blocking({
            let instance = self.present(instance).await?;
            move || newest_of_groups(&instance)
        });
        let newest = newest.await.map_err(|panic| panic.to_string())?;
        Ok((newest?, None))
    }
}

impl Taker {
    /// The backup that is due at a time, of the nodes that there are now.
    async fn scheduled(&self, instance: &Arc<Instance>, due_ms: i64) -> Result<Record, String> {
        let instance = self.present(instance).await?;
        let nodes = nodes_of_groups(&instance)?;
        Ok(Record::new(&instance, &nodes, Kind::Auto, "schedule".to_owned(), due_ms))
    }

    async fn present(&self, instance: &Arc<Instance>) -> Result<Arc<Instance>, String> {
        self.finder.now(instance).await.map_err(|error| error.to_string())
    }
}

/// The newest backup of each group.
fn newest_of_groups(instance: &Instance) -> Result<Vec<Part>, String> {
    let of_group = |(group, nodes): (&str, Vec<_>)| {
        let newest = super::newest(instance, &nodes).map_err(|error| error.to_string())?;
        let (node, backup) = newest.ok_or_else(|| format!("{group} has no backup"))?;
        Ok(Part::new(node, backup.id))
    };
    instance.groups().into_iter().map(of_group).collect()
}
