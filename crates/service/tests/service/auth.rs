//! Who may call: every element of a signed request counts, and nothing is served twice.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use crate::common::{
    INSTANCE, NODE, NOW_MS, OTHER_INSTANCE, OTHER_PROJECT, PROJECT, Request, Service, analysis,
    other, own, strings,
};
use offkey_service::{Permission, Secret, routes};
use serde_json::json;

const REFUSED: (u16, &str) = (401, "APIGW.0301");
const NO_TOKEN: (u16, &str) = (401, "DCS.1003");

/// Names of ways to spoil a request, and the ways.
type Spoilers = Vec<(String, Box<dyn Fn(&mut Request)>)>;

fn service() -> Service {
    Service::start(|folder| std::fs::write(folder.join("a.rdb"), strings(3)).unwrap())
}

#[test]
fn good_requests_pass() {
    let service = service();
    for target in [
        analysis(""),
        analysis("?limit=10&offset=0&status=success"),
        analysis("?status=success&offset=0&limit=10"),
        format!("/v2/{PROJECT}/instances?name=a%20b%2Fc%2B%E4%B8%80"),
    ] {
        assert_eq!(service.get(&target).status, 200, "{target}");
    }
    // Terraform adds headers after it has signed.
    let mut request = service.signed("GET", &analysis(""), b"");
    request.headers.push(("x-project-id".to_owned(), PROJECT.to_owned()));
    assert_eq!(service.send(&request).status, 200);
    // A body may come with a GET.
    assert_eq!(service.call("GET", &analysis(""), "{}").status, 200);
}

