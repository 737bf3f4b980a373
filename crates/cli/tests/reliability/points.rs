//! A process that dies before or after each of its commits leaves nothing halfway.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::thread::{scope, sleep};
use std::time::Duration;

use offkey_service::fail::COMMITS;
use offkey_testkit::Postgres;
use serde_json::Value;

use crate::fleet::{Choice, Client, Fleet, Process, as_of_first, golden, signal};

const SIGABRT: i32 = 6;

#[test]
fn every_commit_may_be_the_last_thing_a_process_does() {
    let cluster = Postgres::start();
    let kinds: Vec<Option<&Postgres>> =
        [None].into_iter().chain(cluster.iter().map(Some)).collect();
    scope(|scope| {
        for cluster in kinds {
            scope.spawn(move || every_point(cluster));
        }
    });
}

fn every_point(cluster: Option<&Postgres>) {
    let mut hit = BTreeSet::new();
    let (plain, with_large) = (Fleet::new(None, 1), Fleet::new(None, 1));
    with_large.add_large();
    let mut reports = golden(&plain, &[Choice::All]);
    reports.extend(golden(&with_large, &[Choice::One("large.rdb")]));
    for commit in COMMITS {
        // Only a process that is alone with its database ends the leases of others.
        if commit == "end_leases" && cluster.is_some() {
            continue;
        }
        for moment in ["before", "after"] {
            let mut fleet = Fleet::new(cluster.map(Postgres::database), 2);
            fleet.lease_seconds = 1;
            die_at(&fleet, &reports, commit, moment);
            hit.insert((commit, moment));
        }
    }
    let points = 2 * (COMMITS.len() - usize::from(cluster.is_some()));
    assert_eq!(hit.len(), points);
    eprintln!("{points} points with {}", if cluster.is_some() { "PostgreSQL" } else { "SQLite" });
}

/// Has a server die at the point, starts another, and checks that what was acknowledged is
/// there and comes to the right end.
fn die_at(fleet: &Fleet, reports: &HashMap<Choice, String>, commit: &str, moment: &str) {
    let client = fleet.client();
    let before = set_up(fleet, &client, commit);
    let point = format!("{commit}.{moment}=abort");
    let mut acknowledged: Vec<(String, Choice)> = before.into_iter().collect();
    let mut deleted = None;
    if let Some(mut server) = fleet.serve_armed("server", 1, &point) {
        if commit == "release" || commit == "died" {
            disturb(&client, &server, &acknowledged[0].0, commit);
        } else if acknowledged.is_empty() {
            let created = client.create(&server.addr, 0, &Choice::All);
            assert!(commit != "create" || created.is_err(), "{point}: answered {created:?}");
            acknowledged.extend(created.ok().and_then(|a| a.task_id()).map(|id| (id, Choice::All)));
        }
        if commit == "delete" {
            let (id, _) = acknowledged.pop().unwrap();
            client.wait(&server.addr, 0, &id, &["success"]);
            let rest = format!("/offline/key-analysis/{id}");
            let answer = client.call(&server.addr, "DELETE", 0, &rest, "");
            assert!(answer.is_err(), "{point}: {answer:?}");
            deleted = Some(id);
        }
        let ended = server.ends_within(Duration::from_secs(60));
        assert!(ended, "{point} was not hit:\n{}", server.log());
        let status = server.child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGABRT), "{point}:\n{}", server.log());
    }

    put_back(fleet);
    let server = fleet.serve("server", 1);
    if acknowledged.is_empty() && deleted.is_none() {
        // Nobody was answered: the process died in this commit, or in a later one before the
        // answer was written. A task that stands comes to its end like an acknowledged one.
        let listed = client.call(&server.addr, "GET", 0, "/offline/key-analysis", "").unwrap();
        let records = listed.json()["records"].as_array().unwrap().clone();
        if commit == "create" {
            assert_eq!(records.len(), usize::from(moment == "after"), "{point}: {listed:?}");
        }
        let ids = records.iter().map(|record| record["id"].as_str().unwrap().to_owned());
        acknowledged.extend(ids.map(|id| (id, Choice::All)));
    }
    if let Some(id) = deleted {
        // The client has no answer: it is there or not, as a whole.
        let shown = client.show(&server.addr, 0, &id).unwrap();
        assert_eq!(shown.status == 200, moment == "before", "{point}: {shown:?}");
    }
    for (id, choice) in &acknowledged {
        let ended = client.wait(&server.addr, 0, id, &["success", "failed"]);
        if commit == "give_up" {
            let error = ended["error_msg"].as_str().unwrap();
            assert!(error.starts_with("worker died 3 times, the last time after byte "), "{error}");
            continue;
        }
        assert_eq!(ended["status"], "success", "{point}: {ended}\n{}", server.log());
        let report = as_of_first(&client.report(&server.addr, 0, id).body, 0);
        assert!(report == reports[choice], "{point}");
    }
    // The instances are free for the next.
    for instance in 0..2 {
        let ended = client.run(&server.addr, instance, &Choice::One("small.rdb"));
        assert_eq!(ended["status"], "success", "{point}: {ended}");
    }
}

/// Brings the fleet to where the point will be hit; answers the task that is there then.
fn set_up(fleet: &Fleet, client: &Client, commit: &str) -> Option<(String, Choice)> {
    match commit {
        "retry" => {
            let server = fleet.serve("server", 0);
            let created = client.create(&server.addr, 0, &Choice::All).unwrap();
            server.kill();
            // A folder that cannot be read may come back.
            fs::rename(fleet.backups(1), fleet.backups(7)).unwrap();
            Some((created.task_id().unwrap(), Choice::All))
        }
        "release" | "died" | "give_up" | "beat" => {
            fleet.add_large();
            let server = fleet.serve("server", 0);
            let choice = Choice::One("large.rdb");
            let id = client.create(&server.addr, 0, &choice).unwrap().task_id().unwrap();
            server.kill();
            for _ in 0..if commit == "give_up" { 3 } else { 0 } {
                let mut before = Value::Null;
                let server = fleet.serve("server", 1);
                while before.is_null() || server.children().is_empty() {
                    before = client.wait(&server.addr, 0, &id, &["running"]);
                }
                server.kill();
                if fleet.database.is_some() {
                    sleep(Duration::from_millis(1100));
                }
            }
            Some((id, choice))
        }
        _ => None,
    }
}

fn put_back(fleet: &Fleet) {
    if fleet.backups(7).exists() {
        fs::rename(fleet.backups(7), fleet.backups(1)).unwrap();
    }
}

/// Disturbs a server while it analyses.
fn disturb(client: &Client, server: &Process, id: &str, commit: &str) {
    client.wait(&server.addr, 0, id, &["running"]);
    while server.children().is_empty() {
        sleep(Duration::from_millis(5));
    }
    match commit {
        "release" => server.signal("TERM"),
        _ => server.children().iter().for_each(|child| signal("KILL", child)),
    }
}
