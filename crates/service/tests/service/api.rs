//! What each operation answers, and with which error it refuses.

use std::time::{Duration, SystemTime};

use offkey_service::Config;
use serde_json::{Value, json};

use crate::common::{
    Answer, INSTANCE, NODE, OLD_INSTANCE, PROJECT, REPLICA, Service, analysis, strings,
};

fn service() -> Service {
    Service::start(|folder| std::fs::write(folder.join("a.rdb"), strings(3)).unwrap())
}

/// A service that leaves its tasks waiting.
fn idle_service() -> Service {
    let fill = |folder: &std::path::Path| std::fs::write(folder.join("a.rdb"), strings(3)).unwrap();
    Service::start_with(fill, |config: &mut Config| config.workers = 0)
}

#[test]
fn listings_show_the_configuration() {
    let service = service();
    let instances = service.get(&format!("/v2/{PROJECT}/instances")).body;
    assert_eq!(instances["instance_num"], 2);
    let listed = &instances["instances"][0];
    assert_eq!(*listed, service.get(&format!("/v2/{PROJECT}/instances/{INSTANCE}")).body);
    for (name, value) in [
        ("instance_id", json!(INSTANCE)),
        ("engine", json!("Redis")),
        ("engine_version", json!("7.0")),
        ("status", json!("RUNNING")),
        ("ip", json!("192.0.2.1")),
        ("port", json!(6379)),
        ("capacity", json!(2)),
        ("max_memory", json!(2048)),
        ("cache_mode", json!("ha")),
        ("sharding_count", json!(1)),
        ("replica_count", json!(2)),
    ] {
        assert_eq!(listed[name], value, "{name}");
    }
    let groups = service.get(&format!("/v2/{PROJECT}/instance/{INSTANCE}/groups")).body;
    assert_eq!(groups["group_count"], 1);
    let group = &groups["group_list"][0];
    let replication = &group["replication_list"][1];
    assert_eq!(replication["node_id"], REPLICA);
    assert_eq!(replication["replication_role"], "slave");
    assert_eq!(replication["is_replication"], true);
    let nodes = service.get(&format!("/v2/{PROJECT}/instances/{INSTANCE}/logical-nodes")).body;
    assert_eq!(nodes["total"], 2);
    let node = &nodes["nodes"][1];
    assert_eq!(node["node_port"], "6379");
    for (name, same) in [
        ("node_id", &replication["node_id"]),
        ("replication_id", &replication["replication_id"]),
        ("dimensions", &replication["dimensions"]),
        ("group_id", &group["group_id"]),
        ("group_name", &group["group_name"]),
        ("node_type", &replication["replication_role"]),
    ] {
        assert_eq!(node[name], *same, "{name}");
    }
}

#[test]
fn instances_are_filtered_and_paged() {
    let fill = |folder: &std::path::Path| std::fs::write(folder.join("a.rdb"), strings(3)).unwrap();
    let service = Service::start_with(fill, |config: &mut Config| {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        config.instances[1].tags = [tag("team", "shop"), tag("stage", "test")].into();
    });
    let ids = |query: &str| {
        let body = service.get(&format!("/v2/{PROJECT}/instances?{query}")).body;
        let instances = body["instances"].as_array().unwrap();
        let ids: Vec<Value> = instances.iter().map(|i| i["instance_id"].clone()).collect();
        (body["instance_num"].as_u64().unwrap(), ids)
    };
    assert_eq!(ids("name=instance"), (2, vec![json!(INSTANCE), json!(OLD_INSTANCE)]));
    assert_eq!(ids("name=instance&name_equal=true"), (0, vec![]));
    assert_eq!(ids("name=instance%2022&name_equal=true"), (1, vec![json!(OLD_INSTANCE)]));
    assert_eq!(ids(&format!("instance_id={INSTANCE}")), (1, vec![json!(INSTANCE)]));
    assert_eq!(ids("status=FROZEN"), (0, vec![]));
    assert_eq!(ids("ip=192.0.2.1"), (2, vec![json!(INSTANCE), json!(OLD_INSTANCE)]));
    assert_eq!(ids("ip=192.0.2"), (0, vec![]));
    assert_eq!(ids("tags=team=shop,stage=test"), (1, vec![json!(OLD_INSTANCE)]));
    assert_eq!(ids("tags=team=shop,stage=live"), (0, vec![]));
    assert_eq!(ids("tags="), (2, vec![json!(INSTANCE), json!(OLD_INSTANCE)]));
    assert_eq!(ids("limit=1&offset=1"), (2, vec![json!(OLD_INSTANCE)]));
    assert_eq!(ids("offset=2"), (2, vec![]));
}

