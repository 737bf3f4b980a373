//! The life of tasks: one at a time, never lost, given back when the service stops.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use offkey_service::StartError;
use serde_json::json;

use crate::common::{NODE, Service, analysis, strings};

/// Keys that take a moment to read.
const MANY: u32 = 1_500_000;

fn busy_service() -> Service {
    Service::start(|folder| {
        std::fs::write(folder.join("many.rdb"), strings(MANY)).unwrap();
        std::fs::write(folder.join("few.rdb"), strings(3)).unwrap();
    })
}

/// Waits until the task runs.
fn running(service: &Service, task_id: &str) {
    let start = Instant::now();
    loop {
        let body = service.get(&analysis(&format!("/{task_id}"))).body;
        match body["status"].as_str() {
            Some("running") => return,
            Some("waiting") => {}
            _ => panic!("not seen running: {body}"),
        }
        assert!(start.elapsed() < Duration::from_secs(30), "still waiting");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn running_task_is_alone_and_stays() {
    let service = busy_service();
    let few = service.backup_id("few.rdb");
    let task_id = service.create(&service.backup_id("many.rdb")).task_id();
    running(&service, &task_id);
    let start = Instant::now();
    let task = analysis(&format!("/{task_id}"));
    let create = service.create(&few);
    let delete = service.call("DELETE", &task, "");
    let shown = service.get(&task).body;
    // Work does not block answers.
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    if shown["status"] == "running" {
        assert_eq!(create.code(), (400, "DCS.4231"));
        assert_eq!(delete.code(), (400, "DCS.4231"));
        assert_eq!(shown["largest_keys"], json!([]));
        assert_eq!(shown.get("finished_at"), None);
    } else {
        panic!("the analysis was over too soon to be seen running: {shown}");
    }
    let body = service.ended(&task_id).body;
    assert_eq!(body["total_num"], MANY);
    assert_eq!(body["progress"]["keys"], MANY);
    let len = u64::try_from(strings(MANY).len()).unwrap();
    assert_eq!(body["progress"]["bytes_total"], len);
    service.ended(&service.create(&few).task_id());
}

#[test]
fn forced_deletion_cancels_the_analysis() {
    let service = Service::start(|folder| {
        std::fs::write(folder.join("endless.rdb"), strings(8 * MANY)).unwrap();
        std::fs::write(folder.join("few.rdb"), strings(3)).unwrap();
    });
    let few = service.backup_id("few.rdb");
    let task_id = service.create(&service.backup_id("endless.rdb")).task_id();
    running(&service, &task_id);
    let task = analysis(&format!("/{task_id}"));
    for query in ["?force=1", "?force=true&force=true"] {
        let answer = service.call("DELETE", &format!("{task}{query}"), "");
        assert_eq!(answer.code(), (400, "DCS.4062"));
    }
    for query in ["", "?force=false"] {
        let answer = service.call("DELETE", &format!("{task}{query}"), "");
        assert_eq!(answer.code(), (400, "DCS.4231"), "{query}");
    }
    let start = Instant::now();
    assert_eq!(service.call("DELETE", &format!("{task}?force=true"), "").task_id(), task_id);
    assert_eq!(service.get(&task).code(), (400, "DCS.4232"));
    assert_eq!(service.get(&analysis("")).body["total"], 0);
    // The only worker is free for another one long before the file would have been read.
    let next = service.create(&few).task_id();
    assert_eq!(service.ended(&next).body["total_num"], 3);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let records = service.get(&analysis("")).body["records"].clone();
    assert_eq!(records.as_array().unwrap().len(), 1, "{records}");
}

#[test]
fn equal_creates_at_once_make_one_task() {
    let service = busy_service();
    let body = json!({"node_id": NODE, "backup_id": service.backup_id("many.rdb")}).to_string();
    let request = service.signed("POST", &analysis(""), body.as_bytes());
    let answers = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..16 {
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
    let mut service = busy_service();
    let task_id = service.create(&service.backup_id("many.rdb")).task_id();
    running(&service, &task_id);
    service.stop();
    service.config.workers = 0;
    service.resume();
    let shown = service.get(&analysis(&format!("/{task_id}"))).body;
    assert_eq!(shown["status"], "waiting", "{shown}");
    assert_eq!(shown.get("started_at"), None);
    service.stop();
    service.config.workers = 1;
    service.resume();
    let body = service.ended(&task_id).body;
    assert_eq!((&body["status"], &body["total_num"]), (&json!("success"), &json!(MANY)));
}

#[test]
fn backup_that_is_gone_fails_its_task() {
    let mut service = busy_service();
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
