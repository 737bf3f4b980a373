//! Runs the real binary: what it prints, where, and its exit status.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use offkey_testkit::{RdbFile, value};
use serde_json::Value as Json;
use tempfile::TempDir;

/// A folder of a test, and the binary run in it.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offkey"));
        command.args(args).current_dir(self.0.path());
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        Run(self.command(args).output().unwrap())
    }
}

struct Run(Output);

impl Run {
    fn status(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }

    fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }

    fn json(&self) -> Json {
        serde_json::from_str(self.stdout()).unwrap()
    }
}

/// Five keys in two databases.
fn shop() -> Vec<u8> {
    let mut file = RdbFile::redis(10);
    file.aux("redis-ver", "7.0.15").aux("ctime", "1764000000").aux("used-mem", "1048576");
    file.select_db(0)
        .key("user:1:name", &value::string("Ada"))
        .key("user:2:name", &value::string("Bob"));
    file.expire_at_ms(4_000_000_000_000)
        .key("cart:1", &value::hash_listpack(&[("lamp", "1"), ("rug", "2")]));
    file.select_db(3).key("tags", &value::set(&["a", "b", "c"])).key("queue", &value::list(&["x"]));
    file.finish()
}

/// `shop`, cut inside the value of `queue`.
fn cut_shop() -> Vec<u8> {
    let bytes = shop();
    bytes[..bytes.len() - 10].to_vec()
}

/// A set's intset that announces more members than it holds, between two good keys.
fn damaged(count: usize) -> Vec<u8> {
    let mut file = RdbFile::redis(10);
    file.select_db(0).key("before", &value::string("1"));
    for number in 0..count {
        let mut intset = value::set_intset(&[1, 2, 3]);
        intset.bytes[5] = 200; // Of the length, behind the string's length and the width.
        file.key(format!("bad:{number}"), &intset);
    }
    file.key("after", &value::string("2"));
    file.finish()
}

fn names(rows: &Json, field: &str) -> Vec<String> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn report_goes_to_a_pipe_as_json() {
    let bench = Bench::new();
    bench.file("shop.rdb", &shop());
    let run = bench.run(&["analyze", "shop.rdb"]);
    assert_eq!((run.status(), run.stderr()), (0, ""));
    let report = run.json();
    assert_eq!(report["total_num"], 5);
    assert_eq!(report["complete"], true);
    assert_eq!(report["checksum"], "right");
    assert_eq!(report["damaged"], Json::Array(Vec::new()));
    assert_eq!(report["inputs"][0]["file"], "shop.rdb");
    assert_eq!(report["inputs"][0]["server_version"], "7.0.15");
    assert_eq!(report["inputs"][0]["used_mem"], 1_048_576);
    let mut keys = names(&report["largest_keys"], "key");
    keys.sort();
    assert_eq!(keys, ["cart:1", "queue", "tags", "user:1:name", "user:2:name"]);
    let cart = report["largest_keys"].as_array().unwrap().iter().find(|key| key["key"] == "cart:1");
    let cart = cart.unwrap();
    assert_eq!(cart["type"], "hash");
    assert_eq!(cart["num_of_elem"], 2);
    assert_eq!(cart["expire_at_ms"], 4_000_000_000_000_i64);
    assert!(names(&report["largest_key_prefixes"], "key_prefix").contains(&"user:0".to_owned()));
    let sum = |rows: &Json, field: &str| -> u64 {
        rows.as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum()
    };
    assert_eq!(sum(&report["type_num"], "num"), 5);
    assert_eq!(sum(&report["type_bytes"], "bytes"), report["total_bytes"].as_u64().unwrap());
}

