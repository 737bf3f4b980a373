//! Reports equal, byte for byte, those of a plain implementation that does everything the
//! slow way (`plain.rs`): over files of real servers, random files, damaged ones, and names
//! made to outgrow the table of prefixes; for any number of threads.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod plain;
mod tree;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use offkey_analysis::{LargestKeyPrefix, Options, PrefixNode, Report, SizeKind, analyze};
use offkey_testkit::{
    Dialect, Keyspace, RdbFile, Rng, Value, Workload, fixtures, mutate, value, write_workload,
};

/// A folder of its own for the files of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("offkey-oracle-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn workload(&self, name: &str, count: u64, seed: u64) -> PathBuf {
        let mut bytes = Vec::new();
        write_workload(Workload::named(name).unwrap(), count, seed, &mut bytes).unwrap();
        self.file(&format!("{name}-{count}-{seed}.rdb"), &bytes)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(report: &Report) -> String {
    serde_json::to_string_pretty(report).unwrap()
}

fn options(threads: usize) -> Options {
    Options { threads: Some(threads), now_ms: 1_700_000_000_000, ..Options::default() }
}

/// Reports of `paths` are the plain one's, for several numbers of threads.
fn assert_same(paths: &[PathBuf], with: impl Fn(Options) -> Options) -> Report {
    let (expected, _) = plain::analyze(paths, &with(options(1)));
    for threads in [1, 2, 5] {
        let found = analyze(paths, &with(options(threads)), &()).unwrap();
        assert_texts(&found, &expected, &format!("{paths:?}, {threads} threads"));
    }
    expected
}

fn assert_texts(found: &Report, expected: &Report, about: &str) {
    let (found, expected) = (text(found), text(expected));
    assert!(found == expected, "{about}: {}", first_difference(&found, &expected));
}

fn first_difference(found: &str, expected: &str) -> String {
    let cut = |line: &str| line.chars().take(120).collect::<String>();
    let mut lines = found.lines().zip(expected.lines()).enumerate();
    match lines.find(|(_, (a, b))| a != b) {
        Some((at, (a, b))) => format!("line {at} is {}, {} expected", cut(a), cut(b)),
        None => "one is longer".to_owned(),
    }
}

fn as_it_is(options: Options) -> Options {
    options
}

#[test]
fn files_of_real_servers() {
    let paths: Vec<PathBuf> = fixtures().into_iter().map(|fixture| fixture.path).collect();
    assert!(paths.len() > 20, "the fixtures are there");
    for path in &paths {
        assert_same(std::slice::from_ref(path), as_it_is);
    }
    let report = assert_same(&paths, as_it_is);
    assert!(report.complete);
}

#[test]
fn random_files_of_every_dialect() {
    let folder = Folder::new("dialects");
    let mut paths = Vec::new();
    for (number, dialect) in Dialect::ALL.iter().enumerate() {
        for seed in 0..4 {
            let keyspace = Keyspace::generate(seed * 100 + number as u64, *dialect, 200);
            let path = folder.file(&format!("{number}-{seed}.rdb"), &keyspace.bytes);
            assert_same(std::slice::from_ref(&path), as_it_is);
            paths.push(path);
        }
    }
    assert_same(&paths, as_it_is);
    for size in [SizeKind::MemoryUsage, SizeKind::Serialized] {
        assert_same(&paths[..9], |options| Options { size, ..options });
    }
    assert_same(&paths[..9], |options| Options {
        separators: b"/1".to_vec(),
        fold_digits: false,
        top: 3,
        prefixes: 2,
        checksum: false,
        ..options
    });
    let huge = folder.file("huge.rdb", &Keyspace::generate_huge(1).bytes);
    assert_same(&[huge], as_it_is);
}

#[test]
fn workloads() {
    let folder = Folder::new("workloads");
    let cases = [
        ("small", 20_000),
        ("mixed", 2000),
        ("big", 3),
        ("lzf", 3000),
        ("random", 300),
        ("uuid", 10_000),
        ("hash", 20_000),
        ("zset", 20_000),
        ("nodes", 20_000),
        ("string-lzf", 2),
    ];
    for (name, count) in cases {
        let paths: Vec<PathBuf> = (1..=2).map(|seed| folder.workload(name, count, seed)).collect();
        let report = assert_same(&paths, as_it_is);
        assert!(report.complete, "{name}");
    }
}

/// Files whose values are damaged while their framing is not.
#[test]
fn damaged_files() {
    let folder = Folder::new("damaged");
    let (mut tried, mut damaged) = (0, 0);
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let dialect = *rng.pick(Dialect::ALL);
        let bytes = Keyspace::generate_small(seed, dialect, 60).bytes;
        let bytes = mutate(&bytes, &mut rng);
        // The reader ends where the framing does: what comes before is another test's matter.
        let mut reader = offkey_rdb::Reader::new(&bytes[..], offkey_rdb::Options::default());
        let is_framed = reader.as_mut().is_ok_and(|reader| {
            loop {
                match reader.next_entry() {
                    Ok(offkey_rdb::Entry::End(offkey_rdb::Checksum::Wrong { .. })) | Err(_) => {
                        break false;
                    }
                    Ok(offkey_rdb::Entry::End(_)) => {
                        break reader
                            .bytes_after_end(&mut Vec::new())
                            .is_ok_and(|count| count == 0);
                    }
                    Ok(_) => {}
                }
            }
        });
        if is_framed {
            let path = folder.file("one.rdb", &bytes);
            damaged += assert_same(&[path], as_it_is).damaged_num;
            tried += 1;
        }
    }
    assert!(tried >= 20 && damaged >= 5, "{tried} files, {damaged} damaged keys");
}

