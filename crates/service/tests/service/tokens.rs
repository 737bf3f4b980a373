//! Tokens, roles, the credential store and the rate of requests.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

use offkey_service::{
    Credential, CredentialStore, Keyring, NewCredential, Permission, Secret, Signer, routes,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::common::{
    Answer, INSTANCE, NOW_MS, OTHER_PROJECT, PROJECT, Request, Service, analysis, own, strings,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const TOKENS: &str = "/v3/auth/tokens";

fn service() -> Service {
    Service::start(|folder| std::fs::write(folder.join("a.rdb"), strings(3)).unwrap())
}

fn plain(service: &Service, method: &str, target: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: vec![("host".to_owned(), service.host())],
        body: vec![],
    };
    let owned = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    request.headers.extend(owned);
    request
}

fn ask(service: &Service, body: &Value) -> Answer {
    let mut request = plain(service, "POST", TOKENS, &[("content-type", "application/json")]);
    request.body = body.to_string().into_bytes();
    service.send(&request)
}

fn body(ak: &str, sk: &str, scope: Value) -> Value {
    let keys = json!({"access": {"key": ak}, "secret": {"key": sk}});
    json!({"auth": {"identity": {"methods": ["hw_ak_sk"], "hw_ak_sk": keys}, "scope": scope}})
}

fn by_token(service: &Service, token: &str, method: &str, target: &str) -> Answer {
    service.send(&plain(service, method, target, &[("x-auth-token", token)]))
}

#[test]
fn token_opens_its_project_for_a_day() {
    let service = service();
    let answer = ask(&service, &body("OWN", "own secret", json!({"project": {"id": PROJECT}})));
    assert_eq!(answer.status, 201, "{answer:?}");
    let token = answer.headers["x-subject-token"].clone();
    assert_eq!(answer.body["token"]["expires_at"], "2026-01-02T00:00:00.000Z");
    assert_eq!(answer.body["token"]["project"]["id"], PROJECT);
    assert_eq!(by_token(&service, &token, "GET", &analysis("")).status, 200);
    let projects = by_token(&service, &token, "GET", "/v3/projects");
    assert_eq!(projects.body["projects"].as_array().unwrap().len(), 1);
    let other = format!("/v2/{OTHER_PROJECT}/instances");
    assert_eq!(by_token(&service, &token, "GET", &other).code(), (401, "DCS.1004"));
    // A write has an effect each time.
    let mut create = plain(&service, "POST", &analysis(""), &[("x-auth-token", &token)]);
    let backup_id = service.backup_id("a.rdb");
    create.body =
        json!({"node_id": crate::common::NODE, "backup_id": backup_id}).to_string().into_bytes();
    for _ in 0..2 {
        let task_id = service.send(&create).task_id();
        service.ended(&task_id);
    }

    let changed = format!("{}0", token.get(..token.len() - 1).unwrap());
    let changed = if changed == token { changed.replace("OWN", "OTHER") } else { changed };
    for bad in [changed.as_str(), "", "x", "offkey1....", &token.replace(PROJECT, OTHER_PROJECT)] {
        let answer = by_token(&service, bad, "GET", &analysis(""));
        assert_eq!(answer.code(), (401, "DCS.1001"), "{bad}");
    }
    let mut both = service.signed("GET", &analysis(""), b"");
    both.headers.push(("x-auth-token".to_owned(), token.clone()));
    assert_eq!(service.send(&both).code(), (401, "APIGW.0301"));
    let twice = [("x-auth-token", token.as_str()), ("x-auth-token", token.as_str())];
    let twice = plain(&service, "GET", &analysis(""), &twice);
    assert_eq!(service.send(&twice).code(), (401, "DCS.1001"));
    assert_eq!(service.send(&plain(&service, "GET", &analysis(""), &[])).code(), (401, "DCS.1003"));

    service.clock_ms.fetch_add(DAY_MS - 1, Ordering::Relaxed);
    assert_eq!(by_token(&service, &token, "GET", &analysis("")).status, 200);
    service.clock_ms.fetch_add(1, Ordering::Relaxed);
    let expired = by_token(&service, &token, "GET", &analysis(""));
    assert_eq!(expired.code(), (401, "DCS.1002"));
}

#[test]
fn tokens_are_for_those_who_have_the_keys() {
    let service = service();
    let good = body("OWN", "own secret", json!(null));
    assert_eq!(ask(&service, &good).status, 201);
    let by_name = body("OWN", "own secret", json!({"project": {"name": "cn-north-4"}}));
    assert_eq!(ask(&service, &by_name).status, 201);
    for (body, expected) in [
        (body("OWN", "other secret", json!(null)), (401, "APIGW.0301")),
        (body("NOBODY", "own secret", json!(null)), (401, "APIGW.0301")),
        (body("OWN", "own secret", json!({"project": {"id": OTHER_PROJECT}})), (401, "DCS.1004")),
        (json!({}), (400, "DCS.4063")),
        (json!({"auth": {"identity": {"methods": ["password"]}}}), (400, "DCS.4063")),
        (json!({"auth": {"identity": {"methods": ["hw_ak_sk"]}}}), (400, "DCS.4063")),
    ] {
        assert_eq!(ask(&service, &body).code(), expected, "{body}");
    }
    for (text, expected) in [
        (String::new(), (400, "DCS.4004")),
        ("{".to_owned(), (400, "DCS.4005")),
        (format!("{{\"auth\": {}{}}}", "[".repeat(5000), "]".repeat(5000)), (400, "DCS.4063")),
        ("{\"auth\": 1, \"auth\": 2}".to_owned(), (400, "DCS.4063")),
        (" ".repeat(17 * 1024), (413, "APIGW.0201")),
    ] {
        let mut request = plain(&service, "POST", TOKENS, &[]);
        request.body = text.clone().into_bytes();
        assert_eq!(service.send(&request).code(), expected, "{text}");
    }
    assert_eq!(service.send(&plain(&service, "GET", TOKENS, &[])).code(), (405, "DCS.5001"));
}

#[test]
fn every_route_asks_for_its_role() {
    for role in Permission::ALL {
        let service = Service::start_with(|_| {}, |config| config.credentials[0].role = role);
        for (method, path, needs) in routes() {
            let target = path
                .replace("{project_id}", PROJECT)
                .replace("{instance_id}", INSTANCE)
                .replace("{backup_id}", INSTANCE)
                .replace("{task_id}", INSTANCE)
                .replace("{node_id}", crate::common::NODE)
                .replace("{file_name}", "new.rdb");
            let answer = service.call(method, &target, "{}");
            let refused = answer.code() == (403, "DCS.2003");
            assert_eq!(refused, role < needs, "{method} {path} as {role:?}: {answer:?}");
            let needed = format!("role needed: {}", needs.name());
            assert_eq!(
                answer.body["error_ext_msg"] == needed,
                refused,
                "{method} {path}: {answer:?}"
            );
        }
        assert!(routes().any(|(_, _, needs)| needs > Permission::Read));
    }
}

#[test]
fn stored_credentials_count_until_they_are_revoked_or_end() {
    let keyring = Keyring::parse(&"a".repeat(64)).unwrap();
    let ring = keyring.clone();
    let service = Service::start_with(|_| {}, move |config| config.keyring = Some(ring));
    let runtime = Runtime::new().unwrap();
    let store = CredentialStore::open(&service.config, keyring);
    let store = runtime.block_on(store).unwrap();
    let signer = |ak: &str| Signer { ak: ak.to_owned(), sk: Secret::new("stored secret") };
    let ask = |ak: &str, token: Option<&str>| {
        let now_ms = service.clock_ms.load(Ordering::Relaxed);
        let mut request = service.signed_by(&signer(ak), now_ms, "GET", &analysis(""), b"");
        let token = token.map(|token| ("x-security-token".to_owned(), token.to_owned()));
        request.headers.extend(token);
        service.send(&request).code().0
    };
    assert_eq!(ask("STORED", None), 401);
    for (ak, temporary) in
        [("STORED", None), ("TEMPORARY", Some((NOW_MS + 1000, Secret::new("security token"))))]
    {
        let Signer { ak, sk } = signer(ak);
        let projects = vec![PROJECT.to_owned()];
        let credential = Credential { ak, sk, projects, role: Permission::Read };
        runtime.block_on(store.add(&NewCredential { credential, temporary }, NOW_MS)).unwrap();
    }
    assert_eq!(ask("STORED", None), 200);
    assert_eq!(ask("STORED", Some("security token")), 401);
    assert_eq!(ask("TEMPORARY", None), 401);
    assert_eq!(ask("TEMPORARY", Some("another token")), 401);
    assert_eq!(ask("TEMPORARY", Some("security token")), 200);
    service.clock_ms.fetch_add(1000, Ordering::Relaxed);
    assert_eq!(ask("TEMPORARY", Some("security token")), 401);
    runtime.block_on(store.revoke("STORED")).unwrap();
    assert_eq!(ask("STORED", None), 401);
}

#[test]
fn requests_of_one_key_are_limited() {
    let two = NonZeroU32::new(2).unwrap();
    let service = Service::start_with(|_| {}, |config| config.limits.requests_per_second = two);
    let codes: Vec<u16> = (0..20).map(|_| service.get(&analysis("")).status).collect();
    assert!(codes[..2].iter().all(|code| *code == 200), "{codes:?}");
    assert!(codes.contains(&429), "{codes:?}");
    assert_eq!(codes.iter().filter(|code| !matches!(code, 200 | 429)).count(), 0);
    // Somebody else's share is another one, and a stranger takes none of it.
    let other = crate::common::other();
    let target = format!("/v2/{OTHER_PROJECT}/instances");
    let forged = Signer { sk: own().sk, ..other.clone() };
    for _ in 0..20 {
        let request = service.signed_by(&forged, NOW_MS, "GET", &target, b"");
        assert_eq!(service.send(&request).status, 401);
    }
    let request = service.signed_by(&other, NOW_MS, "GET", &target, b"");
    assert_eq!(service.send(&request).status, 200);
}