#[test]
fn options_shape_the_report() {
    let bench = Bench::new();
    bench.file("shop.rdb", &shop());
    let report = bench.run(&["analyze", "--top", "2", "--prefixes", "0", "shop.rdb"]).json();
    assert_eq!(report["largest_keys"].as_array().unwrap().len(), 2);
    assert_eq!(report["largest_key_prefixes"].as_array().unwrap().len(), 0);
    assert_eq!(report["total_num"], 5);
    let report =
        bench.run(&["analyze", "--no-fold-digits", "--separators", ":", "shop.rdb"]).json();
    let prefixes = names(&report["largest_key_prefixes"], "key_prefix");
    assert!(prefixes.contains(&"user:1".to_owned()) && prefixes.contains(&"user:2".to_owned()));
    let report = bench.run(&["analyze", "--no-checksum", "shop.rdb"]).json();
    assert_eq!(report["checksum"], "skipped");
    let report = bench.run(&["analyze", "--size", "serialized", "shop.rdb"]).json();
    let cart = &report["largest_keys"][0];
    assert_eq!((&cart["key"], &cart["bytes"]), (&"cart:1".into(), &cart["serialized_bytes"]));
}

#[test]
fn expiries_are_told_from_when_the_file_was_written() {
    let bench = Bench::new();
    let file = |written: Option<&str>| {
        let mut file = RdbFile::redis(10);
        if let Some(seconds) = written {
            file.aux("ctime", seconds);
        }
        file.select_db(0).expire_at_ms(1_764_000_000_000).key("key", &value::string("text"));
        file.finish()
    };
    let spans_with_keys = |args: &[&str]| {
        let report = bench.run(args).json();
        let spans = report["spread"]["expiry"].as_array().unwrap().clone();
        spans.into_iter().filter(|s| s["num"] == 1).map(|s| s["span"].clone()).collect::<Vec<_>>()
    };
    bench.file("dated.rdb", &file(Some("1763999990")));
    bench.file("undated.rdb", &file(None));
    let later = "--now-ms=1764000000001";
    assert_eq!(spans_with_keys(&["analyze", later, "dated.rdb"]), ["hour"]);
    assert_eq!(spans_with_keys(&["analyze", later, "undated.rdb"]), ["expired"]);
    let earlier = "--now-ms=1763999990000";
    assert_eq!(spans_with_keys(&["analyze", earlier, "undated.rdb"]), ["hour"]);
}

#[test]
fn table_shows_totals_keys_and_prefixes() {
    let bench = Bench::new();
    bench.file("shop.rdb", &shop());
    let run = bench.run(&["analyze", "--format", "table", "shop.rdb"]);
    assert_eq!((run.status(), run.stderr()), (0, ""));
    let lines: Vec<&str> = run.stdout().lines().collect();
    assert_eq!(lines[0], "COMPLETE");
    assert!(lines[1].starts_with("  shop.rdb: redis 7.0.15, RDB 10, written 2025-11-24 16:00 UTC"));
    assert!(lines.iter().any(|line| line.starts_with("total ") && line.contains(" 5 ")));
    assert!(lines.iter().any(|line| line.ends_with("  2096-10-02 07:06  cart:1")));
    assert!(lines.iter().any(|line| line.ends_with("  user:0")));
}

#[test]
fn csv_is_one_table() {
    let bench = Bench::new();
    bench.file("shop.rdb", &shop());
    let run = bench.run(&["analyze", "--format", "csv", "shop.rdb"]);
    let mut reader = csv::Reader::from_reader(run.stdout().as_bytes());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let count = |section| rows.iter().filter(|row| &row[0] == section).count();
    assert_eq!((count("input"), count("total"), count("key")), (1, 1, 5));
    assert!(count("type") >= 5 && count("prefix") >= 5);
}

#[test]
fn several_files_are_one_report_and_a_bad_one_does_not_stop_it() {
    let bench = Bench::new();
    bench.file("shop.rdb", &shop());
    bench.file("bad.rdb", b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>");
    fs::create_dir(bench.path("empty")).unwrap();
    let run = bench.run(&["analyze", "shop.rdb", "bad.rdb", "nothing.rdb", "empty", "shop.rdb"]);
    assert_eq!(run.status(), 1);
    let report = run.json();
    assert_eq!(report["total_num"], 10);
    assert_eq!(report["complete"], false);
    let complete = report["inputs"].as_array().unwrap().iter().map(|input| &input["complete"]);
    assert_eq!(complete.collect::<Vec<_>>(), [true, false, false, false, true]);
    let lines: Vec<&str> = run.stderr().lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("offkey: bad.rdb: "), "{lines:?}");
    assert!(lines[1].starts_with("offkey: nothing.rdb: "), "{lines:?}");
    assert!(lines[2].starts_with("offkey: empty: "), "{lines:?}");
}

