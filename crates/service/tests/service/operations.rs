//! What those who run the service ask it, and what it says of its own API.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Answer, INSTANCE, PROJECT, Request, Service, analysis, strings};

fn ask(service: &Service, method: &str, target: &str) -> Answer {
    service.send(&Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: vec![("host".to_owned(), service.host())],
        body: Vec::new(),
    })
}

fn service() -> Service {
    Service::start(|folder| std::fs::write(folder.join("a.rdb"), strings(3)).unwrap())
}

#[test]
fn service_that_works_says_so() {
    let service = service();
    // It takes the workers a moment to find the database.
    let start = Instant::now();
    while ask(&service, "GET", "/readyz").status != 200 {
        assert!(start.elapsed() < Duration::from_secs(20), "not ready");
        std::thread::sleep(Duration::from_millis(10));
    }
    for target in ["/healthz", "/readyz"] {
        let answer = ask(&service, "GET", target);
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("ok")), "{target}");
        assert_eq!(ask(&service, "POST", target).code(), (405, "DCS.5001"), "{target}");
    }
    // Nobody would run its tasks.
    let idle = Service::start_with(|_| {}, |config| config.workers = 0);
    assert_eq!(ask(&idle, "GET", "/readyz").status, 503);
}

#[test]
fn metrics_count_and_name_nothing_of_clients() {
    let service = service();
    let task_id = service.create(&service.backup_id("a.rdb")).task_id();
    service.ended(&task_id);
    ask(&service, "GET", "/canary/of/a/path");
    ask(&service, "GET", &analysis("?canary=1"));
    let answer = ask(&service, "GET", "/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.headers["content-type"].starts_with("application/openmetrics-text"));
    let text = String::from_utf8(answer.bytes).unwrap();
    let route = "/v2/{project_id}/instances/{instance_id}/offline/key-analysis";
    for line in [
        "offkey_tasks{state=\"success\"} 1".to_owned(),
        "offkey_tasks{state=\"running\"} 0".to_owned(),
        "offkey_queue_depth 0".to_owned(),
        "offkey_analysed_keys_total 3".to_owned(),
        format!("offkey_analysed_bytes_total {}", strings(3).len()),
        "offkey_analysis_seconds_count{outcome=\"success\"} 1".to_owned(),
        format!("offkey_http_requests_total{{method=\"POST\",route=\"{route}\",status=\"200\"}} 1"),
        format!("offkey_http_requests_total{{method=\"GET\",route=\"{route}\",status=\"401\"}} 1"),
        "offkey_http_requests_total{method=\"GET\",route=\"unknown\",status=\"404\"} 1".to_owned(),
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\n{text}");
    }
    for canary in ["canary", "key:", "a.rdb", PROJECT, INSTANCE, &task_id] {
        assert!(!text.contains(canary), "{canary}\n{text}");
    }
}

#[test]
fn description_is_the_one_in_the_documentation() {
    let service = service();
    let answer = ask(&service, "GET", "/openapi.json");
    assert_eq!(answer.status, 200);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let written: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_default())
        .unwrap_or_default();
    if written != answer.body {
        let new = concat!(env!("CARGO_TARGET_TMPDIR"), "/openapi.json");
        std::fs::write(new, serde_json::to_string_pretty(&answer.body).unwrap() + "\n").unwrap();
        panic!("the API has changed; if it should have: cp {new} docs/openapi.json");
    }
}
