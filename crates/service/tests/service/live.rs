//! New backups of live nodes: taken, listed, analysed, deleted, by schedule.

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use offkey_service::{Live, Permission, Role, Secret};
use offkey_testkit::{Client, Server, fill, servers};
use serde_json::{Value, json};

use crate::common::{INSTANCE, NODE, NOW_MS, PROJECT, REPLICA, Service, analysis};

const PASSWORD: &str = "canary-of-the-password";

/// A server that wants a password, if one is installed.
fn server() -> Option<Server> {
    let (_, program) = servers().into_iter().find(|(name, _)| name == "redis-7.0.15")?;
    let server = Server::start(&program, &["--repl-diskless-sync-delay", "0"], None);
    let mut client = server.client();
    fill(&mut client, 51, 20);
    client.run(&[b"CONFIG", b"SET", b"requirepass", PASSWORD.as_bytes()]);
    Some(server)
}

/// A service whose first node is that server.
fn service(port: u16, change: impl FnOnce(&mut Live)) -> Service {
    let mut live = Live { password: Some(Secret::new(PASSWORD)), ..Live::default() };
    change(&mut live);
    Service::start_with(
        |_| {},
        |config| {
            config.credentials[0].role = Permission::Admin;
            config.instances[0].live = Some(live);
            config.instances[0].nodes[0].ip = "127.0.0.1".to_owned();
            config.instances[0].nodes[0].port = port;
        },
    )
}

fn backups(rest: &str) -> String {
    format!("/v2/{PROJECT}/instances/{INSTANCE}/backups{rest}")
}