#[test]
fn every_changed_element_is_refused() {
    let service = service();
    let target = analysis("?limit=10&offset=0");
    let body = br#"{"node_id": "n", "backup_id": "b"}"#;
    let mut spoilers: Spoilers = Vec::new();
    let mut spoil = |name: String, way: Box<dyn Fn(&mut Request)>| spoilers.push((name, way));

    spoil("method".into(), Box::new(|request| request.method = "GET".into()));
    // Every character of the ids in the path, so that the route stays the same.
    for id in [PROJECT, INSTANCE] {
        let start = target.find(id).unwrap();
        for at in (start..start + id.len()).filter(|at| target.as_bytes()[*at] != b'-') {
            spoil(format!("path at {at}"), Box::new(move |r| replace_digit(&mut r.target, at)));
        }
    }
    for (from, to) in [
        ("limit=10", "limit=11"),
        ("limit=10", "limit="),
        ("limit=10&", ""),
        ("offset=0", "offset=0&status=success"),
        ("offset=0", "offset=0&offset=0"),
        ("offset", "Offset"),
        ("?limit=10&offset=0", ""),
    ] {
        spoil(
            format!("query {from} -> {to}"),
            Box::new(move |request| request.target = request.target.replacen(from, to, 1)),
        );
    }
    for name in ["host", "content-type", "user-agent", "x-sdk-date"] {
        spoil(format!("{name} changed"), Box::new(move |r| r.header(name).push('1')));
        spoil(
            format!("{name} missing"),
            Box::new(move |request| request.headers.retain(|(header, _)| header != name)),
        );
        spoil(
            format!("{name} twice"),
            Box::new(move |request| {
                let value = request.header(name).clone();
                request.headers.push((name.to_owned(), value));
            }),
        );
    }
    for at in 0..body.len() {
        spoil(format!("body at {at}"), Box::new(move |request| request.body[at] ^= 1));
    }
    spoil("body longer".into(), Box::new(|request| request.body.push(b' ')));
    spoil("body gone".into(), Box::new(|request| request.body.clear()));
    for (from, to) in [
        ("Access=OWN", "Access=OTHER"),
        ("Access=OWN", "Access=own"),
        ("Access=OWN", "Access="),
        ("SDK-HMAC-SHA256", "SDK-HMAC-SM3"),
        ("SDK-HMAC-SHA256", "V11-HMAC-SHA256"),
        ("content-type;", ""),
        ("host;", ""),
        (";x-sdk-date", ""),
        ("content-type;host", "host;content-type"),
        ("host", "Host"),
        ("host", "host;host"),
        ("Signature=", "Signature=0"),
    ] {
        spoil(
            format!("authorization {from} -> {to}"),
            Box::new(move |request| {
                let header = request.header("authorization");
                assert!(header.contains(from), "{header}");
                *header = header.replacen(from, to, 1);
            }),
        );
    }
    for at in 1..=64 {
        spoil(
            format!("signature at {at}"),
            Box::new(move |request| {
                let header = request.header("authorization");
                let at = header.len() - at;
                replace_digit(header, at);
            }),
        );
    }
    for (name, value) in [
        ("x-sdk-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-sdk-content-sha256", &"0".repeat(64)),
        ("authorization", "Basic YTpi"),
    ] {
        let (name, value) = (name.to_owned(), value.to_owned());
        spoil(
            format!("{name} added"),
            Box::new(move |request| request.headers.push((name.clone(), value.clone()))),
        );
    }
    for at in 0.."20260101T000000Z".len() {
        spoil(
            format!("date at {at}"),
            Box::new(move |request| replace_digit(request.header("x-sdk-date"), at)),
        );
    }
    for name in ["host", "content-type", "user-agent"] {
        for at in 0..9 {
            spoil(
                format!("{name} at {at}"),
                Box::new(move |request| replace_digit(request.header(name), at)),
            );
        }
    }
    // Every part of the header in every other case, place and spelling.
    for (from, to) in [
        ("SDK-HMAC-SHA256", "SDK-HMAC-SM3"),
        ("SDK-HMAC-SHA256", "sdk-hmac-sha256"),
        ("SDK-HMAC-SHA256", "SDK-HMAC-SHA512"),
        ("SDK-HMAC-SHA256", "V11-HMAC-SHA256"),
        ("SDK-HMAC-SHA256 ", "SDK-HMAC-SHA256"),
        ("SDK-HMAC-SHA256 ", "SDK-HMAC-SHA256,"),
        ("SDK-HMAC-SHA256", ""),
        ("Access=", "access="),
        ("Access=", "Credential="),
        ("Access=", "Access =\t"),
        ("Access=OWN", "Access="),
        ("Access=OWN", "Access=Own"),
        ("Access=OWN", "Access=OWN1"),
        ("Access=OWN", "Access=OW"),
        ("Access=OWN", "Access=OWN%00"),
        ("Access=OWN", "Access=' OR 1=1 --"),
        ("Access=OWN", "Access=../OWN"),
        ("Access=OWN, ", ""),
        ("Access=OWN", "Access=OWN, Access=OWN"),
        ("SignedHeaders=", "signedheaders="),
        ("SignedHeaders=", "SignedHeaders=;"),
        ("SignedHeaders=", "SignedHeaders=a;"),
        ("SignedHeaders=content-type;", "SignedHeaders="),
        ("content-type;host", "content-type;;host"),
        ("content-type;host", "content-type,host"),
        ("content-type;host", "content-type host"),
        ("content-type;host", "Content-Type;host"),
        ("content-type;host", "content-type;Host"),
        ("content-type;host", "host;content-type"),
        ("content-type;host", "content-type;content-type;host"),
        ("host;user-agent", "host"),
        ("user-agent;x-sdk-date", "user-agent"),
        ("x-sdk-date,", "x-sdk-date;,"),
        ("x-sdk-date,", "x-sdk-date;x-sdk-date,"),
        ("x-sdk-date,", "x-sdk-date;zzz,"),
        ("x-sdk-date,", "X-Sdk-Date,"),
        ("Signature=", "signature="),
        ("Signature=", "Signature=0x"),
        ("Signature=", "Signature= "),
        ("Signature=", "Signature=\""),
    ] {
        spoil(
            format!("authorization {from} -> {to}"),
            Box::new(move |request| {
                let header = request.header("authorization");
                assert!(header.contains(from), "{header}");
                *header = header.replacen(from, to, 1);
            }),
        );
    }
    spoil(
        "signature in upper case".into(),
        Box::new(|request| {
            let header = request.header("authorization");
            let at = header.len() - 64;
            let upper = header[at..].to_uppercase();
            header.replace_range(at.., &upper);
        }),
    );
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "Post", "QUERY"] {
        spoil(format!("method {method}"), Box::new(move |request| request.method = method.into()));
    }
    for (from, to) in [
        ("/key-analysis", "/key-analysis/"),
        ("/key-analysis", "//key-analysis"),
        ("/key-analysis", "/./key-analysis"),
        ("/key-analysis", "/x/../key-analysis"),
        ("limit=10&offset=0", "offset=0&limit=10&"),
        ("limit=10", "limit=1%30&x"),
        ("limit=10", "limit=%2010"),
        ("limit=10", "limit=10+"),
        ("limit=10", "limit=10%00"),
        ("limit=10", "limit=10%0a"),
        ("limit=10", "limit=%ff"),
        ("limit=10", "limit=10;"),
        ("limit=10", "LIMIT=10"),
        ("limit=10", "limit[]=10"),
        ("limit=10", "%6cimit=11"),
        ("offset=0", "offset=00"),
        ("offset=0", "offset=-0"),
        ("offset=0", "offset=0&a=b"),
        ("offset=0", "offset=0&=b"),
        ("offset=0", "offset=0&a"),
    ] {
        if to == "offset=0&limit=10&" {
            // The order of a query and empty parts of it are not signed.
            continue;
        }
        spoil(
            format!("target {from} -> {to}"),
            Box::new(move |request| request.target = request.target.replacen(from, to, 1)),
        );
    }

    assert!(spoilers.len() >= 300, "{}", spoilers.len());
    let good = service.signed("POST", &target, body);
    assert_eq!(service.send(&good).code(), (400, "DCS.3053"));
    for (name, spoil) in spoilers {
        let mut request = good.clone();
        spoil(&mut request);
        let answer = service.send(&request);
        if answer.status == 404 {
            // Paths that lead nowhere are answered before the signature is looked at.
            assert!(name.starts_with("target "), "{name}: {answer:?}");
            continue;
        }
        if answer.code() == (400, "APIGW.0201") {
            // So are requests that do not say in one way whom they are for.
            assert!(name.starts_with("host "), "{name}: {answer:?}");
            continue;
        }
        assert_eq!(answer.code(), REFUSED, "{name}: {request:?}");
        assert_eq!(answer.body["request_id"], answer.headers["x-request-id"]);
    }
}

