//! Clocks of single machines that are wrong by a day: only the database's counts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use offkey_testkit::Postgres;

use crate::fleet::{Choice, Fleet, Process};

/// The library of Debian's package that moves a process's clock.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|library| library.exists())
}

#[test]
fn worker_whose_clock_is_a_day_off_keeps_its_lease_and_takes_no_other() {
    let Some(cluster) = Postgres::start() else { return };
    let Some(library) = faketime() else {
        let required = std::env::var("OFFKEY_SERVERS").is_ok_and(|value| value == "required");
        assert!(!required, "faketime is missing: run scripts/setup test");
        eprintln!("no faketime: clocks are not moved");
        return;
    };
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
