//! Two API servers and four workers with folders of their own, that share nothing but
//! PostgreSQL and a bucket of an S3 server.

use std::fs;
use std::time::Instant;

use offkey_testkit::Postgres;

use crate::fleet::{Choice, Fleet, Process, as_of_first, golden, instance, node};
use crate::peer::{Fault, Peer};

/// How many tasks there are; OFFKEY_SPREAD=200 for more.
fn tasks() -> usize {
    std::env::var("OFFKEY_SPREAD").map_or(32, |text| text.parse().unwrap())
}

#[test]
fn tasks_are_spread_over_workers_that_share_a_database_and_a_bucket() {
    let (Some(cluster), Some(peer)) = (Postgres::start(), Peer::start()) else { return };
    let tasks = tasks();
    let golden = golden(&Fleet::new(None, 1), &[Choice::All]);
    fill(&peer, tasks);
    for workers in [1, 2, 4] {
        // Each on tables that are new, as what earlier ones left slows the later ones.
        let mut fleet = Fleet::new(Some(cluster.database()), tasks);
        fleet.store = Some(peer.endpoint());
        for part in 0..3 {
            fs::remove_dir_all(fleet.backups(part)).unwrap();
        }
        peer.set(|_| Fault::None);
        let seconds = run(&fleet, workers, &golden[&Choice::All]);
        let reads = peer.requests().iter().filter(|head| head.contains("range: ")).count();
        assert!(reads >= 3 * tasks, "{reads} parts of objects were read");
        eprintln!("{workers} workers: {tasks} tasks of three objects in {seconds:.1} s");
    }
}

/// Puts a backup of each node into the bucket.
fn fill(peer: &Peer, instances: usize) {
    let folders = Fleet::new(None, 1);
    for part in 0..3 {
        let bytes = fs::read(folders.backups(part).join("small.rdb")).unwrap();
        for number in 0..instances {
            let (instance, node) = (instance(number), node(number, part));
            peer.put(&format!("/backups/{instance}/{node}/small.rdb"), &bytes);
        }
    }
}

/// Runs a task on each instance and compares the reports; answers how long the workers took.
fn run(fleet: &Fleet, workers: usize, golden: &str) -> f64 {
    let client = fleet.client();
    let servers = [fleet.serve("server0", 0), fleet.serve("server1", 0)];
    let tasks: Vec<String> = (0..fleet.instances)
        .map(|instance| {
            let addr = &servers[instance % 2].addr;
            let created = client.create(addr, instance, &Choice::All).unwrap();
            created.task_id().unwrap_or_else(|| panic!("{created:?}"))
        })
        .collect();
    let start = Instant::now();
    let workers: Vec<Process> =
        (0..workers).map(|number| fleet.worker(&format!("worker{number}"), 1)).collect();
    for (instance, id) in tasks.iter().enumerate() {
        // Whoever was asked to create it, the other one knows of it.
        let addr = &servers[(instance + 1) % 2].addr;
        let ended = client.wait(addr, instance, id, &["success", "failed"]);
        assert_eq!(ended["status"], "success", "{ended}");
        let report = as_of_first(&client.report(addr, instance, id).body, instance);
        assert!(report == golden, "{instance}: {report}");
    }
    let seconds = start.elapsed().as_secs_f64();
    for worker in &workers {
        let parts = worker.log().lines().filter(|line| line.contains("part starts")).count();
        // Each task has four parts; nobody is left out.
        assert!(parts > tasks.len() * 4 / workers.len() / 4, "{parts} parts:\n{}", worker.log());
    }
    seconds
}