fn replace_digit(text: &mut String, at: usize) {
    let new = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    text.replace_range(at..=at, new);
}

#[test]
fn stranger_learns_nothing_but_which_paths_there_are() {
    let service = service();
    for (method, target, expected) in [
        ("GET", analysis(""), NO_TOKEN),
        ("PUT", analysis(""), NO_TOKEN),
        ("GET", analysis("/malformed"), NO_TOKEN),
        ("GET", "/v2/malformed/instances".to_owned(), NO_TOKEN),
        ("GET", "/v3/projects".to_owned(), NO_TOKEN),
        ("GET", format!("/v2/{PROJECT}/nothing"), (404, "DCS.4001")),
        ("GET", "/nothing".to_owned(), (404, "APIGW.0101")),
    ] {
        let mut request = service.signed(method, &target, b"");
        request.headers.retain(|(name, _)| name == "host");
        assert_eq!(service.send(&request).code(), expected, "{method} {target}");
    }
}

#[test]
fn date_may_be_15_minutes_off() {
    let service = service();
    let minutes = 60 * 1000;
    for (off_ms, status) in [
        (-15 * minutes - 1000, 401),
        (-15 * minutes, 200),
        (0, 200),
        (15 * minutes, 200),
        (15 * minutes + 1000, 401),
    ] {
        let request = service.signed_by(&own(), NOW_MS + off_ms, "GET", &analysis(""), b"");
        assert_eq!(service.send(&request).status, status, "{off_ms}");
    }
}

#[test]
fn unknown_key_and_wrong_secret_are_refused() {
    let service = service();
    for (ak, sk) in [("NOBODY", "own secret"), ("OWN", "other secret"), ("NOBODY", "nobody")] {
        let signer = offkey_service::Signer { ak: ak.to_owned(), sk: Secret::new(sk) };
        let request = service.signed_by(&signer, NOW_MS, "GET", &analysis(""), b"");
        assert_eq!(service.send(&request).code(), REFUSED, "{ak}");
    }
}

