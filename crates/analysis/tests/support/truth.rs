//! Holds a file's sizes against what a real server said after loading it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use offkey_analysis::memory::{Allocator, Profile};
use serde_json::Value;

use super::{Row, Server, scan};

/// A key as the server described it.
#[derive(Debug, Clone, serde::Deserialize)]
struct Truth {
    db: u64,
    key: String,
    r#type: String,
    encoding: Option<String>,
    #[serde(alias = "memory_usage")]
    memory_loaded: Option<u64>,
    memory_original: Option<u64>,
    count: Option<u64>,
    node: Option<u64>,
    #[serde(default)]
    expired: bool,
}

/// Keys of one type, and how near their `memory_usage` is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) keys: u64,
    pub(crate) exact: u64,
    pub(crate) within_1pct: u64,
    /// Largest error in percent of the truth.
    pub(crate) worst_pct: f64,
    pub(crate) predicted: u64,
    pub(crate) real: u64,
}

/// A file held against its truth.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) name: String,
    pub(crate) profile: String,
    pub(crate) allocator: Allocator,
    /// Keys by type and encoding.
    pub(crate) groups: BTreeMap<(String, String), Tally>,
    pub(crate) all: Tally,
    /// Keys that are missing or extra, or differ in type, encoding or count.
    pub(crate) differences: Vec<String>,
    /// Sum of `bytes` of the loaded keys and of the lines beside them.
    pub(crate) bytes: u64,
    /// Growth of the server's `used_memory` over its start.
    pub(crate) growth: Option<u64>,
    /// When the server loaded the file, where that is known.
    loaded_at_ms: Option<i64>,
}

impl Tally {
    fn add(&mut self, predicted: u64, real: u64) {
        let error_pct = 100.0 * (predicted as f64 - real as f64) / real as f64;
        self.keys += 1;
        self.exact += u64::from(predicted == real);
        self.within_1pct += u64::from(error_pct.abs() <= 1.0);
        self.predicted += predicted;
        self.real += real;
        if error_pct.abs() > self.worst_pct.abs() {
            self.worst_pct = error_pct;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.keys += other.keys;
        self.exact += other.exact;
        self.within_1pct += other.within_1pct;
        self.predicted += other.predicted;
        self.real += other.real;
        if other.worst_pct.abs() > self.worst_pct.abs() {
            self.worst_pct = other.worst_pct;
        }
    }

    /// Error of the sum in percent.
    pub(crate) fn sum_error_pct(&self) -> f64 {
        100.0 * (self.predicted as f64 - self.real as f64) / self.real.max(1) as f64
    }

    pub(crate) fn exact_pct(&self) -> f64 {
        100.0 * self.exact as f64 / self.keys.max(1) as f64
    }

    pub(crate) fn within_1pct_pct(&self) -> f64 {
        100.0 * self.within_1pct as f64 / self.keys.max(1) as f64
    }
}

impl Comparison {
    /// Keys by type.
    pub(crate) fn types(&self) -> BTreeMap<&str, Tally> {
        let mut types: BTreeMap<&str, Tally> = BTreeMap::new();
        for ((object_type, _), tally) in &self.groups {
            types.entry(object_type).or_default().merge(tally);
        }
        types
    }

    /// Error of the sum of all bytes in percent.
    pub(crate) fn bytes_error_pct(&self) -> Option<f64> {
        self.growth.map(|real| 100.0 * (self.bytes as f64 - real as f64) / real as f64)
    }
}

/// The files of a folder that have truth, by name: `NAME.json`, or `NAME.truth.jsonl.gz` and
/// `NAME.info.json`.
pub(crate) fn files_with_truth(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.retain(|path| {
        path.extension().is_some_and(|e| e == "rdb")
            && (path.with_extension("json").exists() || truth_path(path).exists())
    });
    files.sort();
    files
}

/// The name shared by a file and its truth: that of a node without the node's number.
fn base_name(path: &Path) -> (String, Option<usize>) {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    match name.rsplit_once("-node") {
        Some((base, node)) => (base.to_owned(), node.parse().ok()),
        None => (name, None),
    }
}

fn truth_path(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}.truth.jsonl.gz", base_name(path).0))
}

/// What a server said of a file, and how it is configured.
struct Told {
    keys: Vec<Truth>,
    server: Server,
    growth: Option<u64>,
    loaded_at_ms: Option<i64>,
}

