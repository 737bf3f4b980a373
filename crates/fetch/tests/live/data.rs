//! Data that stays, data that moves, and what both sides say of it.

use std::collections::BTreeMap;
use std::env;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use offkey_analysis::{Input, InputInfo, Open, Options, keys};
use offkey_fetch::{Access, Address, Gate, LiveNode, Taking};
use offkey_testkit::{Client, Server, ask, servers};

/// Prefix of keys that are written during the backup.
const MOVING: &[u8] = b"moving:";

/// Type, number of elements and expiry of each key that stays, by database and name.
pub(crate) type Keys = BTreeMap<(u64, Vec<u8>), (String, u64, Option<i64>)>;

/// The servers to test with: four in the usual run, all that are installed in a long one.
pub(crate) fn chosen_servers() -> Vec<(String, PathBuf)> {
    let usual = ["redis-6.2.5", "redis-7.0.15", "redis-8.2.3", "valkey-9.1.2"];
    let mut found = servers();
    found.retain(|(name, _)| is_long() || usual.contains(&name.as_str()));
    found
}

/// Whether this is a long run.
pub(crate) fn is_long() -> bool {
    env::var_os("OFFKEY_LONG").is_some()
}

/// The program of one server, if it is installed.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    servers().into_iter().find(|(found, _)| found == name).map(|(_, program)| program)
}

pub(crate) fn address(server: &Server) -> Address {
    Address { host: "127.0.0.1".to_owned(), port: server.port() }
}

pub(crate) fn live(server: &Server, access: Access) -> LiveNode {
    LiveNode::new(address(server), access, Taking::default(), Gate::new(2, 2))
}

/// What the server says of the keys that stay.
pub(crate) fn told(client: &mut Client) -> Keys {
    let told = ask(client).into_iter().filter(|truth| !truth.key.starts_with(MOVING));
    told.map(|truth| {
        // Old servers tell only how long is left, which is not exact.
        let expiry = truth.pexpireat.filter(|at| *at >= 0);
        ((truth.db, truth.key), (truth.object_type, truth.count.unwrap(), expiry))
    })
    .collect()
}

/// What the analysis says of them.
pub(crate) fn found(open: Arc<dyn Open>) -> (Keys, InputInfo) {
    let mut found = Keys::new();
    let ends = keys(Input::Open(open), &Options::default(), &mut |facts| {
        if !facts.key.starts_with(MOVING) {
            let is = (facts.object_type.to_string(), facts.num_of_elem, facts.expire_at_ms);
            assert_eq!(found.insert((facts.db, facts.key.to_vec()), is), None);
        }
        ControlFlow::Continue(())
    });
    let [end] = ends.try_into().unwrap();
    (found, end.input)
}

/// Compares without expiries, which old servers do not tell exactly.
pub(crate) fn assert_same(found: &Keys, told: &Keys, what: &str) {
    assert!(told.len() > 100, "{what}: {} keys", told.len());
    let names = |keys: &Keys| keys.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(told), "{what}");
    for (name, told) in told {
        let (object_type, count, expiry) = &found[name];
        assert_eq!((object_type, count), (&told.0, &told.1), "{what}: {name:?}");
        assert!(told.2.is_none() || told.2 == *expiry, "{what}: {name:?}");
    }
}

/// Writes without pause until it is dropped.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(mut client: Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut number = 0_u64;
            while !seen.load(Ordering::Relaxed) {
                number += 1;
                // One tag, so that a cluster keeps them on one node; others answer MOVED.
                let key = format!("moving:{{tag}}:{}", number % 5000);
                client.call(&[b"SET", key.as_bytes(), &[b'x'; 200]]);
                client.call(&[b"RPUSH", b"moving:{tag}:list", key.as_bytes()]);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Replicas that the server says it has.
pub(crate) fn replica_count(client: &mut Client) -> u64 {
    let info = client.run(&[b"INFO", b"replication"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix("connected_slaves:"));
    line.unwrap().trim().parse().unwrap()
}

/// Waits for at most two seconds until the server has as many replicas as before.
pub(crate) fn assert_left_alone(client: &mut Client, before: u64, what: &str) {
    let since = Instant::now();
    while replica_count(client) != before {
        assert!(since.elapsed() < Duration::from_secs(2), "{what}: a replica is left");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What `CONFIG GET *` says, whose order is another each time.
pub(crate) fn config(client: &mut Client) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let words = client.run(&[b"CONFIG", b"GET", b"*"]).array();
    words.chunks(2).map(|pair| (pair[0].clone().bytes(), pair[1].clone().bytes())).collect()
}
