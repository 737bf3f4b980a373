//! Workers that are stopped, and come back to find that somebody else has done their work.

use std::sync::Mutex;
use std::thread::scope;
use std::time::{Duration, Instant};

use offkey_testkit::Postgres;

use crate::fleet::{Choice, Fleet, Process, signal};

/// Rounds that run beside each other: what takes its time is waiting. OFFKEY_LANES for more.
const LANES: usize = 3;

/// A number that the environment may set to another one than the usual.
fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn worker_stopped_past_its_lease_changes_nothing_when_it_goes_on() {
    let Some(cluster) = Postgres::start() else { return };
    let (rounds, lanes) = (number("OFFKEY_STOPS", 6), number("OFFKEY_LANES", LANES));
    let start = Instant::now();
    scope(|scope| {
        for lane in 0..lanes {
            let cluster = &cluster;
            scope.spawn(move || {
                let mut fleet = Fleet::new(Some(cluster.database()), 4);
                fleet.lease_seconds = 1;
                fleet.add_large();
                let server = fleet.serve("server", 0);
                for round in (lane..rounds).step_by(lanes) {
                    let stopped = Stopped::of(round);
                    stop_and_go_on(&fleet, &server, round % fleet.instances, &stopped);
                }
            });
        }
    });
    eprintln!("{rounds} workers stopped in {:.0} s", start.elapsed().as_secs_f64());
}

/// Where a worker is when it is stopped.
enum Stopped {
    /// In an analysis, which goes on and may even end, but nobody hears of it.
    Analysing,
    /// Between taking the part and reading: all of its writes come late.
    Claimed,
}

impl Stopped {
    fn of(round: usize) -> Self {
        if round.is_multiple_of(4) { Self::Analysing } else { Self::Claimed }
    }
}

fn stop_and_go_on(fleet: &Fleet, server: &Process, instance: usize, stopped: &Stopped) {
    let client = fleet.client();
    let (point, choice) = match stopped {
        Stopped::Analysing => (None, Choice::One("large.rdb")),
        // Longer than it takes to see that it runs.
        Stopped::Claimed => (Some("claim.after=sleep:2000"), Choice::One("small.rdb")),
    };
    let variable = point.map(|point| ("OFFKEY_FAIL_POINT", point));
    let first = fleet.start("first", "worker", 1, variable).unwrap();
    let created = client.create(&server.addr, instance, &choice).unwrap();
    let id = created.task_id().unwrap_or_else(|| panic!("{created:?}"));
    client.wait(&server.addr, instance, &id, &["running"]);
    first.signal("STOP");
    let second = fleet.worker("second", 1);
    let ended = client.wait(&server.addr, instance, &id, &["success", "failed"]);
    assert_eq!(ended["status"], "success", "{ended}");
    let report = client.report(&server.addr, instance, &id).body;
    says(&second, "task ends");

    first.signal("CONT");
    says(&first, "lost");
    assert!(!first.logged(&["task ends"]), "{}", first.log());
    assert_eq!(client.show(&server.addr, instance, &id).unwrap().json(), ended);
    assert!(client.report(&server.addr, instance, &id).body == report);
}

