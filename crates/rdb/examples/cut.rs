//! Cuts fixtures out of bigger files: `cargo run -p offkey-rdb --example cut -- DIR NAME...`
//!
//! Takes `DIR/NAME.rdb` and `DIR/NAME.truth.jsonl.gz` and writes `testdata/NAME.rdb` and
//! `.json`: everything before the first key, then a few keys of each type, byte by byte as
//! they are, and a checksum that fits.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for whoever makes fixtures")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;

use offkey_rdb::{Checksum, Entry, Options, RdbType, Reader, Skip};
use offkey_testkit::{Truth, crc64, read_truth, repo_path, write_answers};
use serde_json::Value;

/// Keys of one type and database that are kept.
const KEYS_MAX: usize = 6;
/// Longest value that is kept, and longest where there is none of its type yet.
const VALUE_LEN_MAX: u64 = 2000;
const FIRST_LEN_MAX: u64 = 20_000;

fn main() {
    let mut args = env::args().skip(1);
    let dir = args.next().unwrap();
    for name in args {
        cut(Path::new(&dir), &name);
    }
}

fn cut(dir: &Path, name: &str) {
    let bytes = fs::read(dir.join(format!("{name}.rdb"))).unwrap();
    let mut out = Vec::new();
    let mut kept = BTreeSet::new();
    let mut of_type: BTreeMap<(u64, RdbType, bool), usize> = BTreeMap::new();
    let mut reader = Reader::new(&*bytes, Options::default()).unwrap();
    let range = |from: u64, to: u64| {
        bytes.get(usize::try_from(from).unwrap()..usize::try_from(to).unwrap()).unwrap()
    };
    out.extend_from_slice(range(0, reader.at()));
    let checksum = loop {
        let at = reader.at();
        match reader.next_entry().unwrap() {
            Entry::End(checksum) => break checksum,
            Entry::Key(key) => {
                let name = reader.key().to_vec();
                let value = reader.value(&mut Skip).unwrap();
                let count = of_type.entry((key.db, key.rdb_type, key.expire_at_ms.is_some()));
                let count = count.or_default();
                let len_max = if *count == 0 { FIRST_LEN_MAX } else { VALUE_LEN_MAX };
                if value.serialized_len <= len_max && *count < KEYS_MAX {
                    *count += 1;
                    out.extend_from_slice(range(at, reader.at()));
                    kept.insert((key.db, name));
                }
            }
            Entry::HashTemplate { .. } => {
                reader.value(&mut Skip).unwrap();
                out.extend_from_slice(range(at, reader.at()));
            }
            _ => out.extend_from_slice(range(at, reader.at())),
        }
    };
    out.push(0xff);
    if checksum != Checksum::Absent {
        out.extend(crc64(&out).to_le_bytes());
    }
    let info = fs::read_to_string(dir.join(format!("{name}.info.json"))).unwrap_or_default();
    let info: Value = serde_json::from_str(&info).unwrap_or_default();
    let allocator = info.pointer("/original/info/mem_allocator").and_then(Value::as_str);
    let allocator = allocator.unwrap_or_default();
    let mut truth: Vec<Truth> = read_truth(&dir.join(format!("{name}.rdb")));
    truth.retain(|line| kept.contains(&(line.db, line.key.clone())));
    println!("{name}: {} keys, {} bytes", truth.len(), out.len());
    let name = name.trim_end_matches("-main").trim_end_matches("-small");
    let answers = write_answers(name, allocator, &truth);
    fs::write(repo_path(format!("testdata/{name}.rdb")), out).unwrap();
    fs::write(repo_path(format!("testdata/{name}.json")), answers).unwrap();
}
