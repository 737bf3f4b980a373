//! Files meant to break a reader, where they are at hand: each ends as its manifest says.

use std::fs::{self, File};

use offkey_rdb::{Checksum, ErrorKind};
use offkey_testkit::shared_path;
use serde_json::Value;

use crate::outcome::{Outcome, read};

/// A file of the manifest, what it says of it, and how it was read.
struct Case {
    name: String,
    entry: Value,
    outcome: Outcome,
}

impl Case {
    fn describe(&self) -> String {
        let Outcome { keys, end, .. } = &self.outcome;
        let damage: Vec<_> = self.outcome.damaged().filter_map(|key| key.damage.as_ref()).collect();
        let end = end.as_ref().map_err(ToString::to_string);
        format!("{}: {} keys, damage {damage:?}, {end:?}", self.name, keys.len())
    }
}

fn cases(folder: &str) -> Vec<Case> {
    let Some(path) = shared_path(format!("hostile/{folder}.json")) else {
        println!("hostile/{folder} is not at hand");
        return Vec::new();
    };
    let entries: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let case = |entry: Value| {
        let name = entry["file"].as_str().unwrap().to_owned();
        let path = shared_path(format!("hostile/{folder}/{name}"))
            .or_else(|| shared_path(format!("hostile/{folder}/{name}.rdb")));
        let outcome = read(File::open(path.unwrap()).unwrap());
        Case { name, entry, outcome }
    };
    entries.into_iter().map(case).collect()
}

/// Files whose manifest is mistaken: legal ones that it calls damaged.
const LEGAL: &[&str] = &["e01_lp_set_odd.rdb", "e02_ql2_odd.rdb", "e02_ql2_n_unknown.rdb"];
/// Files that it accepts, but whose rows are not whole.
const DAMAGED: &[&str] = &["e01_lp_hashex_n_unknown.rdb", "e01_lp_hashex0_n_unknown.rdb"];

#[test]
fn files_end_as_their_manifest_says() {
    for case in cases("files") {
        let expect = case.entry["expect"].as_str().unwrap();
        let outcome = &case.outcome;
        let is_contained = outcome.end.is_ok()
            && outcome.damaged().count() == 1
            && outcome.keys.last().is_some_and(|key| key.name == b"after");
        let mentions = |text: &str| expect.contains(text);
        let is_right = if LEGAL.contains(&&*case.name) {
            outcome.is_complete()
        } else if DAMAGED.contains(&&*case.name) {
            is_contained
        } else if mentions("next keys still read") || mentions("continue") {
            is_contained || mentions("254 = unknown is legal") && outcome.is_complete()
        } else if let Some(accepted) = expect.split_once(": accept; other: error") {
            outcome.is_complete() == case.name.contains(accepted.0)
        } else if mentions("accept or") || mentions("accept with") || mentions("accept counting") {
            outcome.end.is_ok()
        } else if mentions("or accept") {
            true
        } else if expect.starts_with("accept") || expect.starts_with("warning") {
            outcome.is_complete()
        } else if expect.contains("error") {
            !outcome.is_complete()
        } else {
            // The rest asks for bounds and flags, which other tests look at.
            outcome.end.is_ok() || expect == "same"
        };
        assert!(is_right, "expected {expect}: {}", case.describe());
    }
}

#[test]
fn payloads_of_redis_tests_are_reported() {
    let cases = cases("redis-payloads");
    let is_bad = |case: &&Case| !case.entry["redis_expectation"].as_str().unwrap().contains("any");
    for case in cases.iter().filter(is_bad) {
        assert!(!case.outcome.is_complete(), "{}", case.describe());
        assert_eq!(case.outcome.keys[0].name, b"before", "{}", case.describe());
    }
    let has_next = |case: &&Case| case.outcome.keys.iter().any(|key| key.name == b"after");
    let (bad, next) =
        (cases.iter().filter(is_bad).count(), cases.iter().filter(is_bad).filter(has_next).count());
    println!("{bad} bad payloads, the key after {next} of them is read");
    assert!(next * 10 >= bad * 8, "the key after {next} of {bad} is read");
}

/// Files of servers in every state that is not the usual one.
#[test]
fn odd_files_of_servers_end_as_their_names_say() {
    for folder in ["redis-6.2.5", "redis-7.0.15", "redis-8.2.3", "valkey-9.1.2"] {
        let Some(dir) = shared_path(format!("rdb/misc-{folder}")) else {
            println!("rdb/misc-{folder} is not at hand");
            continue;
        };
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let outcome = read(File::open(&path).unwrap());
            let keys = outcome.keys.len();
            let end = outcome.end.as_ref().map_err(|error| error.kind());
            let is_right = match name.trim_end_matches(".rdb") {
                "nochecksum" => end == Ok(&Checksum::Disabled) && keys > 0,
                "bad-crc" => matches!(end, Ok(Checksum::Wrong { .. })) && keys > 0,
                "bitflip-middle" => !outcome.is_complete() && keys > 0,
                "bad-magic" | "future-version" => end == Err(ErrorKind::Unsupported),
                "zero-length" => end == Err(ErrorKind::Truncated),
                "truncated-half" | "truncated-no-eof" => {
                    end == Err(ErrorKind::Truncated) && keys > 0
                }
                "empty" | "empty-with-functions" | "redis-cli--functions-rdb" => {
                    end == Ok(&Checksum::Right) && keys == 0
                }
                _ if name.contains(".incr.")
                    || !name.contains(".rdb") && !name.ends_with("aof") =>
                {
                    end == Err(ErrorKind::Unsupported)
                }
                _ => end == Ok(&Checksum::Right) && keys > 0,
            };
            assert!(is_right, "misc-{folder}/{name}: {keys} keys, {end:?}");
        }
    }
}
