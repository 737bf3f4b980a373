//! The worst file is one failed attempt of one task: the process that reads it has limits.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::fleet::{Choice, Fleet, rdb, shown, signal};

/// Adds a backup that takes longer than the tests here have, though not on the disk.
fn add_endless(fleet: &Fleet) {
    let bytes = rdb(300_000);
    let body = &bytes[9..bytes.len() - 9];
    let file = fs::File::create(fleet.backups(0).join("endless.rdb")).unwrap();
    let mut file = zstd::stream::write::Encoder::new(file, 1).unwrap();
    file.write_all(&bytes[..9]).unwrap();
    for _ in 0..100 {
        file.write_all(body).unwrap();
    }
    file.write_all(b"\xff\0\0\0\0\0\0\0\0").unwrap();
    file.finish().unwrap();
}

#[test]
fn analysis_that_is_killed_is_tried_three_times() {
    let fleet = Fleet::new(None, 2);
    add_endless(&fleet);
    let (server, client) = (fleet.serve("server", 1), fleet.client());
    let created = client.create(&server.addr, 0, &Choice::One("endless.rdb")).unwrap();
    let id = created.task_id().unwrap();
    let start = Instant::now();
    let mut killed = 0;
    let ended = loop {
        let shown = client.show(&server.addr, 0, &id).unwrap().json();
        if shown["status"] == "failed" {
            break shown;
        }
        assert_ne!(shown["status"], "success");
        assert!(start.elapsed() < Duration::from_secs(60), "{}", server.log());
        if let Some(child) = server.children().pop() {
            // It has told how far it is by then.
            sleep(Duration::from_millis(500));
            signal("KILL", &child);
            killed += 1;
        }
        sleep(Duration::from_millis(20));
    };
    assert!(killed >= 3);
    let error = ended["error_msg"].as_str().unwrap();
    let rest = error.strip_prefix("worker died 3 times, the last time after byte ").unwrap();
    let (byte, cause) = rest.split_once(" of endless.rdb: ").unwrap();
    assert!(byte.parse::<u64>().unwrap() > 0, "{error}");
    assert_eq!(cause, "signal 9");
    // The service has gone on, and so have its other tasks.
    let other = client.run(&server.addr, 1, &Choice::One("small.rdb"));
    assert_eq!(other["status"], "success", "{other}");
}

#[test]
fn limits_of_memory_and_time_end_an_analysis_and_nothing_else() {
    let mut fleet = Fleet::new(None, 2);
    add_endless(&fleet);
    fleet.task_settings = "cpu_seconds = 1".to_owned();
    let (server, client) = (fleet.serve("server", 1), fleet.client());
    let small = client.run(&server.addr, 1, &Choice::One("small.rdb"));
    assert_eq!(small["status"], "success", "{small}");
    let ended = client.run(&server.addr, 0, &Choice::One("endless.rdb"));
    assert_eq!(ended["status"], "failed", "{ended}");
    let error = ended["error_msg"].as_str().unwrap();
    assert!(error.starts_with("worker died 3 times, the last time after byte "), "{error}");
    assert!(error.ends_with(": signal 9") || error.ends_with(": signal 24"), "{error}");
    let small = client.run(&server.addr, 1, &Choice::One("small.rdb"));
    assert_eq!(small["status"], "success", "{small}");
}

#[test]
fn process_that_analyses_has_its_limits_and_of_the_environment_the_way_to_stores() {
    for (variable, is_passed_on) in [("OFFKEY_CANARY", false), ("NO_PROXY", true)] {
        process_with(variable, is_passed_on);
    }
}

fn process_with(variable: &str, is_passed_on: bool) {
    let mut fleet = Fleet::new(None, 1);
    fleet.add_large();
    fleet.task_settings = "memory_mb = 512\ncpu_seconds = 99".to_owned();
    let server = fleet.start("server", "serve", 1, Some((variable, "canary"))).unwrap();
    let client = fleet.client();
    client.create(&server.addr, 0, &Choice::One("large.rdb")).unwrap().task_id().unwrap();
    let start = Instant::now();
    let (limits, environment) = loop {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", server.log());
        let Some(child) = server.children().pop() else { continue };
        let read = |name: &str| fs::read_to_string(format!("/proc/{child}/{name}"));
        // Until it has read its job it has none.
        if let (Ok(limits), Ok(environment)) = (read("limits"), read("environ"))
            && limits.lines().any(|line| line.starts_with("Max cpu time") && line.contains("99"))
        {
            break (limits, environment);
        }
    };
    for (name, value) in [
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max open files", "64"),
        ("Max address space", "536870912"),
        ("Max cpu time", "99"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let values: Vec<&str> = line[name.len()..].split_whitespace().collect();
        assert_eq!(values[..2], [value, value], "{line}");
    }
    let of_network =
        |line: &str| line.to_lowercase().contains("_proxy=") || line.contains("SSL_CERT_");
    assert!(environment.split_terminator('\0').all(of_network), "{environment}");
    assert_eq!(environment.contains(&format!("{variable}=canary")), is_passed_on, "{environment}");
}

#[test]
fn memory_beyond_the_limit_ends_the_process_and_not_the_service() {
    let enough = child_with(1 << 30);
    assert!(enough.status.success(), "{enough:?}");
    // Less than the program itself takes.
    let output = child_with(1 << 20);
    assert!(!output.status.success(), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    // A thread has no room for its stack, or a value has none.
    let causes = ["failed to spawn thread", "memory allocation of "];
    assert!(causes.iter().any(|cause| stderr.contains(cause)), "{stderr}");
}

/// Has a process of its own analyse a folder without backups.
fn child_with(memory_bytes: u64) -> Output {
    let job = format!(
        r#"{{"job":{{"step":"Whole","inputs":[{{"place":{{"File":[47]}},"name":"x"}}],
        "settings":{{}},"now_ms":0,"blobs":0}},"memory_bytes":{memory_bytes},"cpu_seconds":5}}"#
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_offkey"))
        .arg("child")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It ends with its stdin.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"j").unwrap();
    stdin.write_all(&u64::try_from(job.len()).unwrap().to_le_bytes()).unwrap();
    stdin.write_all(job.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    output
}

#[test]
fn nobody_else_starts_the_hidden_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_offkey"))
        .arg("child")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("only the service starts this"), "{stderr}");
}

#[test]
fn corrupt_file_is_not_tried_again() {
    let fleet = Fleet::new(None, 1);
    let path = fleet.backups(0).join("cut.rdb");
    fs::write(&path, &rdb(1000)[..3000]).unwrap();
    let (server, client) = (fleet.serve("server", 1), fleet.client());
    let ended = client.run(&server.addr, 0, &Choice::One("cut.rdb"));
    assert_eq!(ended["status"], "failed", "{ended}");
    let error = ended["error_msg"].as_str().unwrap();
    assert!(error.starts_with("cut.rdb: truncated at byte 29"), "{error}");
    assert!(!error.contains(&shown(fleet.folder.path())), "{error}");
    assert!(!server.logged(&["tried again"]), "{}", server.log());
}
