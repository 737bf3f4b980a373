//! Analyses in pieces give the bytes that one analysis gives, whatever the grouping.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

use offkey_analysis::partial::{Partial, PartialError};
use offkey_analysis::{Options, analyze};
use offkey_testkit::{Rng, Workload, fixtures, mutate, write_workload};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("offkey-partial-{}-{name}", std::process::id()));
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
        self.file(&format!("{name}-{seed}.rdb"), &bytes)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn options(prefix_memory: usize) -> Options {
    Options { prefix_memory, now_ms: 1_700_000_000_000, ..Options::default() }
}

/// Hands a partial on as another process would get it.
fn sent(partial: &Partial, options: &Options) -> Partial {
    Partial::from_bytes(&partial.to_bytes(options), options).unwrap()
}

/// Merges in the order given, in the groups that `sizes` makes.
fn merged(parts: &[Partial], sizes: &[usize], options: &Options) -> Partial {
    let mut rest = parts;
    let mut groups = sizes.iter().map(|size| {
        let (group, after) = rest.split_at(*size);
        rest = after;
        let mut group = group.iter().map(|part| sent(part, options));
        let mut first = group.next().unwrap();
        group.for_each(|part| first.merge(part));
        first
    });
    let mut whole = groups.next().unwrap();
    for group in groups {
        whole.merge(sent(&group, options));
    }
    whole
}

/// The report of `files` read one by one; and whether it took a second pass.
fn in_pieces(files: &[PathBuf], sizes: &[usize], options: &Options) -> (String, bool) {
    let count = |file: &PathBuf| Partial::count(file.clone(), options, &()).unwrap();
    let parts: Vec<Partial> = files.iter().map(count).collect();
    let mut whole = merged(&parts, sizes, options);
    let again = whole.needs_recount();
    if again {
        let whole_sent = sent(&whole, options);
        let recount =
            |file: &PathBuf| Partial::recount(&whole_sent, file.clone(), options, &()).unwrap();
        let parts: Vec<Partial> = files.iter().map(recount).collect();
        whole.finish(merged(&parts, sizes, options));
    }
    (serde_json::to_string(&sent(&whole, options).report(options)).unwrap(), again)
}

fn at_once(files: &[PathBuf], options: &Options) -> String {
    serde_json::to_string(&analyze(files, options, &()).unwrap()).unwrap()
}

#[test]
fn pieces_in_any_grouping_give_the_report_of_one_analysis() {
    let folder = Folder::new("groups");
    let workloads = [("mixed", 1), ("distinct", 2), ("mixed", 3), ("uniform", 4)];
    let files = workloads.map(|(name, seed)| folder.workload(name, 20_000, seed));
    let groupings: [&[usize]; 4] = [&[1, 1, 1, 1], &[4], &[2, 2], &[1, 3]];
    let roomy = options(12 << 20);
    let expected = at_once(&files, &roomy);
    for sizes in groupings {
        let (report, again) = in_pieces(&files, sizes, &roomy);
        assert!(!again);
        assert!(report == expected, "{sizes:?}");
    }
    // Where prefixes outgrow their memory a group keeps as many as the whole does, so that
    // only the merge in order is the same by construction.
    let narrow = options(256 << 10);
    let (report, again) = in_pieces(&files, &[1, 1, 1, 1], &narrow);
    assert!(again, "the table of prefixes was meant to overflow");
    assert!(report == at_once(&files, &narrow));
    for sizes in groupings {
        let (report, _) = in_pieces(&files, sizes, &narrow);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
        assert_eq!(report["prefix_exactness"]["counts_exact"], true);
        for member in ["total_bytes", "largest_keys", "type_num", "spread", "inputs"] {
            assert_eq!(report[member], expected[member], "{sizes:?} {member}");
        }
    }
}

#[test]
fn damaged_and_missing_inputs_are_told_in_pieces_too() {
    let folder = Folder::new("damaged");
    let mut rng = Rng::new(7);
    let mut files: Vec<PathBuf> = fixtures()
        .iter()
        .take(12)
        .enumerate()
        .map(|(number, fixture)| {
            let mut bytes = fs::read(&fixture.path).unwrap();
            if number % 2 == 1 {
                bytes = mutate(&bytes, &mut rng);
            }
            folder.file(&format!("{number}.rdb"), &bytes)
        })
        .collect();
    files.push(folder.0.join("none.rdb"));
    let options = options(12 << 20);
    let (report, _) = in_pieces(&files, &vec![1; files.len()], &options);
    assert!(report == at_once(&files, &options));
}

#[test]
fn foreign_bytes_are_refused_and_never_panic() {
    let folder = Folder::new("foreign");
    let settings = options(64 << 10);
    let whole = Partial::count(folder.workload("mixed", 3_000, 1), &settings, &()).unwrap();
    let bytes = whole.to_bytes(&settings);
    let read = |bytes: &[u8]| Partial::from_bytes(bytes, &settings);
    assert_eq!(read(b"REDIS0012").unwrap_err().to_string(), "not a partial result: other bytes");
    let mut newer = bytes.clone();
    newer[3] = 200;
    let version = PartialError::Version { found: 200, expected: 2 };
    assert_eq!(read(&newer).unwrap_err(), version);
    let other = Options { top: 5, ..settings.clone() };
    let error = Partial::from_bytes(&bytes, &other).unwrap_err();
    assert!(matches!(error, PartialError::Settings { .. }), "{error}");
    for len in (0..bytes.len()).step_by(97) {
        assert!(read(&bytes[..len]).is_err(), "cut at {len}");
    }
    let mut rng = Rng::new(1);
    for _ in 0..2_000 {
        let mutated = mutate(&bytes, &mut rng);
        if let Ok(mut partial) = read(&mutated) {
            partial.merge(whole.clone());
            let _ = partial.report(&settings);
        }
    }
}

#[test]
fn partial_is_no_larger_than_the_memory_it_stands_for() {
    let folder = Folder::new("size");
    let settings = options(4 << 20);
    let len = |path: &Path| Partial::count(path, &settings, &()).unwrap().to_bytes(&settings).len();
    let len = len(&folder.workload("distinct", 100_000, 3));
    assert!(len < 1 << 20, "{len}");
}

#[test]
fn faults_that_may_pass_are_told_from_those_that_do_not() {
    let folder = Folder::new("faults");
    for (path, expected) in [
        (folder.0.join("none.rdb"), false),
        (folder.file("cut.rdb", b"REDIS0009\xfe"), false),
        (folder.file("gzip.rdb", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03junk"), false),
    ] {
        let partial = Partial::count(path.clone(), &options(1 << 20), &()).unwrap();
        let [input] = partial.inputs() else { panic!("{partial:?}") };
        assert!(input.error.is_some());
        assert_eq!(input.error_may_pass, expected, "{}", path.display());
    }
}
