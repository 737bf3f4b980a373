//! The instances as they are at present.

use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;

use crate::config::Instance;

/// The configured instances, in their order, with the nodes that are known by now.
#[derive(Debug)]
pub(crate) struct Instances(RwLock<Vec<Arc<Instance>>>);

impl Instances {
    pub(crate) fn new(instances: Vec<Instance>) -> Arc<Self> {
        Arc::new(Self(RwLock::new(instances.into_iter().map(Arc::new).collect())))
    }

    pub(crate) fn all(&self) -> Vec<Arc<Instance>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<Arc<Instance>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|instance| instance.id == id).map(Arc::clone)
    }

    /// Puts an instance in the place of the one with its id.
    pub(super) fn replace(&self, instance: Arc<Instance>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = all.iter_mut().find(|one| one.id == instance.id) {
            *place = instance;
        }
    }
}
