//! Holds the memory model against live servers, on data that no formula was fitted to.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops where something is not as it should be"
)]

mod compare;
mod data;
mod told;

use std::collections::hash_map::RandomState;
use std::env;
use std::fs;
use std::hash::{BuildHasher, Hasher};

use compare::Tally;
use data::Data;
use offkey_testkit::{Server, fill, servers};

fn seed() -> u64 {
    let seed = match env::var("OFFKEY_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => RandomState::new().build_hasher().finish(),
    };
    println!("repeat with OFFKEY_SEED={seed}");
    seed
}

fn scale() -> usize {
    if env::var_os("OFFKEY_LONG").is_some() { 20 } else { 1 }
}

/// Whether the server draws the sizes of such keys: levels of skip lists, shared buckets, a
/// table caught in a rehash, glibc's spare 16 bytes.
fn is_drawn(server: &str, group: &str) -> bool {
    let is_libc = server.starts_with("valkey") || server == "redis-5.0.6";
    is_libc || matches!(group, "zset skiplist" | "hash hashtable" | "set hashtable")
}

#[test]
fn memory_usage_is_what_the_server_says() {
    let seed = seed();
    for (name, program) in servers() {
        let server = Server::start(&program, &[], None);
        fill(&mut server.client(), seed, 10);
        Data::new(server.client(), seed).add_border_cases(30 * scale());
        let file = server.save();
        let bytes = fs::read(&file).unwrap();
        let fresh = Server::start(&program, &[], Some(&bytes));
        let mut client = fresh.client();
        let options = told::options(&mut client);
        let real = told::ask(&mut client);
        let model = told::model(&file, &options, 0);
        let compared = compare::compare(&model, &real);
        assert_eq!(compared.wrong, [""; 0], "{name}");
        for (group, tally) in &compared.groups {
            let Tally { keys, exact, real, error, worst } = tally;
            println!("{name}, {group}: {exact} of {keys} equal, sum off by {error} of {real}");
            if is_drawn(&name, group) {
                // What is drawn has no bias: the sum is near.
                let bound = real / 50 + 2000;
                assert!(error.abs() < bound, "{name}, {group}: {error} of {real}, {worst:?}");
            } else {
                assert_eq!(exact, keys, "{name}, {group}: {worst:?}");
            }
        }
    }
}

/// Most per mille by which the sum of `bytes` may differ from what a server grows by.
fn growth_bound(server: &str, kind: &str) -> i64 {
    match kind {
        data::FIELD_EXPIRY => 50,
        // Trees of pending entries are built by realloc, which leaves glibc's spare bytes.
        "streams with groups" if is_drawn(server, kind) => 10,
        _ => 5,
    }
}

#[test]
fn sum_of_bytes_is_what_the_server_grows_by() {
    let seed = seed();
    for (name, program) in servers() {
        let server = Server::start(&program, &[], None);
        let empty = told::growth(&server);
        let mut client = server.client();
        let options = told::options(&mut client);
        let kinds: Vec<_> = Data::new(server.client(), seed).kinds().collect();
        for kind in kinds {
            client.run(&[b"FLUSHALL"]);
            Data::new(server.client(), seed).add_many(kind, kind.keys * scale());
            let file = server.save();
            let bytes = fs::read(&file).unwrap();
            let loaded = Server::start(&program, &[], Some(&bytes));
            let growth = told::growth(&loaded) - empty;
            let model = told::model(&file, &options, 0);
            let diff = model.bytes.cast_signed() - growth;
            println!("{name}, {}: off by {diff} of {growth} bytes", kind.name);
            let bound = growth * growth_bound(&name, kind.name) / 1000;
            assert!(diff.abs() <= bound, "{name}, {}: {diff} of {growth}", kind.name);
        }
    }
}
