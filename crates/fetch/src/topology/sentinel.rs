//! What Sentinel knows of a master: `SENTINEL GET-MASTER-ADDR-BY-NAME` and `REPLICAS`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::single::{node, unusable};
use super::{Group, Node, Role, Slots, connect, told_address};
use crate::Error;
use crate::redis::{Access, Address, Reply};

pub(super) fn groups(
    address: &Address,
    name: &str,
    access: &Access,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<Group>, Error> {
    let mut connection = connect(address, access, stop)?;
    let name = name.as_bytes();
    let reply = connection.call(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name])?;
    let master = match reply.array() {
        Some([host, port]) => {
            host.text().zip(port.number()).and_then(|(host, port)| told_address(host, port))
        }
        _ if reply == Reply::Bulk(None) => {
            let name = String::from_utf8_lossy(name).into_owned();
            return Err(connection.refused(&format!("Sentinel knows no master named {name:?}")));
        }
        _ => None,
    };
    let Some(master) = master else { return Err(unusable(&connection, &reply)) };
    let mut replicas = connection.call(&[b"SENTINEL", b"REPLICAS", name])?;
    if matches!(replicas, Reply::Error(_)) {
        // Its name before Redis 5.
        replicas = connection.call(&[b"SENTINEL", b"SLAVES", name])?;
    }
    let Some(replicas) = replicas.array() else {
        return Err(unusable(&connection, &replicas));
    };
    let mut nodes = vec![node(master, Role::Master)];
    nodes.extend(replicas.iter().filter_map(replica));
    Ok(vec![Group::new(Slots::default(), nodes)])
}

fn replica(fields: &Reply) -> Option<Node> {
    let text = |name| fields.field(name).and_then(Reply::text);
    let address = told_address(text("ip")?, fields.field("port")?.number()?)?;
    let flags = text("flags").unwrap_or_default();
    let is_down = ["s_down", "o_down", "disconnected"].iter().any(|flag| flags.contains(flag));
    let has_lost = text("master-link-status").is_some_and(|status| status != "ok");
    let mut node = node(address, Role::Replica);
    if is_down || has_lost {
        let what = if is_down { "is down" } else { "has lost its master" };
        node.trouble = Some(format!("{}: Sentinel says that it {what}", node.address));
    }
    Some(node)
}
