//! Files made by real servers, and what the server said of them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The path of a file of this repository.
pub fn repo_path(relative: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(relative)
}

/// The path of a file kept beside the repository, if it is there.
pub fn shared_path(relative: impl AsRef<Path>) -> Option<PathBuf> {
    Some(repo_path("../shared").join(relative)).filter(|path| path.exists())
}

/// A file and where it lies.
#[derive(Debug)]
pub struct Fixture {
    /// The RDB file.
    pub path: PathBuf,
    /// What the server said of its keys.
    pub truth: Vec<Truth>,
}

impl Fixture {
    /// The fixtures of `testdata/`: every `.json` there and the `.rdb` beside it.
    pub fn small() -> Vec<Self> {
        let read = |path: PathBuf| {
            let answers: Answers = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            Self { truth: answers.keys, path: path.with_extension("rdb") }
        };
        files(&repo_path("testdata"), "json").into_iter().map(read).collect()
    }
}

/// What the server said of one key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Truth {
    /// Database.
    pub db: u64,
    /// Name.
    #[serde(with = "base64_text")]
    pub key: Vec<u8>,
    /// Answer of `TYPE`.
    #[serde(rename = "type")]
    pub object_type: String,
    /// Answer of `OBJECT ENCODING` after loading the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Elements; bytes of a string; 1 for a module value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Expiry in milliseconds since 1970, -1 without, `None` where the server cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pexpireat: Option<i64>,
    /// The same, computed from the time left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pexpireat_approx: Option<i64>,
    /// Seconds left, -1 without expiry: all that a server of before 2.6 can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// Seconds since the last access, as the file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<u64>,
    /// Access counter, as the file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freq: Option<u8>,
    /// Cluster slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// Node of the cluster that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u64>,
    /// Answer of `MEMORY USAGE key SAMPLES 0` after loading the file.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "memory_loaded")]
    pub memory_usage: Option<u64>,
    /// Already expired when the file was written, so that the server dropped it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
}

impl Truth {
    /// The truth about a key of database 0 that the server no longer has.
    pub(crate) fn expired(key: &str, object_type: &str, count: u64, pexpireat: i64) -> Self {
        Self {
            db: 0,
            key: key.into(),
            object_type: object_type.into(),
            encoding: None,
            count: Some(count),
            pexpireat: Some(pexpireat),
            pexpireat_approx: None,
            ttl: None,
            idle: None,
            freq: None,
            slot: None,
            node: None,
            memory_usage: None,
            expired: true,
        }
    }
}

/// The file beside a fixture of `testdata/`.
#[derive(Deserialize)]
struct Answers {
    keys: Vec<Truth>,
}

/// Every fixture: those of `testdata/` and, where they are at hand, the big ones of
/// `../shared/rdb/`.
pub fn fixtures() -> Vec<Fixture> {
    let mut fixtures = Fixture::small();
    for path in shared_path("rdb").iter().flat_map(|dir| files(dir, "rdb")) {
        let truth = read_truth(&path);
        fixtures.push(Fixture { path, truth });
    }
    fixtures
}

/// Reads what stands in the `.truth.jsonl.gz` beside a file.
pub fn read_truth(path: &Path) -> Vec<Truth> {
    let text = path.to_string_lossy();
    // The nodes of a cluster share one file, whose lines name the node.
    let (base, node) = match text.rsplit_once("-node") {
        Some((base, node)) => (base, node.trim_end_matches(".rdb").parse().ok()),
        None => (text.trim_end_matches(".rdb"), None),
    };
    let lines = gunzip(Path::new(&format!("{base}.truth.jsonl.gz")));
    let truth = lines.lines().map(|line| serde_json::from_str::<Truth>(line).unwrap());
    truth.filter(|line| node.is_none() || line.node == node).collect()
}

/// The text of the file beside a fixture of `testdata/`, one key a line.
pub fn write_answers(server: &str, allocator: &str, truth: &[Truth]) -> String {
    let lines: Vec<_> = truth.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    format!(
        "{{\"server\": {server:?}, \"allocator\": {allocator:?}, \"keys\": [\n{}\n]}}\n",
        lines.join(",\n")
    )
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}

fn gunzip(path: &Path) -> String {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

/// Bytes as base64 text in JSON.
mod base64_text {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(input)?;
        BASE64_STANDARD.decode(text).map_err(D::Error::custom)
    }
}
