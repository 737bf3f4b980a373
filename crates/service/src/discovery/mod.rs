//! Nodes that nobody has configured: an instance's own servers tell of them.
//!
//! ```text
//! offkey_fetch::discover -> look -> finding -> table -> instances of every process
//! ```
//!
//! Of as many processes as share the database one looks at a time; all see the same nodes.

mod finder;
mod instances;
mod look;

use std::path::{Path, PathBuf};

use offkey_fetch::{Access, Address, Networks, Topology};
use serde::{Deserialize, Serialize};

pub(crate) use self::finder::Finder;
pub(crate) use self::instances::Instances;
pub(crate) use self::look::present;
use crate::Secret;
use crate::config::{Role, Told};
use crate::live::password;

/// How the nodes of an instance are found.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discover {
    /// How they belong together.
    pub topology: Shape,
    /// Where to ask, `host:port`; the next one where one does not answer.
    pub addresses: Vec<String>,
    /// Name by which Sentinel knows the master; the addresses are those of Sentinels then.
    pub sentinel: Option<String>,
    /// User of Sentinel itself.
    pub sentinel_user: Option<String>,
    /// Password of Sentinel itself.
    pub sentinel_password: Option<Secret>,
    /// File with that password.
    pub sentinel_password_file: Option<PathBuf>,
    /// Networks in which nodes may lie; by default the private ones of the addresses.
    pub allow_networks: Option<String>,
    /// Folder with a folder for each node, named by its id.
    pub backups: PathBuf,
    /// How old what is known of the nodes may be before they are looked for again.
    #[serde(default = "default_refresh_seconds")]
    pub refresh_seconds: u32,
    /// What the last look has found wrong with all of the instance.
    #[serde(skip)]
    pub trouble: Option<String>,
}

/// How nodes belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A master with its replicas.
    Replication,
    /// The same, and Sentinel knows them.
    Sentinel,
    /// Shards of a cluster.
    Cluster,
}

/// What a look has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) nodes: Vec<FoundNode>,
    /// Why the nodes are not all of the instance, or why nobody tells of them.
    pub(crate) trouble: Option<String>,
}

/// A node that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoundNode {
    pub(crate) id: String,
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) role: Role,
    pub(crate) group: String,
    pub(crate) told: Told,
}

impl Discover {
    /// Makes relative paths relative to `folder`.
    pub(crate) fn within(&mut self, folder: &Path) {
        self.backups = folder.join(&self.backups);
        if let Some(file) = &mut self.sentinel_password_file {
            *file = folder.join(&*file);
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.entry()?.is_empty() {
            return Err("addresses has none".to_owned());
        }
        if self.sentinel.is_some() != (self.topology == Shape::Sentinel) {
            return Err("sentinel and topology = \"sentinel\" go together".to_owned());
        }
        if self.sentinel_password.is_some() && self.sentinel_password_file.is_some() {
            return Err("sentinel_password and sentinel_password_file are both set".to_owned());
        }
        if self.refresh_seconds == 0 {
            return Err("refresh_seconds is at least 1: 0".to_owned());
        }
        self.allowed().map(|_| ())
    }

    /// Where to ask.
    fn entry(&self) -> Result<Vec<Address>, String> {
        let entry = self.addresses.iter().map(|address| address.parse());
        entry.collect::<Result<_, _>>().map_err(|error: offkey_fetch::UrlError| error.to_string())
    }

    fn allowed(&self) -> Result<Option<Networks>, String> {
        let allowed = self.allow_networks.as_deref().map(str::parse).transpose();
        allowed.map_err(|error: offkey_fetch::NetworkError| format!("allow_networks: {error}"))
    }

    /// Where nodes may lie.
    pub(crate) fn networks(&self) -> Result<Networks, String> {
        match self.allowed()? {
            Some(allowed) => Ok(allowed),
            None => Networks::around_all(&self.entry()?).map_err(|error| error.to_string()),
        }
    }

    /// How to ask; `access` is the one of nodes.
    fn topology(&self, access: &Access) -> Result<Topology, String> {
        Ok(match (self.topology, &self.sentinel) {
            (Shape::Sentinel, Some(name)) => {
                let (own, file) = (&self.sentinel_password, &self.sentinel_password_file);
                let user = self.sentinel_user.clone();
                let password = password(own.as_ref(), file.as_deref())?;
                let access = Access { user, password, ..access.clone() };
                Topology::Sentinel { name: name.clone(), access: Box::new(access) }
            }
            (Shape::Sentinel | Shape::Replication, _) => Topology::Single,
            (Shape::Cluster, _) => Topology::Cluster,
        })
    }
}

fn default_refresh_seconds() -> u32 {
    30
}