fn listed(service: &Service) -> Vec<Value> {
    let answer = service.get(&backups("?limit=1000"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.body.to_string().contains(PASSWORD));
    answer.body["backup_record_response"].as_array().unwrap().clone()
}

/// The record of a backup once it has this status.
fn with_status(service: &Service, backup_id: &str, status: &str) -> Value {
    let since = Instant::now();
    loop {
        let found = listed(service).into_iter().find(|record| record["backup_id"] == backup_id);
        if let Some(record) = found.filter(|record| record["status"] == status) {
            return record;
        }
        assert!(since.elapsed() < Duration::from_secs(40), "{:?}", listed(service));
        sleep(Duration::from_millis(50));
    }
}

fn key_count(client: &mut Client) -> i64 {
    let info = client.run(&[b"INFO", b"keyspace"]).text();
    let counts = info.lines().filter_map(|line| line.split("keys=").nth(1)?.split(',').next());
    counts.map(|count| count.parse::<i64>().unwrap()).sum()
}

#[test]
fn analysis_without_backup_takes_a_new_one() {
    let Some(server) = server() else { return };
    let mut client = server.client();
    client.run(&[b"AUTH", PASSWORD.as_bytes()]);
    let service = service(server.port(), |_| {});
    let body = json!({"node_id": NODE}).to_string();
    let task_id = service.call("POST", &analysis(""), &body).task_id();
    let shown = service.ended(&task_id).body;
    assert_eq!(shown["status"], "success", "{shown}");
    assert_eq!(shown["analysis_type"], "new_backup");
    assert_eq!(shown["total_num"], key_count(&mut client));
    let backup_id = shown["backup_id"].as_str().unwrap().to_owned();
    let record = with_status(&service, &backup_id, "succeed");
    let name = record["backup_name"].as_str().unwrap();
    assert!(name.starts_with("redis_127.0.0.1_") && name.ends_with(".rdb"), "{name}");
    let file = service.folder.path().join("backups").join(name);
    assert_eq!(record["size"], std::fs::metadata(&file).unwrap().len());
    assert_eq!(record["progress"], "100.00");
    let info = client.run(&[b"INFO", b"replication"]).text();
    assert!(info.contains("connected_slaves:0"), "{info}");

    // From then on it is a backup like any other.
    let again = service.ended(&service.create(&backup_id).task_id()).body;
    assert_eq!(again["total_num"], shown["total_num"]);
    assert_eq!(service.call("DELETE", &backups(&format!("/{backup_id}")), "").status, 204);
    assert!(!file.exists());
    assert_eq!(listed(&service), [json!(null); 0]);
}

#[test]
fn analysis_of_all_nodes_takes_a_new_backup_of_each_shard() {
    let (Some(server), Some(second)) = (server(), server()) else { return };
    let mut client = second.client();
    client.run(&[b"AUTH", PASSWORD.as_bytes()]);
    client.run(&[b"FLUSHALL"]);
    client.run(&[b"SET", b"only:here", b"value"]);
    let service = Service::start_with(
        |_| {},
        |config| {
            config.credentials[0].role = Permission::Admin;
            let instance = &mut config.instances[0];
            instance.live = Some(Live { password: Some(Secret::new(PASSWORD)), ..Live::default() });
            for (number, port) in [server.port(), second.port()].into_iter().enumerate() {
                instance.nodes[number].ip = "127.0.0.1".to_owned();
                instance.nodes[number].port = port;
                instance.nodes[number].role = Role::Master;
                instance.nodes[number].group = format!("shard-{number}");
            }
        },
    );
    let mut of_first = server.client();
    of_first.run(&[b"AUTH", PASSWORD.as_bytes()]);
    let body = json!({"node_ids": "*", "backup_ids": "new"}).to_string();
    let task_id = service.call("POST", &analysis(""), &body).task_id();
    let shown = service.ended(&task_id).body;
    assert_eq!(shown["status"], "success", "{shown}");
    assert_eq!(shown["analysis_type"], "new_backup");
    assert_eq!(shown["total_num"], key_count(&mut of_first) + 1);
    let nodes = shown["nodes"].as_array().unwrap();
    let named: Vec<&Value> = nodes.iter().map(|node| &node["node_id"]).collect();
    assert_eq!(named, [NODE, REPLICA]);
    assert_eq!(nodes[0]["backup_id"], nodes[1]["backup_id"]);
    let backup_id = nodes[0]["backup_id"].as_str().unwrap();
    with_status(&service, backup_id, "succeed");

    // A node that does not answer: nothing is begun.
    service.clock_ms.fetch_add(1000, Ordering::Relaxed);
    drop(second);
    assert_eq!(service.call("POST", &analysis(""), &body).code(), (400, "DCS.4049"));
    let body = json!({"node_ids": [NODE, "unknown"], "backup_ids": "new"}).to_string();
    assert_eq!(service.call("POST", &analysis(""), &body).code(), (400, "DCS.3053"));
    // One record, of a file for each.
    assert_eq!(listed(&service).len(), 1);
}

#[test]
fn backup_is_one_at_a_time_and_never_half_a_file() {
    let Some(server) = server() else { return };
    let mut client = server.client();
    client.run(&[b"AUTH", PASSWORD.as_bytes()]);
    client.run(&[b"CONFIG", b"SET", b"rdbcompression", b"no"]);
    // Far more than the system's buffers hold, so that a server can break off in the middle.
    for n in 0..24 {
        client.run(&[b"SET", format!("big:{n}").as_bytes(), &vec![b'x'; 1_000_000]]);
    }
    let service = service(server.port(), |live| live.max_bytes_per_second = Some(8_000_000));
    let copy = |service: &Service| {
        // The same request is taken only once.
        service.clock_ms.fetch_add(1000, Ordering::Relaxed);
        service.call("POST", &backups(""), &json!({"remark": "by hand"}).to_string())
    };
    let answer = copy(&service);
    assert_eq!(answer.status, 200, "{answer:?}");
    let backup_id = answer.body["backup_id"].as_str().unwrap().to_owned();
    assert_eq!(copy(&service).code(), (400, "DCS.4096"));
    let record = with_status(&service, &backup_id, "backuping");
    assert_eq!((&record["remark"], &record["progress"]), (&json!("by hand"), &json!("0.00")));
    let folder = service.folder.path().join("backups");
    let whole = || {
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        entries.filter(|name| name.to_string_lossy().ends_with(".rdb")).count()
    };
    assert_eq!(whole(), 0);
    let delete = service.call("DELETE", &backups(&format!("/{backup_id}")), "");
    assert_eq!(delete.code(), (400, "DCS.4096"));
    with_status(&service, &backup_id, "succeed");
    assert_eq!(whole(), 1);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);

    // A server that breaks off in the middle: the record says so, and nothing is left.
    let answer = copy(&service);
    let failed_id = answer.body["backup_id"].as_str().unwrap().to_owned();
    with_status(&service, &failed_id, "backuping");
    drop(server);
    let record = with_status(&service, &failed_id, "failed");
    let error = record["error_msg"].as_str().unwrap();
    assert!(error.contains("127.0.0.1"), "{error}");
    assert_eq!(whole(), 1);
    assert_eq!(copy(&service).code(), (400, "DCS.4049"));
    let body = json!({"node_id": NODE}).to_string();
    assert_eq!(service.call("POST", &analysis(""), &body).code(), (400, "DCS.4049"));
    // An analysis of a backup that failed fails with its reason, not as a backup that is gone.
    assert_eq!(service.create(&failed_id).code(), (400, "DCS.4063"));
}

#[test]
fn wrong_password_is_told_at_once() {
    let Some(server) = server() else { return };
    let service = service(server.port(), |live| live.password = Some(Secret::new("wrong")));
    assert_eq!(service.call("POST", &backups(""), "{}").code(), (400, "DCS.4049"));
}

#[test]
fn schedule_takes_backups_and_keeps_the_newest() {
    let Some(server) = server() else { return };
    let service = service(server.port(), |live| {
        live.schedule = Some("*/10 * * * *".to_owned());
        live.keep_count = Some(1);
    });
    sleep(Duration::from_millis(700));
    assert_eq!(listed(&service), [json!(null); 0]);
    let mut seen = Vec::new();
    for n in 1..=3 {
        service.clock_ms.store(NOW_MS + n * 600_000, Ordering::Relaxed);
        let since = Instant::now();
        let id = loop {
            let fresh = listed(&service).into_iter().find(|record| {
                record["status"] == "succeed" && !seen.contains(&record["backup_id"])
            });
            if let Some(record) = fresh {
                assert_eq!(record["backup_type"], "auto");
                break record["backup_id"].clone();
            }
            assert!(since.elapsed() < Duration::from_secs(30), "{:?}", listed(&service));
            sleep(Duration::from_millis(50));
        };
        seen.push(id);
    }
    let since = Instant::now();
    loop {
        let left = listed(&service);
        if left.len() == 1 {
            assert_eq!(left[0]["backup_id"], seen[2]);
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "{left:?}");
        sleep(Duration::from_millis(50));
    }
}
