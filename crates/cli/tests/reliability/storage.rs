//! Disks that are full, folders that cannot be written, another process that holds the database.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::faults::health_becomes;
use crate::fleet::{Choice, Client, Fleet, Process};

/// A small file system of its own in a folder, where this user may mount one.
struct Small<'p>(&'p Path);

impl<'p> Small<'p> {
    fn mount(path: &'p Path) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "offkey-test"])
            .arg(path)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(path)),
            _ => {
                eprintln!("no file system can be mounted: a full disk is not tested");
                None
            }
        }
    }

    fn remount(&self, option: &str) {
        let status = Command::new("mount").args(["-o", option]).arg(self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn full_disk_refuses_tasks_until_there_is_room() {
    let fleet = Fleet::new(None, 200);
    let data = fleet.folder.path().join("server");
    let Some(_small) = Small::mount(&data) else { return };
    let (server, client) = (fleet.serve("server", 0), fleet.client());
    let filler = data.join("filler");
    let first = client.create(&server.addr, 0, &Choice::One("small.rdb")).unwrap();
    let mut acknowledged = vec![(0, first.task_id().unwrap())];
    // One that fails to write has filled the rest.
    let _ = fs::write(&filler, vec![0; 4 << 20]);
    let mut refused = None;
    for instance in 1..fleet.instances {
        let answer = client.create(&server.addr, instance, &Choice::All).unwrap();
        match answer.task_id() {
            Some(id) => acknowledged.push((instance, id)),
            None => {
                refused = Some(answer);
                break;
            }
        }
    }
    let refused = refused.expect("the disk is full");
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("5")), "{refused:?}");
    // What does not write is answered.
    let shown = client.show(&server.addr, 0, &acknowledged[0].1).unwrap();
    assert_eq!(shown.status, 200, "{shown:?}");
    fs::remove_file(&filler).unwrap();
    let start = Instant::now();
    let last = fleet.instances - 1;
    let id = loop {
        let answer = client.create(&server.addr, last, &Choice::All).unwrap();
        if let Some(id) = answer.task_id() {
            break id;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{answer:?}");
        sleep(Duration::from_millis(100));
    };
    acknowledged.push((last, id));
    server.kill();
    let server = fleet.serve("server", 2);
    for (instance, id) in &acknowledged {
        let ended = client.wait(&server.addr, *instance, id, &["success", "failed"]);
        assert_eq!(ended["status"], "success", "{ended}");
    }
}

#[test]
fn full_disk_shows_in_health_and_passes() {
    let fleet = Fleet::new(None, 2);
    let data = fleet.folder.path().join("server");
    let Some(_small) = Small::mount(&data) else { return };
    let (server, client) = (fleet.serve("server", 1), fleet.client());
    let first = client.run(&server.addr, 0, &Choice::All);
    assert_eq!(first["status"], "success", "{first}");
    let becomes = |expected: u16| {
        let start = Instant::now();
        while !Client::health(&server.addr).is_ok_and(|(status, _)| status == expected) {
            assert!(start.elapsed() < Duration::from_secs(15), "{}", server.log());
            sleep(Duration::from_millis(100));
        }
    };
    becomes(200);
    assert!(fs::write(data.join("filler"), vec![0; 4 << 20]).is_err());
    becomes(503);
    fs::remove_file(data.join("filler")).unwrap();
    becomes(200);
    let last = client.run(&server.addr, 1, &Choice::All);
    assert_eq!(last["status"], "success", "{last}\n{}", server.log());
}

/// Where nothing may be mounted: the system lets the process's files grow no more.
#[test]
fn files_that_may_not_grow_refuse_tasks_until_they_may() {
    let mut fleet = Fleet::new(None, 20);
    fleet.lease_seconds = 1;
    // The signal that goes with the limit would end the process; a full disk sends none.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(env!("CARGO_BIN_EXE_offkey"));
    shell.arg("serve").arg("--config").arg(fleet.config("server", 1));
    let server = Process::spawn(shell, "listening").unwrap();
    let client = fleet.client();
    let may_grow = |limit: &str| {
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &server.pid(), &format!("--fsize={limit}:unlimited")]);
        assert!(prlimit.status().unwrap().success());
    };
    let first = client.create(&server.addr, 0, &Choice::All).unwrap().task_id().unwrap();
    may_grow("0");
    for instance in 1..4 {
        let refused = client.create(&server.addr, instance, &Choice::All).unwrap();
        assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("5")));
    }
    let start = Instant::now();
    while !Client::health(&server.addr).is_ok_and(|(status, _)| status == 503) {
        assert!(start.elapsed() < Duration::from_secs(15), "{}", server.log());
        sleep(Duration::from_millis(50));
    }
    let shown = client.show(&server.addr, 0, &first).unwrap();
    assert_eq!(shown.status, 200, "{shown:?}");
    may_grow("unlimited");
    let ended = client.wait(&server.addr, 0, &first, &["success", "failed"]);
    assert_eq!(ended["status"], "success", "{ended}");
    let last = client.run(&server.addr, 5, &Choice::All);
    assert_eq!(last["status"], "success", "{last}");
}

