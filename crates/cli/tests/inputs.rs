//! What the binary does with inputs that are no plain RDB file, or do not stay as they were.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use offkey_testkit::{RdbFile, value};
use serde_json::Value as Json;
use tempfile::TempDir;

/// How a run of `offkey analyze` ended.
struct Run {
    status: Option<i32>,
    report: Json,
    stderr: String,
}

fn analyze(input: impl AsRef<OsStr>) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_offkey"))
        .args(["analyze", "--format", "json"])
        .arg(input)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run {
        status: output.status.code(),
        report: serde_json::from_slice(&output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Three keys and the end.
fn sample() -> Vec<u8> {
    let mut file = RdbFile::redis(10);
    file.select_db(0);
    for name in ["a:1", "a:2", "b:1"] {
        file.key(name, &value::string("text"));
    }
    file.finish()
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    liblzma::encode_all(bytes, 1).unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Compresses bytes.
type Compress = fn(&[u8]) -> Vec<u8>;

const COMPRESSIONS: [(&str, Compress); 4] =
    [("gzip", gzip), ("lz4", lz4), ("xz", xz), ("zstd", zstd)];

#[test]
fn compressed_files_are_read_through() {
    let folder = tempfile::tempdir().unwrap();
    for (name, compress) in COMPRESSIONS {
        let run = analyze(write(&folder, name, &compress(&sample())));
        assert_eq!((run.status, &run.report["total_num"]), (Some(0), &3.into()), "{name}");
        let warnings = run.report["inputs"][0]["warnings"].to_string();
        assert!(warnings.contains(&format!("read through {name}")), "{warnings}");
    }
}

#[test]
fn cut_compressed_files_name_their_compression() {
    let folder = tempfile::tempdir().unwrap();
    for (name, compress) in COMPRESSIONS {
        let whole = compress(&sample());
        let run = analyze(write(&folder, name, &whole[..whole.len() - 12]));
        assert_eq!(run.status, Some(1), "{name}");
        assert!(run.stderr.contains(&format!("{name}: ")), "{}", run.stderr);
    }
}

#[test]
fn compression_bomb_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bomb = b"REDIS0010\xfe\x00\x00\x01k\x80\x30\x00\x00\x00".to_vec();
    bomb.resize(0x3000_0000, 0);
    let run = analyze(write(&folder, "bomb.zst", &zstd(&bomb)));
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("decompress the file first"), "{}", run.stderr);
}

#[test]
fn append_only_file_is_read_to_the_end_of_its_preamble() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = sample();
    bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    let run = analyze(write(&folder, "appendonly.aof", &bytes));
    assert_eq!((run.status, &run.report["total_num"]), (Some(0), &3.into()));
    assert!(run.stderr.contains("14 bytes after the RDB preamble"), "{}", run.stderr);
}

#[test]
fn folder_of_a_multi_part_append_only_file_is_its_base() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "file a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\n";
    write(&folder, "a.aof.manifest", manifest.as_bytes());
    write(&folder, "a.aof.1.base.rdb", &sample());
    write(&folder, "a.aof.1.incr.aof", b"*1\r\n$4\r\nPING\r\n");
    let run = analyze(folder.path());
    assert_eq!((run.status, &run.report["total_num"]), (Some(0), &3.into()));
    assert_eq!(run.report["inputs"].as_array().unwrap().len(), 1);
    let run = analyze(folder.path().join("a.aof.manifest"));
    assert!(run.stderr.contains("a.aof.1.base.rdb"), "{}", run.stderr);
}

#[test]
fn replication_stream_is_read_behind_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let mark = "0123456789abcdef0123456789abcdef01234567";
    let with_length = [format!("${}\r\n", sample().len()).as_bytes(), &sample()].concat();
    let with_mark = [format!("$EOF:{mark}\r\n").as_bytes(), &sample(), mark.as_bytes()].concat();
    for bytes in [with_length, with_mark] {
        let run = analyze(write(&folder, "stream", &bytes));
        assert_eq!((run.status, &run.report["total_num"]), (Some(0), &3.into()));
        assert!(!run.stderr.contains("after the end"), "{}", run.stderr);
    }
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    let _listener = UnixListener::bind(path("socket")).unwrap();
    symlink(path("loop"), path("loop")).unwrap();
    fs::create_dir(path("empty")).unwrap();
    let cases = [
        (path("fifo"), "not a regular file"),
        (PathBuf::from("/dev/zero"), "not a regular file"),
        (path("socket"), "cannot open"),
        (path("loop"), "cannot open"),
        (path("empty"), "the folder holds no .rdb file"),
        (path("missing"), "cannot open"),
        (PathBuf::from("/proc/self/status"), "an RDB file begins with REDIS or VALKEY"),
    ];
    for (input, message) in cases {
        let run = analyze(&input);
        assert_eq!(run.status, Some(1), "{}", input.display());
        assert!(run.stderr.contains(message), "{}: {}", input.display(), run.stderr);
    }
}

#[test]
fn sparse_files_end_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = write(&folder, "zeros", b"");
    File::options().write(true).open(&zeros).unwrap().set_len(1 << 40).unwrap();
    let run = analyze(&zeros);
    assert!(run.stderr.contains("zeros only"), "{}", run.stderr);
    let hole = write(&folder, "hole", b"REDIS0010\x00\x01k\x81\x00\x00\x00\x7f\xff\xff\xff\xff");
    File::options().write(true).open(&hole).unwrap().set_len(512 << 30).unwrap();
    let run = analyze(&hole);
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("string of 549755813887 bytes announced"), "{}", run.stderr);
}

#[test]
fn name_with_a_line_end_stays_on_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = analyze(write(&folder, "two\nlines.rdb", b"RADIS"));
    assert_eq!(run.stderr.trim_end().lines().count(), 1, "{}", run.stderr);
}

/// A file whose list of keys is longer than a pipe holds, and the run that lists them,
/// stopped by the full pipe.
fn stopped_listing(path: &Path) -> std::process::Child {
    let mut file = RdbFile::redis(10);
    file.select_db(0);
    for number in 0..200_000 {
        file.key(format!("key:{number}"), &value::string("text"));
    }
    fs::write(path, file.finish()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_offkey"))
        .arg("keys")
        .arg(path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    child
}

#[test]
fn file_that_changes_while_it_is_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump.rdb");
    let changes: [fn(&File); 3] = [
        |file| file.set_len(0).unwrap(),
        |file| file.set_len(100_000).unwrap(),
        |file| file.set_len(100_000_000).unwrap(),
    ];
    for change in changes {
        let child = stopped_listing(&path);
        change(&File::options().write(true).open(&path).unwrap());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains("changed while it was read") || stderr.contains("truncated"),
            "{stderr}"
        );
    }
}
