//! Backups in sources: folders and object stores whose names follow a pattern.

use std::fs;
use std::sync::atomic::Ordering;

use offkey_service::{Permission, Seen, Source};
use offkey_testkit::{RdbFile, Rng, value};
use serde_json::{Value, json};

use crate::common::{INSTANCE, NODE, PROJECT, REPLICA, Service, strings};
use crate::peer::{Fault, Peer};

fn source(url: &str, pattern: &str) -> Source {
    Source {
        url: url.to_owned(),
        pattern: pattern.to_owned(),
        endpoint: None,
        region: None,
        path_style: false,
        access_key: None,
        secret_key: None,
        secret_key_file: None,
        refresh_seconds: 0,
        seen: Seen::default(),
    }
}

fn service(sources: Vec<Source>) -> Service {
    Service::start_with(
        |_| {},
        |config| {
            config.credentials[0].role = Permission::Admin;
            config.instances[0].sources = sources;
            config.instances[0].nodes[1].ip = "10.0.0.1".to_owned();
        },
    )
}

fn backups(rest: &str) -> String {
    format!("/v2/{PROJECT}/instances/{INSTANCE}/backups{rest}")
}

/// Name and node of each backup, in the order of names.
fn listed(service: &Service) -> Vec<(String, String)> {
    let answer = service.get(&backups("?limit=1000"));
    let records = answer.body["backup_record_response"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut names: Vec<_> =
        records.iter().map(|one| (text(&one["backup_name"]), text(&one["node_id"]))).collect();
    names.sort();
    names
}

#[test]
fn files_of_a_folder_belong_to_nodes_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        format!("{INSTANCE}/{NODE}/20260101030000.rdb"),
        "instance 55/name of ff8080828fdd5aef018fe2218a886105/2026-01-02T03:00:00Z.rdb.zst"
            .to_owned(),
        "redis_10.0.0.1_6379_0-5460_20260103030000.rdb".to_owned(),
        "redis_10.0.0.9_6379_all_20260103030000.rdb".to_owned(),
        format!("another/{NODE}/20260101030000.rdb"),
        format!("{INSTANCE}/{NODE}/2026.rdb"),
        format!("{INSTANCE}/{NODE}/20260101030000.aof"),
        "dump.rdb".to_owned(),
    ];
    for name in &names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, strings(3)).unwrap();
    }
    let url = folder.path().to_str().unwrap();
    let patterns = ["{instance}/{node}/{time}.rdb", "redis_{ip}_{port}_{slots}_{time}.rdb"];
    let service = service(patterns.map(|pattern| source(url, pattern)).to_vec());
    let of = |name: &str, node: &str| (name.to_owned(), node.to_owned());
    let found = [
        of("2026-01-02T03:00:00Z.rdb.zst", NODE),
        of("20260101030000.rdb", NODE),
        of("redis_10.0.0.1_6379_0-5460_20260103030000.rdb", REPLICA),
    ];
    assert_eq!(listed(&service), found);
    let shown = service.config.backups();
    let why = |name: &str, pattern: usize| {
        let of_name = shown.iter().filter(|shown| shown.name == name);
        of_name.map(|shown| shown.of.clone()).nth(pattern).unwrap().unwrap_err()
    };
    assert_eq!(why(&names[3], 1), "it is of no node of the instance");
    assert_eq!(why(&names[4], 0), "it is of another instance: \"another\"");
    assert_eq!(why(&names[5], 0), "it does not match the pattern");
    assert_eq!(why(&names[6], 0), "it does not end in .rdb, compressed or not");
    assert_eq!(why(&names[7], 0), "it does not match the pattern");

    let id = service.backup_id("20260101030000.rdb");
    let task = service.ended(&service.create(&id).task_id()).body;
    assert_eq!((&task["status"], &task["total_num"]), (&json!("success"), &json!(3)));
    // What others keep there is not ours to delete.
    assert_eq!(service.call("DELETE", &backups(&format!("/{id}")), "").code(), (400, "DCS.4026"));
    fs::remove_file(folder.path().join(&names[0])).unwrap();
    assert_eq!(listed(&service), found[..1].iter().chain(&found[2..]).cloned().collect::<Vec<_>>());
    assert_eq!(service.create(&id).code(), (400, "DCS.4063"));
    // What comes is listed at once, there and in the folder of the node; what is on its way under
    // the name that Redis gives it is not.
    fs::write(folder.path().join(&names[0]), strings(4)).unwrap();
    for name in ["dump.rdb", "temp-7.rdb"] {
        fs::write(service.folder.path().join("backups").join(name), strings(5)).unwrap();
    }
    let listed = listed(&service);
    assert_eq!(listed.len(), found.len() + 1, "{listed:?}");
    assert!(listed.contains(&found[1]) && listed.contains(&of("dump.rdb", NODE)));
}

#[test]
fn objects_are_listed_and_analysed_through_faults_and_refused_once_changed() {
    let Some(peer) = Peer::start() else { return };
    let mut file = RdbFile::redis(11);
    file.select_db(0);
    let mut rng = Rng::new(5);
    for n in 0..9000 {
        file.key(format!("user:{n}"), &value::string(rng.bytes(1000)));
    }
    let data = file.finish();
    let path = format!("/backups/redis/{INSTANCE}/{NODE}/20260101030000.rdb");
    peer.put(&path, &data);
    peer.put("/backups/redis/notes.txt", b"x");
    let bucket = Source {
        endpoint: Some(peer.endpoint()),
        path_style: true,
        access_key: Some("AK".to_owned()),
        secret_key: Some(offkey_service::Secret::new("canary-of-the-secret")),
        ..source("s3://backups/redis/", "{instance}/{node}/{time}.rdb")
    };
    let service = service(vec![bucket]);
    assert_eq!(listed(&service), [("20260101030000.rdb".to_owned(), NODE.to_owned())]);
    let id = service.backup_id("20260101030000.rdb");

    // Requests after the list are for parts of the object.
    peer.set(|n| match n {
        2 => Fault::Status(503, "SlowDown"),
        4 => Fault::Short(70_000),
        _ => Fault::None,
    });
    let task = service.ended(&service.create(&id).task_id()).body;
    assert_eq!((&task["status"], &task["total_num"]), (&json!("success"), &json!(9000)), "{task}");
    let requests = peer.requests();
    let ranges = requests.iter().filter(|request| request.contains("range: bytes=")).count();
    assert!(ranges >= 4, "{requests:?}");
    // Read where it lies: no copy in the service's folders.
    let report = service.get(&crate::common::analysis(&format!(
        "/{}/report",
        task["id"].as_str().or(task["task_id"].as_str()).unwrap()
    )));
    assert!(!String::from_utf8_lossy(&report.bytes).contains("canary"));

    let link = service.call("POST", &backups(&format!("/{id}/links")), "{\"expiration\": 300}");
    let link = link.body["links"][0]["link"].as_str().unwrap().to_owned();
    assert!(link.starts_with(&peer.endpoint()) && link.contains("X-Amz-Signature="), "{link}");

    // Every part of another content: the list says one thing, the store gives another.
    peer.set(|_| Fault::Changed);
    service.clock_ms.fetch_add(1000, Ordering::Relaxed);
    let task = service.ended(&service.create(&id).task_id()).body;
    assert_eq!(task["status"], "failed", "{task}");
    let error = task["error_msg"].as_str().unwrap();
    assert!(error.contains("the object changed since it was listed"), "{error}");
    assert!(!error.contains("canary") && !error.contains("X-Amz"), "{error}");
}