#[test]
fn unsigned_payload_passes_without_a_body_only() {
    let service = service();
    let unsigned = |body: &[u8]| {
        let mut request = service.signed("GET", &analysis(""), body);
        request.headers.push(("x-sdk-content-sha256".to_owned(), "UNSIGNED-PAYLOAD".to_owned()));
        service.send(&request).status
    };
    assert_eq!(unsigned(b""), 200);
    assert_eq!(unsigned(b"{}"), 401);
}

#[test]
fn write_takes_effect_once() {
    let service = service();
    let body = json!({"node_id": NODE, "backup_id": service.backup_id("a.rdb")}).to_string();
    let create = service.signed("POST", &analysis(""), body.as_bytes());
    let first = service.send(&create).task_id();
    service.ended(&first);
    assert_eq!(service.send(&create).code(), REFUSED);
    let delete = service.signed("DELETE", &analysis(&format!("/{first}")), b"");
    assert_eq!(service.send(&delete).task_id(), first);
    assert_eq!(service.send(&delete).code(), (400, "DCS.4232"));

    // The same request of the next second is another one.
    service.clock_ms.fetch_add(1000, Ordering::Relaxed);
    let create = service.signed("POST", &analysis(""), body.as_bytes());
    service.ended(&service.send(&create).task_id());
    // As long as its date is good, its signature is remembered.
    service.clock_ms.fetch_add(15 * 60 * 1000, Ordering::Relaxed);
    assert_eq!(service.send(&create).code(), REFUSED);
    service.clock_ms.fetch_add(1000, Ordering::Relaxed);
    assert_eq!(service.send(&create).code(), REFUSED);
    // Reads may be repeated.
    let list = service.signed("GET", &analysis(""), b"");
    assert_eq!(service.send(&list).body["total"], 1);
    assert_eq!(service.send(&list).body["total"], 1);
}

#[test]
fn restart_forgets_no_signature() {
    let mut service = service();
    let body = json!({"node_id": NODE, "backup_id": service.backup_id("a.rdb")}).to_string();
    let create = service.signed("POST", &analysis(""), body.as_bytes());
    let first = service.send(&create).task_id();
    service.ended(&first);
    service.stop();
    service.resume();
    let mut connection = service.connect();
    for _ in 0..2 {
        assert_eq!(connection.send(&create).code(), REFUSED);
    }
    assert_eq!(service.get(&analysis("")).body["total"], 1);
}

#[test]
fn client_may_repeat_itself_on_its_own_connection() {
    let service = service();
    let body = json!({"node_id": NODE, "backup_id": service.backup_id("a.rdb")}).to_string();
    let create = service.signed("POST", &analysis(""), body.as_bytes());
    let mut connection = service.connect();
    let first = connection.send(&create).task_id();
    service.ended(&first);
    let second = connection.send(&create).task_id();
    assert_ne!(first, second);
}

#[test]
fn project_header_must_agree() {
    let service = service();
    for (project, expected) in [(PROJECT, (200, "")), (OTHER_PROJECT, (401, "DCS.1004"))] {
        let mut request = service.signed("GET", &analysis(""), b"");
        request.headers.push(("x-project-id".to_owned(), project.to_owned()));
        assert_eq!(service.send(&request).code(), expected);
    }
}

