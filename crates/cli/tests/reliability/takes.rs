//! The same as `points` for backups: a process that dies before or after each commit of one that
//! is taken of a live node, uploaded or deleted leaves nothing halfway.

use std::os::unix::process::ExitStatusExt as _;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use offkey_service::fail::BACKUP_COMMITS;
use offkey_testkit::{Postgres, Server, fill, free_port, servers};
use serde_json::{Value, json};

use crate::fleet::{Answer, Choice, Client, Fleet, Process, node, rdb};

const SIGABRT: i32 = 6;

#[test]
fn every_commit_of_a_backup_may_be_the_last_thing_a_process_does() {
    let Some((_, program)) = servers().into_iter().find(|(name, _)| name.starts_with("redis-7"))
    else {
        return;
    };
    let redis = Server::start(&program, &["--repl-diskless-sync-delay", "0"], None);
    fill(&mut redis.client(), 5, 20);
    let cluster = Postgres::start();
    let kinds: Vec<Option<&Postgres>> =
        [None].into_iter().chain(cluster.iter().map(Some)).collect();
    // Most of them wait for the end of a lease.
    scope(|scope| {
        for cluster in kinds {
            for commit in BACKUP_COMMITS {
                let port = redis.port();
                scope.spawn(move || {
                    for moment in ["before", "after"] {
                        let mut fleet = Fleet::new(cluster.map(Postgres::database), 1);
                        fleet.live = Some(port);
                        die_at(&mut fleet, commit, moment);
                    }
                });
            }
        }
    });
}

#[test]
fn start_of_any_process_removes_what_dead_ones_have_left_of_backups() {
    let Some(cluster) = Postgres::start() else { return };
    for kind in ["serve", "worker"] {
        let fleet = Fleet::new(Some(cluster.database()), 1);
        let left = fleet.backups(0).join(".offkey-dead.part");
        std::fs::write(&left, "REDIS0011").unwrap();
        let process = fleet.start(kind, kind, 1, None).unwrap();
        let start = Instant::now();
        while left.exists() {
            assert!(start.elapsed() < Duration::from_secs(10), "{}", process.log());
            sleep(Duration::from_millis(20));
        }
        assert!(fleet.backups(0).join("small.rdb").exists());
    }
}

fn die_at(fleet: &mut Fleet, commit: &str, moment: &str) {
    let (client, port) = (fleet.client(), fleet.live);
    let point = format!("{commit}.{moment}=abort");
    let mut task = None;
    if ["claim_backup", "beat_backup", "retry_backup", "end_backup"].contains(&commit) {
        task = Some(create_unclaimed(fleet, &client));
    }
    if commit == "retry_backup" {
        fleet.live = Some(free_port());
    }
    if let Some(mut server) = fleet.serve_armed("server", 1, &point) {
        let answer = match commit {
            "add_backup" => client.call(&server.addr, "POST", 0, "/backups", "{}"),
            "note_backup" => client.upload(&server.addr, 0, "sent.rdb", &rdb(100)),
            "forget_backup" => forget(&client, &server),
            _ => Ok(Answer { status: 0, retry_after: None, body: String::new() }),
        };
        assert!(task.is_some() || answer.is_err(), "{point}: answered {answer:?}");
        dies(&mut server, &point);
    }
    fleet.live = port;
    let server = fleet.serve("server", 1);
    if let Some(id) = &task {
        let ended = client.wait_beside(&[&server], &server.addr, 0, id, &["success", "failed"]);
        assert_eq!(ended["status"], "success", "{point}: {ended}\n{}", server.log());
        assert_eq!(ended["analysis_type"], "new_backup", "{ended}");
    }
    // Nothing stays in the way of the next.
    let id = new_backup(&client, &server);
    for record in records(&client, &server) {
        assert_eq!(record["status"], "succeed", "{point}: {record}");
    }
    let deleted = client.call(&server.addr, "DELETE", 0, &format!("/backups/{id}"), "").unwrap();
    assert_eq!(deleted.status, 204, "{point}: {deleted:?}");
    let next = client.run(&server.addr, 0, &Choice::One("small.rdb"));
    assert_eq!(next["status"], "success", "{point}: {next}");
}

/// Creates a task whose backup nobody has begun to take.
fn create_unclaimed(fleet: &Fleet, client: &Client) -> String {
    let server = fleet.serve_armed("server", 0, "claim_backup.before=sleep:60000").unwrap();
    let body = json!({"node_id": node(0, 0)}).to_string();
    let created = client.call(&server.addr, "POST", 0, "/offline/key-analysis", &body).unwrap();
    created.task_id().unwrap_or_else(|| panic!("{created:?}"))
}

/// Takes a backup and deletes it, which is the end of the process.
fn forget(client: &Client, server: &Process) -> Result<Answer, ureq::Error> {
    let id = new_backup(client, server);
    client.call(&server.addr, "DELETE", 0, &format!("/backups/{id}"), "")
}

/// Takes a backup once none is on its way, and waits for it.
fn new_backup(client: &Client, server: &Process) -> String {
    let start = Instant::now();
    let id = loop {
        let created = client.call(&server.addr, "POST", 0, "/backups", "{}").unwrap();
        if created.status == 200 {
            break created.json()["backup_id"].as_str().unwrap().to_owned();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{created:?}\n{}", server.log());
        sleep(Duration::from_millis(100));
    };
    let is_there = |record: &Value| record["backup_id"] == *id && record["status"] == "succeed";
    while !records(client, server).iter().any(is_there) {
        assert!(start.elapsed() < Duration::from_secs(90), "{}", server.log());
        sleep(Duration::from_millis(50));
    }
    id
}

fn records(client: &Client, server: &Process) -> Vec<Value> {
    let listed = client.call(&server.addr, "GET", 0, "/backups?limit=1000", "").unwrap();
    listed.json()["backup_record_response"].as_array().unwrap().clone()
}

fn dies(server: &mut Process, point: &str) {
    assert!(server.ends_within(Duration::from_secs(60)), "{point} was not hit:\n{}", server.log());
    let status = server.child.wait().unwrap();
    assert_eq!(status.signal(), Some(SIGABRT), "{point}:\n{}", server.log());
}