/// Waits until the process has said it: the client may hear of it earlier.
fn says(process: &Process, word: &str) {
    let start = Instant::now();
    while !process.logged(&[word]) {
        assert!(start.elapsed() < Duration::from_secs(30), "no {word:?}: {}", process.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whatever it holds in the database at that moment, the others get it: the lock of all claims, or
/// the row of the task whose result it is about to store.
#[test]
fn worker_stopped_within_a_transaction_holds_the_others_up_for_seconds() {
    let Some(cluster) = Postgres::start() else { return };
    for point in ["claim.before=sleep:3000", "finish.before=sleep:3000"] {
        let mut fleet = Fleet::new(Some(cluster.database()), 2);
        fleet.lease_seconds = 1;
        let (server, client) = (fleet.serve("server", 0), fleet.client());
        let variable = Some(("OFFKEY_FAIL_POINT", point));
        let first = fleet.start("first", "worker", 1, variable).unwrap();
        let choice = Choice::One("small.rdb");
        let created = client.create(&server.addr, 0, &choice).unwrap();
        let id = created.task_id().unwrap_or_else(|| panic!("{created:?}"));
        std::thread::sleep(Duration::from_secs(1));
        first.signal("STOP");
        let start = Instant::now();
        let second = fleet.worker("second", 1);
        for (instance, id) in [
            (0, id.clone()),
            (1, client.create(&server.addr, 1, &choice).unwrap().task_id().unwrap()),
        ] {
            let ended =
                client.wait_beside(&[&second], &server.addr, instance, &id, &["success", "failed"]);
            assert_eq!(ended["status"], "success", "{point}: {ended}");
        }
        eprintln!("{point}: others went on after {:.1} s", start.elapsed().as_secs_f64());
        assert!(start.elapsed() < Duration::from_secs(45), "{point}: {}", second.log());
        let ended = client.show(&server.addr, 0, &id).unwrap().json();
        first.signal("CONT");
        let start = Instant::now();
        while !first.logged(&["lost"]) && !first.logged(&["no task could be taken"]) {
            assert!(start.elapsed() < Duration::from_secs(20), "{point}: {}", first.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!first.logged(&["task ends"]), "{point}: {}", first.log());
        assert_eq!(client.show(&server.addr, 0, &id).unwrap().json(), ended);
    }
}

/// OFFKEY_LEASE=30 for the lease that is usual.
#[test]
fn dead_workers_task_runs_elsewhere_after_the_lease() {
    let Some(cluster) = Postgres::start() else { return };
    let lease = u32::try_from(number("OFFKEY_LEASE", 2)).unwrap();
    let taken = Mutex::new(Vec::new());
    scope(|scope| {
        for _ in 0..number("OFFKEY_DEATHS", 1) {
            scope.spawn(|| {
                let after = die_and_run_elsewhere(&cluster, lease);
                taken.lock().unwrap().push(after);
            });
        }
    });
    let taken = taken.into_inner().unwrap();
    eprintln!("lease of {lease} s: {} workers died, taken up after {taken:.1?}", taken.len());
}

fn die_and_run_elsewhere(cluster: &Postgres, lease: u32) -> Duration {
    let mut fleet = Fleet::new(Some(cluster.database()), 1);
    fleet.lease_seconds = lease;
    fleet.add_large();
    let (server, client) = (fleet.serve("server", 0), fleet.client());
    let first = fleet.worker("first", 1);
    let created = client.create(&server.addr, 0, &Choice::One("large.rdb")).unwrap();
    let id = created.task_id().unwrap();
    let before = client.wait(&server.addr, 0, &id, &["running"]);
    let second = fleet.worker("second", 1);
    first.kill();
    let start = Instant::now();
    // The lease, and how often idle workers look; 45 s of a lease of 30 s.
    let within = Duration::from_secs(u64::from(lease + lease.max(8) / 2));
    while client.show(&server.addr, 0, &id).unwrap().json()["started_at"] == before["started_at"] {
        assert!(start.elapsed() < within, "{}", second.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let taken = start.elapsed();
    client.wait(&server.addr, 0, &id, &["success"]);
    taken
}

#[test]
fn analysis_ends_with_its_worker() {
    let fleet = Fleet::new(None, 1);
    fleet.add_large();
    let (server, client) = (fleet.serve("server", 1), fleet.client());
    client.create(&server.addr, 0, &Choice::One("large.rdb")).unwrap().task_id().unwrap();
    let start = Instant::now();
    let children = loop {
        let children = server.children();
        if !children.is_empty() {
            break children;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{}", server.log());
    };
    server.kill();
    for child in children {
        let status = format!("/proc/{child}/stat");
        let start = Instant::now();
        // A zombie has ended, though nobody has asked how.
        while std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
            if start.elapsed() > Duration::from_secs(3) {
                signal("KILL", &child);
                panic!("the analysis {child} goes on without its worker");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn cancel_reaches_a_worker_of_another_process_at_once() {
    let Some(cluster) = Postgres::start() else { return };
    let fleet = Fleet::new(Some(cluster.database()), 1);
    fleet.add_large();
    let (server, worker) = (fleet.serve("server", 0), fleet.worker("worker", 1));
    let client = fleet.client();
    let created = client.create(&server.addr, 0, &Choice::One("large.rdb")).unwrap();
    let id = created.task_id().unwrap();
    while worker.children().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let rest = format!("/offline/key-analysis/{id}?force=true");
    let answer = client.call(&server.addr, "DELETE", 0, &rest, "").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let start = Instant::now();
    while !worker.children().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(2), "{}", worker.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}