/// A value that is checked after it was passed, by whichever thread has time: a compressed
/// string, or a packed blob that stays as it is.
fn checked_late(rng: &mut Rng) -> Value {
    let texts: Vec<String> = (0..rng.between(1, 40)).map(|i| format!("{i}:{}", i * 37)).collect();
    let pairs: Vec<(&str, &str)> = texts.iter().map(|text| (&**text, "value")).collect();
    match rng.below(5) {
        0 => value::set_listpack(&texts),
        1 => value::hash_listpack(&pairs),
        2 => value::list_quicklist_2(&texts, texts.len(), 1000),
        _ => value::string(texts.join(",").repeat(3)),
    }
}

/// Damage is told of the right keys in their order, though most of it is found when other
/// keys have been read.
#[test]
fn damage_found_late() {
    let folder = Folder::new("late");
    let mut damaged = 0;
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let one_bad_in = *rng.pick(&[2, 30, 1000]);
        let mut file = RdbFile::redis(11);
        file.aux("redis-ver", "7.2.4").select_db(0);
        for i in 0..rng.between(1, 3000) {
            let mut value = checked_late(&mut rng);
            let len = value.bytes.len();
            if rng.one_in(one_bad_in) && len > 20 {
                // Behind the lengths, so that the framing stays.
                let at = rng.between(len / 2, len - 1);
                value.bytes[at] ^= 1 << rng.below(8);
            }
            file.key(format!("late:{i}"), &value);
        }
        let path = folder.file("one.rdb", &file.finish());
        damaged += assert_same(&[path], as_it_is).damaged_num;
    }
    assert!(damaged > 1000, "{damaged} damaged keys");
}

/// Keys of a few heavy families among names that never come twice.
fn heavy_among_distinct(seed: u64, count: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut file = RdbFile::redis(10);
    file.select_db(0);
    for _ in 0..count {
        let mut name: String = (0..8).map(|_| char::from(b'a' + rng.below(20) as u8)).collect();
        if rng.one_in(3) {
            name = format!("heavy:{}:{name}", char::from(b'a' + rng.below(4) as u8));
        }
        let value = rng.text(20);
        file.key(format!("{name}:x").as_bytes(), &value::string(value));
    }
    file.finish()
}

#[test]
fn proven_lists_are_those_of_unbounded_memory() {
    let folder = Folder::new("proven");
    let paths: Vec<PathBuf> = (1..=3)
        .map(|seed| folder.file(&format!("{seed}.rdb"), &heavy_among_distinct(seed, 30_000)))
        .collect();
    for paths in [&paths[..1], &paths[..]] {
        let few = |options| Options { prefixes: 5, prefix_memory: 200_000, ..options };
        let (expected, _) = plain::analyze(paths, &few(options(1)));
        let mut reports = Vec::new();
        for threads in [1, 2, 5] {
            let mut found = analyze(paths, &few(options(threads)), &()).unwrap();
            assert!(found.prefix_exactness.counts_exact && found.prefix_exactness.lists_complete);
            assert!(!found.prefix_exactness.unlisted_at_most.is_empty(), "memory was too small");
            reports.push(text(&found));
            assert!(found.prefix_exactness.without_expiry_complete);
            found.prefix_exactness = expected.prefix_exactness.clone();
            assert_part_of(&found.prefix_tree, &expected.prefix_tree);
            found.prefix_tree = expected.prefix_tree.clone();
            assert_texts(&found, &expected, "bounded memory");
        }
        assert!(reports.iter().all(|report| *report == reports[0]), "threads change nothing");
    }
}

/// What is in the tree of bounded memory has the figures that it has without bounds.
fn assert_part_of(found: &[PrefixNode], expected: &[PrefixNode]) {
    let named = |nodes: &[PrefixNode]| -> HashMap<String, (u64, u64, u64)> {
        let mut names: Vec<String> = Vec::new();
        for node in nodes {
            let above = node.parent.map_or("", |parent| names[parent].as_str());
            names.push(format!("{above}{}", node.segment));
        }
        let figures = nodes.iter().map(|n| (n.num, n.bytes, n.no_expiry_bytes));
        names.into_iter().zip(figures).collect()
    };
    let (found, expected) = (named(found), named(expected));
    assert!(found.contains_key("heavy:a"), "the tree has the leading prefixes");
    for (name, figures) in found.iter().filter(|(name, _)| expected.contains_key(*name)) {
        assert_eq!(expected[name], *figures, "{name}");
    }
}