#[test]
fn backups_are_the_rdb_files_of_the_folders() {
    let service = Service::start(|folder| {
        let write = |name: &str, age: u64| {
            let path = folder.join(name);
            std::fs::write(&path, strings(3)).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 - age);
            std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        };
        write("new.rdb", 0);
        write("old.rdb", 3600);
        write("notes.txt", 0);
        write("temp-17.rdb", 0);
        std::fs::create_dir(folder.join("folder.rdb")).unwrap();
        std::os::unix::fs::symlink("/nonexistent", folder.join("dangling.rdb")).unwrap();
        std::fs::write(folder.with_file_name("replica").join("new.rdb"), strings(1)).unwrap();
    });
    let target = format!("/v2/{PROJECT}/instances/{INSTANCE}/backups");
    let list = |query: &str| {
        let body = service.get(&format!("{target}?{query}")).body;
        let records = body["backup_record_response"].as_array().unwrap();
        let names: Vec<String> = records
            .iter()
            .filter(|record| record["node_id"] == NODE)
            .map(|record| record["backup_name"].as_str().unwrap().to_owned())
            .collect();
        (body["total_num"].as_u64().unwrap(), names)
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(list(""), (3, names(&["new.rdb", "old.rdb"])));
    assert_eq!(list("begin_time=20251231230000&end_time=20251231230000").1, names(&["old.rdb"]));
    assert_eq!(list("begin_time=20251231230001&end_time=20260101000000").1, names(&["new.rdb"]));
    assert_eq!(list("limit=1&offset=3"), (3, names(&[])));
    let record = service.get(&target).body["backup_record_response"]
        .as_array()
        .unwrap()
        .iter()
        .find(|record| record["backup_name"] == "old.rdb")
        .unwrap()
        .clone();
    assert_eq!(record["created_at"], "2025-12-31T23:00:00.000Z");
    assert_eq!(record["size"], strings(3).len());
    assert_eq!(record["status"], "succeed");
    assert_eq!(record["progress"], "100.00");

    // The id is of the name, not of the content; the same name on another node has another.
    let id = service.backup_id("old.rdb");
    std::fs::write(service.folder.path().join("backups/old.rdb"), strings(9)).unwrap();
    assert_eq!(service.backup_id("old.rdb"), id);
    let answer = service.call(
        "POST",
        &analysis(""),
        &json!({"node_id": REPLICA, "backup_id": id}).to_string(),
    );
    assert_eq!(answer.code(), (400, "DCS.4063"));
}

#[test]
fn report_reaches_the_client() {
    let service = service();
    let task_id = service.create(&service.backup_id("a.rdb")).task_id();
    let body = service.ended(&task_id).body;
    assert_eq!(body["status"], "success");
    assert_eq!(body["id"], task_id.as_str());
    assert_eq!(body["node_id"], NODE);
    assert_eq!(body["node_type"], "master");
    assert_eq!(body["group_name"], "group-0");
    assert_eq!(body["analysis_type"], "old_backup");
    assert_eq!(body["total_num"], 3);
    assert_eq!(body["complete"], true);
    assert_eq!(body["checksum"], "disabled");
    assert_eq!(body["type_num"][0], json!({"type": "string", "num": 3}));
    assert_eq!(body["largest_keys"].as_array().unwrap().len(), 3);
    assert_eq!(body["largest_keys"][0]["key"], "key:00000000");
    assert_eq!(body["largest_keys"][0]["num_of_elem"], 5);
    assert_eq!(body["largest_key_prefixes"][0]["num"], 3);
    assert!(body["started_at"].as_str().unwrap() <= body["finished_at"].as_str().unwrap());
    assert_eq!(body["progress"]["bytes_total"], strings(3).len());

    // The CLI's own report, but for the folder of the file.
    let report = service.get(&analysis(&format!("/{task_id}/report"))).body;
    assert_eq!(report["inputs"][0]["file"], "a.rdb");
    for member in ["total_bytes", "type_bytes", "largest_keys", "largest_key_prefixes"] {
        assert_eq!(report[member], body[member], "{member}");
    }
    let nodes = service.get(&analysis(&format!("/{task_id}/nodes"))).body;
    let node = json!({
        "id": NODE, "name": format!("name of {NODE}"), "group_name": "group-0", "node_ipv6": "",
    });
    assert_eq!(nodes, json!({"nodes": [node]}));
}