#[test]
fn folders_and_standard_input_are_inputs() {
    let bench = Bench::new();
    fs::create_dir(bench.path("backups")).unwrap();
    bench.file("backups/a.rdb", &shop());
    bench.file("backups/b.rdb", &shop());
    bench.file("backups/notes.txt", b"not a backup");
    let run = bench.run(&["analyze", "backups"]);
    assert_eq!((run.status(), &run.json()["total_num"]), (0, &10.into()));
    assert_eq!(run.json()["inputs"][1]["file"], "backups/b.rdb");
    let mut command = bench.command(&["analyze", "-"]);
    let run =
        Run(command.stdin(fs::File::open(bench.path("backups/a.rdb")).unwrap()).output().unwrap());
    assert_eq!((run.status(), &run.json()["total_num"]), (0, &5.into()));
}

#[test]
fn cut_file_is_reported_as_far_as_it_goes() {
    let bench = Bench::new();
    bench.file("cut.rdb", &cut_shop());
    let run = bench.run(&["analyze", "cut.rdb"]);
    assert_eq!(run.status(), 1);
    let report = run.json();
    assert_eq!((&report["total_num"], &report["complete"]), (&4.into(), &false.into()));
    assert_eq!(report["checksum"], "unknown");
    assert!(run.stderr().starts_with("offkey: cut.rdb: truncated at byte "), "{}", run.stderr());
    assert!(run.stderr().contains("db 3, key \"queue\", list: "), "{}", run.stderr());
    assert_eq!(run.stderr().lines().count(), 1);
    let table = bench.run(&["analyze", "--format", "table", "cut.rdb"]);
    assert!(table.stdout().starts_with("INCOMPLETE"), "{}", table.stdout());
}

#[test]
fn changed_byte_is_told_by_the_checksum() {
    let bench = Bench::new();
    let mut bytes = shop();
    let at = bytes.windows(3).position(|three| three == b"Ada").unwrap();
    bytes[at] = b'E';
    bench.file("changed.rdb", &bytes);
    let run = bench.run(&["analyze", "changed.rdb"]);
    assert_eq!(run.status(), 1);
    let report = run.json();
    assert_eq!((&report["total_num"], &report["checksum"]), (&5.into(), &"wrong".into()));
    assert_eq!(report["complete"], false);
    assert!(run.stderr().starts_with("offkey: changed.rdb: ") && run.stderr().contains("checksum"));
}

#[test]
fn damaged_value_costs_its_key_alone() {
    let bench = Bench::new();
    bench.file("damaged.rdb", &damaged(1));
    let run = bench.run(&["analyze", "damaged.rdb"]);
    assert_eq!(run.status(), 1);
    let report = run.json();
    assert_eq!((&report["total_num"], &report["damaged_num"]), (&2.into(), &1.into()));
    assert_eq!(report["damaged"][0]["key"], "bad:0");
    let line = run.stderr().trim_end();
    assert!(line.starts_with("offkey: damaged.rdb: damaged value at byte "), "{line}");
    assert!(line.contains(": db 0, key \"bad:0\", set: "), "{line}");
    let keys = bench.run(&["keys", "damaged.rdb"]);
    assert_eq!(keys.status(), 1);
    assert_eq!(keys.stdout().lines().count(), 2);
}

