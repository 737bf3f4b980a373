//! The shards of a cluster: `CLUSTER SHARDS`, which Redis 7 and Valkey have, else
//! `CLUSTER NODES`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::single::unusable;
use super::{Group, Node, Role, Slots, connect, told_address};
use crate::Error;
use crate::redis::{Access, Address, Reply};

pub(super) fn groups(
    address: &Address,
    access: &Access,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<Group>, Error> {
    let mut connection = connect(address, access, stop)?;
    let shards = connection.call(&[b"CLUSTER", b"SHARDS"])?;
    if let Some(shards) = shards.array() {
        let groups = shards.iter().map(|shard| group(shard, address, access.tls.is_some()));
        return Ok(groups.filter(|group| !group.slots.is_empty()).collect());
    }
    let nodes = connection.call(&[b"CLUSTER", b"NODES"])?;
    match nodes.text() {
        Some(text) => Ok(from_nodes(text, address)),
        None => Err(unusable(&connection, &nodes)),
    }
}

/// A shard: `slots` in pairs, and `nodes`, each a list of names and values.
fn group(shard: &Reply, entry: &Address, is_tls: bool) -> Group {
    let array = |name| shard.field(name).and_then(Reply::array).unwrap_or_default();
    let slots = array("slots").chunks_exact(2).filter_map(|pair| match pair {
        [first, last] => slot_range(first.number()?, last.number()?),
        _ => None,
    });
    let nodes = array("nodes").iter().filter_map(|fields| {
        let text = |name| fields.field(name).and_then(Reply::text);
        let number = |name| fields.field(name).and_then(Reply::number);
        let port = number("tls-port").filter(|_| is_tls).or_else(|| number("port"))?;
        // A node that does not know its own address says nothing.
        let host = text("ip").filter(|ip| !ip.is_empty()).unwrap_or(&entry.host);
        let address = told_address(host, port)?;
        let role = if text("role") == Some("master") { Role::Master } else { Role::Replica };
        let health = text("health").unwrap_or("online");
        let trouble = (health != "online")
            .then(|| format!("{address}: the cluster says that it is {}", health.escape_debug()));
        Some(Node { id: text("id")?.to_owned(), address, role, trouble })
    });
    Group::new(Slots(slots.collect()), nodes.collect())
}

/// Lines `<id> <ip:port@bus,name> <flags> <master> <ping> <pong> <epoch> <link> <slot>...`.
fn from_nodes(text: &str, entry: &Address) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut replicas = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [id, place, flags, master, _, _, _, link, slots @ ..] = words.as_slice() else {
            continue;
        };
        let place = place.split(['@', ',']).next().unwrap_or_default();
        let Some((host, port)) = place.rsplit_once(':') else { continue };
        let host = if host.is_empty() { &entry.host } else { host };
        let Some(address) = port.parse().ok().and_then(|port| told_address(host, port)) else {
            continue;
        };
        let flag = |name| flags.split(',').any(|flag| flag == name);
        let is_down = flag("fail") || flag("noaddr") || flag("handshake");
        let has_lost = *link != "connected" && !flag("myself");
        let trouble = (is_down || has_lost)
            .then(|| format!("{address}: the cluster says that it is not connected"));
        let role = if flag("master") { Role::Master } else { Role::Replica };
        let node = Node { id: (*id).to_owned(), address, role, trouble };
        match role {
            Role::Master => {
                let slots = slots.iter().filter_map(|slots| {
                    let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
                    slot_range(first.parse().ok()?, last.parse().ok()?)
                });
                groups.push(Group::new(Slots(slots.collect()), vec![node]));
            }
            Role::Replica => replicas.push(((*master).to_owned(), node)),
        }
    }
    for (master, node) in replicas {
        let of_master = |group: &&mut Group| group.nodes.iter().any(|node| node.id == master);
        if let Some(group) = groups.iter_mut().find(of_master) {
            group.nodes.push(node);
        }
    }
    groups.retain(|group| !group.slots.is_empty());
    groups
}

fn slot_range(first: i64, last: i64) -> Option<(u16, u16)> {
    let slot = |slot| u16::try_from(slot).ok().filter(|slot| *slot < Slots::COUNT);
    slot(first).zip(slot(last)).filter(|(first, last)| first <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_an_old_cluster() {
        let text = "\
aa 10.0.0.1:7000@17000,host myself,master - 0 1 2 connected 0-5460 [93-<-bb]
bb 10.0.0.2:7000@17000 master - 0 1 3 connected 5461-10922 16383
cc :7001@17001 myself,slave aa 0 1 2 connected
dd 10.0.0.4:7000@17000 slave,fail bb 0 1 3 disconnected
ee 10.0.0.5:7000@17000 master - 0 1 3 connected
ff 10.0.0.6:0@0 slave,noaddr aa 0 1 2 disconnected
";
        let entry = Address { host: "10.0.0.9".to_owned(), port: 1 };
        let groups = from_nodes(text, &entry);
        let shown: Vec<_> = groups
            .iter()
            .map(|group| {
                let nodes: Vec<_> = group
                    .nodes
                    .iter()
                    .map(|n| format!("{}={} {}", n.id, n.address, n.trouble.is_none()))
                    .collect();
                format!("{} {}", group.slots, nodes.join(" "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "0-5460 aa=10.0.0.1:7000 true cc=10.0.0.9:7001 true",
                "5461-10922,16383 bb=10.0.0.2:7000 true dd=10.0.0.4:7000 false",
            ]
        );
    }
}