#[test]
fn ids_of_another_project_answer_like_unknown_ones() {
    let file = |folder: &std::path::Path| std::fs::write(folder.join("a.rdb"), strings(3)).unwrap();
    // No role stands in the way.
    let service = Service::start_with(file, |config| {
        config.credentials.iter_mut().for_each(|one| one.role = Permission::Admin);
    });
    let backup_id = service.backup_id("a.rdb");
    let task_id = service.create(&backup_id).task_id();
    service.ended(&task_id);
    let unknown = "99999999-cebf-4473-95c4-d1b573c16e79";
    let unknown_project = "99999999999999999999999999999999";
    let paths: BTreeSet<&str> = routes().map(|(_, path, _)| path).collect();
    let of_projects = paths.iter().filter(|path| path.contains("{project_id}"));
    let mut asked = 0;
    let fill = |route: &str, project: &str, instance: &str, task: &str| {
        fill(route, project, instance, task).replace("{backup_id}", &backup_id)
    };
    for (route, method) in
        of_projects.flat_map(|path| ["GET", "POST", "PUT", "PATCH", "DELETE"].map(|m| (*path, m)))
    {
        if !routes().any(|(known, path, _)| (known, path) == (method, route)) {
            // Whatever the ids are, and whoever asks.
            for (project, signer) in [(PROJECT, own()), (PROJECT, other()), ("0123", own())] {
                let target = fill(route, project, INSTANCE, &task_id);
                let request = service.signed_by(&signer, NOW_MS, method, &target, b"{}");
                assert_eq!(service.send(&request).code(), (405, "DCS.5001"), "{method} {route}");
            }
            continue;
        }
        asked += 1;
        let ask = |project: &str, instance: &str, task: &str| {
            let target = fill(route, project, instance, task);
            // The other project asks.
            let request = service.signed_by(&other(), NOW_MS, method, &target, b"{}");
            let answer = service.send(&request);
            (answer.status, answer.body["error_code"].clone(), answer.body["error_msg"].clone())
        };
        let foreign = ask(PROJECT, INSTANCE, &task_id);
        assert_eq!(foreign, ask(unknown_project, INSTANCE, &task_id), "{method} {route}");
        assert_eq!((foreign.0, foreign.1), (401, json!("DCS.1004")), "{method} {route}");
        let malformed = ask("0123", INSTANCE, &task_id);
        assert_eq!((malformed.0, malformed.1), (400, json!("DCS.4002")), "{method} {route}");
        if !route.contains("{instance_id}") {
            continue;
        }
        let foreign = ask(OTHER_PROJECT, INSTANCE, &task_id);
        assert_eq!(foreign, ask(OTHER_PROJECT, unknown, &task_id), "{method} {route}");
        assert_eq!((foreign.0, foreign.1), (404, json!("DCS.3022")), "{method} {route}");
        let malformed = ask(OTHER_PROJECT, "5560df16", &task_id);
        assert_eq!((malformed.0, malformed.1), (400, json!("DCS.4061")), "{method} {route}");
        if route.contains("{backup_id}") {
            let foreign = ask(OTHER_PROJECT, OTHER_INSTANCE, &task_id);
            assert_eq!((foreign.0, foreign.1), (400, json!("DCS.4063")), "{method} {route}");
        }
        if !route.contains("{task_id}") {
            continue;
        }
        let foreign = ask(OTHER_PROJECT, OTHER_INSTANCE, &task_id);
        assert_eq!(foreign, ask(OTHER_PROJECT, OTHER_INSTANCE, unknown), "{method} {route}");
        assert_eq!((foreign.0, foreign.1), (400, json!("DCS.4232")), "{method} {route}");
        let malformed = ask(OTHER_PROJECT, OTHER_INSTANCE, "1");
        assert_eq!((malformed.0, malformed.1), (400, json!("DCS.4070")), "{method} {route}");
    }
    assert!(asked >= 16, "{asked}");
    // Nothing of it has touched the task and the backup.
    assert_eq!(service.get(&analysis("")).body["total"], 1);
    assert_eq!(service.backup_id("a.rdb"), backup_id);
}

fn fill(route: &str, project: &str, instance: &str, task: &str) -> String {
    let values = [
        ("{project_id}", project),
        ("{instance_id}", instance),
        ("{task_id}", task),
        ("{node_id}", NODE),
        ("{file_name}", "new.rdb"),
    ];
    values.iter().fold(route.to_owned(), |target, (name, value)| target.replace(name, value))
}

#[test]
fn project_is_found_by_its_region() {
    let service = service();
    let projects = |name: &str| service.get(&format!("/v3/projects?name={name}")).body;
    assert_eq!(
        projects("cn-north-4"),
        json!({"projects": [{"id": PROJECT, "name": "cn-north-4", "enabled": true}]})
    );
    // There is one, but of somebody else.
    assert_eq!(projects("eu-west-0"), json!({"projects": []}));
}
