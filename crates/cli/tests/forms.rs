//! The forms of reports and lists of keys tell the same, and a mask leaves no name in any.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;

const FILE: &str = "redis-7.2.6.rdb";

fn testdata() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata"))
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_offkey")).args(args).current_dir(testdata()).output().unwrap()
}

fn lines(output: &Output) -> Vec<Json> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rows of a CSV, each with its header.
fn rows(output: &Output) -> (csv::StringRecord, Vec<csv::StringRecord>) {
    let mut reader = csv::Reader::from_reader(&output.stdout[..]);
    (reader.headers().unwrap().clone(), reader.records().map(Result::unwrap).collect())
}

/// Holds a row of CSV against the object of the same row, in which empty cells are left out.
fn assert_same(headers: &csv::StringRecord, row: &csv::StringRecord, object: &Json) {
    for (name, cell) in headers.iter().zip(row) {
        let value = match &object[name] {
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            number => number.to_string(),
        };
        assert_eq!(cell, value, "{name} of {object}");
    }
}

#[test]
fn keys_are_the_same_in_csv_and_json_lines() {
    let objects = lines(&run(&["keys", FILE]));
    let (headers, rows) = rows(&run(&["keys", "--format", "csv", "--csv-raw", FILE]));
    assert_eq!(rows.len(), objects.len());
    assert!(rows.len() > 50, "{}", rows.len());
    for (row, object) in rows.iter().zip(objects) {
        let mut object = object;
        object["file"] = FILE.into();
        assert_same(&headers, row, &object);
    }
}

#[test]
fn reports_are_the_same_in_csv_and_json_lines() {
    let objects = lines(&run(&["analyze", "--format", "jsonl", FILE]));
    let (headers, rows) = rows(&run(&["analyze", "--format", "csv", "--csv-raw", FILE]));
    assert_eq!(rows.len(), objects.len());
    for (row, object) in rows.iter().zip(&objects) {
        assert_same(&headers, row, object);
    }
    let sections = objects.iter().filter(|object| object["section"] == "key").count();
    assert_eq!(sections, 100);
}

#[test]
fn a_list_of_keys_is_formed_by_the_name_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.csv");
    assert!(run(&["keys", FILE, "-o", path.to_str().unwrap()]).status.success());
    assert!(fs::read_to_string(path).unwrap().starts_with("file,db,key,key_base64,type,"));
}

/// Names in the file below, none of them a word of a report.
const NAMES: [&str; 3] = ["aardvark", "bandicoot", "capybara"];

/// A sound key, and one that is damaged.
fn with_names() -> Vec<u8> {
    let mut file = b"REDIS0011\xfe\x00".to_vec();
    file.extend_from_slice(b"\x00\x12aardvark:bandicoot\x01v");
    // A set of one packed blob that is none.
    file.extend_from_slice(b"\x14\x0acapybara:1\x02xx\xff");
    file.extend_from_slice(&[0; 8]);
    file
}

#[test]
fn a_mask_leaves_no_name_in_any_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.rdb");
    fs::write(&path, with_names()).unwrap();
    let path = path.to_str().unwrap();
    let all = |output: &Output| {
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    let told = |text: &str| NAMES.iter().filter(|name| text.contains(*name)).count();
    for form in ["table", "json", "html", "csv", "jsonl"] {
        let args = ["analyze", "--format", form, path, "--mask"];
        let masked = run(&args);
        assert_eq!(told(&all(&masked)), 0, "{form}: {}", all(&masked));
        assert_eq!(told(&all(&run(&args[..4]))), NAMES.len(), "{form}");
        assert_eq!(masked.status.code(), Some(1), "{form}: damage is still told");
    }
    for form in ["csv", "jsonl"] {
        let args = ["keys", "--format", form, path, "--mask"];
        assert_eq!(told(&all(&run(&args))), 0, "{form}");
        assert_eq!(told(&all(&run(&args[..4]))), NAMES.len(), "{form}");
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_files_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["keys", "analyze"] {
        let path = folder.path().join(format!("{command}.parquet"));
        assert!(run(&[command, FILE, "-o", path.to_str().unwrap()]).status.success());
        let bytes = fs::read(path).unwrap();
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1") && bytes.len() > 1000);
    }
}
