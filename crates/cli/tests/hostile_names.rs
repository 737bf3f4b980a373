//! Names that try to steer what shows them, in every output.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offkey_testkit::{RdbFile, value};
use serde_json::Value as Json;

/// Names of every kind that reports have been attacked with.
fn hostile_names() -> Vec<Vec<u8>> {
    let texts = [
        "",
        " ",
        "  padded  ",
        "\"",
        "'",
        "\\",
        "\\x1b",
        "a,b",
        "a;b",
        "a\"b,\"c",
        "a\nb",
        "a\r\nb",
        "a\tb",
        "\u{0}",
        "nul\u{0}inside",
        "\u{7f}",
        "\u{1b}[31mred\u{1b}[0m",
        "\u{1b}]0;title\u{7}",
        "\u{1b}]52;c;ZXZpbA==\u{7}",
        "\u{1b}[2J\u{1b}[H",
        "\u{9b}31m",
        "\u{9d}0;title\u{9c}",
        "\u{202e}gnp.exe",
        "\u{2066}\u{2069}",
        "\u{200b}zero\u{feff}",
        "line\u{2028}and\u{2029}paragraph",
        "=1+2",
        "=HYPERLINK(\"http://x\",\"y\")",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "|calc",
        "%0A",
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "&lt;",
        "${jndi:ldap://x/a}",
        "'; DROP TABLE keys; --",
        "../../etc/passwd",
        "{{7*7}}",
        "\u{7528}\u{6237}:\u{1f600}",
        "\u{e0041}\u{e007f}",
        "e\u{301}\u{300}\u{302}",
    ];
    let bytes: [&[u8]; 7] = [
        b"\xff\xfe",
        b"\xc3(",
        b"\xed\xa0\x80",
        b"\x9b31m",
        b"a\x80b",
        b"\xf8\x88\x80\x80\x80",
        b"\xc2",
    ];
    let mut names: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    names.extend(bytes.map(<[u8]>::to_vec));
    names.push(b":".repeat(5000));
    names.push(b"k".repeat(65_536));
    names
}

/// What `args` print of a file with the hostile names; the exit status must be 0.
fn output(args: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.rdb");
    let mut file = RdbFile::redis(11);
    file.select_db(0);
    for name in hostile_names() {
        file.key(name, &value::string("value"));
    }
    fs::write(&path, file.finish()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_offkey")).args(args).arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    output.stdout
}

/// Text without anything that steers a terminal, lines apart.
fn assert_harmless(text: &[u8]) {
    let text = std::str::from_utf8(text).unwrap();
    let steers = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let line = text.lines().find(|line| line.contains(steers));
    assert_eq!(line, None);
}

/// The exact name of a row.
fn exact(row: &Json) -> Vec<u8> {
    match row.get("key_base64") {
        Some(base64) => STANDARD.decode(base64.as_str().unwrap()).unwrap(),
        None => row["key"].as_str().unwrap().as_bytes().to_vec(),
    }
}

fn sorted(mut names: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    names.sort();
    names
}

#[test]
fn table() {
    let text = output(&["analyze", "--format", "table", "--top", "1000"]);
    assert_harmless(&text);
    let text = String::from_utf8(text).unwrap();
    for shown in ["  \\x1b[31mred\\x1b[0m\n", "  \\xe2\\x80\\xaegnp.exe\n", "  \\xff\\xfe\n"] {
        assert!(text.contains(shown), "{shown}");
    }
}

#[test]
fn json() {
    let text = output(&["analyze", "--format", "json", "--top", "1000"]);
    assert_harmless(&text);
    assert!(!text.iter().any(|byte| b"<>&".contains(byte)));
    let report: Json = serde_json::from_slice(&text).unwrap();
    let keys = report["largest_keys"].as_array().unwrap();
    // A name too long for a report is listed by its beginning and its length.
    let whole = keys.iter().filter(|key| key.get("key_len").is_none());
    let listed: Vec<_> = whole.map(exact).collect();
    let cut = keys.len() - listed.len();
    let mut names = sorted(hostile_names());
    names.retain(|name| listed.contains(name));
    assert_eq!(names.len() + cut, hostile_names().len());
    assert_eq!(sorted(listed), names);
}

#[test]
fn keys() {
    let text = output(&["keys"]);
    assert_harmless(&text);
    assert!(!text.iter().any(|byte| b"<>&".contains(byte)));
    let lines = std::str::from_utf8(&text).unwrap().lines();
    let names = lines.map(|line| exact(&serde_json::from_str(line).unwrap())).collect();
    assert_eq!(sorted(names), sorted(hostile_names()));
}

#[test]
fn csv_cells_are_no_formulas() {
    let text = output(&["analyze", "--format", "csv", "--top", "1000"]);
    let lines = String::from_utf8(text.clone()).unwrap();
    assert_harmless(lines.replace("\r\n", "\n").as_bytes());
    let mut reader = csv::Reader::from_reader(&text[..]);
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let keys: Vec<_> = rows.iter().filter(|row| &row[0] == "key").collect();
    assert_eq!(keys.len(), hostile_names().len());
    for cell in rows.iter().flat_map(|row| row.iter()) {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '|', '%']), "{cell}");
    }
    let exact = |row: &&csv::StringRecord| match &row[4] {
        "" => row[3].as_bytes().to_vec(),
        base64 => STANDARD.decode(base64.trim_start_matches('\'')).unwrap(),
    };
    let listed: Vec<_> = keys.iter().map(exact).collect();
    let short = hostile_names().into_iter().filter(|name| name.len() < 1000);
    for name in short {
        assert!(listed.contains(&name), "{}", String::from_utf8_lossy(&name));
    }
}

#[test]
fn raw_csv_keeps_names() {
    let text = output(&["analyze", "--format", "csv", "--csv-raw", "--top", "1000"]);
    let mut reader = csv::Reader::from_reader(&text[..]);
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    for name in ["=1+2", "a\r\nb", "\u{1b}]0;title\u{7}"] {
        assert!(rows.iter().any(|row| &row[3] == name && row[4].is_empty()), "{name:?}");
    }
}

#[test]
fn inspect() {
    for args in [&["inspect"][..], &["inspect", "--parts"]] {
        let text = output(args);
        assert_harmless(&text);
        assert!(text.is_ascii());
        let count = std::str::from_utf8(&text).unwrap().matches("  key            db 0 ").count();
        assert_eq!(count, hostile_names().len());
    }
}
