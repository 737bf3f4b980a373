//! One server, and a master with a replica.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use offkey_analysis::Open as _;
use offkey_fetch::{
    Access, Address, Gate, LiveNode, Networks, Preference, Role, Secret, Taking, Topology, discover,
};
use offkey_testkit::{Rng, Server, fill, wait_for};

use crate::data::{
    Writer, address, assert_left_alone, assert_same, chosen_servers, config, found, is_long, live,
    program, replica_count, told,
};

/// Diskless servers wait for more replicas, 5 s unless told otherwise.
const NO_DELAY: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

#[test]
fn backup_of_a_busy_server_is_what_it_says() {
    for (name, program) in chosen_servers() {
        let server = Server::start(&program, &NO_DELAY, None);
        let mut client = server.client();
        fill(&mut client, 11, 100);
        let (before, configured) = (told(&mut client), config(&mut client));
        let replicas = replica_count(&mut client);
        let writer = Writer::start(server.client());
        let folder = tempfile::tempdir().unwrap();
        let node = Arc::new(live(&server, Access::default()).keep_in(folder.path()));
        let (keys, input) = found(node.clone());
        assert_left_alone(&mut client, replicas, &name);
        drop(writer);
        assert_eq!(input.error, None, "{name}");
        assert!(input.complete && input.warnings.is_empty(), "{name}: {input:?}");
        assert_same(&keys, &before, &name);
        assert!(config(&mut client) == configured, "{name}: its settings were changed");

        // The file that is kept holds the same, and can be read again.
        assert!(node.can_open_again());
        let target = folder.path().join("dump.rdb");
        node.persist(&target, &input).unwrap();
        let again = Server::start(&program, &[], Some(&std::fs::read(&target).unwrap()));
        assert_eq!(told(&mut again.client()), before, "{name}");
    }
}

/// As the servers come: 7.0 and later send without a length, after keep-alives for 5 s.
#[test]
fn server_that_takes_its_time_is_waited_for() {
    let Some(program) = program("redis-7.0.15") else { return };
    let server = Server::start(&program, &[], None);
    fill(&mut server.client(), 12, 1);
    let since = Instant::now();
    let (keys, input) = found(Arc::new(live(&server, Access::default())));
    assert!(since.elapsed() > Duration::from_secs(4), "{:?}", since.elapsed());
    assert_eq!(input.error, None);
    assert_same(&keys, &told(&mut server.client()), "redis-7.0.15");
}

#[test]
fn user_with_the_least_rights_is_enough() {
    for (name, program) in chosen_servers() {
        let server = Server::start(&program, &NO_DELAY, None);
        let mut client = server.client();
        fill(&mut client, 13, 1);
        let rules = "ACL SETUSER backup on >sesame -@all +psync +sync +replconf +ping";
        let words: Vec<_> = rules.split(' ').map(str::as_bytes).collect();
        client.run(&words);
        let access = |user: &str, password: &str| Access {
            user: Some(user.to_owned()),
            password: Some(Secret::new(password)),
            ..Access::default()
        };
        let (_, input) = found(Arc::new(live(&server, access("backup", "sesame"))));
        assert_eq!(input.error, None, "{name}");
        let (_, input) = found(Arc::new(live(&server, access("backup", "wrong"))));
        let error = input.error.unwrap();
        assert!(error.contains("login refused: WRONGPASS"), "{name}: {error}");
        client.run(&[b"ACL", b"SETUSER", b"backup", b"-psync", b"-sync"]);
        let (_, input) = found(Arc::new(live(&server, access("backup", "sesame"))));
        let error = input.error.unwrap();
        assert!(error.contains("it needs +psync +sync"), "{name}: {error}");
        client.run(&[b"CONFIG", b"SET", b"requirepass", b"sesame"]);
        let (_, input) = found(Arc::new(live(&server, Access::default())));
        let error = input.error.unwrap();
        assert!(error.contains("wants a password"), "{name}: {error}");
    }
}

/// As managed services have it.
#[test]
fn server_that_knows_no_psync_is_told_with_the_alternatives() {
    let renamed = ["--rename-command", "PSYNC", "", "--rename-command", "SYNC", ""];
    for (name, program) in chosen_servers() {
        let server = Server::start(&program, &renamed, None);
        let folder = tempfile::tempdir().unwrap();
        let node = live(&server, Access::default()).keep_in(folder.path());
        let error = found(Arc::new(node)).1.error.unwrap();
        for part in ["the server lets no replica attach", "export a backup", "redis-cli --rdb"] {
            assert!(error.contains(part), "{name}: {error}");
        }
        assert_left_alone(&mut server.client(), 0, &name);
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "{name}");
    }
}

#[test]
fn replica_is_found_and_taken_where_it_should_be() {
    for (name, program) in chosen_servers() {
        replica_of(&name, &program);
    }
}