#[test]
fn folder_that_cannot_be_used_is_told_in_one_line() {
    let fleet = Fleet::new(None, 1);
    let data = fleet.folder.path().join("server");
    fs::write(&data, "a file").unwrap();
    let mut offkey = Command::new(env!("CARGO_BIN_EXE_offkey"));
    offkey.arg("serve").arg("--config").arg(fleet.config("server", 1));
    let output = offkey.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    assert!(lines[0].contains(data.to_str().unwrap()), "{stderr}");

    fs::remove_file(&data).unwrap();
    let Some(small) = Small::mount(&data) else { return };
    small.remount("remount,ro");
    let output = offkey.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("Read-only file system"), "{stderr}");
}

/// A process that is killed while it starts an analysis leaves the lock to that until it is a program
/// of its own.
#[test]
fn start_waits_for_a_moment_where_the_data_folder_is_in_use() {
    let fleet = Fleet::new(None, 1);
    let data = fleet.folder.path().join("server");
    fs::create_dir(&data).unwrap();
    let lock = fs::File::create(data.join("lock")).unwrap();
    lock.try_lock().unwrap();
    let freed = std::thread::spawn(move || {
        sleep(Duration::from_millis(500));
        drop(lock);
    });
    let (server, client) = (fleet.serve("server", 1), fleet.client());
    freed.join().unwrap();
    let task = client.run(&server.addr, 0, &Choice::All);
    assert_eq!(task["status"], "success", "{task}");
}

/// Holds the write lock of the database until its input ends.
const HOLD: &str = r#"
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
database.execute("ROLLBACK")
"#;

#[test]
fn database_that_another_program_holds_refuses_tasks_until_it_lets_go() {
    let mut fleet = Fleet::new(None, 4);
    fleet.lease_seconds = 1;
    fleet.add_large();
    let (server, client) = (fleet.serve("server", 1), fleet.client());
    let created = client.create(&server.addr, 0, &Choice::One("large.rdb")).unwrap();
    let first = created.task_id().unwrap();
    client.wait(&server.addr, 0, &first, &["running"]);
    let mut holder = Command::new("python3")
        .args(["-c", HOLD])
        .arg(fleet.folder.path().join("server/tasks.sqlite"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut held).unwrap();
    assert_eq!(held, "held\n");
    let start = Instant::now();
    let refused = client.create(&server.addr, 1, &Choice::All).unwrap();
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("5")), "{refused:?}");
    health_becomes(&server, 503);
    let seconds = std::env::var("OFFKEY_HOLD").map_or(0, |text| text.parse().unwrap());
    sleep(Duration::from_secs(seconds).saturating_sub(start.elapsed()));
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    health_becomes(&server, 200);
    let ended = client.wait(&server.addr, 0, &first, &["success", "failed"]);
    assert_eq!(ended["status"], "success", "{ended}\n{}", server.log());
    let next = client.run(&server.addr, 2, &Choice::All);
    assert_eq!(next["status"], "success", "{next}");
}

/// Damages all but the first page of the database, or that one too.
fn damage(database: &Path, from: usize) {
    let mut bytes = fs::read(database).unwrap();
    bytes[from..].fill(0xa5);
    let mut file = fs::OpenOptions::new().write(true).open(database).unwrap();
    file.write_all(&bytes).unwrap();
}

#[test]
fn database_that_is_corrupt_refuses_tasks_and_does_not_start_until_it_is_put_back() {
    let fleet = Fleet::new(None, 4);
    let database = fleet.folder.path().join("server/tasks.sqlite");
    let (mut server, client) = (fleet.serve("server", 1), fleet.client());
    let done = client.run(&server.addr, 0, &Choice::All);
    for (from, reason) in [(4096, "malformed"), (0, "not a database")] {
        server.signal("TERM");
        assert!(server.ends_within(Duration::from_secs(20)), "{}", server.log());
        let saved = fs::read(&database).unwrap();
        server = fleet.serve("server", 1);
        damage(&database, from);
        let start = Instant::now();
        loop {
            let created = client.create(&server.addr, 1, &Choice::All).unwrap();
            let shown = client.show(&server.addr, 0, done["id"].as_str().unwrap()).unwrap();
            for answer in [&created, &shown] {
                // What it needs may be in its memory.
                assert!([200, 400, 503].contains(&answer.status), "{answer:?}\n{}", server.log());
            }
            if created.status == 503 && shown.status == 503 {
                assert_eq!(created.retry_after.as_deref(), Some("5"), "{created:?}");
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{created:?} {shown:?}");
            sleep(Duration::from_millis(50));
        }
        health_becomes(&server, 503);
        server.end();

        damage(&database, from);
        let mut offkey = Command::new("timeout");
        offkey.arg("20").arg(env!("CARGO_BIN_EXE_offkey"));
        offkey.arg("serve").arg("--config").arg(fleet.config("server", 1));
        let output = offkey.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(reason) && stderr.contains("server/tasks.sqlite"), "{stderr}");

        fs::write(&database, saved).unwrap();
        for beside in ["tasks.sqlite-wal", "tasks.sqlite-shm"] {
            let _ = fs::remove_file(database.with_file_name(beside));
        }
        server = fleet.serve("server", 1);
        let shown = client.show(&server.addr, 0, done["id"].as_str().unwrap()).unwrap();
        assert_eq!(shown.json(), done);
        let next = client.run(&server.addr, 2, &Choice::All);
        assert_eq!(next["status"], "success", "{next}");
    }
}
