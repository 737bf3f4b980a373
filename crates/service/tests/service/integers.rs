//! Numbers above 2147483647, which the Go and Java SDKs cannot decode.

use offkey_service::{Integers, Unsigned};
use serde_json::Value;

use crate::common::{NOW_MS, Service, analysis, own, strings};

const LARGE: u64 = 5_000_000_000;

/// Every number of a report that the SDKs have a field for; `/0` is the first of a list.
const DECODED: [&str; 10] = [
    "/total_bytes",
    "/total_num",
    "/largest_keys/0/bytes",
    "/largest_keys/0/num_of_elem",
    "/largest_key_prefixes/0/bytes",
    "/largest_key_prefixes/0/num",
    "/type_bytes/0/bytes",
    "/type_num/0/num",
    "/largest_keys/2/bytes",
    "/largest_keys/2/num_of_elem",
];

#[test]
fn every_number_is_one_that_its_client_can_decode() {
    let fill = |folder: &std::path::Path| std::fs::write(folder.join("a.rdb"), strings(3)).unwrap();
    let mut service = Service::start(fill);
    let task_id = service.create(&service.backup_id("a.rdb")).task_id();
    assert_eq!(service.ended(&task_id).body["status"], "success");
    service.stop();
    enlarge_report(&service);
    for (integers, agent, saturated) in [
        (Integers::ByUserAgent, "huaweicloud-usdk-python/3.0", false),
        (Integers::ByUserAgent, "huaweicloud-usdk-go/3.0", true),
        (Integers::ByUserAgent, "huaweicloud-usdk-java/3.0", true),
        (Integers::AlwaysExact, "huaweicloud-usdk-go/3.0", false),
        (Integers::AlwaysSaturate, "curl/8", true),
    ] {
        service.config.integers = integers;
        service.resume();
        let body = shown_to(&service, agent, &task_id);
        for path in DECODED {
            let number = body.pointer(path).unwrap_or_else(|| panic!("{path}: {body}"));
            let exact = body.pointer(&format!("{path}_exact"));
            if saturated {
                assert_eq!(*number, i32::MAX, "{agent} {path}");
                assert_eq!(exact.unwrap(), &LARGE.to_string(), "{agent} {path}");
            } else {
                assert_eq!(*number, LARGE, "{agent} {path}");
                assert_eq!(exact, None, "{agent} {path}");
            }
        }
        service.stop();
    }
}

fn shown_to(service: &Service, agent: &str, task_id: &str) -> Value {
    let mut request = service.signed("GET", &analysis(&format!("/{task_id}")), b"");
    // Signs what Go signs at least.
    let (host, target) = (service.host(), request.target.clone());
    let unsigned =
        Unsigned { method: "GET", host: &host, target: &target, headers: &[], body: b"" };
    let [(_, authorization), _] = own().headers(&unsigned, NOW_MS).unwrap();
    *request.header("authorization") = authorization;
    *request.header("user-agent") = agent.to_owned();
    service.send(&request).body
}

/// Changes the stored report of a stopped service: no file of a test is that large.
fn enlarge_report(service: &Service) {
    let database = service.config.data_dir.join("tasks.sqlite");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let sql = "SELECT report FROM tasks WHERE report IS NOT NULL";
        let report: String = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
        let mut report = serde_json::from_str(&report).unwrap();
        enlarge(&mut report);
        let sql = "UPDATE tasks SET report = $1";
        sqlx::query(sql).bind(report.to_string()).execute(&pool).await.unwrap();
        pool.close().await;
    });
}

fn enlarge(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(enlarge),
        Value::Object(members) => {
            for (name, value) in members {
                match name.as_str() {
                    "bytes" | "num" | "num_of_elem" | "total_bytes" | "total_num"
                        if value.is_u64() =>
                    {
                        *value = LARGE.into();
                    }
                    _ => enlarge(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
