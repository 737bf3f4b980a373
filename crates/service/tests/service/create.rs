//! What a request to create an analysis may choose beyond the contract.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::common::{Answer, NODE, REPLICA, Service, analysis, strings};

/// Two shards of one node each; the first one's newest backup is `b.rdb`.
fn sharded() -> Service {
    Service::start_with(
        |folder| {
            for (name, keys, age) in [("a.rdb", 5, 100), ("b.rdb", 3, 10)] {
                let path = folder.join(name);
                fs::write(&path, strings(keys)).unwrap();
                let time = SystemTime::now() - Duration::from_secs(age);
                fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
            }
            fs::write(folder.join("../replica/a.rdb"), strings(2)).unwrap();
        },
        |config| config.instances[0].nodes[1].group = "group-1".to_owned(),
    )
}

fn create(service: &Service, body: &Value) -> Answer {
    service.call("POST", &analysis(""), &body.to_string())
}

fn files(service: &Service, task_id: &str) -> Vec<(String, u64)> {
    let report = service.get(&analysis(&format!("/{task_id}/report"))).body;
    let inputs = report["inputs"].as_array().unwrap();
    let file = |input: &Value| {
        (input["file"].as_str().unwrap().to_owned(), input["num"].as_u64().unwrap())
    };
    inputs.iter().map(file).collect()
}

/// Ids of all backups, by node and file name.
fn backup_id(service: &Service, node_id: &str, name: &str) -> String {
    let path = analysis("").replace("offline/key-analysis", "backups?limit=1000");
    let records = service.get(&path).body["backup_record_response"].as_array().unwrap().clone();
    let is_it = |r: &&Value| r["node_id"] == node_id && r["backup_name"] == name;
    records.iter().find(is_it).unwrap()["backup_id"].as_str().unwrap().to_owned()
}

#[test]
fn several_nodes_make_one_report() {
    let service = sharded();
    let own = |name: &str| (format!("{NODE}/{name}"), if name == "a.rdb" { 5 } else { 3 });
    let second = (format!("{REPLICA}/a.rdb"), 2);
    let old = backup_id(&service, NODE, "a.rdb");
    let others = backup_id(&service, REPLICA, "a.rdb");
    for (body, expected) in [
        (json!({"node_ids": "*"}), vec![own("b.rdb"), second.clone()]),
        (json!({"node_ids": [REPLICA, NODE]}), vec![second.clone(), own("b.rdb")]),
        (
            json!({"node_ids": [NODE, REPLICA], "backup_ids": [others, old]}),
            vec![own("a.rdb"), second.clone()],
        ),
        (json!({"node_ids": "*", "backup_ids": [old, others]}), vec![own("a.rdb"), second]),
        (json!({"node_ids": [NODE]}), vec![("b.rdb".to_owned(), 3)]),
    ] {
        let task_id = create(&service, &body).task_id();
        let shown = service.ended(&task_id).body;
        assert_eq!(shown["status"], "success", "{shown}");
        assert_eq!(files(&service, &task_id), expected, "{body}");
        let total: u64 = expected.iter().map(|(_, keys)| keys).sum();
        assert_eq!(shown["total_num"], total);
        // The contract has one node; all of them are in a field of ours.
        assert_eq!(shown["node_id"], shown["nodes"][0]["node_id"]);
        assert_eq!(shown["backup_id"], shown["nodes"][0]["backup_id"]);
        assert_eq!(shown["nodes"].as_array().unwrap().len(), expected.len());
        let nodes = service.get(&analysis(&format!("/{task_id}/nodes"))).body;
        let ids = |list: &Value, member: &str| -> Vec<Value> {
            list.as_array().unwrap().iter().map(|node| node[member].clone()).collect()
        };
        assert_eq!(ids(&nodes["nodes"], "id"), ids(&shown["nodes"], "node_id"));
    }
}

#[test]
fn one_node_of_each_shard_is_read() {
    // Here the second node is a replica, whose file is the newest of the shard.
    let service = Service::start(|folder| {
        fs::write(folder.join("old.rdb"), strings(5)).unwrap();
        let file = fs::File::options().append(true).open(folder.join("old.rdb")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(100)).unwrap();
        fs::write(folder.join("../replica/new.rdb"), strings(7)).unwrap();
    });
    let task_id = create(&service, &json!({"node_ids": "*"})).task_id();
    let shown = service.ended(&task_id).body;
    assert_eq!((&shown["node_id"], &shown["total_num"]), (&json!(REPLICA), &json!(7)));
    assert_eq!(shown["node_type"], "slave");
}

#[test]
fn bad_file_of_one_node_fails_the_task_by_name() {
    let service = sharded();
    fs::write(service.folder.path().join("replica/a.rdb"), "no RDB").unwrap();
    let task_id = create(&service, &json!({"node_ids": "*"})).task_id();
    let shown = service.ended(&task_id).body;
    assert_eq!(shown["status"], "failed");
    let error = shown["error_msg"].as_str().unwrap();
    assert!(error.starts_with(&format!("{REPLICA}/a.rdb: ")), "{error}");
    let report = service.get(&analysis(&format!("/{task_id}/report"))).body.to_string();
    assert!(!report.contains(service.folder.path().to_str().unwrap()), "{report}");
    assert_eq!(files(&service, &task_id)[0].1, 3);
}

