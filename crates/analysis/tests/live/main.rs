//! Holds the memory model against live servers, on data that no formula was fitted to.
//!
//! The data are from a seed that is another one each time. `OFFKEY_LONG=1` takes more of them,
//! and the large files of `../shared/rdb`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops where something is not as it should be"
)]

mod compare;
mod data;
mod files;
mod told;

use std::collections::hash_map::RandomState;
use std::env;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use compare::{Comparison, Tally, compare};
use data::Data;
use offkey_analysis::memory::Allocator;
use offkey_testkit::{Server, fill, servers};

fn seed() -> u64 {
    let seed = match env::var("OFFKEY_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => RandomState::new().build_hasher().finish(),
    };
    println!("repeat with OFFKEY_SEED={seed}");
    seed
}

fn is_long() -> bool {
    env::var_os("OFFKEY_LONG").is_some()
}

fn scale() -> usize {
    if is_long() { 8 } else { 1 }
}

/// How many keys of a group may be off by what the server draws: levels of skip lists, shared
/// buckets, a table caught in a rehash; glibc's spare 16 bytes.
fn most_drawn(allocator: Allocator, group: &str, keys: u64) -> u64 {
    match (allocator, group) {
        (_, "zset skiplist" | "hash hashtable" | "set hashtable") => keys,
        (Allocator::Libc, "stream stream") => keys,
        (Allocator::Libc, _) => 3 + keys / 6,
        _ => 0,
    }
}

/// Prints and checks what has no bias: its sum is near.
fn assert_near(at: &str, allocator: Allocator, compared: &Comparison) {
    assert_eq!(compared.wrong, [""; 0], "{at}");
    for (group, tally) in &compared.groups {
        let Tally { keys, exact, real, error, worst, .. } = tally;
        println!("{at}, {group}: {exact} of {keys} equal, sum off by {error} of {real}");
        let most = most_drawn(allocator, group, *keys);
        assert!(keys - exact <= most, "{at}, {group}: {exact} of {keys} equal, {worst:?}");
        let bound = real / 100 + 2000;
        assert!(error.abs() <= bound, "{at}, {group}: {error} of {real}, {worst:?}");
    }
}

#[test]
fn memory_usage_is_what_the_server_says() {
    let seed = seed();
    for (name, program) in servers() {
        let server = Server::start(&program, &[], None);
        fill(&mut server.client(), seed, 10);
        Data::new(server.client(), seed).add_border_cases(30 * scale());
        let file = server.save();
        let fresh = Server::start(&program, &[], Some(&fs::read(&file).unwrap()));
        let mut client = fresh.client();
        let options = told::options(&mut client);
        let compared = compare(&told::model(&file, &options, 0), &told::ask(&mut client));
        assert_near(&name, options.allocator, &compared);
    }
}

#[test]
fn ordinary_data_are_as_the_server_says() {
    let seed = seed();
    for (name, program) in servers() {
        let server = Server::start(&program, &[], None);
        let empty = told::growth(&server);
        Data::new(server.client(), seed).add_usual_mix(scale());
        let file = server.save();
        let loaded = Server::start(&program, &[], Some(&fs::read(&file).unwrap()));
        let growth = told::growth(&loaded) - empty;
        let mut client = loaded.client();
        let options = told::options(&mut client);
        let model = told::model(&file, &options, 0);
        let compared = compare(&model, &told::ask(&mut client));
        assert_near(&name, options.allocator, &compared);

        let (exact, within) = compared.shares();
        let diff = model.bytes.cast_signed() - growth;
        println!("{name}: {exact:.2} % equal, {within:.2} % within a percent");
        println!("{name}: bytes and overhead off by {diff} of {growth}");
        // Of glibc's small blocks up to one in a hundred has 16 bytes more.
        let least = if options.allocator == Allocator::Libc { (98.5, 98.5) } else { (99.5, 99.8) };
        assert!(exact >= least.0 && within >= least.1, "{name}: {exact:.2} %, {within:.2} %");
        assert!(diff.abs() * 1000 <= growth * 6, "{name}: {diff} of {growth}");
    }
}

#[test]
fn older_files_are_as_a_newer_server_loads_them() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = i64::try_from(now.as_millis()).unwrap();
    for (name, program) in servers() {
        let server = Server::start(&program, &[], None);
        let options = told::options(&mut server.client());
        let written = fs::read(server.save()).unwrap();
        let mut read = 0;
        for file in files::files(is_long()) {
            let bytes = fs::read(&file).unwrap();
            if !files::is_read_by(&written, &bytes) {
                continue;
            }
            read += 1;
            let loaded = Server::start(&program, &[], Some(&bytes));
            let mut told = told::ask(&mut loaded.client());
            let mut model = told::model(&file, &options, now_ms);
            files::leave_out_dropped(&mut model.keys, &mut told);
            let compared = compare(&model, &told);
            let stem = file.file_stem().unwrap().display();
            assert_near(&format!("{stem} in {name}"), options.allocator, &compared);
        }
        assert!(read >= 5, "{name}: {read} files");
    }
}

/// Most per mille by which the sum of `bytes` may differ from what a server grows by.
fn growth_bound(kind: &str) -> i64 {
    if kind == data::FIELD_EXPIRY { 50 } else { 5 }
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
            let loaded = Server::start(&program, &[], Some(&fs::read(&file).unwrap()));
            let growth = told::growth(&loaded) - empty;
            let model = told::model(&file, &options, 0);
            let diff = model.bytes.cast_signed() - growth;
            println!("{name}, {}: off by {diff} of {growth} bytes", kind.name);
            let bound = growth * growth_bound(kind.name) / 1000;
            assert!(diff.abs() <= bound, "{name}, {}: {diff} of {growth}", kind.name);
        }
    }
}