#[test]
fn bad_file_fails_with_the_line_of_the_command() {
    let service = Service::start(|folder| {
        let mut cut = strings(3);
        cut.truncate(cut.len() - 20);
        std::fs::write(folder.join("cut.rdb"), cut).unwrap();
        let mut wrong = strings(3);
        *wrong.last_mut().unwrap() = 1;
        std::fs::write(folder.join("wrong.rdb"), wrong).unwrap();
        std::fs::write(folder.join("text.rdb"), "no RDB").unwrap();
        std::fs::write(folder.join("empty.rdb"), "").unwrap();
    });
    for name in ["cut.rdb", "wrong.rdb", "text.rdb", "empty.rdb"] {
        let task_id = service.create(&service.backup_id(name)).task_id();
        let body = service.ended(&task_id).body;
        assert_eq!(body["status"], "failed", "{name}");
        let path = service.folder.path().join("backups").join(name);
        let options = offkey_analysis::Options::default();
        let report = offkey_analysis::analyze(std::slice::from_ref(&path), &options, &()).unwrap();
        let line = report.inputs[0].error.clone().unwrap();
        let line = line.replace(path.to_str().unwrap(), name);
        assert_eq!(body["error_msg"], line.as_str());
        assert!(line.starts_with(name), "{line}");
        // What could be read is not passed off as the report, but is not lost.
        assert_eq!(body["largest_keys"], json!([]));
        assert_eq!(body["total_num"], Value::Null);
        let partial = service.get(&analysis(&format!("/{task_id}/report"))).body;
        assert_eq!(partial["total_num"], report.total_num);
        assert_eq!(partial["complete"], false);
    }
}

#[test]
fn damaged_key_leaves_the_task_a_success() {
    let service = Service::start(|folder| {
        // A set whose intset says 3 bytes an element.
        let mut bytes =
            b"REDIS0009\xfe\x00\x0b\x03bad\x0b\x03\0\0\0\x01\0\0\0\x01\x02\x03".to_vec();
        bytes.extend(&strings(2)[11..]);
        std::fs::write(folder.join("damaged.rdb"), bytes).unwrap();
    });
    let task_id = service.create(&service.backup_id("damaged.rdb")).task_id();
    let body = service.ended(&task_id).body;
    assert_eq!(body["status"], "success", "{body}");
    assert_eq!(body["complete"], false);
    assert_eq!(body["damaged_num"], 1);
    assert_eq!(body["total_num"], 2);
}

#[test]
fn waiting_task_shows_what_is_known() {
    let service = idle_service();
    let backup_id = service.backup_id("a.rdb");
    let task_id = service.create(&backup_id).task_id();
    let body = service.get(&analysis(&format!("/{task_id}"))).body;
    assert_eq!(body["status"], "waiting");
    assert_eq!(body["backup_id"], backup_id.as_str());
    assert_eq!(body["largest_keys"], json!([]));
    for missing in ["started_at", "finished_at", "total_num", "total_bytes", "error_msg"] {
        assert_eq!(body.get(missing), None, "{missing}");
    }
    assert_eq!(service.get(&analysis(&format!("/{task_id}/report"))).code(), (400, "DCS.4232"));
    let record = service.get(&analysis("")).body["records"][0].clone();
    assert_eq!(record["status"], "waiting");
    assert_eq!(record.get("started_at"), None);
    // Another one has to wait for its end; a waiting one can be deleted.
    assert_eq!(service.create(&backup_id).code(), (400, "DCS.4231"));
    assert_eq!(service.call("DELETE", &analysis(&format!("/{task_id}")), "").task_id(), task_id);
    assert_eq!(service.get(&analysis("")).body["records"], json!([]));
}

