//! A service that runs for long: it holds no more memory, files or disk at the end.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::fleet::{Choice, Fleet, Process};

/// The log of a database grows to a thousand pages, and beyond while somebody reads.
const LOG_LEN_MAX: u64 = 16 << 20;

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    rss_kb: u64,
    files: usize,
}

impl Held {
    fn by(process: &Process) -> Self {
        Self { rss_kb: process.rss_kb(), files: process.open_files() }
    }
}

/// OFFKEY_SOAK=3600 for an hour.
#[test]
fn service_that_runs_for_long_holds_no_more_than_at_first() {
    let seconds: u64 = std::env::var("OFFKEY_SOAK").map_or(9, |text| text.parse().unwrap());
    let fleet = Fleet::new(None, 20);
    fleet.add_large();
    let (server, client) = (fleet.serve("server", 2), fleet.client());
    let data = fleet.folder.path().join("server");
    let start = Instant::now();
    let mut held = Vec::new();
    let (mut tasks, mut log_len) = (0, 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let instance = tasks % fleet.instances;
        let choice = match tasks % 20 {
            7 => Choice::One("large.rdb"),
            number if number % 2 == 0 => Choice::All,
            _ => Choice::One("small.rdb"),
        };
        // The one before it on this instance has ended by now, or holds this one up.
        if client.create(&server.addr, instance, &choice).unwrap().task_id().is_some() {
            tasks += 1;
        }
        sleep(Duration::from_millis(300));
        held.push(Held::by(&server));
        let log = fs::metadata(data.join("tasks.sqlite-wal")).unwrap();
        log_len = log_len.max(log.len());
    }
    assert!(tasks > 10, "only {tasks} tasks: {}", server.log());
    // Until then it takes what it needs.
    let settled = &held[held.len() / 3..];
    let median = |held: &[Held]| {
        let mut sorted: Vec<u64> = held.iter().map(|held| held.rss_kb).collect();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    };
    let (first, last) = settled.split_at(settled.len() / 2);
    let (before, after) = (median(first), median(last));
    let files = settled.iter().map(|held| held.files).max().unwrap();
    eprintln!(
        "{tasks} tasks in {seconds} s: {before} KB, later {after} KB; at most {files} files open; \
         log of the database at most {log_len} bytes"
    );
    assert!(after < before + before / 4 + 4096, "{before} KB, then {after} KB");
    assert!(files < 100, "{files} files open");
    assert!(log_len < LOG_LEN_MAX, "{log_len}");
    let known = ["lock", "tasks.sqlite", "tasks.sqlite-shm", "tasks.sqlite-wal"];
    for entry in fs::read_dir(&data).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name.as_str()), "{name} is left over");
    }
}
