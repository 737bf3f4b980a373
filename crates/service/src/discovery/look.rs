//! One look at the servers of an instance; blocking.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;

use offkey_fetch::{Address, Found};
use uuid::Uuid;

use super::{Discover, Finding, FoundNode, Shape};
use crate::backups;
use crate::config::{Instance, Node, Role, Standing, Told};
use crate::live::{Live, SHORT};

/// Nodes that are greeted at the same time.
const GREETED_AT_ONCE: usize = 16;

impl Finding {
    /// Looks which nodes `instance` has, and whether they let us in. `known` are those of the
    /// look before: they are asked where no configured address answers, and stay where they
    /// are named no more and have backups.
    pub(super) fn of(instance: &Instance, known: &[FoundNode]) -> Self {
        match found(instance, known) {
            Ok(found) => {
                let mut finding = Self::told(instance, &found);
                finding.greet(instance);
                finding.add_gone(instance, known);
                finding
            }
            Err(why) => Self {
                nodes: known.iter().map(|node| node.clone().unless_gone(&why)).collect(),
                trouble: Some(why),
            },
        }
    }

    /// What the servers say.
    fn told(instance: &Instance, found: &Found) -> Self {
        let has_tls = instance.live.as_ref().is_some_and(|live| live.tls);
        let mut nodes: Vec<FoundNode> = Vec::new();
        for group in &found.groups {
            for node in &group.nodes {
                // A certificate may be for the name alone.
                let address = if has_tls { node.address.clone() } else { node.address.resolved() };
                let own_id = match node.id == node.address.to_string() {
                    true => address.to_string(),
                    false => node.id.clone(),
                };
                let slots = (!group.slots.is_empty()).then(|| group.slots.to_string());
                let standing = node.trouble.clone().map_or(Standing::Active, Standing::Inactive);
                nodes.push(FoundNode {
                    id: id_of(instance, &own_id),
                    ip: address.host,
                    port: address.port,
                    role: match node.role {
                        offkey_fetch::Role::Master => Role::Master,
                        offkey_fetch::Role::Replica => Role::Slave,
                    },
                    group: group.name.clone(),
                    told: Told { slots, standing },
                });
            }
        }
        // A server can be named twice, by a name and by an address.
        let mut seen = HashSet::new();
        nodes.retain(|node| seen.insert(node.id.clone()));
        let missing = &found.missing;
        let trouble = (!missing.is_empty()).then(|| format!("slots that no node has: {missing}"));
        Self { nodes, trouble }
    }

    /// Greets the nodes of which nothing bad is known.
    fn greet(&mut self, instance: &Instance) {
        let (Some(live), Some(discover)) = (&instance.live, instance.discover()) else { return };
        for nodes in self.nodes.chunks_mut(GREETED_AT_ONCE) {
            thread::scope(|scope| {
                for node in nodes.iter_mut().filter(|n| n.told.standing == Standing::Active) {
                    scope.spawn(move || {
                        if let Err(why) = live.is_there(&node.node(discover)) {
                            node.told.standing = Standing::Inactive(why);
                        }
                    });
                }
            });
        }
    }

    /// Adds those that are named no more and have backups.
    fn add_gone(&mut self, instance: &Instance, known: &[FoundNode]) {
        let Some(discover) = instance.discover() else { return };
        for node in known {
            if self.nodes.iter().any(|other| other.id == node.id) {
                continue;
            }
            // A folder that cannot be read may have some.
            let own = node.node(discover);
            if backups::list(instance, &own).map_or(true, |backups| !backups.is_empty()) {
                let told = Told { standing: Standing::Gone, ..node.told.clone() };
                self.nodes.push(FoundNode { told, ..node.clone() });
            }
        }
    }
}

impl FoundNode {
    fn unless_gone(mut self, why: &str) -> Self {
        if self.told.standing != Standing::Gone {
            self.told.standing = Standing::Inactive(why.to_owned());
        }
        self
    }

    /// The node as the rest of the service knows it.
    pub(super) fn node(&self, discover: &Discover) -> Node {
        let address = Address { host: self.ip.clone(), port: self.port };
        Node {
            id: self.id.clone(),
            name: address.to_string(),
            ip: self.ip.clone(),
            port: self.port,
            role: self.role,
            group: self.group.clone(),
            backups: discover.backups.join(&self.id),
            told: Some(self.told.clone()),
        }
    }
}

/// `instance` with the nodes that were found, and folders for them; blocking.
pub(super) fn with(instance: &Instance, finding: &Finding) -> Instance {
    let mut instance = instance.clone();
    if let Some(Live { discover: Some(discover), .. }) = &mut instance.live {
        discover.trouble.clone_from(&finding.trouble);
        instance.nodes = finding.nodes.iter().map(|node| node.node(discover)).collect();
    }
    for node in &instance.nodes {
        if let Err(error) = std::fs::create_dir_all(&node.backups) {
            let folder = node.backups.display();
            tracing::error!(%folder, %error, "folder of a node cannot be made");
        }
    }
    instance
}

/// `instance` with its nodes, looked for now if they are not configured.
pub(crate) fn present(instance: &Instance) -> Result<Instance, String> {
    if instance.discover().is_none() {
        return Ok(instance.clone());
    }
    let found = found(instance, &[])?;
    Ok(with(instance, &Finding::told(instance, &found)))
}

fn found(instance: &Instance, known: &[FoundNode]) -> Result<Found, String> {
    let (Some(live), Some(discover)) = (&instance.live, instance.discover()) else {
        return Err("its nodes are not looked for".to_owned());
    };
    let access = live.access(SHORT)?;
    let (topology, networks) = (discover.topology(&access)?, discover.networks()?);
    let mut entry = discover.entry()?;
    let is_allowed = |host: &str| host.parse::<IpAddr>().is_ok_and(|ip| networks.allows(ip));
    // Sentinel is asked, not the nodes; and a name may lead elsewhere by now.
    if discover.topology != Shape::Sentinel {
        let known = known.iter().filter(|node| node.told.standing != Standing::Gone);
        let known = known.filter(|node| is_allowed(&node.ip));
        entry.extend(known.map(|node| Address { host: node.ip.clone(), port: node.port }));
    }
    let ask = |entry: &[Address]| {
        offkey_fetch::discover(entry, &topology, &access, &networks, &Arc::default())
    };
    let found = ask(&entry).map_err(|error| error.to_string())?;
    // A replica knows its master, and the master all of its replicas.
    let master = found
        .groups
        .iter()
        .flat_map(|group| &group.nodes)
        .find(|node| node.role == offkey_fetch::Role::Master && is_allowed(&node.address.host));
    match master.filter(|_| discover.topology == Shape::Replication) {
        Some(master) => Ok(ask(std::slice::from_ref(&master.address)).unwrap_or(found)),
        None => Ok(found),
    }
}

/// Id of a node, 32 hexadecimal digits as DCS has them: the same at every process.
fn id_of(instance: &Instance, own_id: &str) -> String {
    Uuid::new_v5(&instance.id, format!("node/{own_id}").as_bytes()).simple().to_string()
}