/// Where the lists cannot be proven the report says so, its numbers are exact, and nothing
/// that it does not list has more than it says.
fn assert_bounded(paths: &[PathBuf], prefix_memory: usize) {
    let bounded = |options| Options { prefix_memory, ..options };
    let (expected, prefixes) = plain::analyze(paths, &bounded(options(1)));
    let mut reports = Vec::new();
    for threads in [1, 2, 5] {
        let mut found = analyze(paths, &bounded(options(threads)), &()).unwrap();
        reports.push(text(&found));
        let exactness = found.prefix_exactness.clone();
        assert!(exactness.counts_exact, "{paths:?}: a second pass counted");
        assert!(!exactness.unlisted_at_most.is_empty(), "{paths:?}: memory was too small");
        let numbers: HashMap<(String, String), plain::Total> = (prefixes.iter())
            .map(|((t, p), total)| ((t.to_string(), String::from_utf8(p.clone()).unwrap()), *total))
            .collect();
        for list in [&found.largest_key_prefixes, &found.largest_key_prefixes_by_bytes] {
            let is_listed = |t: &str, p: &str| {
                list.iter().any(|listed| listed.r#type == t && listed.key_prefix == p)
            };
            for LargestKeyPrefix { key_prefix, r#type, bytes, num, .. } in list {
                let total = plain::Total { num: *num, bytes: *bytes };
                assert_eq!(numbers[&(r#type.clone(), key_prefix.clone())], total, "{key_prefix}");
            }
            for floor in &exactness.unlisted_at_most {
                let last = list.iter().rfind(|listed| listed.r#type == floor.r#type);
                let shown = last.map_or(0, |last| last.num);
                for ((t, p), total) in numbers.iter().filter(|((t, _), _)| *t == floor.r#type) {
                    // A prefix at hand may have more and be beyond the list's end.
                    let at_most = floor.num.max(shown);
                    assert!(is_listed(t, p) || total.num <= at_most, "{t} {p}: {total:?}");
                }
            }
        }
        found.prefix_exactness = expected.prefix_exactness.clone();
        found.largest_key_prefixes = expected.largest_key_prefixes.clone();
        found.largest_key_prefixes_by_bytes = expected.largest_key_prefixes_by_bytes.clone();
        found.key_prefixes_without_expiry = expected.key_prefixes_without_expiry.clone();
        found.prefix_tree = expected.prefix_tree.clone();
        assert_texts(&found, &expected, "what prefixes do not concern");
    }
    assert!(reports.iter().all(|report| *report == reports[0]), "threads change nothing");
}

/// Names that never come twice, in two databases, some of damaged values.
fn distinct_and_damaged() -> Vec<u8> {
    let mut rng = Rng::new(3);
    let mut file = RdbFile::redis(11);
    file.aux("redis-ver", "7.2.4");
    for db in 0..2 {
        file.select_db(db);
        for _ in 0..10_000 {
            let mut value = checked_late(&mut rng);
            let len = value.bytes.len();
            if rng.one_in(500) && len > 20 {
                value.bytes[rng.between(len / 2, len - 1)] ^= 1;
            } else if rng.one_in(2) {
                value = value::string("plain");
            }
            let name: String = (0..8).map(|_| char::from(b'a' + rng.below(20) as u8)).collect();
            file.key(format!("{name}:x"), &value);
        }
    }
    file.finish()
}

#[test]
fn names_made_to_outgrow_the_table() {
    let folder = Folder::new("adversarial");
    let distinct = folder.workload("distinct", 40_000, 1);
    let other = folder.workload("uuid", 20_000, 2);
    // A hundredth of a million prefixes that come equally often.
    let mut uniform = RdbFile::redis(10);
    uniform.select_db(0);
    for number in 0..50_000u64 {
        let family = number % 10_000;
        let letters: String =
            (0..4).map(|i| char::from(b'a' + (family / 12u64.pow(i) % 12) as u8)).collect();
        uniform.key(format!("{letters}:{number}").as_bytes(), &value::string("v"));
    }
    let uniform = folder.file("uniform.rdb", &uniform.finish());
    let damaged = folder.file("damaged.rdb", &distinct_and_damaged());
    for paths in [
        vec![distinct.clone()],
        vec![uniform.clone()],
        vec![damaged.clone()],
        vec![distinct, uniform, damaged, other],
    ] {
        assert_bounded(&paths, 100_000);
    }
}

#[test]
fn a_prefix_for_each_type_and_keys_of_many_levels() {
    let folder = Folder::new("levels");
    let types = folder.workload("types", 50, 1);
    assert_same(&[types], as_it_is);
    let levels = folder.workload("levels", 1, 1);
    assert_same(&[levels.clone(), levels], as_it_is);
    let mut file = RdbFile::redis(10);
    file.select_db(0);
    let deep = "a:".repeat(500_000);
    for name in ["", ":", "::", "a", "1", ":a", "a:", "a::b", "a:b;c,d_e-f g", "7:8", &deep] {
        file.key(name.as_bytes(), &value::string("v"));
        file.key(format!("{name}x:{name}").as_bytes(), &value::list(&["e"]));
    }
    assert_same(&[folder.file("odd.rdb", &file.finish())], as_it_is);
}