#[test]
fn list_is_paged_by_status() {
    let service = service();
    let backup_id = service.backup_id("a.rdb");
    let mut connection = service.connect();
    let body = json!({"node_id": NODE, "backup_id": backup_id}).to_string();
    let create = service.signed("POST", &analysis(""), body.as_bytes());
    let mut ids: Vec<Value> = Vec::new();
    for _ in 0..12 {
        let task_id = connection.send(&create).task_id();
        service.ended(&task_id);
        ids.insert(0, json!(task_id));
    }
    let list = |query: &str| {
        let body = service.get(&analysis(query)).body;
        let records = body["records"].as_array().unwrap();
        (body["total"].clone(), records.iter().map(|r| r["id"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(list(""), (json!(12), ids[..10].to_vec()));
    assert_eq!(list("?offset=10"), (json!(12), ids[10..].to_vec()));
    assert_eq!(list("?offset=12"), (json!(12), vec![]));
    assert_eq!(list("?offset=2147483647"), (json!(12), vec![]));
    assert_eq!(list("?limit=0"), (json!(12), vec![]));
    assert_eq!(list("?limit=1000&status=success"), (json!(12), ids.clone()));
    assert_eq!(list("?status=failed"), (json!(0), vec![]));
    let body = service.get(&analysis("")).body;
    assert_eq!(body.as_object().unwrap().values().filter(|value| value.is_array()).count(), 1);
}

#[test]
fn refusals_are_those_of_the_contract() {
    let service = service();
    let backup_id = service.backup_id("a.rdb");
    let unknown = "99999999-cebf-4473-95c4-d1b573c16e79";
    let create = analysis("");
    let old = format!("/v2/{PROJECT}/instances/{OLD_INSTANCE}/offline/key-analysis");
    let body = |node: &str, backup: &str| json!({"node_id": node, "backup_id": backup}).to_string();
    let table: Vec<(&str, String, String, (u16, &str))> = vec![
        ("POST", create.clone(), String::new(), (400, "DCS.4004")),
        ("POST", create.clone(), "{".into(), (400, "DCS.4005")),
        ("POST", create.clone(), "[]".into(), (400, "DCS.4005")),
        ("POST", create.clone(), "{}".into(), (400, "DCS.4063")),
        ("POST", create.clone(), "{\"node_id\": 1}".into(), (400, "DCS.4063")),
        ("POST", create.clone(), body("nobody", &backup_id), (400, "DCS.3053")),
        ("POST", create.clone(), body("../../etc", &backup_id), (400, "DCS.3053")),
        ("POST", create.clone(), body("old", &backup_id), (400, "DCS.3053")),
        ("POST", create.clone(), body(NODE, unknown), (400, "DCS.4063")),
        ("POST", create.clone(), body(NODE, "../a.rdb"), (400, "DCS.4063")),
        (
            "POST",
            create.clone(),
            json!({"node_id": NODE, "backup_id": 1}).to_string(),
            (400, "DCS.4063"),
        ),
        // A new backup would be needed.
        ("POST", create.clone(), json!({"node_id": NODE}).to_string(), (400, "DCS.4026")),
        (
            "POST",
            create.clone(),
            json!({"node_id": NODE, "backup_id": null}).to_string(),
            (400, "DCS.4026"),
        ),
        ("POST", old, body("old", &backup_id), (400, "DCS.4230")),
        ("GET", analysis(&format!("/{unknown}")), String::new(), (400, "DCS.4232")),
        ("DELETE", analysis(&format!("/{unknown}")), String::new(), (400, "DCS.4232")),
        ("GET", analysis(&format!("/{unknown}/nodes")), String::new(), (400, "DCS.4232")),
        ("GET", analysis("/17"), String::new(), (400, "DCS.4070")),
        ("DELETE", analysis("/17"), String::new(), (400, "DCS.4070")),
        ("GET", analysis("?limit=1001"), String::new(), (400, "DCS.4062")),
        ("GET", analysis("?limit=-1"), String::new(), (400, "DCS.4062")),
        ("GET", analysis("?limit=+1"), String::new(), (400, "DCS.4062")),
        ("GET", analysis("?limit=ten"), String::new(), (400, "DCS.4062")),
        ("GET", analysis("?limit=1&limit=2"), String::new(), (400, "DCS.4062")),
        ("GET", analysis("?offset=-1"), String::new(), (400, "DCS.4062")),
        ("GET", analysis("?offset=2147483648"), String::new(), (400, "DCS.4062")),
        ("GET", analysis("?status=done"), String::new(), (400, "DCS.4062")),
        ("GET", format!("/v2/{PROJECT}/instances?limit=0"), String::new(), (400, "DCS.4062")),
        ("GET", format!("/v2/{PROJECT}/instances?instance_id=x"), String::new(), (400, "DCS.4062")),
        ("GET", format!("/v2/{PROJECT}/instances?name_equal=x"), String::new(), (400, "DCS.4062")),
        ("GET", format!("/v2/{PROJECT}/instances?tags=team"), String::new(), (400, "DCS.4062")),
        ("GET", format!("/v2/{PROJECT}/instances/x"), String::new(), (400, "DCS.4061")),
        ("GET", format!("/v2/{PROJECT}/instances/{unknown}"), String::new(), (404, "DCS.3022")),
        (
            "GET",
            format!("/v2/{PROJECT}/instances/{INSTANCE}/backups?begin_time=2026"),
            String::new(),
            (400, "DCS.4062"),
        ),
        (
            "GET",
            format!(
                "/v2/{PROJECT}/instances/{INSTANCE}/tasks\
                 ?start_time=20260101000001&end_time=20260101000000"
            ),
            String::new(),
            (400, "DCS.4062"),
        ),
        ("PUT", analysis(""), String::new(), (405, "DCS.5001")),
        ("POST", analysis(&format!("/{unknown}")), "{}".into(), (405, "DCS.5001")),
        ("DELETE", format!("/v2/{PROJECT}/instances"), String::new(), (405, "DCS.5001")),
        ("GET", format!("/v2/{PROJECT}/nothing"), String::new(), (404, "DCS.4001")),
        ("GET", format!("/v2/{PROJECT}/instances/{INSTANCE}/x"), String::new(), (404, "DCS.4001")),
        ("GET", "/v2/short/nothing".into(), String::new(), (404, "APIGW.0101")),
        ("GET", "/nothing".into(), String::new(), (404, "APIGW.0101")),
    ];
    for (method, target, body, expected) in table {
        let answer = service.call(method, &target, &body);
        assert_eq!(answer.code(), expected, "{method} {target} {body}");
        check_shape(&answer, expected.1);
    }
    // No path leads to an answer that the SDKs would not follow.
    for target in ["/console", "/v2/", "//v2", &format!("/v2/{PROJECT}/instances/"), "/v2/%2e%2e/x"]
    {
        let mut request = service.signed("GET", &analysis(""), b"");
        request.target = target.to_owned();
        let answer = service.send(&request);
        assert!(matches!(answer.status, 401 | 404), "{target}: {answer:?}");
    }
    assert_eq!(service.get(&analysis("")).body["total"], 0);
}

#[test]
fn body_over_12_mib_is_refused() {
    let service = service();
    for (len, expected) in [(12 << 20, (400, "DCS.4005")), ((12 << 20) + 1, (413, "APIGW.0201"))] {
        let request = service.signed("POST", &analysis(""), &vec![b'x'; len]);
        let answer = service.send(&request);
        assert_eq!(answer.code(), expected);
        check_shape(&answer, expected.1);
    }
}

fn check_shape(answer: &Answer, code: &str) {
    assert_eq!(answer.headers["content-type"], "application/json", "{code}");
    let request_id = &answer.headers["x-request-id"];
    assert_eq!(request_id.len(), 32);
    assert!(!answer.body["error_msg"].as_str().unwrap().is_empty(), "{code}");
    let in_body = answer.body.get("request_id").map(|id| id.as_str().unwrap());
    assert_eq!(in_body, code.starts_with("APIGW").then_some(request_id.as_str()), "{code}");
}
