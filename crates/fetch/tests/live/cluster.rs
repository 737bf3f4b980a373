//! Six nodes: three masters with a replica each.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use offkey_fetch::{
    Access, Found, Gate, LiveNode, Networks, Preference, Role, Taking, Topology, discover,
};
use offkey_testkit::{Cluster, Server, wait_for};

use crate::data::{
    Keys, Writer, address, assert_left_alone, assert_same, found, is_long, program, told,
};

const MASTERS: usize = 3;

fn all_told(cluster: &Cluster) -> Keys {
    cluster.masters().iter().flat_map(|master| told(&mut master.client())).collect()
}

fn discovered(entry: &Server) -> Found {
    let entry = [address(entry)];
    let (access, stop) = (Access::default(), Arc::new(AtomicBool::new(false)));
    discover(&entry, &Topology::Cluster, &access, &Networks::default(), &stop).unwrap()
}

fn test(name: &str) {
    let Some(program) = program(name) else { return };
    let mut cluster = Cluster::start(&program);
    cluster.fill(3000);
    let before = all_told(&cluster);
    let mut shown = Vec::new();
    for entry in &cluster.servers {
        wait_for("every node is well", || {
            let found = discovered(entry);
            let nodes: Vec<_> = found.groups.iter().flat_map(|group| &group.nodes).collect();
            nodes.len() == 6 && nodes.iter().all(|node| node.trouble.is_none())
        });
        let found = discovered(entry);
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
        let found_now = discovered(&cluster.servers[5]);
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
    for (n, server) in cluster.servers.iter().enumerate() {
        assert_left_alone(&mut server.client(), u64::from(n < MASTERS), name);
    }

    // A node that has gone is told, and its replica taken in its place.
    let gone = address(&cluster.servers.remove(0));
    wait_for("the cluster has noticed", || {
        let found = discovered(&cluster.servers[0]);
        let dead = found.groups.iter().flat_map(|group| &group.nodes);
        dead.into_iter().any(|node| node.address == gone && node.trouble.is_some())
    });
    let found_now = discovered(&cluster.servers[0]);
    assert!(found_now.missing.is_empty(), "{name}: {}", found_now.missing);
    let picked = found_now.groups[0].pick(Preference::Master).unwrap();
    assert_eq!(picked.address, address(&cluster.servers[MASTERS - 1]), "{name}");
}

/// One after another: each has six servers.
#[test]
fn six_nodes_of_every_kind() {
    // The first knows no CLUSTER SHARDS.
    let usual = ["redis-6.2.5", "redis-8.2.3", "valkey-9.1.2"];
    let more = ["redis-7.0.15", "valkey-8.1.8"];
    for name in usual.iter().chain(more.iter().filter(|_| is_long())) {
        test(name);
    }
}