#[test]
fn settings_are_those_of_the_request() {
    let service = Service::start_with(
        |folder| fs::write(folder.join("a.rdb"), strings(30)).unwrap(),
        |config| config.analysis.top = 20,
    );
    let backup_id = service.backup_id("a.rdb");
    let analyse = |extra: Value| {
        let mut body = json!({"node_id": NODE, "backup_id": backup_id});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        service.ended(&create(&service, &body).task_id()).body
    };
    let len = |body: &Value, list: &str| body[list].as_array().unwrap().len();

    let plain = analyse(json!({}));
    assert_eq!(len(&plain, "largest_keys"), 20);
    assert_eq!(plain["largest_key_prefixes"][0]["key_prefix"], "key");
    assert_eq!(
        plain["settings"],
        json!({"top": 20, "prefixes": 50, "separators": ":;,_- ", "fold_digits": true,
            "size": "bytes"})
    );
    let changed = analyse(json!({
        "top": 3, "prefixes": 2, "separators": "0", "fold_digits": false,
        "profile": "redis-4.0", "size": "serialized",
    }));
    assert_eq!(changed["status"], "success", "{changed}");
    assert_eq!(len(&changed, "largest_keys"), 3);
    assert_eq!(len(&changed, "largest_key_prefixes"), 2);
    assert_eq!(changed["largest_key_prefixes"][0]["key_prefix"], "key:");
    let key = &changed["largest_keys"][0];
    assert_eq!(key["bytes"], key["serialized_bytes"]);
    assert_eq!(changed["settings"]["profile"], "redis-4.0");
    let report = service.get(&analysis(&format!("/{}/report", changed["id"].as_str().unwrap())));
    assert_eq!(report.body["inputs"][0]["profile"], "redis-4.0");
    // Null is the same as nothing.
    assert_eq!(len(&analyse(json!({"top": null, "size": null})), "largest_keys"), 20);
    assert_eq!(len(&analyse(json!({"top": 0, "prefixes": 0})), "largest_keys"), 0);
}

#[test]
fn bad_member_is_named() {
    let service = sharded();
    let own = service.backup_id("b.rdb");
    let others = backup_id(&service, REPLICA, "a.rdb");
    let unknown = "99999999-cebf-4473-95c4-d1b573c16e79";
    for (name, extra) in [
        ("priority", json!({"priority": 101})),
        ("priority", json!({"priority": "high"})),
        ("top", json!({"top": -1})),
        ("top", json!({"top": 10_001})),
        ("top", json!({"top": 1.5})),
        ("top", json!({"top": "3"})),
        ("prefixes", json!({"prefixes": 1_u64 << 40})),
        ("separators", json!({"separators": "\u{e9}"})),
        ("separators", json!({"separators": [":"]})),
        ("fold_digits", json!({"fold_digits": "true"})),
        ("profile", json!({"profile": "oracle-1"})),
        ("profile", json!({"profile": 7})),
        ("size", json!({"size": "huge"})),
        ("backup_ids", json!({"backup_ids": [own]})),
        ("node_ids", json!({"node_ids": "*"})),
    ] {
        let mut body = json!({"node_id": NODE, "backup_id": own});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let answer = create(&service, &body);
        assert_eq!(answer.code(), (400, "DCS.4063"), "{body}");
        let expected = format!("Invalid {name} parameter in the request.");
        assert_eq!(answer.body["error_msg"], expected, "{body}");
    }
    for (code, body) in [
        ("DCS.4063", json!({"node_ids": []})),
        ("DCS.4063", json!({"node_ids": "all"})),
        ("DCS.4063", json!({"node_ids": [1]})),
        ("DCS.4063", json!({"node_ids": [NODE, NODE]})),
        ("DCS.4063", json!({"node_ids": [NODE], "backup_id": own})),
        ("DCS.4063", json!({"node_ids": [NODE], "backup_ids": own})),
        ("DCS.4063", json!({"node_ids": [NODE], "backup_ids": "newest"})),
        ("DCS.4026", json!({"node_ids": [NODE], "backup_ids": "new"})),
        ("DCS.4063", json!({"node_ids": [NODE], "backup_ids": []})),
        ("DCS.4063", json!({"node_ids": [NODE], "backup_ids": [unknown]})),
        ("DCS.4063", json!({"node_ids": [NODE], "backup_ids": [own, unknown]})),
        ("DCS.4063", json!({"node_ids": [NODE, REPLICA], "backup_ids": [own, own]})),
        ("DCS.4063", json!({"node_ids": [NODE], "backup_ids": [others]})),
        ("DCS.4063", json!({"node_ids": "*", "backup_ids": [own]})),
        ("DCS.3053", json!({"node_ids": [NODE, "nobody"]})),
        ("DCS.3053", json!({"node_ids": [NODE, "old"]})),
    ] {
        assert_eq!(create(&service, &body).code(), (400, code), "{body}");
    }
    // No backup of a node: a new one would have to be taken.
    fs::remove_file(service.folder.path().join("replica/a.rdb")).unwrap();
    assert_eq!(create(&service, &json!({"node_ids": "*"})).code(), (400, "DCS.4026"));
    assert_eq!(service.get(&analysis("")).body["total"], 0);
}
