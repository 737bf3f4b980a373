//! Clocks of single machines that are wrong by a day: only the database's counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use offkey_testkit::Postgres;

use crate::fleet::{Choice, Client, Fleet, Process};

/// The library of Debian's package that moves a process's clock.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|library| library.exists())
}

/// The same, or a failure where everything must be there.
fn library() -> Option<PathBuf> {
    let library = faketime();
    if library.is_none() {
        let required = std::env::var("OFFKEY_SERVERS").is_ok_and(|value| value == "required");
        assert!(!required, "faketime is missing: run scripts/setup test");
        eprintln!("no faketime: clocks are not moved");
    }
    library
}

/// A process whose clock jumps while it runs.
struct Jumping {
    process: Process,
    /// Says by how much the clock is off.
    offset: PathBuf,
}

impl Jumping {
    fn start(fleet: &Fleet, library: &Path, command: &str, workers: usize) -> Self {
        let offset = fleet.folder.path().join(format!("{command}.offset"));
        fs::write(&offset, "+0").unwrap();
        let mut offkey = Command::new(env!("CARGO_BIN_EXE_offkey"));
        offkey.arg(command).arg("--config").arg(fleet.config("jumping", workers));
        // A jump moves the time of day; what measures how long something takes goes on.
        offkey
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", &offset)
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let word = if command == "serve" { "listening" } else { "working" };
        Self { process: Process::spawn(offkey, word).unwrap(), offset }
    }

    fn jump(&self, days: i64) {
        let new = self.offset.with_extension("new");
        fs::write(&new, format!("{days:+}d")).unwrap();
        fs::rename(new, &self.offset).unwrap();
    }
}

#[test]
fn worker_whose_clock_jumps_keeps_its_lease_and_takes_no_other() {
    let (Some(cluster), Some(library)) = (Postgres::start(), library()) else { return };
    let mut fleet = Fleet::new(Some(cluster.database()), 9);
    fleet.lease_seconds = 2;
    fleet.add_large();
    let (server, client) = (fleet.serve("server", 0), fleet.client());
    let (jumping, right) =
        (Jumping::start(&fleet, &library, "worker", 1), fleet.worker("right", 1));
    let mut tasks = Vec::new();
    for (round, days) in [1, -1, 0].into_iter().enumerate() {
        for instance in 3 * round..3 * round + 3 {
            let created = client.create(&server.addr, instance, &Choice::One("large.rdb"));
            let id = created.unwrap().task_id().unwrap();
            tasks.push((instance, id));
        }
        // Both have one by now, or have had it.
        client.wait(&server.addr, 3 * round, &tasks[3 * round].1, &["running", "success"]);
        client.wait(&server.addr, 3 * round + 1, &tasks[3 * round + 1].1, &["running", "success"]);
        jumping.jump(days);
        for (instance, id) in tasks.iter().skip(3 * round) {
            let ended = client.wait(&server.addr, *instance, id, &["success", "failed"]);
            assert_eq!(ended["status"], "success", "{ended}");
        }
    }
    for process in [&jumping.process, &right] {
        assert!(process.logged(&["part starts"]), "{}", process.log());
        assert!(!process.logged(&["lost"]), "{}", process.log());
    }
    let days = |process: &Process| {
        let mut days: Vec<_> = process.log().lines().map(|line| line[..10].to_owned()).collect();
        days.sort();
        days.dedup();
        days.len()
    };
    assert!(days(&jumping.process) >= 3, "the clock did not jump: {}", jumping.process.log());
}

/// With SQLite the process's clock is the database's.
#[test]
fn service_whose_own_clock_jumps_ends_every_task() {
    const DAY_MS: i64 = 86_400_000;
    let Some(library) = library() else { return };
    let fleet = Fleet::new(None, 6);
    fleet.add_large();
    let mut client = fleet.client();
    let jumping = Jumping::start(&fleet, &library, "serve", 1);
    let server = &jumping.process;
    let (away, back) = (fleet.backups(2), fleet.backups(7));
    let mut tasks = Vec::new();
    for (round, days) in [[1, 0], [-1, 1], [0, -1]].into_iter().enumerate() {
        // The only worker has the one, so that the other begins without a folder.
        for (instance, choice) in
            [(2 * round, Choice::One("large.rdb")), (2 * round + 1, Choice::All)]
        {
            let created = client.create(&server.addr, instance, &choice).unwrap();
            tasks.push((instance, created.task_id().unwrap_or_else(|| panic!("{created:?}"))));
        }
        fs::rename(&away, &back).unwrap();
        // One jump while a part runs, one while a part waits for its time to be tried again.
        for days in days {
            jumping.jump(days);
            client.ahead_ms = days * DAY_MS;
            let start = Instant::now();
            let tried = || server.log().matches("part is tried again").count();
            while tried() <= round && start.elapsed() < Duration::from_secs(150) {
                sleep(Duration::from_millis(20));
            }
            assert!(tried() > round, "{}", server.log());
        }
        fs::rename(&back, &away).unwrap();
        for (instance, id) in &tasks {
            let ended = client.wait_beside(&[server], &server.addr, *instance, id, &["success"]);
            assert_eq!(ended["status"], "success", "{ended}");
        }
        assert!(Client::health(&server.addr).is_ok_and(|(status, _)| status == 200));
    }
}

#[test]
fn worker_whose_clock_is_a_day_off_keeps_its_lease_and_takes_no_other() {
    let (Some(cluster), Some(library)) = (Postgres::start(), library()) else { return };
    for offset in ["+1d", "-1d"] {
        let mut fleet = Fleet::new(Some(cluster.database()), 6);
        fleet.lease_seconds = 2;
        fleet.add_large();
        let (server, client) = (fleet.serve("server", 0), fleet.client());
        let right = fleet.worker("right", 1);
        let large = Choice::One("large.rdb");
        let id = client.create(&server.addr, 0, &large).unwrap().task_id().unwrap();
        let before = client.wait(&server.addr, 0, &id, &["running"]);
        // For this one everybody's lease ended yesterday, or will end tomorrow.
        let mut program = Command::new(env!("CARGO_BIN_EXE_offkey"));
        program.arg("worker").arg("--config").arg(fleet.config("wrong", 1));
        program.env("LD_PRELOAD", &library).env("FAKETIME", offset);
        let wrong = Process::spawn(program, "working").unwrap();
        let day = |process: &Process| process.log()[..10].to_owned();
        assert_ne!(day(&wrong), day(&right), "the clock was not moved");
        let mut others = Vec::new();
        for instance in 1..fleet.instances {
            let created = client.create(&server.addr, instance, &Choice::All).unwrap();
            others.push((instance, created.task_id().unwrap()));
        }
        for (instance, id) in others {
            let ended = client.wait(&server.addr, instance, &id, &["success", "failed"]);
            assert_eq!(ended["status"], "success", "{offset}: {ended}");
            let times = ["created_at", "started_at", "finished_at"]
                .map(|name| ended[name].as_str().unwrap().to_owned());
            assert!(times.is_sorted(), "{offset}: {times:?}");
        }
        let ended = client.wait(&server.addr, 0, &id, &["success", "failed"]);
        assert_eq!(ended["started_at"], before["started_at"], "{offset}: it was run twice");
        assert!(wrong.logged(&["part starts"]), "{offset}: {}", wrong.log());
        assert!(!wrong.logged(&["lost"]) && !right.logged(&["lost"]), "{offset}");
    }
}
