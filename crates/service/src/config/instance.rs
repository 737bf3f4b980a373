//! Instances and their nodes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::backups::{Schedule, Source};
use crate::discovery::Discover;
use crate::ids;
use crate::live::Live;

/// Longest list of slots in a file's name, which may have 255 bytes.
const SLOTS_LEN_MAX: usize = 60;

/// A Redis or Valkey instance whose backups can be analysed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// A UUID.
    pub id: Uuid,
    /// The project it belongs to.
    pub project: String,
    /// Its name.
    pub name: String,
    /// `Redis`, `Valkey` or another; only these two support offline key analysis.
    #[serde(default = "default_engine")]
    pub engine: String,
    /// Such as `7.0`.
    pub engine_version: String,
    /// Memory it may use in MB, where the client should see one.
    #[serde(default)]
    pub max_memory_mb: u32,
    /// When it was made, where the client should see it.
    #[serde(default = "default_created_at")]
    pub created_at: String,
    /// What clients can choose it by.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// How new backups are taken of its nodes; none can be where it is not set.
    pub live: Option<Live>,
    /// When its newest backups are analysed by themselves, five fields of cron in UTC.
    pub analyse_schedule: Option<String>,
    /// Where else its backups lie.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// Its nodes; none where they are looked for ([`crate::Discover`]).
    #[serde(default)]
    pub nodes: Vec<Node>,
}

/// One Redis or Valkey process of an instance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Letters, digits, `-` and `_`; DCS has 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address.
    #[serde(default)]
    pub ip: String,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Its role.
    pub role: Role,
    /// The shard it belongs to.
    #[serde(default = "default_group")]
    pub group: String,
    /// Folder whose `.rdb` files are its backups.
    pub backups: PathBuf,
    /// What looking for it has told; nothing of one that is configured.
    #[serde(skip)]
    pub told: Option<Told>,
}

/// What looking for nodes has told of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Hash slots of its shard, in a cluster.
    pub slots: Option<String>,
    /// Whether it can be used.
    pub standing: Standing,
}

/// Whether a node can be used, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It answers and lets us in.
    Active,
    /// It is one of the instance and cannot be used: why.
    Inactive(String),
    /// It is one of the instance no more; its backups are.
    Gone,
}

/// Role of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes writes.
    Master,
    /// Follows a master.
    Slave,
}

impl Instance {
    /// Whether the offline key analysis knows its engine: Redis 4.0 and up, and Valkey.
    pub(crate) fn supports_key_analysis(&self) -> bool {
        let major = self.engine_version.split('.').next().and_then(|major| major.parse().ok());
        match self.engine.to_ascii_lowercase().as_str() {
            "redis" => major.is_some_and(|major: u32| major >= 4),
            "valkey" => true,
            _ => false,
        }
    }

    /// Makes relative folders and files relative to `folder`.
    pub(super) fn within(&mut self, folder: &Path) {
        if let Some(live) = &mut self.live {
            live.within(folder);
        }
        for source in &mut self.sources {
            source.within(folder);
        }
        for node in &mut self.nodes {
            node.backups = folder.join(&node.backups);
        }
    }

    /// Checks what the types cannot say, but for what other instances have to do with it.
    pub(super) fn check(&self) -> Result<(), String> {
        let id = self.id;
        if i32::try_from(self.max_memory_mb).is_err() {
            return Err(format!(
                "max_memory_mb of instance {id} is too large: {}",
                self.max_memory_mb
            ));
        }
        self.analyse_schedule().map_err(|error| format!("instance {id}: {error}"))?;
        let is_looked_for = self.discover().is_some();
        if self.nodes.is_empty() && !is_looked_for {
            return Err(format!("instance has no node: {id}"));
        }
        if !self.nodes.is_empty() && is_looked_for {
            return Err(format!("nodes of instance {id} are configured and to be discovered"));
        }
        for source in &self.sources {
            source
                .check()
                .map_err(|error| format!("source {} of instance {id}: {error}", source.url))?;
        }
        if let Some(live) = &self.live {
            live.check().map_err(|error| format!("live of instance {id}: {error}"))?;
            if let Some(node) = self.nodes.iter().find(|node| node.ip.is_empty()) {
                return Err(format!("live needs the ip of node {}", node.id));
            }
        }
        match self.nodes.iter().find(|node| !ids::is_node_id(&node.id)) {
            Some(node) => {
                Err(format!("node id is not 1 to 64 letters, digits, - or _: {}", node.id))
            }
            None => Ok(()),
        }
    }

    /// When its newest backups are analysed by themselves.
    pub(crate) fn analyse_schedule(&self) -> Result<Option<Schedule>, String> {
        let parsed = self.analyse_schedule.as_deref().map(Schedule::parse).transpose();
        parsed.map_err(|error| format!("analyse_schedule: {error}"))
    }

    /// How its nodes are found, where they are not configured.
    pub(crate) fn discover(&self) -> Option<&Discover> {
        self.live.as_ref()?.discover.as_ref()
    }

    /// What looking for its nodes has found wrong with all of it.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.discover()?.trouble.as_deref()
    }

    /// The node with this id.
    pub(crate) fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Names of its shards in the order of the configuration, each with its nodes. Those that
    /// are gone are in none.
    pub(crate) fn groups(&self) -> Vec<(&str, Vec<&Node>)> {
        let mut groups: Vec<(&str, Vec<&Node>)> = Vec::new();
        for node in self.nodes.iter().filter(|node| *node.standing() != Standing::Gone) {
            match groups.iter_mut().find(|(name, _)| *name == node.group) {
                Some((_, nodes)) => nodes.push(node),
                None => groups.push((&node.group, vec![node])),
            }
        }
        groups
    }
}

impl Node {
    /// Whether it can be used, as far as is known.
    pub(crate) fn standing(&self) -> &Standing {
        self.told.as_ref().map_or(&Standing::Active, |told| &told.standing)
    }

    /// Hash slots of its shard as part of a file's name.
    pub(crate) fn slots(&self) -> String {
        let slots = self.told.as_ref().and_then(|told| told.slots.as_deref()).unwrap_or("all");
        match slots.len() {
            0..=SLOTS_LEN_MAX => slots.replace(',', "+"),
            _ => "many".to_owned(),
        }
    }
}

fn default_engine() -> String {
    "Redis".to_owned()
}

fn default_created_at() -> String {
    crate::api::timestamp(0)
}

fn default_port() -> u16 {
    6379
}

fn default_group() -> String {
    "group-0".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_from_4_and_valkey_are_supported() {
        for (engine, version, supported) in [
            ("Redis", "3.0", false),
            ("Redis", "4.0", true),
            ("redis", "7.4.1", true),
            ("Redis", "newest", false),
            ("Valkey", "8.1", true),
            ("Memcached", "1.5", false),
        ] {
            let instance = Instance {
                live: None,
                id: Uuid::nil(),
                project: String::new(),
                name: String::new(),
                engine: engine.to_owned(),
                engine_version: version.to_owned(),
                max_memory_mb: 0,
                created_at: String::new(),
                tags: BTreeMap::new(),
                analyse_schedule: None,
                sources: vec![],
                nodes: vec![],
            };
            assert_eq!(instance.supports_key_analysis(), supported, "{engine} {version}");
        }
    }
}