#[test]
fn many_damaged_keys_are_counted_rather_than_listed() {
    let bench = Bench::new();
    bench.file("damaged.rdb", &damaged(25));
    let run = bench.run(&["analyze", "damaged.rdb"]);
    let lines: Vec<&str> = run.stderr().lines().collect();
    assert_eq!(lines.len(), 21);
    assert_eq!(lines[20], "offkey: and 5 more damaged keys");
    let table = bench.run(&["analyze", "--format", "table", "damaged.rdb"]);
    assert!(table.stdout().contains("\n  25 damaged keys, not counted:\n"));
    assert!(table.stdout().contains("\n    and 15 more\n"));
}

#[test]
fn keys_are_lines_of_json() {
    let bench = Bench::new();
    bench.file("shop.rdb", &shop());
    let run = bench.run(&["keys", "--format", "jsonl", "shop.rdb"]);
    assert_eq!((run.status(), run.stderr()), (0, ""));
    let rows: Vec<Json> =
        run.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 5);
    let cart = &rows[2];
    assert_eq!((&cart["db"], &cart["key"]), (&0.into(), &"cart:1".into()));
    assert_eq!((&cart["type"], &cart["encoding"]), (&"hash".into(), &"listpack".into()));
    assert_eq!(
        (&cart["num_of_elem"], &cart["expire_at_ms"]),
        (&2.into(), &4_000_000_000_000_i64.into())
    );
    for absent in ["key_base64", "idle_seconds", "freq", "slot"] {
        assert_eq!(cart.get(absent), None, "{absent}");
    }
    assert_eq!(rows[0].get("expire_at_ms"), None);
    assert_eq!((&rows[4]["db"], &rows[4]["num_of_elem"]), (&3.into(), &1.into()));
    let total = bench.run(&["analyze", "shop.rdb"]).json()["total_bytes"].as_u64().unwrap();
    assert_eq!(rows.iter().map(|row| row["bytes"].as_u64().unwrap()).sum::<u64>(), total);
}

#[test]
fn entries_are_inspected_with_their_offsets() {
    let bench = Bench::new();
    let bytes = shop();
    bench.file("shop.rdb", &bytes);
    let run = bench.run(&["inspect", "shop.rdb"]);
    assert_eq!((run.status(), run.stderr()), (0, ""));
    let lines: Vec<&str> = run.stdout().lines().collect();
    assert_eq!(lines[0], "           0  header         redis version 10");
    assert_eq!(lines[1], "           9  aux            \"redis-ver\" = \"7.0.15\"");
    let key = lines.iter().find(|line| line.contains("\"cart:1\"")).unwrap();
    let at: usize = key.split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(bytes[at], 252, "the record begins with its expiry");
    assert!(key.contains(" hash-listpack, expires at 4000000000000 ms, "), "{key}");
    assert!(lines.last().unwrap().ends_with("end            checksum right"));
    let parts = bench.run(&["inspect", "--parts", "shop.rdb"]);
    assert!(parts.stdout().contains("field \"lamp\"\n"), "{}", parts.stdout());
    bench.file("cut.rdb", &cut_shop());
    let cut = bench.run(&["inspect", "cut.rdb"]);
    assert_eq!(cut.status(), 1);
    assert!(cut.stderr().starts_with("offkey: cut.rdb: truncated at byte "), "{}", cut.stderr());
    assert!(cut.stdout().ends_with("db 3 \"queue\" list\n"), "{}", cut.stdout());
}

#[test]
fn wrong_usage_is_told_apart_from_bad_input() {
    let bench = Bench::new();
    bench.file("shop.rdb", &shop());
    let wrong: [&[&str]; 9] = [
        &[],
        &["analyze"],
        &["analyse", "shop.rdb"],
        &["analyze", "--frmat", "json", "shop.rdb"],
        &["analyze", "--format", "xml", "shop.rdb"],
        &["analyze", "--top", "-1", "shop.rdb"],
        &["analyze", "--top", "99999999999", "shop.rdb"],
        &["analyze", "--separators", "\u{ff1a}", "shop.rdb"],
        &["keys", "--format", "html", "shop.rdb"],
    ];
    for args in wrong {
        let run = bench.run(args);
        assert_eq!((run.status(), run.stdout()), (2, ""), "{args:?}");
        assert!(!run.stderr().is_empty());
    }
    for command in ["analyze", "keys", "inspect"] {
        let help = bench.run(&[command, "--help"]);
        assert_eq!(help.status(), 0);
        assert!(help.stdout().contains("Exit status:\n  0  "), "{}", help.stdout());
    }
}