/// Sizes a file as its server is configured and compares.
pub(crate) fn compare(path: &Path) -> Comparison {
    let fixture = path.with_extension("json");
    let told = if fixture.exists() { read_fixture(&fixture) } else { read_truth(path) };
    let scan = scan(path, &told.server);
    let mut truth: HashMap<(u64, Vec<u8>), Truth> = told
        .keys
        .into_iter()
        .map(|truth| ((truth.db, BASE64_STANDARD.decode(&truth.key).unwrap()), truth))
        .collect();
    let mut comparison = Comparison {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        profile: scan.profile.clone(),
        allocator: told.server.allocator,
        groups: BTreeMap::new(),
        all: Tally::default(),
        differences: Vec::new(),
        bytes: scan.overhead.iter().map(|line| line.bytes).sum(),
        growth: told.growth,
        loaded_at_ms: told.loaded_at_ms,
    };
    for row in &scan.rows {
        comparison.row(row, truth.remove(&(row.db, row.name.clone())));
    }
    // Redis 3.2 left out what had expired.
    let missing = truth.values().filter(|t| !t.expired);
    let missing = missing.map(|t| format!("missing: db {} {}", t.db, t.key));
    comparison.differences.extend(missing);
    comparison
}

impl Comparison {
    fn row(&mut self, row: &Row, truth: Option<Truth>) {
        let Some(truth) = truth else {
            // Keys that expired since the file was written were dropped.
            let loaded_at_ms = self.loaded_at_ms.unwrap_or(0);
            if row.expire_at_ms.is_none_or(|at_ms| at_ms > loaded_at_ms) {
                self.differences.push(format!("extra: {row:?}"));
            }
            return;
        };
        // Keys that had expired are in the file but were dropped when it was loaded.
        if truth.expired {
            return;
        }
        self.bytes += row.sizes.bytes;
        let encoding = row.sizes.encoding.to_string();
        // Servers before 4.0 are modelled as 4.0, which answers for its own encodings.
        let encoding_differs = truth.memory_loaded.is_some()
            && truth.encoding.as_ref().is_some_and(|real| *real != encoding);
        let count_differs = truth.count.is_some_and(|count| count != row.sizes.num_of_elem);
        if truth.r#type != row.object_type || encoding_differs || count_differs {
            self.differences.push(format!("{truth:?} is not {row:?}"));
        }
        // Where the server did not load the file again its answer is that before saving.
        let real = truth.memory_loaded.or(truth.memory_original);
        if let (Some(predicted), Some(real)) = (row.sizes.memory_usage, real) {
            self.groups.entry((truth.r#type, encoding)).or_default().add(predicted, real);
            self.all.add(predicted, real);
        }
    }
}

/// The allocator and settings that a server reported.
fn server(loaded: &Value) -> Server {
    let info = &loaded["info"];
    let version = |name: &str| info[name].as_str().map(|version| version.to_owned());
    let profile = match (version("valkey_version"), version("redis_version")) {
        (Some(version), _) => Some(Profile::for_server(true, &version, 0)),
        (None, Some(version)) => Some(Profile::for_server(false, &version, 0)),
        (None, None) => None,
    };
    let mut server = Server { profile, ..Server::default() };
    let has_class = |len: u64| {
        loaded["jemalloc_bins"].as_array().is_some_and(|bins| bins.iter().any(|b| *b == len))
    };
    server.allocator = match info["mem_allocator"].as_str() {
        Some("libc") => Allocator::Libc,
        Some("jemalloc-5.3.1") if !has_class(24) => Allocator::JemallocQ16p,
        _ if has_class(32) && !has_class(24) => Allocator::JemallocQ16,
        _ => Allocator::Jemalloc,
    };
    if let Some(depth) = loaded["config"]["list-compress-depth"].as_str() {
        server.config.list_compress_depth = depth.parse().unwrap();
    }
    server
}

fn growth(loaded: &Value) -> Option<u64> {
    let info = &loaded["info"];
    Some(info["used_memory"].as_u64()? - info["used_memory_startup"].as_u64()?)
}

fn read_truth(path: &Path) -> Told {
    let (base, node) = base_name(path);
    let info_text = std::fs::read_to_string(path.with_file_name(format!("{base}.info.json")));
    let info: Value = info_text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    let loaded = match node {
        Some(node) => &info["loaded"][node],
        None => &info["loaded"],
    };
    let file = File::open(truth_path(path)).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    let keys = text.lines().map(|line| serde_json::from_str::<Truth>(line).unwrap());
    Told {
        keys: keys.filter(|truth| truth.node == node.map(|n| n as u64)).collect(),
        server: server(loaded),
        growth: growth(loaded),
        loaded_at_ms: info["loaded_at_ms"].as_i64(),
    }
}

/// A fixture of `testdata`: its servers had `list-compress-depth 1`.
fn read_fixture(path: &Path) -> Told {
    let text = std::fs::read_to_string(path).unwrap();
    let fixture: Value = serde_json::from_str(&text).unwrap();
    let name = fixture["server"].as_str().unwrap_or_default();
    let mut server = Server::default();
    server.config.list_compress_depth = 1;
    server.allocator = match fixture["allocator"].as_str() {
        Some("libc") => Allocator::Libc,
        // The only server here that was built by Debian.
        _ if name.starts_with("redis-7.0.15") => Allocator::JemallocQ16,
        _ => Allocator::Jemalloc,
    };
    let keys = serde_json::from_value(fixture["keys"].clone()).unwrap();
    Told { keys, server, growth: None, loaded_at_ms: None }
}
