//! Processes killed at random times, again and again: no acknowledged task is lost, none has two
//! results, none stays unfinished, and reports are the bytes of an undisturbed run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use offkey_testkit::{Postgres, Rng};

use crate::fleet::{Choice, Client, Fleet, Process, as_of_first, explain, golden, signal};

const CHOICES: [Choice; 2] = [Choice::One("small.rdb"), Choice::All];

/// How often a process is killed; OFFKEY_KILLS for more, OFFKEY_LANES for several fleets that share
/// the kills.
fn lanes() -> Vec<(u64, u32)> {
    let number =
        |name: &str, usual| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (kills, lanes) = (number("OFFKEY_KILLS", 200), number("OFFKEY_LANES", 1));
    (0..lanes).map(|lane| (u64::from(lane), kills / lanes)).collect()
}

/// Says how far a long run is.
fn tell(kill: u32, start: Instant) {
    if kill > 0 && kill.is_multiple_of(500) {
        eprintln!("{kill} kills in {:.0} s", start.elapsed().as_secs_f64());
    }
}

/// A task that was acknowledged.
#[derive(Clone)]
struct Acknowledged {
    instance: usize,
    choice: Choice,
    /// What was first seen of its end.
    end: Option<(String, String)>,
}

/// What the submitting side knows.
#[derive(Default)]
struct Book {
    tasks: Mutex<HashMap<String, Acknowledged>>,
    stop: AtomicBool,
}

#[test]
fn kills_at_random_lose_nothing_on_sqlite() {
    scope(|scope| {
        for (lane, kills) in lanes() {
            scope.spawn(move || kill_on_sqlite(lane, kills));
        }
    });
}

fn kill_on_sqlite(lane: u64, kills: u32) {
    let start = Instant::now();
    let fleet = Fleet::new(None, 40);
    let mut server = fleet.serve("server", 3);
    let addr = Arc::new(Mutex::new(server.addr.clone()));
    let book = Book::default();
    let mut rng = Rng::new(100 * lane + 1);
    scope(|scope| {
        scope.spawn(|| submit(&fleet.client(), &addr, &book, fleet.instances, 100 * lane + 11));
        let _end = End(&book);
        for kill in 0..kills {
            tell(kill, start);
            sleep(Duration::from_millis(u64::try_from(rng.between(50, 500)).unwrap()));
            // The workers are threads of the server; what they have analysed are processes.
            let children = server.children();
            if rng.one_in(2) && !children.is_empty() {
                signal("KILL", &children[rng.below(children.len())]);
            } else {
                server.end();
                server = fleet.serve("server", 3);
                (*addr.lock().unwrap()).clone_from(&server.addr);
            }
        }
    });
    settle(&fleet, &server, &book, &[&server]);
    eprintln!("SQLite: {kills} kills in {:.0} s", start.elapsed().as_secs_f64());
}

#[test]
fn kills_at_random_lose_nothing_on_postgres() {
    let Some(cluster) = Postgres::start() else { return };
    scope(|scope| {
        for (lane, kills) in lanes() {
            let cluster = &cluster;
            scope.spawn(move || kill_on_postgres(cluster, lane, kills));
        }
    });
}

fn kill_on_postgres(cluster: &Postgres, lane: u64, kills: u32) {
    let start = Instant::now();
    let fleet = Fleet::new(Some(cluster.database()), 40);
    let mut server = fleet.serve("server", 0);
    let mut workers: Vec<Process> =
        (0..3).map(|number| fleet.worker(&format!("worker{number}"), 1)).collect();
    let addr = Arc::new(Mutex::new(server.addr.clone()));
    let book = Book::default();
    let mut rng = Rng::new(100 * lane + 2);
    scope(|scope| {
        scope.spawn(|| submit(&fleet.client(), &addr, &book, fleet.instances, 100 * lane + 12));
        let _end = End(&book);
        for kill in 0..kills {
            tell(kill, start);
            sleep(Duration::from_millis(u64::try_from(rng.between(50, 500)).unwrap()));
            let victim = rng.below(4);
            if victim == 3 {
                server.end();
                server = fleet.serve("server", 0);
                (*addr.lock().unwrap()).clone_from(&server.addr);
                continue;
            }
            let children = workers[victim].children();
            if rng.one_in(4) && !children.is_empty() {
                signal("KILL", &children[rng.below(children.len())]);
            } else {
                workers[victim].end();
                workers[victim] = fleet.worker(&format!("worker{victim}"), 1);
            }
        }
    });
    let processes: Vec<&Process> = workers.iter().chain([&server]).collect();
    settle(&fleet, &server, &book, &processes);
    eprintln!("PostgreSQL: {kills} kills in {:.0} s", start.elapsed().as_secs_f64());
}

