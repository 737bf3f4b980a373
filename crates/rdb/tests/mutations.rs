//! A million damaged files: each gives an answer or an error, in bounded memory and time.
//!
//! `OFFKEY_MUTATIONS=50000000 cargo test --release -p offkey-rdb --test mutations` makes more.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use offkey_rdb::{Entry, Error, Options, Part, Reader, Visit};
use offkey_testkit::{Dialect, Keyspace, Rng, mutate};

const COUNT: u64 = 1_000_000;
/// A slow machine makes fewer; the count is printed.
const TIME_MAX: Duration = Duration::from_secs(90);
const COUNT_MIN: u64 = 50_000;
/// Peak of the process, most of which is its own and that of the files' blocks.
const MEMORY_MAX_KIB: u64 = 128 << 10;

/// Counts parts, which no claim of a file may multiply.
#[derive(Default)]
struct Parts(usize);

impl Visit for Parts {
    fn part(&mut self, _: Part<'_>) {
        self.0 += 1;
    }
}

/// Reads to the end or to an error; answers how many parts passed.
fn read(bytes: &[u8]) -> usize {
    let mut parts = Parts::default();
    // An error is as good as an end.
    let _: Result<(), Error> = (|| {
        let mut reader = Reader::new(bytes, Options::default())?;
        loop {
            match reader.next_entry()? {
                Entry::Key(_) | Entry::HashTemplate { .. } => {
                    reader.value(&mut parts)?;
                }
                Entry::End(_) => return Ok(()),
                _ => {}
            }
        }
    })();
    parts.0
}

fn check(file: &[u8], seed: u64) {
    let bytes = mutate(file, &mut Rng::new(seed));
    // A byte of LZF makes at most 88 bytes, a byte of a blob at most one part.
    let parts_max = 88 * bytes.len() + 100;
    match catch_unwind(AssertUnwindSafe(|| read(&bytes))) {
        Ok(parts) => assert!(parts <= parts_max, "mutation {seed}: {parts} parts"),
        Err(_) => panic!("mutation {seed} of {} bytes panics", file.len()),
    }
}

#[test]
fn damaged_files_never_panic() {
    let count = env::var("OFFKEY_MUTATIONS").map_or(COUNT, |text| text.parse().unwrap());
    let time_max = if count > COUNT { Duration::MAX } else { TIME_MAX };
    let files: Vec<_> = Dialect::ALL
        .iter()
        .map(|dialect| Keyspace::generate_small(9, *dialect, dialect.types().len()).bytes)
        .collect();
    let (next, start) = (AtomicU64::new(0), Instant::now());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while start.elapsed() < time_max {
                    let first = next.fetch_add(1000, Ordering::Relaxed);
                    if first >= count {
                        return;
                    }
                    for seed in first..first + 1000 {
                        check(&files[usize::try_from(seed).unwrap() % files.len()], seed);
                    }
                }
            });
        }
    });
    let made = next.into_inner().min(count);
    println!("{made} mutations in {:?} on {threads} threads", start.elapsed());
    assert!(made >= COUNT_MIN, "only {made} mutations in {time_max:?}");
    let peak = peak_memory_kib();
    assert!(peak < MEMORY_MAX_KIB, "the process grew to {peak} KiB");
}

fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
