//! Real servers: what they write is read as they say, and what the test kit writes they read.
//!
//! Runs on the servers that `scripts/servers` has installed; with `OFFKEY_SERVERS=required`
//! there must be some.

use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use offkey_rdb::{Checksum, Flavor, Header};
use offkey_testkit::{Dialect, Keyspace, Server, Truth, ask, fill, fill_expired, servers};

use crate::outcome::{assert_truth, read};

#[test]
fn written_by_a_server_read_as_it_says() {
    for (name, program) in servers() {
        let server = Server::start(&program, &[], None);
        let mut client = server.client();
        fill(&mut client, 7, 40);
        let mut truth = ask(&mut client);
        // The server counts idle time, but its file says it only under an LRU policy.
        truth.iter_mut().for_each(|key| key.idle = None);
        truth.extend(fill_expired(&mut client));
        let bytes = fs::read(server.save()).unwrap();

        let outcome = read(&*bytes);
        assert_eq!(outcome.end.unwrap(), Checksum::Right, "{name}");
        assert_truth(&name, &outcome.keys, &truth);
        println!("{name}: {} keys in {} bytes as the server says", truth.len(), bytes.len());
    }
}

/// Whether a server that writes such files also loads those of `dialect`.
fn loads(own: Header, dialect: Dialect) -> bool {
    const VALKEY_READS_REDIS_TO: u16 = 11;
    match (own.flavor, dialect) {
        (Flavor::Redis, Dialect::Redis(version)) => version <= own.version,
        (Flavor::Redis, Dialect::Valkey(_)) => false,
        (Flavor::Valkey, Dialect::Redis(version)) => version <= VALKEY_READS_REDIS_TO,
        (Flavor::Valkey, Dialect::Valkey(version)) => version == own.version,
    }
}

#[test]
fn written_by_the_test_kit_loaded_by_servers() {
    for (name, program) in servers() {
        let empty = Server::start(&program, &[], None);
        let own = read(&*fs::read(empty.save()).unwrap()).header.unwrap();
        for dialect in Dialect::ALL.iter().filter(|dialect| loads(own, **dialect)) {
            let keyspace = Keyspace::generate_without_modules(5, *dialect, 300);
            let server = Server::start(&program, &[], Some(&keyspace.bytes));
            let truth = ask(&mut server.client());
            assert_loaded(&format!("{name}, {dialect:?}"), &keyspace, &truth);
            println!("{name}: {} keys of {dialect:?} loaded", truth.len());
        }
        if loads(own, Dialect::Redis(11)) {
            let keyspace = Keyspace::generate_huge(1);
            let server = Server::start(&program, &[], Some(&keyspace.bytes));
            assert_loaded(&format!("{name}, huge"), &keyspace, &ask(&mut server.client()));
        }
    }
}

/// Holds the keys that were written, but for those expired since, against those loaded.
fn assert_loaded(file: &str, keyspace: &Keyspace, truth: &[Truth]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let now = i64::try_from(now).unwrap();
    let mut loaded: BTreeMap<_, _> =
        truth.iter().map(|line| ((line.db, line.key.clone()), line)).collect();
    for key in &keyspace.keys {
        let name = format!("{file}: db {}, key {}", key.db, key.key.escape_ascii());
        let line = loaded.remove(&(key.db, key.key.clone()));
        if key.expire_at_ms.is_some_and(|at| at < now) {
            assert!(line.is_none(), "{name}: expired");
            continue;
        }
        let line = line.unwrap_or_else(|| panic!("{name}, type {}: not loaded", key.type_byte));
        assert_eq!(line.object_type, key.object_type, "{name}");
        assert_eq!(line.count, Some(key.count), "{name}, type {}", key.type_byte);
        let (expire, near) = (key.expire_at_ms.unwrap_or(-1), line.pexpireat_approx);
        match line.pexpireat {
            Some(exact) => assert_eq!(exact, expire, "{name}"),
            None => assert!((near.unwrap() - expire).abs() <= 2000, "{name}"),
        }
    }
    assert!(loaded.is_empty(), "{file}: {loaded:?} were not written");
}
