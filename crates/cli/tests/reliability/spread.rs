//! Two API servers and four workers that share nothing but PostgreSQL and the backups.

use std::time::Instant;

use offkey_testkit::Postgres;

use crate::fleet::{Choice, Fleet, Process, as_of_first, golden};

const TASKS: usize = 200;

#[test]
fn two_hundred_tasks_are_spread_over_four_workers() {
    let Some(cluster) = Postgres::start() else { return };
    let golden = golden(&Fleet::new(None, 1), &[Choice::All]);
    for workers in [1, 2, 4] {
        // Each on tables that are new, as what earlier ones left slows the later ones.
        let fleet = Fleet::new(Some(cluster.database()), TASKS);
        let client = fleet.client();
        let servers = [fleet.serve("server0", 0), fleet.serve("server1", 0)];
        let tasks: Vec<String> = (0..TASKS)
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
            assert!(report == golden[&Choice::All], "{instance}");
        }
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("{} workers: {TASKS} tasks of three backups in {seconds:.1} s", workers.len());
        for worker in &workers {
            let parts = worker.log().lines().filter(|line| line.contains("part starts")).count();
            // Each task has four parts; nobody is left out.
            assert!(parts > TASKS * 4 / workers.len() / 4, "{parts} parts:\n{}", worker.log());
        }
    }
}
