//! Keeps the nodes of a process's instances up to date.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;
use uuid::Uuid;

use super::look::with;
use super::{Finding, Instances};
use crate::config::{Instance, Standing};
use crate::store::{Store, StoreError};
use crate::supervise::keep_up;

/// How often a process looks whether there is something new.
const TICK: Duration = Duration::from_secs(2);

/// Instances that are looked at at the same time.
const LOOKS_MAX: usize = 8;

/// Looks for nodes when it is time, and takes over what other processes have found.
#[derive(Debug)]
pub(crate) struct Finder {
    store: Store,
    pub(crate) instances: Arc<Instances>,
    /// Numbers of the findings that are loaded.
    numbers: Mutex<HashMap<Uuid, i64>>,
}

impl Finder {
    pub(crate) fn new(store: Store, instances: Arc<Instances>) -> Arc<Self> {
        Arc::new(Self { store, instances, numbers: Mutex::default() })
    }

    /// Those whose nodes are looked for.
    fn sought(&self) -> Vec<Arc<Instance>> {
        let mut all = self.instances.all();
        all.retain(|instance| instance.discover().is_some());
        all
    }

    /// Takes over what has been found so far.
    pub(crate) async fn load(&self) -> Result<(), StoreError> {
        if self.sought().is_empty() {
            return Ok(());
        }
        for (id, number, _) in self.store.findings().await? {
            let loaded =
                self.numbers.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
            if loaded != Some(number) {
                self.load_one(id).await?;
            }
        }
        Ok(())
    }

    async fn load_one(&self, id: Uuid) -> Result<(), StoreError> {
        let Some(instance) = self.instances.get(id).filter(|one| one.discover().is_some()) else {
            return Ok(());
        };
        let (number, finding) = self.store.finding(id).await?;
        // The folder of backups may hang.
        let replaced = spawn_blocking(move || with(&instance, &finding)).await;
        match replaced {
            Ok(instance) => {
                let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
                self.instances.replace(Arc::new(instance));
                numbers.insert(id, number);
            }
            Err(panic) => tracing::error!(%panic, "nodes not taken over"),
        }
        Ok(())
    }

    /// Starts to look, until `stop` says so.
    pub(crate) fn start(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let begin = move || Arc::clone(&self).stay(stop.clone());
        tokio::spawn(keep_up("search for nodes", begin));
    }

    /// Works until `stop` says so.
    async fn stay(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        if self.sought().is_empty() {
            return;
        }
        let mut looks = JoinSet::new();
        let mut busy = HashSet::new();
        while !*stop.borrow() {
            while let Some(ended) = looks.try_join_next() {
                match ended {
                    Ok(id) => busy.remove(&id),
                    Err(panic) => {
                        tracing::error!(%panic, "look for nodes ended badly");
                        busy.drain().next().is_some()
                    }
                };
            }
            match self.due().await {
                Ok(due) => {
                    for instance in due {
                        if busy.len() < LOOKS_MAX && busy.insert(instance.id) {
                            looks.spawn(Arc::clone(&self).look_if_due(instance));
                        }
                    }
                }
                Err(error) => tracing::error!(%error, "nodes cannot be looked for"),
            }
            if let Err(error) = self.load().await {
                tracing::error!(%error, "nodes that were found cannot be taken over");
            }
            tokio::select! { () = sleep(TICK) => {}, _ = stop.changed() => {} }
        }
    }

    /// Instances at which nobody has looked for long enough.
    async fn due(&self) -> Result<Vec<Arc<Instance>>, StoreError> {
        let ages: HashMap<Uuid, i64> =
            self.store.findings().await?.into_iter().map(|(id, _, age_ms)| (id, age_ms)).collect();
        let is_due = |one: &Arc<Instance>| {
            let refresh = refresh(one).as_millis();
            // A look that is still to come was begun before the clock was put back.
            let age = ages.get(&one.id).and_then(|age| u128::try_from(*age).ok());
            age.is_none_or(|age| age >= refresh)
        };
        let mut sought = self.sought();
        sought.retain(is_due);
        Ok(sought)
    }

    async fn look_if_due(self: Arc<Self>, instance: Arc<Instance>) -> Uuid {
        let looked = async {
            if self.store.begin_look(instance.id, refresh(&instance)).await? {
                self.look(&instance).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = looked.await {
            tracing::error!(instance = instance.name, %error, "nodes were not looked for");
        }
        instance.id
    }

    /// The instance with the nodes that it has now: for those who are about to use them.
    pub(crate) async fn now(&self, instance: &Arc<Instance>) -> Result<Arc<Instance>, StoreError> {
        if instance.discover().is_none() {
            return Ok(Arc::clone(instance));
        }
        self.store.begin_look(instance.id, Duration::ZERO).await?;
        self.look(instance).await?;
        Ok(self.instances.get(instance.id).unwrap_or_else(|| Arc::clone(instance)))
    }

    /// Looks and stores what is found; what another process has stored meanwhile is as good.
    async fn look(&self, instance: &Arc<Instance>) -> Result<(), StoreError> {
        let (number, before) = self.store.finding(instance.id).await?;
        let looked = spawn_blocking({
            let (instance, before) = (Arc::clone(instance), before.clone());
            move || Finding::of(&instance, &before.nodes)
        });
        match looked.await {
            Ok(finding) => {
                if self.store.store_finding(instance.id, number, &finding).await? {
                    tell(instance, &before, &finding);
                }
            }
            Err(panic) => tracing::error!(%panic, "look for nodes ended badly"),
        }
        self.load_one(instance.id).await
    }
}

fn refresh(instance: &Instance) -> Duration {
    let seconds = instance.discover().map_or(0, |discover| discover.refresh_seconds);
    Duration::from_secs(seconds.into())
}

/// Says in the log what is new.
fn tell(instance: &Instance, before: &Finding, after: &Finding) {
    let instance = &instance.name;
    if let Some(why) = after.trouble.as_ref().filter(|_| before.trouble != after.trouble) {
        tracing::warn!(instance, why, "nodes are not all known");
    }
    for node in &after.nodes {
        let old = before.nodes.iter().find(|old| old.id == node.id);
        if old.is_some_and(|old| old.told.standing == node.told.standing && old.role == node.role) {
            continue;
        }
        let (node_id, at) = (&node.id, format!("{}:{}", node.ip, node.port));
        let (group, role) = (&node.group, node.role);
        match &node.told.standing {
            Standing::Active => {
                tracing::info!(instance, node_id, at, group, ?role, "node is there");
            }
            Standing::Inactive(why) => {
                tracing::warn!(instance, node_id, at, group, ?role, why, "node cannot be used");
            }
            Standing::Gone => tracing::warn!(instance, node_id, at, "node is of it no more"),
        }
    }
    for node in &before.nodes {
        if !after.nodes.iter().any(|other| other.id == node.id) {
            tracing::info!(instance, node_id = node.id, "node is gone and has no backups");
        }
    }
}
