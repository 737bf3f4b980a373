//! Clusters of real servers: three masters with a replica each.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::resp::{Client, Reply};
use crate::server::{Server, free_port};

const MASTERS: usize = 3;

/// How far the port of a cluster's own talk lies from the other one.
const BUS: u16 = 10_000;

/// Servers that know each other; the masters come first, then the replica of each.
#[derive(Debug)]
pub struct Cluster {
    program: PathBuf,
    /// The servers; a test may take some away.
    pub servers: Vec<Server>,
}

impl Cluster {
    /// Starts six servers and waits until each knows all.
    pub fn start(program: &Path) -> Self {
        let servers = (0..2 * MASTERS).map(|_| server(program)).collect();
        let cluster = Self { program: program.to_owned(), servers };
        for (n, server) in cluster.masters().iter().enumerate() {
            let slots = 16384 * n / MASTERS..16384 * (n + 1) / MASTERS;
            let slots: Vec<_> = slots.map(|slot| slot.to_string()).collect();
            let words = [&b"CLUSTER"[..], b"ADDSLOTS"].into_iter();
            let words: Vec<_> = words.chain(slots.iter().map(|slot| slot.as_bytes())).collect();
            server.client().run(&words);
        }
        for server in &cluster.servers {
            cluster.meet(server);
        }
        let (masters, replicas) = cluster.servers.split_at(MASTERS);
        for (master, replica) in masters.iter().zip(replicas) {
            follow(replica, master);
        }
        cluster.settle(6);
        for master in masters {
            let info = || master.client().run(&[b"INFO", b"replication"]).text();
            wait_for("the replica is online", || info().contains("connected_slaves:1"));
        }
        cluster
    }

    /// The masters of the start.
    pub fn masters(&self) -> &[Server] {
        &self.servers[..MASTERS]
    }

    /// Adds a replica of the master at this place.
    pub fn add_replica(&mut self, master: usize) {
        let replica = server(&self.program);
        self.meet(&replica);
        follow(&replica, &self.servers[master]);
        self.servers.push(replica);
    }

    /// Writes `count` keys of different types, each where its slot is.
    pub fn fill(&self, count: u32) {
        let mut clients: Vec<Client> = self.masters().iter().map(Server::client).collect();
        for n in 0..count {
            let key = format!("user:{n}");
            let slot = clients[0].run(&[b"CLUSTER", b"KEYSLOT", key.as_bytes()]).integer();
            let owner = usize::try_from(slot).unwrap() * MASTERS / 16384;
            let set = |client: &mut Client| match n % 3 {
                0 => client.call(&[b"SET", key.as_bytes(), b"value"]),
                1 => client.call(&[b"RPUSH", key.as_bytes(), b"a", b"b", b"c"]),
                _ => client.call(&[b"HSET", key.as_bytes(), b"name", b"Ada", b"age", b"36"]),
            };
            // The split of the slots is not even at its borders.
            let owners = [owner, (owner + 1) % MASTERS, (owner + 2) % MASTERS];
            let mut owners = owners.into_iter();
            assert!(
                owners.any(|owner| !matches!(set(&mut clients[owner]), Reply::Error(_))),
                "{key}"
            );
        }
    }

    fn meet(&self, server: &Server) {
        let port = server.port().to_string();
        self.servers[0].client().run(&[b"CLUSTER", b"MEET", b"127.0.0.1", port.as_bytes()]);
    }

    /// Waits until every server sees so many, and all slots served.
    fn settle(&self, count: usize) {
        let known = format!("cluster_known_nodes:{count}");
        for server in &self.servers {
            wait_for("every node sees the whole cluster", || {
                let info = server.client().run(&[b"CLUSTER", b"INFO"]).text();
                let nodes = server.client().run(&[b"CLUSTER", b"NODES"]).text();
                let replicas = nodes.lines().filter(|line| line.contains("slave")).count();
                let is_known = info.contains("cluster_state:ok") && info.contains(&known);
                is_known && replicas == count - MASTERS
            });
        }
    }
}

fn server(program: &Path) -> Server {
    let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"];
    let no_delay = ["--repl-diskless-sync-delay", "0"];
    Server::start_at(program, port_with_bus, &[&options[..], &no_delay].concat(), None)
}

/// A port whose port of the bus is free as well.
fn port_with_bus() -> u16 {
    for _ in 0..100 {
        // Far below those that the system gives to whoever wants any.
        let port = 12_000 + free_port() % 10_000;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + BUS) {
            return port;
        }
    }
    panic!("no two free ports");
}

fn follow(replica: &Server, master: &Server) {
    let id = master.client().run(&[b"CLUSTER", b"MYID"]).bytes();
    wait_for("the replica knows its master", || {
        let reply = replica.client().call(&[b"CLUSTER", b"REPLICATE", &id]);
        matches!(reply, Reply::Status(_))
    });
}

/// Waits until `is_so`, for a minute at most.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(60), "not so after 60 s: {what}");
        sleep(Duration::from_millis(50));
    }
}
