//! Which servers an instance has, by what they say themselves.

mod cluster;
mod sentinel;
mod single;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::redis::{Access, Address, Connection};
use crate::{Error, ErrorKind, Networks};

/// How the servers of an instance belong together.
#[derive(Debug, Clone)]
pub enum Topology {
    /// One server, or a master with replicas.
    Single,
    /// A master and replicas that Sentinel watches under a name.
    Sentinel {
        /// That name.
        name: String,
        /// How to log in to Sentinel itself.
        access: Box<Access>,
    },
    /// A cluster of shards.
    Cluster,
}

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Master,
    /// Follows a master.
    Replica,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id in a cluster, else its address.
    pub id: String,
    /// Where it listens.
    pub address: Address,
    /// What it does.
    pub role: Role,
    /// Why no backup can be taken of it.
    pub trouble: Option<String>,
}

/// Ranges of hash slots, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slots(pub Vec<(u16, u16)>);

/// Servers that hold the same data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `group-0` and so on, in the order of slots.
    pub name: String,
    /// Slots of a cluster's shard.
    pub slots: Slots,
    /// The master first.
    pub nodes: Vec<Node>,
}

/// What [`discover`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In the order of slots.
    pub groups: Vec<Group>,
    /// Slots of a cluster that nobody serves.
    pub missing: Slots,
    /// Where the addresses of its servers may lie.
    pub networks: Networks,
}

/// Which server of a group to take a backup of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preference {
    /// The master; a replica where it is down.
    #[default]
    Master,
    /// A replica; the master where there is none.
    PreferReplica,
    /// A replica, and never the master.
    RequireReplica,
}

