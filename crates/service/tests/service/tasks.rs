//! The life of tasks: one at a time, never lost, given back when the service stops.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use offkey_service::StartError;
use offkey_testkit::long_work;
use serde_json::json;

use crate::common::{NODE, Service, analysis, strings};

/// Keys that take a moment to read.
const MANY: u32 = 500_000;

fn busy_service(keys: u32) -> Service {
    Service::start(|folder| {
        std::fs::write(folder.join("many.rdb"), long_work(keys)).unwrap();
        std::fs::write(folder.join("few.rdb"), strings(3)).unwrap();
    })
}

/// Holds with one of these numbers of keys. Where a test waits for its turn, the analysis may
/// be over before the test has looked at it; it answers `false` then.
fn with_enough_keys(holds: impl Fn(u32) -> bool) {
    assert!([1, 4, 16].into_iter().any(|times| holds(times * MANY)), "over too soon each time");
}

/// Waits until the task runs; `false` if it is over already.
fn running(service: &Service, task_id: &str) -> bool {
    let start = Instant::now();
    loop {
        let body = service.get(&analysis(&format!("/{task_id}"))).body;
        match body["status"].as_str() {
            Some("running") => return true,
            Some("success") => return false,
            Some("waiting") => {}
            _ => panic!("not seen running: {body}"),
        }
        assert!(start.elapsed() < Duration::from_secs(30), "still waiting");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn running_task_is_alone_and_stays() {
    with_enough_keys(|keys| {
        let service = busy_service(keys);
        let few = service.backup_id("few.rdb");
        let task_id = service.create(&service.backup_id("many.rdb")).task_id();
        let task = analysis(&format!("/{task_id}"));
        let is_running = running(&service, &task_id);
        let create = service.create(&few);
        let delete = service.call("DELETE", &task, "");
        let shown = service.get(&task).body;
        if !is_running || shown["status"] != "running" {
            return false;
        }
        // It still runs, so work does not block answers.
        assert_eq!(create.code(), (400, "DCS.4231"));
        assert_eq!(delete.code(), (400, "DCS.4231"));
        assert_eq!(shown["largest_keys"], json!([]));
        assert_eq!(shown.get("finished_at"), None);
        let body = service.ended(&task_id).body;
        assert_eq!(body["total_num"], keys);
        assert_eq!(body["progress"]["keys"], keys);
        let len = std::fs::metadata(service.folder.path().join("backups/many.rdb")).unwrap().len();
        // Its prefixes are so many that it was read twice; its keys are counted once.
        assert_eq!(body["progress"]["bytes_total"], 2 * len);
        assert_eq!(body["progress"]["bytes_read"], 2 * len);
        service.ended(&service.create(&few).task_id());
        true
    });
}

#[test]
fn forced_deletion_cancels_the_analysis() {
    with_enough_keys(|keys| {
        let service = busy_service(keys);
        let few = service.backup_id("few.rdb");
        let task_id = service.create(&service.backup_id("many.rdb")).task_id();
        if !running(&service, &task_id) {
            return false;
        }
        let task = analysis(&format!("/{task_id}"));
        let delete = |query: &str| service.call("DELETE", &format!("{task}{query}"), "");
        let asked: Vec<_> = ["?force=1", "?force=true&force=true", "", "?force=false"]
            .map(|query| delete(query).code().1.to_owned())
            .into();
        if service.get(&task).body["status"] != "running" {
            return false;
        }
        assert_eq!(asked, ["DCS.4062", "DCS.4062", "DCS.4231", "DCS.4231"]);
        assert_eq!(delete("?force=true").task_id(), task_id);
        assert_eq!(service.get(&task).code(), (400, "DCS.4232"));
        assert_eq!(service.get(&analysis("")).body["total"], 0);
        // The only worker is free for another one.
        let next = service.create(&few).task_id();
        assert_eq!(service.ended(&next).body["total_num"], 3);
        let records = service.get(&analysis("")).body["records"].clone();
        assert_eq!(records.as_array().unwrap().len(), 1, "{records}");
        true
    });
}

#[test]
fn equal_creates_at_once_make_one_task() {
    let service = busy_service(MANY);
    let body = json!({"node_id": NODE, "backup_id": service.backup_id("many.rdb")}).to_string();
    let request = service.signed("POST", &analysis(""), body.as_bytes());
    let answers = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| answers.lock().unwrap().push(service.send(&request)));
        }
    });
    let answers = answers.into_inner().unwrap();
    let created: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(created.len(), 1);
    for answer in &answers {
        // One that finds nothing running yet, and is not the first, is a replay.
        let code = answer.code();
        assert!(matches!(code, (200, "") | (400, "DCS.4231") | (401, "APIGW.0301")), "{code:?}");
    }
    assert_eq!(service.get(&analysis("")).body["total"], 1);
    service.ended(&created[0].task_id());
}

#[test]
fn stopped_service_gives_its_task_back() {
    with_enough_keys(|keys| {
        let mut service = busy_service(keys);
        let task_id = service.create(&service.backup_id("many.rdb")).task_id();
        let is_running = running(&service, &task_id);
        service.stop();
        service.config.workers = 0;
        service.resume();
        let shown = service.get(&analysis(&format!("/{task_id}"))).body;
        if !is_running || shown["status"] == "success" {
            return false;
        }
        assert_eq!(shown["status"], "waiting", "{shown}");
        assert_eq!(shown.get("started_at"), None);
        service.stop();
        service.config.workers = 1;
        service.resume();
        let body = service.ended(&task_id).body;
        assert_eq!((&body["status"], &body["total_num"]), (&json!("success"), &json!(keys)));
        true
    });
}

#[test]
fn backup_that_is_gone_fails_its_task() {
    let mut service = busy_service(MANY);
    let backup_id = service.backup_id("few.rdb");
    service.stop();
    service.config.workers = 0;
    service.resume();
    let task_id = service.create(&backup_id).task_id();
    std::fs::remove_file(service.folder.path().join("backups/few.rdb")).unwrap();
    service.stop();
    service.config.workers = 1;
    service.resume();
    let body = service.ended(&task_id).body;
    assert_eq!(body["status"], "failed");
    assert_eq!(body["error_msg"], format!("backup is gone: {backup_id}"));
}

#[test]
fn data_folder_belongs_to_one_process() {
    let service = Service::start(|_| {});
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let second = offkey_service::start(service.config.clone(), Arc::new(|| 0));
    let error = runtime.block_on(second).unwrap_err();
    assert!(matches!(error, StartError::InUse(_)), "{error}");
}
