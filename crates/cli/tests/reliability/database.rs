//! A database that goes away, freezes and comes back, also while results are written.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{scope, sleep, spawn};
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

/// A relay to the database, which can lose the connections it has as a network does: nothing
/// passes any more, and nobody is told. New ones are as they should be.
struct Relay {
    port: u16,
    lost: Arc<AtomicUsize>,
}

impl Relay {
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lost = Arc::new(AtomicUsize::new(0));
        let its_lost = Arc::clone(&lost);
        spawn(move || {
            for stream in listener.incoming() {
                let (client, server) = (stream.unwrap(), TcpStream::connect(("127.0.0.1", to)));
                let Ok(server) = server else { continue };
                let ways =
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)];
                for (from, to) in ways {
                    let lost = Arc::clone(&its_lost);
                    spawn(move || pass(from, to, &lost));
                }
            }
        });
        Self { port, lost }
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::SeqCst);
    }
}

/// Hands on what comes, until the connection is lost or one side ends it.
fn pass(mut from: TcpStream, mut to: TcpStream, lost: &AtomicUsize) {
    /// Open for as long as the test runs.
    static LOST: Mutex<Vec<TcpStream>> = Mutex::new(Vec::new());
    let since = lost.load(Ordering::SeqCst);
    let mut bytes = [0; 16 << 10];
    loop {
        let len = from.read(&mut bytes).unwrap_or(0);
        if lost.load(Ordering::SeqCst) != since {
            LOST.lock().unwrap().extend([from, to]);
            return;
        }
        if len == 0 || to.write_all(&bytes[..len]).is_err() {
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}

#[test]
fn connections_that_are_lost_without_a_word_are_made_anew() {
    let Some(cluster) = Postgres::start() else { return };
    let url = cluster.database();
    let (head, name) = url.rsplit_once('/').unwrap();
    let port = head.rsplit_once(':').unwrap().1;
    let relay = Relay::start(port.parse().unwrap());
    let url = format!("postgres://postgres@127.0.0.1:{}/{name}", relay.port);
    let mut fleet = Fleet::new(Some(url), 8);
    fleet.lease_seconds = 3;
    let (server, worker) = (fleet.serve("server", 0), fleet.worker("worker", 2));
    health_becomes(&server, 200, Duration::from_secs(10));
    for _ in 0..2 {
        let tasks = create_all(&fleet, &server);
        assert_eq!(tasks.len(), fleet.instances);
        let start = Instant::now();
        // Every connection is in the middle of something.
        scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    while start.elapsed() < Duration::from_secs(1) {
                        let shown = fleet.client().show(&server.addr, 0, &tasks[0].1).unwrap();
                        assert!([200, 503].contains(&shown.status), "{shown:?}");
                    }
                });
            }
            sleep(Duration::from_millis(300));
            relay.lose();
        });
        all_end(&fleet, [&server, &worker], &tasks);
        health_becomes(&server, 200, Duration::from_secs(20));
        eprintln!("well again after {:.1} s", start.elapsed().as_secs_f64());
    }
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
