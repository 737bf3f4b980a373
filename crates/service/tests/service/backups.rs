//! Backups: deletion, links to their files, and what such a link opens.

use std::sync::atomic::Ordering;

use offkey_service::{Config, Permission};
use serde_json::json;

use crate::common::{
    Answer, INSTANCE, NODE, NOW_MS, OTHER_INSTANCE, PROJECT, Request, Service, analysis, strings,
};

const UNKNOWN: &str = "99999999-cebf-4473-95c4-d1b573c16e79";

fn service_with(change: impl FnOnce(&mut Config)) -> Service {
    let fill = |folder: &std::path::Path| {
        std::fs::write(folder.join("a.rdb"), strings(3)).unwrap();
        std::fs::write(folder.join("b c\u{e9}.rdb"), strings(1)).unwrap();
        // Not for clients, whatever they make of a link.
        std::fs::write(folder.join("secret.txt"), "secret").unwrap();
    };
    Service::start_with(fill, |config| {
        config.credentials[0].role = Permission::Admin;
        change(config);
    })
}

fn service() -> Service {
    service_with(|_| {})
}

fn backups(rest: &str) -> String {
    format!("/v2/{PROJECT}/instances/{INSTANCE}/backups{rest}")
}

/// The link to a file, as path and query.
fn link(service: &Service, name: &str, seconds: u32) -> String {
    let target = backups(&format!("/{}/links", service.backup_id(name)));
    let answer = service.call("POST", &target, &json!({"expiration": seconds}).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    let link = &answer.body["links"][0];
    assert_eq!(link["file_name"], name);
    assert_eq!(answer.body["links"].as_array().unwrap().len(), 1);
    let url = link["link"].as_str().unwrap();
    url.strip_prefix(&format!("http://{}", service.host())).unwrap().to_owned()
}

fn fetch(service: &Service, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("host".to_owned(), service.host())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    service.send(&Request {
        method: "GET".to_owned(),
        target: target.to_owned(),
        headers: all,
        body: Vec::new(),
    })
}

#[test]
fn link_opens_its_file_until_it_runs_out() {
    let service = service();
    for (name, count) in [("a.rdb", 3), ("b c\u{e9}.rdb", 1)] {
        let link = link(&service, name, 300);
        let answer = fetch(&service, &link, &[]);
        assert_eq!((answer.status, answer.bytes), (200, strings(count)), "{name}");
        assert_eq!(answer.headers["content-disposition"], "attachment");
        assert_eq!(answer.headers["accept-ranges"], "bytes");
    }
    let link = link(&service, "a.rdb", 300);
    service.clock_ms.store(NOW_MS + 299_999, Ordering::Relaxed);
    assert_eq!(fetch(&service, &link, &[]).status, 200);
    service.clock_ms.store(NOW_MS + 300_000, Ordering::Relaxed);
    assert_eq!(fetch(&service, &link, &[]).code(), (403, "DCS.2003"));
}

#[test]
fn ranges_are_parts_of_the_file() {
    let service = service();
    let (link, whole) = (link(&service, "a.rdb", 86_400), strings(3));
    for (range, status, part) in [
        ("bytes=0-4", 206, &whole[..5]),
        ("bytes=5-", 206, &whole[5..]),
        ("bytes=-8", 206, &whole[whole.len() - 8..]),
        ("bytes=999999-", 416, &[]),
    ] {
        let answer = fetch(&service, &link, &[("range", range)]);
        assert_eq!((answer.status, &*answer.bytes), (status, part), "{range}");
    }
}

#[test]
fn changed_links_open_nothing() {
    let service = service();
    let good = link(&service, "a.rdb", 300);
    let b = service.backup_id("b c\u{e9}.rdb");
    let expires = NOW_MS / 1000 + 300;
    let (path, _) = good.split_once('?').unwrap();
    let mut bad = vec![
        path.to_owned(),
        format!("{good}0"),
        good.replace(&format!("expires={expires}"), &format!("expires={}", expires + 1)),
        good.replace(&format!("expires={expires}"), "expires=x"),
        good.replace(&service.backup_id("a.rdb"), &b),
        good.replace(&service.backup_id("a.rdb"), "..%2f..%2fsecret.txt"),
        good.replace(INSTANCE, OTHER_INSTANCE),
        format!("{good}&expires={expires}"),
        good.replace("a.rdb?", "%ff?"),
    ];
    for at in good.find("signature=").unwrap() + 10..good.len() {
        let mut text = good.clone();
        let digit = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
        text.replace_range(at..=at, digit);
        bad.push(text);
    }
    for link in bad {
        let answer = fetch(&service, &link, &[]);
        assert!(matches!(answer.status, 400 | 403 | 404), "{link}: {answer:?}");
        assert!(answer.body["error_code"].is_string(), "{link}: {answer:?}");
    }
    // The name is what the listing says, never a path.
    for name in ["secret.txt", "..%2fsecret.txt", "%2fetc%2fpasswd", "a.rdb%00"] {
        let link = good.replace("a.rdb?", &format!("{name}?"));
        assert_ne!(link, good);
        assert!(matches!(fetch(&service, &link, &[]).status, 403 | 404), "{link}");
    }
    assert_eq!(fetch(&service, &good, &[]).status, 200);
}

#[test]
fn links_are_for_those_who_may_and_for_a_while() {
    let service = service();
    let target = backups(&format!("/{}/links", service.backup_id("a.rdb")));
    for (target, body, expected) in [
        (target.clone(), "", (400, "DCS.4004")),
        (target.clone(), "{}", (400, "DCS.4063")),
        (target.clone(), "{\"expiration\": 299}", (400, "DCS.4063")),
        (target.clone(), "{\"expiration\": 86401}", (400, "DCS.4063")),
        (target.clone(), "{\"expiration\": \"300\"}", (400, "DCS.4063")),
        (backups(&format!("/{UNKNOWN}/links")), "{\"expiration\": 300}", (400, "DCS.4063")),
        (backups("/x/links"), "{\"expiration\": 300}", (400, "DCS.4063")),
    ] {
        assert_eq!(service.call("POST", &target, body).code(), expected, "{target} {body}");
    }
    let mut without_host = service.signed("POST", &target, b"{\"expiration\": 300}");
    *without_host.header("host") = "a b".to_owned();
    assert_ne!(service.send(&without_host).status, 200);

    let service = service_with(|config| {
        config.credentials[0].role = Permission::Analyse;
        config.public_url = Some("https://offkey.example:8443/".to_owned());
    });
    let target = backups(&format!("/{}/links", service.backup_id("a.rdb")));
    let refused = service.call("POST", &target, "{\"expiration\": 300}");
    assert_eq!(refused.code(), (403, "DCS.2003"));
    let target = backups(&format!("/{}", service.backup_id("a.rdb")));
    assert_eq!(service.call("DELETE", &target, "").code(), (403, "DCS.2003"));
}

#[test]
fn public_url_is_where_links_lead() {
    let service = service_with(|config| {
        config.public_url = Some("https://offkey.example:8443/".to_owned());
    });
    let target = backups(&format!("/{}/links", service.backup_id("a.rdb")));
    let body = service.call("POST", &target, "{\"expiration\": 300}").body;
    let link = body["links"][0]["link"].as_str().unwrap();
    assert!(link.starts_with("https://offkey.example:8443/downloads/"), "{link}");
}

#[test]
fn deleted_backup_is_gone() {
    let service = service_with(|config| config.workers = 0);
    let path = service.folder.path().join("backups/a.rdb");
    let backup_id = service.backup_id("a.rdb");
    let target = backups(&format!("/{backup_id}"));
    // Not while an analysis is to read it.
    let task_id = service.create(&backup_id).task_id();
    assert_eq!(service.call("DELETE", &target, "").code(), (400, "DCS.4026"));
    service.call("DELETE", &analysis(&format!("/{task_id}")), "").task_id();
    assert!(path.exists());

    let answer = service.call("DELETE", &target, "");
    assert_eq!((answer.status, &*answer.bytes), (204, &[][..]));
    assert!(!path.exists());
    assert!(path.with_file_name("secret.txt").exists());
    assert_eq!(service.get(&backups("")).body["total_num"], 1);
    service.clock_ms.store(NOW_MS + 1000, Ordering::Relaxed);
    assert_eq!(service.call("DELETE", &target, "").code(), (400, "DCS.4063"));
    assert_eq!(service.call("DELETE", &backups("/x"), "").code(), (400, "DCS.4063"));
}

#[test]
fn new_backup_cannot_be_taken_yet() {
    let service = service();
    let target = backups("");
    for (body, expected) in [
        ("", (400, "DCS.4026")),
        ("{\"remark\": \"before the release\", \"backup_format\": \"rdb\"}", (400, "DCS.4026")),
        ("{\"backup_format\": \"aof\"}", (400, "DCS.4063")),
        ("{\"remark\": 1}", (400, "DCS.4063")),
        ("[]", (400, "DCS.4005")),
    ] {
        assert_eq!(service.call("POST", &target, body).code(), expected, "{body}");
    }
}

#[test]
fn background_tasks_are_the_analyses() {
    let service = service();
    let backup_id = service.backup_id("a.rdb");
    let task_id = service.create(&backup_id).task_id();
    let created_at = service.ended(&task_id).body["created_at"].as_str().unwrap().to_owned();
    let list = |query: &str| {
        service.get(&format!("/v2/{PROJECT}/instances/{INSTANCE}/tasks?{query}")).body
    };
    let body = list("");
    assert_eq!(body["task_count"], "1");
    let task = &body["tasks"][0];
    assert_eq!(task["id"], task_id.as_str());
    assert_eq!((&task["status"], &task["name"]), (&json!("SUCCESS"), &json!("OfflineKeyAnalysis")));
    let params = json!({"node_id": NODE, "backup_id": backup_id});
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(task["params"].as_str().unwrap()).unwrap(),
        params
    );
    // `2026-11-24T10:00:00.123Z` without what is between the digits.
    let second: String = created_at[..19].chars().filter(char::is_ascii_digit).collect();
    for (query, count) in [
        (format!("start_time={second}"), "1"),
        (format!("end_time={second}"), "1"),
        ("end_time=20200101000000".to_owned(), "0"),
        ("start_time=20990101000000".to_owned(), "0"),
    ] {
        assert_eq!(list(&query)["task_count"], count, "{query}");
    }
    assert_eq!(list("offset=1")["tasks"], json!([]));
}
