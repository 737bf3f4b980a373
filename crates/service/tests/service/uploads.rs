//! Uploads of backups: read through as they come, and listed only if whole and sound.

use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use offkey_service::{Config, Permission};
use offkey_testkit::{RdbFile, Rng, value};
use serde_json::{Value, json};

use crate::common::{
    Answer, INSTANCE, NODE, NOW_MS, PROJECT, Request, Service, other, own, strings,
};

fn service_with(change: impl FnOnce(&mut Config)) -> Service {
    Service::start_with(|_| {}, change)
}

fn target(rest: &str) -> String {
    format!("/v2/{PROJECT}/instances/{INSTANCE}/nodes/{NODE}/backups/{rest}")
}

fn put(service: &Service, name: &str, bytes: &[u8]) -> Answer {
    service.send(&service.signed("PUT", &target(name), bytes))
}

fn listed(service: &Service) -> Vec<Value> {
    let answer = service.get(&format!("/v2/{PROJECT}/instances/{INSTANCE}/backups?limit=1000"));
    answer.body["backup_record_response"].as_array().unwrap().clone()
}

/// Names in the node's folder.
fn names(service: &Service) -> Vec<String> {
    let entries = std::fs::read_dir(service.folder.path().join("backups")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn until_nothing_is_left(service: &Service) {
    let since = Instant::now();
    while !names(service).is_empty() {
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", names(service));
        sleep(Duration::from_millis(20));
    }
}

/// A file with a checksum, of strings of a kilobyte each.
fn file(count: u32) -> Vec<u8> {
    let mut file = RdbFile::redis(11);
    file.select_db(0);
    let mut rng = Rng::new(9);
    for n in 0..count {
        file.key(format!("user:{n}"), &value::string(rng.bytes(1000)));
    }
    file.finish()
}

fn with_token(service: &Service, name: &str, headers: &[(&str, &str)]) -> Request {
    let keys = json!({"access": {"key": "OWN"}, "secret": {"key": "own secret"}});
    let body = json!({"auth": {"identity": {"methods": ["hw_ak_sk"], "hw_ak_sk": keys}}});
    let ask = Request {
        method: "POST".to_owned(),
        target: "/v3/auth/tokens".to_owned(),
        headers: vec![("host".to_owned(), service.host())],
        body: body.to_string().into_bytes(),
    };
    let token = service.send(&ask).headers["x-subject-token"].clone();
    let mut all = vec![("host".to_owned(), service.host()), ("x-auth-token".to_owned(), token)];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Request { method: "PUT".to_owned(), target: target(name), headers: all, body: vec![] }
}

#[test]
fn upload_is_a_backup_like_any_other() {
    let service = service_with(|_| {});
    let bytes = file(5000);
    let answer = put(&service, "a.rdb?remark=from%20the%20cloud", &bytes);
    assert_eq!(answer.status, 200, "{answer:?}");
    let (len, backup_id) = (bytes.len(), answer.body["backup_id"].as_str().unwrap().to_owned());
    let told = json!({"backup_id": backup_id, "size": len, "num": 5000, "damaged_num": 0});
    assert_eq!(answer.body, told);
    let [record] = listed(&service).try_into().unwrap();
    for (member, value) in [
        ("backup_id", json!(backup_id)),
        ("backup_name", json!("a.rdb")),
        ("size", json!(len)),
        ("remark", json!("from the cloud")),
        ("status", json!("succeed")),
        ("progress", json!("100.00")),
        ("backup_format", json!("rdb")),
        ("node_id", json!(NODE)),
    ] {
        assert_eq!(record[member], value, "{member}");
    }
    assert_eq!(std::fs::read(service.folder.path().join("backups/a.rdb")).unwrap(), bytes);
    let shown = service.ended(&service.create(&backup_id).task_id()).body;
    assert_eq!((&shown["status"], &shown["total_num"]), (&json!("success"), &json!(5000)));

    // Its name is taken, by this or by a file that came otherwise.
    let again = service.signed_by(&own(), NOW_MS + 1000, "PUT", &target("a.rdb"), &bytes);
    let again = service.send(&again);
    assert_eq!(again.code(), (400, "DCS.4005"));
    assert!(again.body["error_msg"].as_str().unwrap().contains("there is a backup of this name"));
    assert_eq!(names(&service), ["a.rdb"]);

    // Compressed, with a token, and without a length.
    let zipped = zstd::encode_all(&*bytes, 1).unwrap();
    let mut request = with_token(&service, "b.rdb.zst", &[]);
    request.body = zipped.clone();
    let answer = service.send(&request);
    assert_eq!((answer.status, &answer.body["num"]), (200, &json!(5000)), "{answer:?}");
    assert_eq!(answer.body["size"], zipped.len());
    let shown = service.ended(&service.create(&service.backup_id("b.rdb.zst")).task_id()).body;
    assert_eq!(shown["total_num"], 5000);
    let request = with_token(&service, "c.rdb", &[("transfer-encoding", "chunked")]);
    let mut connection = service.connect();
    let head = String::from_utf8(request.head()).unwrap().replace("content-length: 0\r\n", "");
    let stream = connection.0.get_mut();
    stream.write_all(head.as_bytes()).unwrap();
    for chunk in bytes.chunks(100_000) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).unwrap();
        stream.write_all(&[chunk, b"\r\n"].concat()).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(connection.read().body["num"], 5000);
    assert_eq!(std::fs::read(service.folder.path().join("backups/c.rdb")).unwrap(), bytes);
    assert_eq!(listed(&service).len(), 3);
}

#[test]
fn damage_is_told_with_its_offset_and_leaves_nothing() {
    let service = service_with(|_| {});
    let good = file(300);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let page = b"<html><body>Access denied</body></html>".to_vec();
    // The type of the second key is none.
    let second = good.windows(6).position(|bytes| bytes == b"user:1").unwrap() - 2;
    for (bytes, reasons) in [
        (page, ["a.rdb", "this is HTML or XML"]),
        (b"REDIS".to_vec(), ["a.rdb", "byte 0"]),
        (good[..good.len() / 2].to_vec(), ["a.rdb: truncated", "at byte"]),
        (good[..good.len() - 1].to_vec(), ["a.rdb: truncated", "at byte"]),
        (changed(second, 0xd7), ["a.rdb:", &format!("at byte {second}")]),
        (changed(good.len() / 2, b'~'), ["checksum", &format!("at byte {}", good.len() - 8)]),
        (b"REDIS9999".to_vec(), ["a.rdb", "9999"]),
    ] {
        let answer = put(&service, "a.rdb", &bytes);
        assert_eq!(answer.code(), (400, "DCS.4005"), "{reasons:?}: {answer:?}");
        let text = answer.body["error_msg"].as_str().unwrap();
        assert!(text.starts_with("The backup is refused: "), "{text}");
        assert!(reasons.iter().all(|part| text.contains(part)), "{text}: {reasons:?}");
        until_nothing_is_left(&service);
    }
    assert_eq!(listed(&service), [json!(null); 0]);

    // At once: a gigabyte that is announced is not waited for.
    let mut connection = service.connect();
    let request = with_token(&service, "a.rdb", &[("expect", "100-continue")]);
    let head = String::from_utf8(request.head()).unwrap();
    let head = head.replace("content-length: 0", "content-length: 1073741824");
    let mut stream = connection.0.get_ref().try_clone().unwrap();
    let bytes = [changed(second, 0xd7), vec![0; 1 << 20]].concat();
    let sender = std::thread::spawn(move || {
        stream.write_all(head.as_bytes()).unwrap();
        (0..1000).take_while(|_| stream.write_all(&bytes).is_ok()).count()
    });
    let mut answer = connection.read();
    if answer.status == 100 {
        answer = connection.read();
    }
    assert_eq!(answer.code(), (400, "DCS.4005"), "{answer:?}");
    assert!(answer.body["error_msg"].as_str().unwrap().contains(&format!("at byte {second}")));
    drop(connection);
    assert!(sender.join().unwrap() < 100);
    until_nothing_is_left(&service);
}

#[test]
fn broken_connection_leaves_nothing() {
    let service = service_with(|config| config.limits.body_seconds = 1.try_into().unwrap());
    let bytes = file(300);
    for len in [0, 5, bytes.len() / 2, bytes.len()] {
        let mut request = with_token(&service, "a.rdb", &[]);
        request.body = vec![0; bytes.len() + 1];
        let mut connection = service.connect();
        let stream = connection.0.get_mut();
        stream.write_all(&request.head()).unwrap();
        stream.write_all(&bytes[..len]).unwrap();
        sleep(Duration::from_millis(50));
        drop(connection);
    }
    // One that stays and says nothing more is cut as well.
    let mut request = with_token(&service, "a.rdb", &[]);
    request.body = bytes[..1000].to_vec();
    let head = String::from_utf8(request.head()).unwrap().replace("length: 1000", "length: 9999");
    let mut connection = service.connect();
    connection.0.get_mut().write_all(head.as_bytes()).unwrap();
    connection.0.get_mut().write_all(&request.body).unwrap();
    assert_eq!(connection.read().code(), (408, "APIGW.0201"));
    until_nothing_is_left(&service);
    assert_eq!(listed(&service), [json!(null); 0]);
}

#[test]
fn limits_roles_names_and_signatures() {
    let bytes = file(2000);
    let service = service_with(|config| config.limits.upload_mb = 1);
    assert!(bytes.len() > 1 << 20);
    assert_eq!(put(&service, "a.rdb", &bytes).code(), (413, "APIGW.0201"));
    // Without a length, once too much of it has come.
    let request = with_token(&service, "a.rdb", &[("transfer-encoding", "chunked")]);
    let head = String::from_utf8(request.head()).unwrap().replace("content-length: 0\r\n", "");
    let mut connection = service.connect();
    let stream = connection.0.get_mut();
    stream.write_all(head.as_bytes()).unwrap();
    for chunk in bytes.chunks(100_000) {
        // The answer may come before the end.
        let _ = stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes());
        let _ = stream.write_all(&[chunk, b"\r\n"].concat());
    }
    assert_eq!(connection.read().code(), (413, "APIGW.0201"));
    until_nothing_is_left(&service);
    for name in ["temp-1.rdb", ".a.rdb", "a.txt", "..%2fa.rdb", "a%00.rdb", "%ff.rdb", "a.rdb%0a"] {
        let mut request = with_token(&service, name, &[]);
        request.body = strings(1);
        let answer = service.send(&request);
        assert!(matches!(answer.code(), (400, "DCS.4062") | (401, _)), "{name}: {answer:?}");
    }
    assert_eq!(put(&service, "a.rdb", b"").code(), (400, "DCS.4004"));
    let long = format!("a.rdb?remark={}", "a".repeat(129));
    assert_eq!(put(&service, &long, &strings(1)).code(), (400, "DCS.4062"));
    let unknown = target("a.rdb").replace(NODE, "nobody");
    assert_eq!(service.call("PUT", &unknown, "x").code(), (400, "DCS.3053"));
    // A signature without the hash of the body, or with another one.
    let mut request = service.signed("PUT", &target("a.rdb"), &strings(1));
    request.body = strings(2);
    let answer = service.send(&request);
    assert_eq!(answer.code(), (401, "APIGW.0301"));
    request.headers.retain(|(name, _)| name != "x-sdk-content-sha256");
    assert_eq!(service.send(&request).code(), (401, "APIGW.0301"));
    let foreign = service.signed_by(&other(), NOW_MS, "PUT", &target("a.rdb"), &strings(1));
    assert_eq!(service.send(&foreign).code(), (401, "DCS.1004"));
    until_nothing_is_left(&service);
    assert_eq!(listed(&service), [json!(null); 0]);

    let service = service_with(|config| config.credentials[0].role = Permission::Read);
    assert_eq!(put(&service, "a.rdb", &strings(1)).code(), (403, "DCS.2003"));
    let service = service_with(|config| config.limits.upload_mb = 0);
    assert_eq!(put(&service, "a.rdb", &strings(1)).code(), (413, "APIGW.0201"));
}
