//! What a real server says of its keys and of its memory, and what offkey says.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use offkey_analysis::memory::{Allocator, Profile};
use offkey_analysis::{Options, keys};
use offkey_testkit::{Client, Reply, Server, count_command};

/// Database and name.
pub(crate) type Name = (u64, Vec<u8>);

/// A key, by the server or by offkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) object_type: String,
    pub(crate) encoding: String,
    pub(crate) count: u64,
    pub(crate) memory_usage: u64,
}

/// A file as offkey reads it.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) keys: BTreeMap<Name, Told>,
    /// Bytes of all keys and of the lines beside them.
    pub(crate) bytes: u64,
    pub(crate) profile: String,
}

/// How a server is to be modelled, by its own answers.
pub(crate) fn options(client: &mut Client) -> Options {
    let info = client.run(&[b"INFO"]).text();
    let line =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let (valkey, version) = match line("valkey_version") {
        Some(version) => (true, version),
        None => (false, line("redis_version").unwrap()),
    };
    let allocator = match line("mem_allocator").unwrap() {
        "libc" => Allocator::Libc,
        name => jemalloc(name, &client.run(&[b"MEMORY", b"MALLOC-STATS"]).text()),
    };
    let profile = Some(Profile::for_server(valkey, version, 0));
    Options { profile, allocator, ..Options::default() }
}

/// Only jemalloc with a quantum of 8 has a class of 24 bytes; others have whole pages above
/// 14 KiB from 5.3.1 on.
fn jemalloc(name: &str, stats: &str) -> Allocator {
    let has_class =
        |len: &str| stats.lines().any(|line| line.split_whitespace().next() == Some(len));
    assert!(has_class("32"), "no size classes in MALLOC-STATS");
    match name {
        _ if has_class("24") => Allocator::Jemalloc,
        "jemalloc-5.3.1" => Allocator::JemallocQ16p,
        _ => Allocator::JemallocQ16,
    }
}

/// Growth of the server's memory since it started, once it stays the same: clients that were
/// there a moment ago may not be gone yet, and a table may be in the middle of a rehash.
pub(crate) fn growth(server: &Server) -> i64 {
    let mut client = server.client();
    while client.run(&[b"DEBUG", b"HTSTATS", b"0"]).text().contains("rehashing target") {
        sleep(Duration::from_millis(40));
    }
    let mut ask = || {
        sleep(Duration::from_millis(40));
        let info = client.run(&[b"INFO", b"memory"]).text();
        let number = |name: &str| -> i64 {
            let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.unwrap().parse().unwrap()
        };
        number("used_memory") - number("used_memory_startup")
    };
    let mut least = ask();
    let mut same_count = 0;
    for _ in 0..200 {
        let now = ask();
        same_count = if now < least { 0 } else { same_count + 1 };
        least = least.min(now);
        if same_count == 8 {
            break;
        }
    }
    least
}

/// Asks the server for all its keys.
pub(crate) fn ask(client: &mut Client) -> BTreeMap<Name, Told> {
    let mut told = BTreeMap::new();
    let info = client.run(&[b"INFO", b"keyspace"]).text();
    for db in info.lines().filter_map(|line| line.strip_prefix("db")?.split(':').next()) {
        client.run(&[b"SELECT", db.as_bytes()]);
        let names: Vec<Vec<u8>> =
            client.run(&[b"KEYS", b"*"]).array().into_iter().map(Reply::bytes).collect();
        let command = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect();
        let commands: Vec<_> = names.iter().map(|name| command(&[b"TYPE", name])).collect();
        let types: Vec<_> = client.call_all(&commands).into_iter().map(Reply::text).collect();
        let commands = names.iter().zip(&types).flat_map(|(name, object_type)| {
            [
                command(&[b"OBJECT", b"ENCODING", name]),
                command(&[count_command(object_type).as_bytes(), name]),
                command(&[b"MEMORY", b"USAGE", name, b"SAMPLES", b"0"]),
            ]
        });
        let commands: Vec<_> = commands.collect();
        let mut replies = client.call_all(&commands).into_iter();
        let db: u64 = db.parse().unwrap();
        for (name, object_type) in names.into_iter().zip(types) {
            let mut next = || replies.next().unwrap();
            let encoding = next().text();
            let mut number = || next().integer().cast_unsigned();
            let (count, memory_usage) = (number(), number());
            told.insert((db, name), Told { object_type, encoding, count, memory_usage });
        }
    }
    client.run(&[b"SELECT", b"0"]);
    told
}

/// What offkey says of a file; keys that expire before `now_ms` are left out.
pub(crate) fn model(file: &Path, options: &Options, now_ms: i64) -> Model {
    let mut model = Model::default();
    let mut bytes = 0;
    let ends = keys(file, options, &mut |facts| {
        if facts.expire_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            return ControlFlow::Continue(());
        }
        let told = Told {
            object_type: facts.object_type.to_string(),
            encoding: facts.encoding.to_string(),
            count: facts.num_of_elem,
            memory_usage: facts.memory_usage.unwrap(),
        };
        bytes += facts.bytes;
        model.keys.insert((facts.db, facts.key.to_vec()), told);
        ControlFlow::Continue(())
    });
    let input = &ends[0].input;
    assert_eq!(input.error, None);
    model.bytes = bytes + input.overhead.iter().map(|line| line.bytes).sum::<u64>();
    model.profile = input.profile.clone().unwrap();
    model
}