fn replica_of(name: &str, program: &Path) {
    let master = Server::start(program, &NO_DELAY, None);
    fill(&mut master.client(), 14, 20);
    let port = master.port().to_string();
    let follows = ["--replicaof", "127.0.0.1", &port];
    let replica = Server::start(program, &[&NO_DELAY[..], &follows].concat(), None);
    wait_for("the replica is online", || {
        let info = replica.client().run(&[b"INFO", b"replication"]).text();
        info.contains("master_link_status:up")
    });
    for entry in [&master, &replica] {
        let entry = address(entry);
        let (access, stop) = (Access::default(), Arc::new(AtomicBool::new(false)));
        let networks = Networks::default();
        wait_for("the master knows its replica", || {
            let topology = Topology::Single;
            let found =
                discover(std::slice::from_ref(&entry), &topology, &access, &networks, &stop);
            let [group] = found.unwrap().groups.try_into().unwrap();
            let roles: Vec<_> = group.nodes.iter().map(|node| node.role).collect();
            if roles != [Role::Master, Role::Replica] {
                return false;
            }
            let picked = group.pick(Preference::RequireReplica).unwrap();
            assert_eq!(picked.address, address(&replica));
            true
        });
    }
    let before = told(&mut master.client());
    let writer = Writer::start(master.client());
    let taking = Taking { require_replica: true, ..Taking::default() };
    let node = |server: &Server| {
        let node = LiveNode::new(address(server), Access::default(), taking, Gate::new(1, 1));
        found(Arc::new(node))
    };
    let (keys, input) = node(&replica);
    assert_eq!(input.error, None);
    assert_same(&keys, &before, name);
    assert_left_alone(&mut replica.client(), 0, name);
    assert_eq!(replica_count(&mut master.client()), 1);
    let error = node(&master).1.error.unwrap();
    assert!(error.contains("from replicas only, and this one says it is a master"), "{error}");
    drop(writer);
    drop(master);
    wait_for("the replica has lost its master", || {
        let info = replica.client().run(&[b"INFO", b"replication"]).text();
        info.contains("master_link_status:down")
    });
    let error = node(&replica).1.error.unwrap();
    assert!(error.contains("has lost its master: NOMASTERLINK"), "{error}");
}

#[test]
fn limit_on_the_rate_holds() {
    let Some(program) = program("redis-8.2.3") else { return };
    let server = Server::start(&program, &NO_DELAY, None);
    let mut client = server.client();
    for n in 0..200_u32 {
        let noise: Vec<u8> = (0..10_000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> (n % 24)).to_le_bytes()[0])
            .collect();
        client.run(&[b"SET", format!("key:{n}").as_bytes(), &noise]);
    }
    client.run(&[b"CONFIG", b"SET", b"rdbcompression", b"no"]);
    let taking = Taking { bytes_per_second: Some(1_000_000), ..Taking::default() };
    let node = LiveNode::new(address(&server), Access::default(), taking, Gate::new(1, 1));
    let since = Instant::now();
    let (keys, input) = found(Arc::new(node));
    assert_eq!((input.error, keys.len()), (None, 200));
    let took = since.elapsed().as_secs_f32();
    assert!((1.8..6.0).contains(&took), "2 MB at 1 MB/s took {took} s");
}

/// A line that breaks in the middle, again and again, leaves no replica behind.
#[test]
fn broken_line_leaves_the_server_alone() {
    for name in ["redis-6.2.5", "valkey-9.1.2"] {
        let Some(program) = program(name) else { continue };
        let server = Server::start(&program, &NO_DELAY, None);
        let mut client = server.client();
        fill(&mut client, 15, 300);
        let len = server.save().metadata().unwrap().len();
        let (len, mut rng) = (usize::try_from(len).unwrap(), Rng::new(7));
        let few = [0, 10, 40, 100, 200, 300, 1000, 20_000, 60_000].into_iter();
        let many = (0..1000).filter(|_| is_long());
        let many = many.map(|_| u64::try_from(rng.below(len)).unwrap());
        for at in few.chain(many) {
            let relay = cutting_relay(server.port(), at);
            let address = Address { host: "127.0.0.1".to_owned(), port: relay };
            let folder = tempfile::tempdir().unwrap();
            let node =
                LiveNode::new(address, Access::default(), Taking::default(), Gate::new(1, 1));
            let (_, input) = found(Arc::new(node.keep_in(folder.path())));
            assert!(input.error.is_some(), "{name}, {at}");
            assert_left_alone(&mut client, 0, &format!("{name}, {at}"));
            wait_for("nothing is kept", || {
                std::fs::read_dir(folder.path()).unwrap().next().is_none()
            });
        }
    }
}

/// Passes on one connection, and cuts it after `len` bytes from the server.
fn cutting_relay(port: u16, len: u64) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut ours, _) = listener.accept().unwrap();
        let mut theirs = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut from, mut to) = (ours.try_clone().unwrap(), theirs.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let mut left = len;
        let mut buf = [0; 4096];
        while left > 0 {
            let len = theirs.read(&mut buf).unwrap_or(0).min(usize::try_from(left).unwrap());
            if len == 0 || ours.write_all(&buf[..len]).is_err() {
                break;
            }
            left -= u64::try_from(len).unwrap();
        }
        for stream in [ours, theirs] {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    });
    relay
}