/// Asks the first of `entry` that answers which servers there are.
///
/// Addresses outside of `networks` are not followed; where none are given, the private
/// network of `entry` is meant ([`Networks::around`]).
///
/// # Errors
/// None of `entry` answers as it should.
pub fn discover(
    entry: &[Address],
    topology: &Topology,
    access: &Access,
    networks: &Networks,
    stop: &Arc<AtomicBool>,
) -> Result<Found, Error> {
    let mut failure = Error::new(ErrorKind::Local, "no server is named");
    for address in entry {
        let networks = match networks.is_empty() {
            false => networks.clone(),
            true => match Networks::around_all(std::slice::from_ref(address)) {
                Ok(networks) => networks,
                Err(error) => {
                    failure = error;
                    continue;
                }
            },
        };
        let groups = match topology {
            Topology::Single => single::groups(address, access, stop),
            Topology::Sentinel { name, access } => sentinel::groups(address, name, access, stop),
            Topology::Cluster => cluster::groups(address, access, stop),
        };
        match groups {
            Ok(groups) => {
                let is_cluster = matches!(topology, Topology::Cluster);
                return Ok(Found::new(groups, networks, address, is_cluster));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

impl Found {
    fn new(mut groups: Vec<Group>, networks: Networks, entry: &Address, is_cluster: bool) -> Self {
        groups.sort_by_key(|group| group.slots.0.first().copied());
        for (number, group) in groups.iter_mut().enumerate() {
            group.name = format!("group-{number}");
            group.nodes.sort_by_key(|node| (node.role == Role::Replica, node.id.clone()));
            for node in &mut group.nodes {
                // The address that was given is followed in any case.
                if node.address != *entry && node.trouble.is_none() {
                    node.trouble = outside(&node.address, &networks);
                }
            }
        }
        let missing = if is_cluster { Slots::missing(&groups) } else { Slots::default() };
        Self { groups, missing, networks }
    }
}

/// Why `address` may not be followed.
fn outside(address: &Address, networks: &Networks) -> Option<String> {
    match address.resolve() {
        Err(error) => Some(error.to_string()),
        Ok(found) => {
            let other = found.iter().map(std::net::SocketAddr::ip).find(|ip| !networks.allows(*ip));
            other.map(|ip| format!("{address}: {ip} is not in the allowed networks: {networks}"))
        }
    }
}

impl Group {
    fn new(slots: Slots, nodes: Vec<Node>) -> Self {
        Self { name: String::new(), slots, nodes }
    }

    /// The server to take a backup of.
    ///
    /// # Errors
    /// None that is wanted can be used; the text says why of each.
    pub fn pick(&self, preference: Preference) -> Result<&Node, Error> {
        let usable =
            |role| self.nodes.iter().find(move |node| node.role == role && node.trouble.is_none());
        let (master, replica) = (usable(Role::Master), usable(Role::Replica));
        let picked = match preference {
            Preference::Master => master.or(replica),
            Preference::PreferReplica => replica.or(master),
            Preference::RequireReplica => replica,
        };
        picked.ok_or_else(|| {
            let what = match preference {
                Preference::RequireReplica => "replica",
                Preference::Master | Preference::PreferReplica => "server",
            };
            let troubles: Vec<_> =
                self.nodes.iter().filter_map(|node| node.trouble.as_deref()).collect();
            let troubles = troubles.join("; ");
            Error::new(
                ErrorKind::NotReady,
                format!("{}, slots {}: no {what} can be used: {troubles}", self.name, self.slots),
            )
        })
    }
}

impl Slots {
    const COUNT: u16 = 16384;

    /// Slots that no group has.
    fn missing(groups: &[Group]) -> Self {
        let mut ranges: Vec<_> = groups.iter().flat_map(|group| group.slots.0.clone()).collect();
        ranges.sort_unstable();
        let mut missing = Vec::new();
        let mut next = 0;
        for (first, last) in ranges {
            if first > next {
                missing.push((next, first - 1));
            }
            next = next.max(last.saturating_add(1));
        }
        if next < Self::COUNT {
            missing.push((next, Self::COUNT - 1));
        }
        Self(missing)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (n, (first, last)) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// An address that a server told: an address, or a name of letters, digits, `-` and `.`.
fn told_address(host: &str, port: i64) -> Option<Address> {
    let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
    let is_name = |host: &str| {
        host.chars().any(|c| c.is_ascii_alphabetic())
            && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
    };
    let is_host = host.parse::<IpAddr>().is_ok() || is_name(host);
    is_host.then(|| Address { host: host.to_owned(), port })
}

/// Connects to a server that was given, not found.
fn connect(
    address: &Address,
    access: &Access,
    stop: &Arc<AtomicBool>,
) -> Result<Connection, Error> {
    Connection::open(address, access, None, stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, role: Role, trouble: Option<&str>) -> Node {
        let address = Address { host: "10.0.0.1".to_owned(), port: 1 };
        Node { id: id.to_owned(), address, role, trouble: trouble.map(str::to_owned) }
    }

    #[test]
    fn preference_decides_and_trouble_excludes() {
        use Preference::{Master, PreferReplica, RequireReplica};
        for (master, replica, picks) in [
            (None, None, [Some("m"), Some("r"), Some("r")]),
            (None, Some("down"), [Some("m"), Some("m"), None]),
            (Some("down"), None, [Some("r"), Some("r"), Some("r")]),
            (Some("down"), Some("gone"), [None, None, None]),
        ] {
            let nodes = vec![node("m", Role::Master, master), node("r", Role::Replica, replica)];
            let group = Group::new(Slots(vec![(0, 9)]), nodes);
            for (preference, pick) in [Master, PreferReplica, RequireReplica].into_iter().zip(picks)
            {
                let picked = group.pick(preference);
                assert_eq!(picked.as_ref().ok().map(|node| node.id.as_str()), pick);
                if let Err(error) = picked {
                    assert!(error.to_string().contains("slots 0-9: no "), "{error}");
                }
            }
        }
    }

    #[test]
    fn slots_that_nobody_has_are_named() {
        let group = |ranges: &[(u16, u16)]| Group::new(Slots(ranges.to_vec()), Vec::new());
        let missing = Slots::missing(&[group(&[(5, 5), (100, 16383)]), group(&[(0, 3)])]);
        assert_eq!(missing.to_string(), "4,6-99");
        assert!(Slots::missing(&[group(&[(0, 16383)])]).is_empty());
        assert_eq!(Slots::missing(&[]).to_string(), "0-16383");
    }

    #[test]
    fn address_outside_is_not_followed() {
        let networks: Networks = "10.0.0.0/8".parse().unwrap();
        for host in ["169.254.169.254", "::ffff:127.0.0.1", "localhost", "192.168.0.1"] {
            let address = told_address(host, 6379).unwrap();
            assert!(outside(&address, &networks).is_some(), "{host}");
        }
        assert_eq!(outside(&told_address("10.9.9.9", 1).unwrap(), &networks), None);
        for host in ["", "2130706433", "127.1", "0x7f000001 ", "a b", "a/b", "a:b", "?"] {
            assert_eq!(told_address(host, 6379), None, "{host}");
        }
        assert_eq!(told_address("10.0.0.1", 0), None);
        assert_eq!(told_address("10.0.0.1", 65536), None);
    }
}
