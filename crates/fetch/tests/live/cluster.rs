//! Six nodes: three masters with a replica each.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use offkey_fetch::{
    Access, Found, Gate, LiveNode, Networks, Preference, Role, Taking, Topology, discover,
};
use offkey_testkit::{Client, Reply, Server, free_port};

use crate::data::{
    Keys, Writer, address, assert_left_alone, assert_same, found, program, replica_count, told,
    wait_for,
};

const MASTERS: usize = 3;

struct Cluster(Vec<Server>);

impl Cluster {
    fn start(program: &std::path::Path) -> Self {
        let nodes: Vec<_> = (0..2 * MASTERS)
            .map(|_| {
                let bus = free_port().to_string();
                let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
                let more = ["--repl-diskless-sync-delay", "0", "--cluster-node-timeout", "5000"];
                let server = Server::start(program, &[&options[..], &more].concat(), None);
                (server, bus)
            })
            .collect();
        for (n, (server, _)) in nodes.iter().take(MASTERS).enumerate() {
            let slots = [16384 * n / MASTERS, 16384 * (n + 1) / MASTERS - 1].map(|s| s.to_string());
            let [first, last] = slots.each_ref().map(String::as_bytes);
            server.client().run(&[b"CLUSTER", b"ADDSLOTSRANGE", first, last]);
        }
        let (entry, _) = &nodes[0];
        for (server, bus) in &nodes {
            let port = server.port().to_string();
            let (port, bus) = (port.as_bytes(), bus.as_bytes());
            entry.client().run(&[b"CLUSTER", b"MEET", b"127.0.0.1", port, bus]);
        }
        let cluster = Self(nodes.into_iter().map(|(server, _)| server).collect());
        let (masters, replicas) = cluster.0.split_at(MASTERS);
        for (master, replica) in masters.iter().zip(replicas) {
            let id = master.client().run(&[b"CLUSTER", b"MYID"]).bytes();
            wait_for("the replica knows its master", || {
                let reply = replica.client().call(&[b"CLUSTER", b"REPLICATE", &id]);
                matches!(reply, Reply::Status(_))
            });
        }
        for server in &cluster.0 {
            wait_for("every node sees the whole cluster", || {
                let info = server.client().run(&[b"CLUSTER", b"INFO"]).text();
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6")
            });
        }
        for master in masters {
            wait_for("the replica is online", || replica_count(&mut master.client()) == 1);
        }
        cluster
    }

    fn masters(&self) -> &[Server] {
        &self.0[..MASTERS]
    }

    /// Writes each key where its slot is.
    fn fill(&self) {
        let mut clients: Vec<Client> = self.masters().iter().map(Server::client).collect();
        for n in 0..3000_u32 {
            let key = format!("user:{n}");
            let slot = clients[0].run(&[b"CLUSTER", b"KEYSLOT", key.as_bytes()]).integer();
            let owner = usize::try_from(slot).unwrap() * MASTERS / 16384;
            let owner = owner.min(MASTERS - 1);
            let set = |client: &mut Client| match n % 3 {
                0 => client.call(&[b"SET", key.as_bytes(), b"value"]),
                1 => client.call(&[b"RPUSH", key.as_bytes(), b"a", b"b", b"c"]),
                _ => client.call(&[b"HSET", key.as_bytes(), b"name", b"Ada", b"age", b"36"]),
            };
            // The split of the slots is not even at its borders.
            let done = [owner, (owner + 1) % MASTERS, (owner + 2) % MASTERS]
                .iter()
                .any(|owner| !matches!(set(&mut clients[*owner]), Reply::Error(_)));
            assert!(done, "{key}");
        }
    }

    fn told(&self) -> Keys {
        self.masters().iter().flat_map(|master| told(&mut master.client())).collect()
    }

    fn discover(&self, entry: usize) -> Found {
        let entry = [address(&self.0[entry])];
        let (access, stop) = (Access::default(), Arc::new(AtomicBool::new(false)));
        discover(&entry, &Topology::Cluster, &access, &Networks::default(), &stop).unwrap()
    }
}

fn test(name: &str) {
    let Some(program) = program(name) else { return };
    let cluster = Cluster::start(&program);
    cluster.fill();
    let before = cluster.told();
    let everywhere: Vec<_> = cluster.0.iter().map(address).collect();
    let mut shown = Vec::new();
    for entry in 0..everywhere.len() {
        wait_for("every node is well", || {
            let found = cluster.discover(entry);
            let nodes: Vec<_> = found.groups.iter().flat_map(|group| &group.nodes).collect();
            nodes.len() == 6 && nodes.iter().all(|node| node.trouble.is_none())
        });
        let found = cluster.discover(entry);
        assert!(found.missing.is_empty(), "{name}: {}", found.missing);
        shown.push(found.groups.clone());
        let names: Vec<_> = found.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["group-0", "group-1", "group-2"]);
        for (group, master) in found.groups.iter().zip(cluster.masters()) {
            let roles: Vec<_> = group.nodes.iter().map(|node| node.role).collect();
            assert_eq!(roles, [Role::Master, Role::Replica], "{name}");
            assert_eq!(group.nodes[0].address, address(master), "{name}");
        }
    }
    assert!(shown.windows(2).all(|pair| pair[0] == pair[1]), "{name}: {shown:?}");

    let writers: Vec<_> =
        cluster.masters().iter().map(|master| Writer::start(master.client())).collect();
    for preference in [Preference::Master, Preference::RequireReplica] {
        let found_now = cluster.discover(5);
        let gate = Gate::new(2, 2);
        let takes = found_now.groups.iter().map(|group| {
            let picked = group.pick(preference).unwrap().address.clone();
            let gate = Arc::clone(&gate);
            let require_replica = preference == Preference::RequireReplica;
            let taking = Taking { require_replica, ..Taking::default() };
            let node = LiveNode::new(picked, Access::default(), taking, gate);
            let node = node.within(found_now.networks.clone());
            thread::spawn(move || found(Arc::new(node)))
        });
        let takes: Vec<_> = takes.collect();
        let mut keys = Keys::new();
        for take in takes {
            let (of_one, input) = take.join().unwrap();
            assert_eq!(input.error, None, "{name}");
            keys.extend(of_one);
        }
        assert_same(&keys, &before, name);
    }
    drop(writers);
    for (n, server) in cluster.0.iter().enumerate() {
        assert_left_alone(&mut server.client(), u64::from(n < MASTERS), name);
    }

    // A node that has gone is told, and its replica taken in its place.
    let Cluster(mut nodes) = cluster;
    let gone = address(&nodes.remove(0));
    let cluster = Cluster(nodes);
    wait_for("the cluster has noticed", || {
        let found = cluster.discover(0);
        let dead = found.groups.iter().flat_map(|group| &group.nodes);
        dead.into_iter().any(|node| node.address == gone && node.trouble.is_some())
    });
    let found_now = cluster.discover(0);
    assert!(found_now.missing.is_empty(), "{name}: {}", found_now.missing);
    let picked = found_now.groups[0].pick(Preference::Master).unwrap();
    assert_eq!(picked.address, address(&cluster.0[MASTERS - 1]), "{name}");
}

#[test]
fn six_nodes_of_redis() {
    test("redis-8.2.3");
}

#[test]
fn six_nodes_of_valkey() {
    test("valkey-9.1.2");
}
