//! A database that goes away, freezes and comes back, also while results are written.

use std::thread::sleep;
use std::time::{Duration, Instant};

use offkey_testkit::Postgres;

use crate::fleet::{Choice, Client, Fleet, Process, explain};

/// Asks until the service says that it works, or does not.
fn health_becomes(process: &Process, status: u16, within: Duration) {
    let start = Instant::now();
    loop {
        let health = Client::health(&process.addr);
        if matches!(health, Ok((found, _)) if found == status) {
            return;
        }
        assert!(start.elapsed() < within, "still {health:?}\n{}", process.log());
        sleep(Duration::from_millis(100));
    }
}

fn two_processes(cluster: &Postgres) -> (Fleet, Process, Process) {
    let mut fleet = Fleet::new(Some(cluster.database()), 8);
    fleet.lease_seconds = 3;
    let (server, worker) = (fleet.serve("server", 0), fleet.worker("worker", 2));
    health_becomes(&server, 200, Duration::from_secs(10));
    (fleet, server, worker)
}

/// Creates a task on every instance; answers those that were acknowledged.
fn create_all(fleet: &Fleet, server: &Process) -> Vec<(usize, String)> {
    let client = fleet.client();
    (0..fleet.instances)
        .filter_map(|instance| {
            let created = client.create(&server.addr, instance, &Choice::All).ok()?;
            Some((instance, created.task_id()?))
        })
        .collect()
}

fn all_end(fleet: &Fleet, processes: [&Process; 2], tasks: &[(usize, String)]) {
    let (client, addr) = (fleet.client(), &processes[0].addr);
    for (instance, id) in tasks {
        let ended = client.wait_beside(&processes, addr, *instance, id, &["success", "failed"]);
        assert_eq!(ended["status"], "success", "{ended}\n{}", explain(&processes));
    }
}

#[test]
fn database_that_crashes_in_mid_task_loses_nothing() {
    let Some(mut cluster) = Postgres::start() else { return };
    let (fleet, server, worker) = two_processes(&cluster);
    let client = fleet.client();
    let rounds = std::env::var("OFFKEY_CRASHES").map_or(3, |text| text.parse().unwrap());
    for _ in 0..rounds {
        let tasks = create_all(&fleet, &server);
        assert_eq!(tasks.len(), fleet.instances);
        sleep(Duration::from_millis(60));
        cluster.kill();
        let start = Instant::now();
        let refused = client.show(&server.addr, 0, &tasks[0].1).unwrap();
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(refused.retry_after.as_deref(), Some("5"));
        assert!(start.elapsed() < Duration::from_secs(13), "{:?}", start.elapsed());
        health_becomes(&server, 503, Duration::from_secs(2));
        assert!(cluster.resume());
        health_becomes(&server, 200, Duration::from_secs(20));
        all_end(&fleet, [&server, &worker], &tasks);
    }
    drop(worker);
}

#[test]
fn database_that_freezes_is_waited_for_and_not_for_ever() {
    let Some(cluster) = Postgres::start() else { return };
    let (fleet, server, worker) = two_processes(&cluster);
    let client = fleet.client();
    let tasks = create_all(&fleet, &server);
    sleep(Duration::from_millis(60));
    cluster.freeze();
    let seconds = std::env::var("OFFKEY_FREEZE").map_or(8, |text| text.parse().unwrap());
    let start = Instant::now();
    // The answer is no, and it comes; the question of health is answered at once.
    let refused = client.show(&server.addr, 0, &tasks[0].1).unwrap();
    assert_eq!(refused.status, 503, "{refused:?}");
    let asked = Instant::now();
    health_becomes(&server, 503, Duration::from_secs(2));
    assert!(asked.elapsed() < Duration::from_secs(2));
    sleep(Duration::from_secs(seconds).saturating_sub(start.elapsed()));
    cluster.thaw();
    health_becomes(&server, 200, Duration::from_secs(20));
    all_end(&fleet, [&server, &worker], &tasks);
    drop(worker);
}

#[test]
fn database_that_goes_exactly_while_results_are_written_gets_them_later() {
    let Some(mut cluster) = Postgres::start() else { return };
    for point in ["finish.before=sleep:3000", "done.before=sleep:3000"] {
        let mut fleet = Fleet::new(Some(cluster.database()), 2);
        fleet.lease_seconds = 3;
        let (server, client) = (fleet.serve("server", 0), fleet.client());
        let variable = Some(("OFFKEY_FAIL_POINT", point));
        let worker = fleet.start("worker", "worker", 1, variable).unwrap();
        let created = client.create(&server.addr, 0, &Choice::All).unwrap();
        let id = created.task_id().unwrap();
        client.wait(&server.addr, 0, &id, &["running"]);
        // It waits in the middle of its transaction by now, or before long.
        sleep(Duration::from_millis(1500));
        cluster.kill();
        sleep(Duration::from_secs(2));
        assert!(cluster.resume());
        let ended = client.wait(&server.addr, 0, &id, &["success", "failed"]);
        assert_eq!(ended["status"], "success", "{point}: {ended}\n{}", worker.log());
    }
}

#[test]
fn process_without_a_working_worker_is_not_healthy() {
    let Some(cluster) = Postgres::start() else { return };
    let mut fleet = Fleet::new(Some(cluster.database()), 1);
    fleet.lease_seconds = 1;
    let server = fleet.serve("server", 0);
    health_becomes(&server, 503, Duration::from_secs(2));
    let worker = fleet.worker("worker", 1);
    health_becomes(&server, 200, Duration::from_secs(5));
    worker.signal("STOP");
    health_becomes(&server, 503, Duration::from_secs(5));
    worker.signal("CONT");
    health_becomes(&server, 200, Duration::from_secs(5));
    worker.kill();
    health_becomes(&server, 503, Duration::from_secs(5));
}

#[test]
fn worker_needs_a_database_that_can_be_shared() {
    let fleet = Fleet::new(None, 1);
    let mut offkey = std::process::Command::new(env!("CARGO_BIN_EXE_offkey"));
    let output = offkey.arg("worker").arg("--config").arg(fleet.config("w", 1)).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("needs database = \"postgres://...\""), "{stderr}");
}
