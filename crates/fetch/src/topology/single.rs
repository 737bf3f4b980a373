//! A master with its replicas, by `ROLE`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Group, Node, Role, Slots, connect, told_address};
use crate::redis::{Access, Address, Connection, Reply};
use crate::{Error, ErrorKind};

pub(super) fn groups(
    address: &Address,
    access: &Access,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<Group>, Error> {
    let mut connection = connect(address, access, stop)?;
    let reply = connection.call(&[b"ROLE"])?;
    let nodes = match reply.array() {
        Some([role, _, Reply::Array(replicas)]) if role.text() == Some("master") => {
            let mut nodes = vec![node(address.clone(), Role::Master)];
            nodes.extend(replicas.iter().filter_map(replica));
            nodes
        }
        Some([role, host, port, state, _]) if role.text() == Some("slave") => {
            let mut itself = node(address.clone(), Role::Replica);
            if state.text() != Some("connected") {
                itself.trouble = Some(format!("{address}: this replica has lost its master"));
            }
            let master = host.text().zip(port.number()).and_then(|(h, p)| told_address(h, p));
            master.map(|master| node(master, Role::Master)).into_iter().chain([itself]).collect()
        }
        Some([role, ..]) if role.text() == Some("sentinel") => {
            let text = format!("{address}: this is Sentinel: say which master it should name");
            return Err(Error::new(ErrorKind::Refused, text));
        }
        _ => return Err(unusable(&connection, &reply)),
    };
    Ok(vec![Group::new(Slots::default(), nodes)])
}

fn replica(reply: &Reply) -> Option<Node> {
    let [host, port, ..] = reply.array()? else { return None };
    // A backup that is being taken looks like a replica without a port.
    Some(node(told_address(host.text()?, port.number()?)?, Role::Replica))
}

pub(super) fn node(address: Address, role: Role) -> Node {
    Node { id: address.to_string(), address, role, trouble: None }
}

/// An error, or an answer that is no answer to the question.
pub(super) fn unusable(connection: &Connection, reply: &Reply) -> Error {
    match reply {
        Reply::Error(text) => {
            connection.refused(&format!("the server does not tell of its nodes: {text}"))
        }
        other => connection.unexpected("a question for nodes", other),
    }
}
