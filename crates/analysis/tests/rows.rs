//! Rows of many inputs, summed by an engine or not, make the report of one analysis of them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use offkey_analysis::rows::{Merge, Row, RowKind, summarise};
use offkey_analysis::{Options, Report, analyze};
use offkey_testkit::{Dialect, Keyspace, Rng, Workload, fixtures, mutate, write_workload};

/// A folder of its own for the files of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("offkey-rows-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn workload(&self, name: &str, count: u64) -> PathBuf {
        let path = self.0.join(format!("{name}.rdb"));
        let mut file = fs::File::create(&path).unwrap();
        write_workload(Workload::named(name).unwrap(), count, 7, &mut file).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn own(row: &Row<'_>) -> Row<'static> {
    Row {
        name: row.name.as_deref().map(|name| name.to_vec().into()),
        detail: row.detail.as_deref().map(|detail| detail.to_owned().into()),
        ..*row
    }
}

fn rows_of(paths: &[PathBuf], options: &Options) -> Vec<Row<'static>> {
    let (mut rows, mut number) = (Vec::new(), 0);
    for path in paths {
        let infos = summarise(path.clone(), options, number, &mut |row| {
            rows.push(own(row));
            ControlFlow::Continue(())
        });
        number += infos.len() as u64;
    }
    rows
}

fn merged(rows: &[Row<'static>], options: &Options) -> Report {
    let mut merge = Merge::new(options, usize::MAX);
    rows.iter().for_each(|row| merge.add(row).unwrap());
    merge.report()
}

/// What an engine does: groups by all that is no number, sums, and spreads the groups over
/// parts, each of which is cut to few rows.
fn by_an_engine(rows: &[Row<'static>], options: &Options) -> Report {
    let mut groups: HashMap<_, Row<'static>> = HashMap::new();
    for row in rows {
        let input = if row.kind.is_sum() { None } else { Some(row.input) };
        let key = (row.kind.name(), row.object_type, row.name.clone(), row.at, row.detail.clone());
        match groups.get_mut(&(key.clone(), input)) {
            Some(group) => {
                group.num += row.num;
                group.bytes += row.bytes;
                group.no_expiry_num += row.no_expiry_num;
                group.no_expiry_bytes += row.no_expiry_bytes;
            }
            None => {
                groups.insert((key, input), row.clone());
            }
        }
    }
    let mut parts = [(); 3].map(|()| Merge::of_sums(options));
    for (turn, row) in groups.values().enumerate() {
        parts[turn % 3].add(row).unwrap();
    }
    let mut whole = Merge::new(options, usize::MAX);
    for part in parts {
        let end = part.rows(&mut |row| {
            whole.add(row).unwrap();
            ControlFlow::Continue(())
        });
        assert!(end.is_continue());
    }
    whole.report()
}

fn text(report: &Report) -> String {
    serde_json::to_string_pretty(report).unwrap()
}

fn assert_equal(paths: &[PathBuf], options: &Options) {
    let expected = text(&analyze(paths, options, &()).unwrap());
    // Tables so small that most prefixes leave in several rows.
    for prefix_memory in [options.prefix_memory, 10_000] {
        let options = Options { prefix_memory, ..options.clone() };
        let rows = rows_of(paths, &options);
        assert_same_text(&text(&merged(&rows, &options)), &expected);
        assert_same_text(&text(&by_an_engine(&rows, &options)), &expected);
    }
}

/// Texts are long: shows where they differ.
fn assert_same_text(found: &str, expected: &str) {
    let mut lines = found.lines().zip(expected.lines()).enumerate();
    if let Some((at, (found, expected))) = lines.find(|(_, (a, b))| a != b) {
        panic!("line {at}: {found:.200}, expected {expected:.200}");
    }
    assert_eq!(found.len(), expected.len());
}

fn options() -> Options {
    Options { now_ms: 1_700_000_000_000, prefix_memory: 256 << 20, ..Options::default() }
}

#[test]
fn real_files() {
    let mut paths: Vec<PathBuf> = fixtures().into_iter().map(|fixture| fixture.path).collect();
    assert!(paths.len() > 10);
    paths.push(PathBuf::from("no such file.rdb"));
    paths.push(paths[0].clone());
    assert_equal(&paths, &options());
    assert_equal(&paths, &Options { top: 3, prefixes: 2, fold_digits: false, ..options() });
}

#[test]
fn generated_and_damaged_files() {
    let folder = Folder::new("damaged");
    let paths: Vec<PathBuf> = (0..12)
        .map(|seed| {
            let mut bytes = Keyspace::generate(
                seed,
                Dialect::ALL[usize::try_from(seed).unwrap() % Dialect::ALL.len()],
                200,
            )
            .bytes;
            if seed % 2 == 1 {
                bytes = mutate(&bytes, &mut Rng::new(seed));
            }
            let path = folder.0.join(format!("{seed}.rdb"));
            fs::write(&path, bytes).unwrap();
            path
        })
        .collect();
    let report = analyze(&paths, &options(), &()).unwrap();
    assert!(!report.complete && report.inputs.iter().any(|input| input.complete));
    assert_equal(&paths, &options());
}

#[test]
fn files_at_the_bounds_of_memory() {
    let folder = Folder::new("bounds");
    let paths = [
        folder.workload("distinct", 20_000),
        folder.workload("mixed", 3_000),
        folder.workload("databases", 2_000),
        folder.workload("types", 50),
        folder.workload("levels", 1),
        folder.workload("names", 3),
    ];
    assert_equal(&paths, &options());
    for path in paths {
        assert_equal(&[path], &options());
    }
}

#[test]
fn an_observer_that_has_enough_is_asked_no_more() {
    let path = fixtures().remove(0).path;
    let mut calls = 0;
    summarise(path, &options(), 0, &mut |_| {
        calls += 1;
        ControlFlow::Break(())
    });
    assert_eq!(calls, 1);
}

#[test]
fn prefixes_beyond_memory_are_refused() {
    let folder = Folder::new("memory");
    let rows = rows_of(&[folder.workload("distinct", 20_000)], &options());
    let mut merge = Merge::new(&options(), 100_000);
    let error = rows.iter().find_map(|row| merge.add(row).err()).unwrap();
    assert!(error.to_string().contains("take more than 100000 bytes"), "{error}");
}

#[test]
fn foreign_rows_are_refused() {
    let path = fixtures().remove(0).path;
    let mut row = rows_of(&[path], &options()).remove(0);
    for kind in [RowKind::Input, RowKind::Damaged, RowKind::Key, RowKind::Slot, RowKind::Idle] {
        (row.kind, row.detail, row.at) = (kind, Some("{}".into()), None);
        let error = Merge::new(&options(), usize::MAX).add(&row).unwrap_err().to_string();
        assert!(error.starts_with(&format!("a row of kind {}: ", kind.name())), "{error}");
    }
}
