//! Memory does not grow with a file: the real binary reads files of many shapes from a pipe.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is how a test fails"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use offkey_testkit::{Workload, write_workload};
use serde_json::Value as Json;

/// Peak resident memory of the process, its code included.
const MEMORY_MAX_KIB: u64 = 64 << 10;

/// The same where nothing is remembered but one key.
const ONE_KEY_MAX_KIB: u64 = 16 << 10;

/// What the process's memory was at most until now; none once it has ended.
fn peak_memory_kib(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Analyses `count` pieces of a workload; answers the report and the peak of memory.
fn analyze(name: &str, count: u64) -> (Json, u64) {
    let workload = Workload::named(name).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_offkey"))
        .args(["analyze", "--quiet", "--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let peak_kib = AtomicU64::new(0);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            write_workload(workload, count, 1, &mut stdin).unwrap();
            stdin.flush().unwrap();
            drop(stdin);
        });
        scope.spawn(|| {
            while let Some(kib) = peak_memory_kib(&child) {
                peak_kib.fetch_max(kib, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut report = Vec::new();
        stdout.read_to_end(&mut report).unwrap();
        report
    });
    assert!(child.wait().unwrap().success(), "{name}");
    let report: Json = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["complete"], true, "{name}");
    let peak_kib = peak_kib.into_inner();
    println!("{name}: {} bytes, peak {peak_kib} KiB", report["inputs"][0]["bytes_read"]);
    assert!(peak_kib > 0, "{name}: memory was seen");
    assert!(peak_kib < MEMORY_MAX_KIB, "{name}: the process grew to {peak_kib} KiB");
    (report, peak_kib)
}

#[test]
fn one_value_of_any_size_passes_by() {
    let cases = [
        ("string", 512, 1, 512 << 20),
        ("string-lzf", 512, 1, (512 << 20) + 4),
        ("hash", 5_000_000, 1, 5_000_000),
        ("zset", 5_000_000, 1, 5_000_000),
        ("nodes", 5_000_000, 1, 5_000_000),
    ];
    for (name, count, keys, elements) in cases {
        let (report, peak_kib) = analyze(name, count);
        assert_eq!(report["total_num"], keys, "{name}");
        assert_eq!(report["largest_keys"][0]["num_of_elem"], elements, "{name}");
        assert!(peak_kib < ONE_KEY_MAX_KIB, "{name}: the process grew to {peak_kib} KiB");
    }
}

#[test]
fn names_of_any_number_and_length_pass_by() {
    let cases = [
        ("small", 1_000_000),
        ("distinct", 2_000_000),
        ("uniform", 2_000_000),
        ("types", 500_000),
        ("levels", 400),
        ("databases", 200_000),
        ("names", 300),
    ];
    for (name, count) in cases {
        let (report, _) = analyze(name, count);
        assert_eq!(report["total_num"], count, "{name}");
    }
}