/// Ends the submitting thread also where the test fails.
struct End<'b>(&'b Book);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Creates tasks for as long as the book is open, and looks now and then at those it has.
fn submit(client: &Client, addr: &Mutex<String>, book: &Book, instances: usize, seed: u64) {
    let mut rng = Rng::new(seed);
    while !book.stop.load(Ordering::Relaxed) {
        let (instance, choice) = (rng.below(instances), *rng.pick(&CHOICES));
        let at = addr.lock().unwrap().clone();
        // Without an answer nobody knows; with another one there is no task.
        let created = client.create(&at, instance, &choice);
        if let Some(id) = created.ok().and_then(|answer| answer.task_id()) {
            let acknowledged = Acknowledged { instance, choice, end: None };
            book.tasks.lock().unwrap().insert(id, acknowledged);
        }
        let ids: Vec<String> = book.tasks.lock().unwrap().keys().cloned().collect();
        if !ids.is_empty() {
            look(client, &at, book, &ids[rng.below(ids.len())]);
        }
        sleep(Duration::from_millis(15));
    }
}

/// Notes the end of a task, which must never be another one from then on; true if it has one.
fn look(client: &Client, addr: &str, book: &Book, id: &str) -> bool {
    let task = book.tasks.lock().unwrap()[id].clone();
    let Ok(answer) = client.show(addr, task.instance, id) else { return false };
    if answer.status == 503 {
        return false;
    }
    assert_eq!(answer.status, 200, "acknowledged task {id} is lost: {answer:?}");
    let shown = answer.json();
    let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
    if !["success", "failed"].contains(&text("status").as_str()) {
        assert!(task.end.is_none(), "task {id} had ended: {shown}");
        return false;
    }
    let end = (text("status"), text("finished_at"));
    match &task.end {
        Some(before) => assert_eq!(*before, end, "task {id} has ended twice"),
        None => book.tasks.lock().unwrap().get_mut(id).unwrap().end = Some(end),
    }
    true
}

/// Waits for every acknowledged task to end and compares the reports.
fn settle(fleet: &Fleet, server: &Process, book: &Book, processes: &[&Process]) {
    let (client, golden) = (fleet.client(), golden(fleet, &CHOICES));
    let ids: Vec<String> = book.tasks.lock().unwrap().keys().cloned().collect();
    assert!(ids.len() > 20, "only {} tasks were acknowledged", ids.len());
    for id in &ids {
        let start = Instant::now();
        while !look(&client, &server.addr, book, id) {
            let log = || explain(processes);
            assert!(start.elapsed() < Duration::from_secs(90), "{id} is stuck:\n{}", log());
            sleep(Duration::from_millis(50));
        }
    }
    let mut failed = 0;
    for (id, task) in &*book.tasks.lock().unwrap() {
        let (state, _) = task.end.as_ref().unwrap();
        if state == "failed" {
            // One that has killed its worker three times cannot be told from a bad file.
            let shown = client.show(&server.addr, task.instance, id).unwrap().json();
            let error = shown["error_msg"].as_str().unwrap();
            assert!(error.starts_with("worker died 3 times"), "{error}");
            failed += 1;
            continue;
        }
        let report = client.report(&server.addr, task.instance, id).body;
        let report = as_of_first(&report, task.instance);
        assert!(report == golden[&task.choice], "{id} {:?}: {report}", task.choice);
    }
    eprintln!("{} tasks, {failed} of them ended by three kills", ids.len());
    assert!(failed * 10 <= ids.len(), "{failed} of {} tasks failed", ids.len());
    // What the dead have begun is not left open, nor left over.
    let start = Instant::now();
    while processes.iter().any(|one| !one.children().is_empty() || one.open_files() > 100) {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", explain(processes));
        sleep(Duration::from_millis(50));
    }
    // Nothing runs that nobody has asked for: one more task goes through.
    for instance in 0..3 {
        let start = Instant::now();
        let task_id = loop {
            let created = client.create(&server.addr, instance, &Choice::All).unwrap();
            if let Some(id) = created.task_id() {
                break id;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{created:?}");
            sleep(Duration::from_millis(100));
        };
        let ended = client.wait(&server.addr, instance, &task_id, &["success", "failed"]);
        assert_eq!(ended["status"], "success", "{ended}");
    }
}
