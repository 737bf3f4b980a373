//! Progress as server-sent events, and reports as files.

use serde_json::Value;

use crate::common::{NOW_MS, Service, analysis, strings};

/// The events of a task: names and what they say.
fn events(lines: impl Iterator<Item = String>) -> Vec<(String, Value)> {
    let mut name = String::new();
    let mut events = Vec::new();
    for line in lines {
        if let Some(text) = line.strip_prefix("event: ") {
            name = text.to_owned();
        } else if let Some(text) = line.strip_prefix("data: ") {
            events.push((name.clone(), serde_json::from_str(text).unwrap()));
        }
    }
    events
}

#[test]
fn events_lead_to_the_end_of_the_task() {
    let fill = |folder: &std::path::Path| {
        std::fs::write(folder.join("many.rdb"), strings(1_500_000)).unwrap();
    };
    let service = Service::start(fill);
    let task_id = service.create(&service.backup_id("many.rdb")).task_id();
    let mut request = service.signed("GET", &analysis(&format!("/{task_id}/events")), b"");
    request.headers.push(("last-event-id".to_owned(), "anything at all".to_owned()));
    let events = events(service.connect().stream(&request));
    assert!(events.len() > 1, "{events:?}");
    assert!(events.iter().all(|(name, _)| name == "task"), "{events:?}");
    let (_, first) = &events[0];
    assert!(matches!(first["status"].as_str(), Some("waiting" | "running")), "{first}");
    let (_, last) = events.last().unwrap();
    assert_eq!(last["status"], "success");
    assert_eq!(last["progress"]["keys"], 1_500_000);
    let read: Vec<u64> =
        events.iter().map(|(_, event)| event["progress"]["bytes_read"].as_u64().unwrap()).collect();
    assert!(read.is_sorted(), "{read:?}");

    // Of an ended task there is one event.
    let again = self::events(service.connect().stream(&request));
    assert_eq!(again, [events.last().unwrap().clone()]);
}

#[test]
fn events_end_with_the_task_and_with_the_service() {
    let fill = |folder: &std::path::Path| std::fs::write(folder.join("a.rdb"), strings(3)).unwrap();
    let mut service = Service::start_with(fill, |config| config.workers = 0);
    let task_id = service.create(&service.backup_id("a.rdb")).task_id();
    let task = analysis(&format!("/{task_id}"));
    let request = service.signed("GET", &format!("{task}/events"), b"");
    let mut lines = service.connect().stream(&request);
    let first = lines.by_ref().find(|line| line.starts_with("data: ")).unwrap();
    assert!(first.contains("\"waiting\""), "{first}");
    service.call("DELETE", &task, "").task_id();
    let rest = events(lines);
    assert_eq!(rest, [("deleted".to_owned(), serde_json::json!({}))]);
    assert_eq!(service.get(&format!("{task}/events")).code(), (400, "DCS.4232"));

    service.clock_ms.store(NOW_MS + 1000, std::sync::atomic::Ordering::Relaxed);
    let task_id = service.create(&service.backup_id("a.rdb")).task_id();
    let request = service.signed("GET", &analysis(&format!("/{task_id}/events")), b"");
    let mut lines = service.connect().stream(&request);
    lines.by_ref().find(|line| line.starts_with("data: ")).unwrap();
    let start = std::time::Instant::now();
    service.stop();
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(events(lines), []);
}

#[test]
fn report_is_a_file_for_spreadsheets_and_browsers() {
    let fill = |folder: &std::path::Path| {
        let mut bytes = b"REDIS0009\xfe\x00\x00\x02=1\x05value".to_vec();
        bytes.extend(&strings(2)[11..]);
        std::fs::write(folder.join("a.rdb"), bytes).unwrap();
    };
    let service = Service::start(fill);
    let task_id = service.create(&service.backup_id("a.rdb")).task_id();
    service.ended(&task_id);
    let answer = service.get(&analysis(&format!("/{task_id}/report.csv")));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    let name = format!("attachment; filename=\"offkey-{task_id}.csv\"");
    assert_eq!(answer.headers["content-disposition"], name);
    let text = String::from_utf8(answer.bytes).unwrap();
    assert!(text.starts_with("section,type,db,key,"), "{text}");
    assert!(text.contains("\r\nkey,string,0,'=1,"), "{text}");
    assert!(text.contains("a.rdb") && !text.contains(service.folder.path().to_str().unwrap()));
    let answer = service.get(&analysis(&format!("/{task_id}/report.html")));
    assert_eq!(
        (answer.status, &*answer.headers["content-type"]),
        (200, "text/html; charset=utf-8")
    );
    assert!(answer.headers["content-disposition"].starts_with("attachment; "));
    let page = String::from_utf8(answer.bytes).unwrap();
    assert!(page.starts_with("<!") && page.contains("a.rdb"), "{page}");
    let unknown = "/99999999-cebf-4473-95c4-d1b573c16e79/report.csv";
    assert_eq!(service.get(&analysis(unknown)).code(), (400, "DCS.4232"));
}