#[test]
fn report_file_is_whole_or_absent() {
    let bench = Bench::new();
    bench.file("shop.rdb", &shop());
    let run = bench.run(&["analyze", "-o", "report.json", "shop.rdb"]);
    assert_eq!((run.status(), run.stdout(), run.stderr()), (0, "", ""));
    let report: Json =
        serde_json::from_slice(&fs::read(bench.path("report.json")).unwrap()).unwrap();
    assert_eq!(report["total_num"], 5);
    bench.run(&["analyze", "-o", "report.csv", "shop.rdb"]);
    assert!(fs::read_to_string(bench.path("report.csv")).unwrap().starts_with("section,"));
    assert_eq!(bench.run(&["analyze", "-o", "-", "shop.rdb"]).json()["total_num"], 5);
    for target in ["/dev/full", "no/such/folder/report.json"] {
        for command in ["analyze", "keys"] {
            let run = bench.run(&[command, "-o", target, "shop.rdb"]);
            assert_eq!((run.status(), run.stdout()), (2, ""));
            let begin = format!("offkey: cannot write \"{target}\": ");
            assert!(run.stderr().starts_with(&begin), "{}", run.stderr());
        }
    }
    let mut files: Vec<_> =
        fs::read_dir(bench.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["report.csv", "report.json", "shop.rdb"]);
}

#[test]
fn interrupted_run_leaves_no_half_written_file() {
    let folder = Bench::new();
    let mut run = folder
        .command(&["analyze", "-", "-o", "report.json"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let catches_sigterm = || {
        let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (15 - 1)) != 0
    };
    let files = || fs::read_dir(folder.path(".")).unwrap().count();
    while files() == 0 || !catches_sigterm() {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(files(), 1);
    assert!(Command::new("kill").arg(run.id().to_string()).status().unwrap().success());
    assert_eq!(run.wait().unwrap().signal(), Some(15));
    assert_eq!(files(), 0);
}

#[test]
fn reader_that_has_enough_ends_the_run_quietly() {
    let bench = Bench::new();
    let mut file = RdbFile::redis(10);
    for number in 0..50_000 {
        file.key(format!("a-name-of-some-length:{number}"), &value::string("x"));
    }
    bench.file("many.rdb", &file.finish());
    for args in [["keys", "many.rdb"], ["inspect", "many.rdb"]] {
        let mut child =
            bench.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        drop(stdout);
        let run = Run(child.wait_with_output().unwrap());
        assert_eq!((run.status(), run.stderr()), (0, ""), "{args:?}");
    }
}

#[test]
fn terminal_gets_a_table_of_its_width() {
    if !Path::new("/usr/bin/script").exists() {
        panic!("script (of Debian's bsdutils) is needed");
    }
    let bench = Bench::new();
    let mut file = RdbFile::redis(10);
    file.key("k".repeat(300), &value::string("x"));
    bench.file("long.rdb", &file.finish());
    let show = |before: &str| {
        let offkey = env!("CARGO_BIN_EXE_offkey");
        let line = format!("stty rows 40 cols 90; {before} {offkey} analyze -q long.rdb");
        let mut script = Command::new("/usr/bin/script");
        script.args(["-qec", &line, "/dev/null"]).current_dir(bench.0.path());
        let output = script.env_remove("NO_COLOR").stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let colored = show("");
    assert!(colored.starts_with("\x1b[32mCOMPLETE\x1b[0m\r\n"), "{colored:?}");
    let plain = show("NO_COLOR=1");
    assert!(plain.starts_with("COMPLETE\r\n"), "{plain:?}");
    let row = plain.lines().find(|line| line.contains("kkk")).unwrap().trim_end();
    assert_eq!((row.chars().count(), row.chars().last()), (90, Some('\u{2026}')), "{row}");
}
