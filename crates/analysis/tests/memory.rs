//! Holds the memory model against what real servers said of the same files.
//!
//! `testdata` and `testdata/memory` have small files; where the large ones of `../shared/rdb` are
//! present they are compared too.

#[expect(dead_code, reason = "the examples read the rest")]
mod support;

use std::path::{Path, PathBuf};

use offkey_analysis::memory::Allocator;
use support::truth::{Comparison, compare, files_with_truth};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file with what a server said of it.
fn comparisons(folder: &Path) -> Vec<Comparison> {
    files_with_truth(folder).iter().map(|path| compare(path)).collect()
}

/// Types, encodings, counts, and the shares of keys that are equal or within a percent.
fn assert_near(comparison: &Comparison, exact_pct: f64, within_1pct_pct: f64) {
    let Comparison { name, all, differences, .. } = comparison;
    assert!(
        differences.is_empty(),
        "{name}: {} differ: {:?}",
        differences.len(),
        differences.first()
    );
    if all.keys > 0 {
        let (exact, within) = (all.exact_pct(), all.within_1pct_pct());
        assert!(exact >= exact_pct, "{name}: {exact:.3} % are equal\n{comparison:#?}");
        assert!(within >= within_1pct_pct, "{name}: {within:.3} % are within 1 %\n{comparison:#?}");
    }
}

/// What the server leaves to chance: levels of skip lists, and in tables collisions or how far
/// a rehash came.
fn is_drawn(encoding: &str) -> bool {
    ["skiplist", "hashtable"].contains(&encoding)
}

#[test]
fn small_files_are_as_the_server_says() {
    let folders = ["testdata", "testdata/memory"];
    let comparisons: Vec<_> = folders.iter().flat_map(|f| comparisons(&root().join(f))).collect();
    assert!(comparisons.len() >= 20, "fixtures are missing");
    for comparison in &comparisons {
        let Comparison { name, differences, groups, .. } = comparison;
        assert!(differences.is_empty(), "{name}: {differences:#?}");
        for (group, tally) in groups {
            let at = format!("{name} {group:?} {tally:?}");
            if name.ends_with("-keymeta") {
                // The server had lost the metadata's module when it was asked.
                assert!(tally.exact * 2 >= tally.keys, "{at}");
            } else if is_drawn(&group.1) || comparison.allocator == Allocator::Libc {
                // Of glibc's blocks some are 16 bytes larger than they need to be.
                assert!(tally.sum_error_pct().abs() < 3.0, "{at}");
            } else {
                assert_eq!(tally.exact, tally.keys, "{at}");
            }
        }
        if let Some(error) = comparison.bytes_error_pct() {
            assert!(error.abs() < 0.5, "{name}: {error:.2} % of the bytes");
        }
    }
}

#[test]
fn large_files_are_as_the_server_says() {
    for comparison in comparisons(&root().join("../shared/rdb")) {
        // The server had lost the metadata module when it was asked again.
        let metadata_lost = comparison.name.ends_with("-keymeta");
        let (exact, within) = if metadata_lost { (50.0, 50.0) } else { (99.5, 99.8) };
        assert_near(&comparison, exact, within);
        if comparison.name.ends_with("-main")
            && let Some(error) = comparison.bytes_error_pct()
        {
            assert!(error.abs() <= 0.6, "{}: {error:.2} % of the bytes", comparison.name);
        }
    }
}
