//! A master with a replica that Sentinel watches.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offkey_fetch::{
    Access, Gate, LiveNode, Networks, Preference, Role, Taking, Topology, discover,
};
use offkey_testkit::{Server, fill, free_port, wait_for};

use crate::data::{Writer, address, assert_left_alone, assert_same, chosen_servers, found, told};

#[test]
fn nodes_are_those_that_sentinel_knows() {
    for (name, program) in chosen_servers() {
        let name = name.as_str();
        let no_delay = ["--repl-diskless-sync-delay", "0"];
        let master = Server::start(&program, &no_delay, None);
        fill(&mut master.client(), 21, 20);
        let port = master.port().to_string();
        let follows = [&no_delay[..], &["--replicaof", "127.0.0.1", &port]].concat();
        let replica = Server::start(&program, &follows, None);
        let sentinel = Server::start_sentinel(&program, master.port());
        // The first of the entries is nobody.
        let nobody = offkey_fetch::Address { host: "127.0.0.1".to_owned(), port: free_port() };
        let entry = [nobody, address(&sentinel)];
        let discovered = |networks: &str, name: &str| {
            let topology = Topology::Sentinel { name: name.to_owned(), access: Box::default() };
            let networks = match networks {
                "" => Networks::default(),
                networks => networks.parse().unwrap(),
            };
            let stop = Arc::new(AtomicBool::new(false));
            discover(&entry, &topology, &Access::default(), &networks, &stop)
        };
        wait_for("Sentinel knows the replica", || {
            let [group] = discovered("", "main").unwrap().groups.try_into().unwrap();
            let nodes: Vec<_> = group
                .nodes
                .iter()
                .map(|n| (n.role, n.address.clone(), n.trouble.clone()))
                .collect();
            nodes
                == [
                    (Role::Master, address(&master), None),
                    (Role::Replica, address(&replica), None),
                ]
        });
        let error = discovered("", "other").unwrap_err().to_string();
        assert!(error.contains("knows no master named \"other\""), "{error}");

        // A Sentinel that names a place outside is not followed.
        let [group] = discovered("10.0.0.0/8", "main").unwrap().groups.try_into().unwrap();
        let error = group.pick(Preference::Master).unwrap_err().to_string();
        assert!(error.contains("127.0.0.1 is not in the allowed networks: 10.0.0.0/8"), "{error}");

        let found_now = discovered("", "main").unwrap();
        let picked = found_now.groups[0].pick(Preference::PreferReplica).unwrap();
        assert_eq!(picked.address, address(&replica));
        let before = told(&mut master.client());
        let writer = Writer::start(master.client());
        let node = LiveNode::new(
            picked.address.clone(),
            Access::default(),
            Taking { require_replica: true, ..Taking::default() },
            Gate::new(1, 1),
        );
        let (keys, input) = found(Arc::new(node.within(found_now.networks)));
        drop(writer);
        assert_eq!(input.error, None, "{name}");
        assert_same(&keys, &before, name);
        assert_left_alone(&mut replica.client(), 0, name);
    }
}
