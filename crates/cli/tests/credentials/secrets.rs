//! Secrets go through everything there is, and must not be found in anything that stays, or
//! that somebody else sees: files, logs, answers, arguments.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use offkey_service::{Secret, Signer};
use offkey_testkit::{Server as Redis, free_port, servers};
use serde_json::{Value, json};

use crate::common::{Folder, INSTANCE, NODE, PROJECT, Server};

const SERVE: &[&str] = &["serve", "--config", "offkey.toml"];

/// With characters that each encoding writes in another way.
const CONFIGURED_SK: &str = "Configured/canary+%=*&~?\\<>1234567890abc";
const STORED_SK: &str = "Stored/canary+%=*&~?'<>\"1234567890abcdef";
const TEMPORARY_SK: &str = "Temporary/canary+%=*&~?'<>1234567890abcd";
/// In a URL, so without such characters.
const DATABASE_PASSWORD: &str = "DatabaseCanary1234567890abcdefghijklmnop";
const REDIS_PASSWORD: &str = "Redis/canary+%=*&~?<>1234567890abcdefghi";
const WRONG_PASSWORD: &str = "Refused/canary+%=*&~?<>1234567890abcdefg";
const DENIED_PASSWORD: &str = "Denied/canary+%=*&~?<>1234567890abcdefgh";
const WRONG_SK: &str = "Wrong/canary+%=*&~?'<>1234567890abcdefgh";

/// A secret by its name, in all the ways in which it could be written.
struct Canary {
    name: String,
    forms: Vec<Vec<u8>>,
}

impl Canary {
    fn new(name: &str, secret: &str) -> Self {
        Self::of_bytes(name, secret.as_bytes())
    }

    fn of_bytes(name: &str, secret: &[u8]) -> Self {
        let hex = |upper: bool| -> Vec<String> {
            let digits = |byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
            secret.iter().map(digits).collect()
        };
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
        let mut forms = vec![secret.to_vec()];
        for digits in [hex(false), hex(true)] {
            forms.push(digits.concat().into_bytes());
            // Every character percent-encoded, and those that must be.
            forms.push(format!("%{}", digits.join("%")).into_bytes());
            let must = secret.iter().zip(&digits).flat_map(|(byte, digits)| match is_plain(byte) {
                true => vec![*byte],
                false => format!("%{digits}").into_bytes(),
            });
            forms.push(must.collect());
        }
        // Base64 looks different after 0, 1 and 2 other bytes.
        for (before, skipped) in [(0, 0), (1, 2), (2, 3)] {
            let bytes = [&vec![0; before], secret].concat();
            let whole = bytes.len() * 8 / 6;
            for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                forms.push(encoded.as_bytes()[skipped..whole].to_vec());
            }
        }
        if let Ok(text) = std::str::from_utf8(secret) {
            forms.push(json!(text).to_string().trim_matches('"').as_bytes().to_vec());
            forms.push(format!("{text:?}").trim_matches('"').as_bytes().to_vec());
        }
        Self { name: name.to_owned(), forms }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|form| bytes.windows(form.len()).any(|part| part == form))
    }
}

fn assert_none_in(canaries: &[Canary], place: &str, bytes: &[u8]) {
    for canary in canaries {
        assert!(!canary.is_in(bytes), "{} is in {place}", canary.name);
    }
}

/// Looks through every file below `path`, and answers how many bytes there were.
fn assert_none_below(canaries: &[Canary], path: &Path) -> usize {
    let mut len = 0;
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        len += match path.is_dir() {
            true => assert_none_below(canaries, &path),
            false => {
                let bytes = fs::read(&path).unwrap();
                assert_none_in(canaries, &path.display().to_string(), &bytes);
                bytes.len()
            }
        };
    }
    len
}

#[test]
fn canaries_are_found_in_every_form() {
    let canary = Canary::new("", CONFIGURED_SK);
    assert!(canary.forms.len() > 10);
    for form in &canary.forms {
        assert!(canary.is_in(&[b"before", form.as_slice(), b"after"].concat()));
    }
    for before in 0..3 {
        let text = format!("{}{CONFIGURED_SK}after", "b".repeat(before));
        assert!(canary.is_in(STANDARD_NO_PAD.encode(text).as_bytes()));
    }
    assert!(!canary.is_in(STORED_SK.as_bytes()));
}

#[test]
fn secrets_stay_where_they_belong() {
    let configured = format!(
        "[[credentials]]\nak = \"CONFIGURED\"\nsk = '{CONFIGURED_SK}'\nprojects = [\"{PROJECT}\"]"
    );
    let redis = redis();
    let nodes = live_nodes(redis.as_ref());
    let folder = Folder::new("", &format!("{configured}\n{}", tables(&nodes)));
    fs::write(folder.path("password"), format!("{REDIS_PASSWORD}\n")).unwrap();
    fs::create_dir(folder.path("live")).unwrap();
    let keys: Vec<String> =
        (0..2).map(|_| folder.good(&["credential", "new-key"]).trim().to_owned()).collect();
    let serve = |keys: &str| {
        let mut serve = folder.offkey(SERVE);
        serve.env("OFFKEY_CREDENTIAL_KEY", keys);
        Server::start(serve)
    };
    let server = serve(&keys[0]);
    for (name, sk) in [("stored", STORED_SK), ("temporary", TEMPORARY_SK)] {
        fs::write(folder.path(name), sk).unwrap();
    }
    // What a command prints on purpose is not looked at.
    let command = |args: &[&str], keys: &str| {
        let output = folder.offkey(args).env("OFFKEY_CREDENTIAL_KEY", keys).output().unwrap();
        folder.printed.lock().unwrap().extend(&output.stderr);
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let add = ["credential", "add", "--config", "offkey.toml", "--json", "--project", PROJECT];
    command(&[&add[..], &["--ak", "STORED", "--sk-file", "stored"]].concat(), &keys[0]);
    let temporary = ["--ak", "TEMPORARY", "--sk-file", "temporary", "--expires-in", "1h"];
    let temporary = command(&[&add[..], &temporary].concat(), &keys[0]);
    let temporary: Value = serde_json::from_str(&temporary).unwrap();
    let security_token = temporary["security_token"].as_str().unwrap().to_owned();
    let token = command(&["token", "--config", "offkey.toml", "--ak", "STORED"], &keys[0]);
    let token = token.trim();
    let list = command(&["credential", "list", "--config", "offkey.toml"], &keys[0]);
    assert!(list.contains("STORED") && list.contains("TEMPORARY"), "{list}");
    folder.printed.lock().unwrap().extend(list.as_bytes());

    let mac = token.rsplit_once('.').unwrap().1;
    let mut canaries = vec![
        Canary::new("configured secret key", CONFIGURED_SK),
        Canary::new("stored secret key", STORED_SK),
        Canary::new("secret key of a temporary access key", TEMPORARY_SK),
        Canary::new("secret key that is not right", WRONG_SK),
        Canary::new("security token", &security_token),
        Canary::new("token", mac),
        Canary::new("password of the database", DATABASE_PASSWORD),
        Canary::new("password of a server", REDIS_PASSWORD),
        Canary::new("password that a server refuses", WRONG_PASSWORD),
        Canary::new("password of a user without permissions", DENIED_PASSWORD),
    ];
    let not_in_environment = canaries.len();
    for (at, key) in keys.iter().enumerate() {
        let digits = key.as_bytes().chunks_exact(2);
        let bytes = digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16));
        let bytes = bytes.collect::<Result<Vec<u8>, _>>().unwrap();
        canaries.push(Canary::new(&format!("digits of key {at}"), key));
        canaries.push(Canary::of_bytes(&format!("key {at}"), &bytes));
    }

    let arguments = Arguments::of(server.pid());
    use_service(&server, token, &security_token);
    use_live_nodes(&server, &nodes);
    assert_none_in(&canaries, "the arguments", &arguments.end());
    let environ = fs::read(format!("/proc/{}/environ", server.pid())).unwrap();
    assert_none_in(&canaries[..not_in_environment], "the environment", &environ);
    let data = folder.path("data");
    assert!(assert_none_below(&canaries, &data) > 10_000);
    assert!(fs::read_dir(&data).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        Canary::new("", "STORED").is_in(&fs::read(path).unwrap())
    }));
    assert_none_in(&canaries, "an answer", &server.replies.lock().unwrap());
    let mut logs = server.kill();
    assert_none_below(&canaries, &data);

    // After a kill, with both keys, and after the rotation with the new one alone.
    let both = format!("{}\n{}", keys[1], keys[0]);
    let server = serve(&both);
    command(&["credential", "rotate-key", "--config", "offkey.toml"], &both);
    use_service(&server, token, &security_token);
    logs.extend(server.stop());
    let server = serve(&keys[1]);
    use_service(&server, token, &security_token);
    command(&["credential", "revoke", "--config", "offkey.toml", "STORED"], &keys[1]);
    assert_none_in(&canaries, "an answer", &server.replies.lock().unwrap());
    logs.extend(server.stop());
    bad_starts(&folder, &keys[1]);

    assert_none_below(&canaries, &data);
    for kept in ["tmp", "backups", "live"] {
        assert_none_below(&canaries, &folder.path(kept));
    }
    assert!(Canary::new("", "answered").is_in(&logs));
    assert_none_in(&canaries, "the log", &logs);
    assert_none_in(&canaries, "what was printed", &folder.printed.lock().unwrap());
}

/// Good and bad requests with every secret in every place where one belongs.
fn use_service(server: &Server, token: &str, security_token: &str) {
    let signer = |ak: &str, sk: &str| Signer { ak: ak.to_owned(), sk: Secret::new(sk) };
    let analysis = format!("/v2/{PROJECT}/instances/{INSTANCE}/offline/key-analysis");
    let backups = format!("/v2/{PROJECT}/instances/{INSTANCE}/backups");
    let security = [("x-security-token", security_token)];
    for (signer, headers) in [
        (signer("CONFIGURED", CONFIGURED_SK), &[][..]),
        (signer("STORED", STORED_SK), &[]),
        (signer("TEMPORARY", TEMPORARY_SK), &security),
    ] {
        let listed = server.call(&signer, "GET", &backups, headers, "");
        assert_eq!(listed.status, 200, "{listed:?}");
        let listed: Value = serde_json::from_str(&listed.body).unwrap();
        for backup in listed["backup_record_response"].as_array().unwrap() {
            let body = json!({"node_id": NODE, "backup_id": backup["backup_id"]}).to_string();
            let created = server.call(&signer, "POST", &analysis, headers, &body);
            assert_eq!(created.status, 200, "{created:?}");
            let created: Value = serde_json::from_str(&created.body).unwrap();
            let task = format!("{analysis}/{}", created["task_id"].as_str().unwrap());
            let shown = || server.call(&signer, "GET", &task, headers, "").body;
            while !["\"success\"", "\"failed\""].iter().any(|state| shown().contains(state)) {
                thread::sleep(Duration::from_millis(20));
            }
            server.call(&signer, "GET", &format!("{task}/report"), headers, "");
        }
        server.call(&signer, "POST", &analysis, headers, "{");
        server.call(&signer, "GET", &format!("{analysis}/malformed"), headers, "");
        server.call(&signer, "PUT", &analysis, headers, "");
    }
    assert_eq!(server.call(&signer("STORED", WRONG_SK), "GET", &backups, &[], "").status, 401);
    assert_eq!(server.call(&signer("NOBODY", WRONG_SK), "GET", &backups, &[], "").status, 401);
    for bad in [&[("x-security-token", WRONG_SK)][..], &[security[0], security[0]]] {
        let signer = signer("TEMPORARY", TEMPORARY_SK);
        assert_eq!(server.call(&signer, "GET", &backups, bad, "").status, 401);
    }
    let forged = format!("{token}0");
    for (token, status) in [(token, 200), (&forged, 401), (&token[..token.len() - 1], 401)] {
        let headers = [("x-auth-token", token)];
        assert_eq!(server.send("GET", &backups, &headers, "").status, status);
    }
    let both = [("x-auth-token", token)];
    assert_eq!(server.call(&signer("STORED", STORED_SK), "GET", &backups, &both, "").status, 401);
    let asks = |sk: Value| {
        let keys = json!({"access": {"key": "STORED"}, "secret": {"key": sk}});
        json!({"auth": {"identity": {"methods": ["hw_ak_sk"], "hw_ak_sk": keys}}}).to_string()
    };
    let good = asks(json!(STORED_SK));
    for (body, status) in [
        (good.as_str(), 201),
        (&asks(json!(WRONG_SK)), 401),
        (&asks(json!([STORED_SK])), 400),
        (&asks(json!({(STORED_SK): STORED_SK})), 400),
        (&good[..good.len() - 5], 400),
        (&format!("{good}{good}"), 400),
        (&format!("\"{STORED_SK}\"").replace(['"', '\\'], ""), 400),
    ] {
        let answer = server.send("POST", "/v3/auth/tokens", &[], body);
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
}

/// An instance with one node of which backups can be taken, or cannot.
struct LiveNode {
    instance: String,
    port: u16,
    /// The lines of the configuration that have it.
    password: String,
    /// Status of a request for a backup, and whether one can be taken then.
    status: u16,
    succeeds: bool,
}

/// A server that wants a password, and has a user who may do nothing, if one is installed.
fn redis() -> Option<Redis> {
    let (_, program) = servers().into_iter().find(|(name, _)| name == "redis-7.0.15")?;
    let redis = Redis::start(&program, &["--repl-diskless-sync-delay", "0"], None);
    let mut client = redis.client();
    let password = format!(">{DENIED_PASSWORD}");
    client.run(&[b"ACL", b"SETUSER", b"denied", b"on", password.as_bytes(), b"+ping"]);
    client.run(&[b"SET", b"key", b"value"]);
    client.run(&[b"CONFIG", b"SET", b"requirepass", REDIS_PASSWORD.as_bytes()]);
    Some(redis)
}

fn live_nodes(redis: Option<&Redis>) -> Vec<LiveNode> {
    let configured = |password: &str| format!("password = '{password}'");
    let mut cases = vec![(free_port(), configured(REDIS_PASSWORD), 400, false)];
    if let Some(port) = redis.map(Redis::port) {
        cases.push((port, configured(REDIS_PASSWORD), 200, true));
        cases.push((port, "password_file = \"password\"".to_owned(), 200, true));
        cases.push((port, configured(WRONG_PASSWORD), 400, false));
        // May ask whether the server runs, so only the task can fail.
        let denied = format!("user = \"denied\"\n{}", configured(DENIED_PASSWORD));
        cases.push((port, denied, 200, false));
    }
    let nodes = cases.into_iter().enumerate();
    let nodes = nodes.map(|(at, (port, password, status, succeeds))| LiveNode {
        instance: format!("{at:08}-cebf-4473-95c4-d1b573c16e79"),
        port,
        password,
        status,
        succeeds,
    });
    nodes.collect()
}

fn tables(nodes: &[LiveNode]) -> String {
    let table = |LiveNode { instance, port, password, .. }: &LiveNode| {
        format!(
            "[[instances]]\nid = \"{instance}\"\nproject = \"{PROJECT}\"\nname = \"live\"\n\
             engine_version = \"7.0\"\n[instances.live]\n{password}\n[[instances.nodes]]\n\
             id = \"node-{instance}\"\nname = \"live\"\nrole = \"master\"\nip = \"127.0.0.1\"\n\
             port = {port}\nbackups = \"live\"\n"
        )
    };
    nodes.iter().map(table).collect()
}

/// Backups and analyses of nodes that want a password, and everything that tells of them.
fn use_live_nodes(server: &Server, nodes: &[LiveNode]) {
    let signer = Signer { ak: "CONFIGURED".to_owned(), sk: Secret::new(CONFIGURED_SK) };
    for LiveNode { instance, status, succeeds, .. } in nodes {
        let of_instance = format!("/v2/{PROJECT}/instances/{instance}");
        let analyses = format!("{of_instance}/offline/key-analysis");
        let get = |path: &str| server.call(&signer, "GET", path, &[], "").body;
        let wait = |path: &str, ends: [&str; 2]| loop {
            let body = get(path);
            if ends.iter().any(|end| body.contains(end)) {
                break body;
            }
            thread::sleep(Duration::from_millis(50));
        };
        let body = json!({"node_id": format!("node-{instance}")}).to_string();
        let created = server.call(&signer, "POST", &analyses, &[], &body);
        assert_eq!(created.status, *status, "{created:?}");
        if created.status == 200 {
            let created: Value = serde_json::from_str(&created.body).unwrap();
            let task = format!("{analyses}/{}", created["task_id"].as_str().unwrap());
            let shown = wait(&task, ["\"success\"", "\"failed\""]);
            assert_eq!(shown.contains("\"success\""), *succeeds, "{shown}");
            for form in ["/report", "/report.csv", "/report.html"] {
                let report = get(&format!("{task}{form}"));
                assert!(!succeeds || report.contains("key"), "{report}");
            }
        }
        let copied = server.call(&signer, "POST", &format!("{of_instance}/backups"), &[], "{}");
        assert_eq!(copied.status, *status, "{copied:?}");
        get(&format!("{of_instance}/backups"));
        get(&of_instance);
    }
    for path in ["/metrics", "/healthz", "/openapi.json"] {
        assert_eq!(server.send("GET", path, &[], "").status, 200);
    }
}

/// The arguments of a process and of those that it starts, as anybody can see them.
struct Arguments {
    stop: mpsc::Sender<()>,
    seen: thread::JoinHandle<BTreeSet<Vec<u8>>>,
}

impl Arguments {
    fn of(pid: u32) -> Self {
        let (stop, stopped) = mpsc::channel();
        let seen = thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while stopped.recv_timeout(Duration::from_millis(1)).is_err() {
                // The process or a thread of it may end at any time.
                let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
                let children = threads.flatten().map(|thread| {
                    fs::read_to_string(thread.path().join("children")).unwrap_or_default()
                });
                let children: Vec<String> = children.collect();
                let pids = children.iter().flat_map(|pids| pids.split_whitespace());
                for pid in pids.chain([pid.to_string().as_str()]) {
                    // One that has ended meanwhile has none.
                    seen.extend(fs::read(format!("/proc/{pid}/cmdline")));
                }
            }
            seen
        });
        Self { stop, seen }
    }

    fn end(self) -> Vec<u8> {
        self.stop.send(()).unwrap();
        let seen = self.seen.join().unwrap();
        assert!(seen.len() > 1, "no child has been seen: {seen:?}");
        seen.into_iter().collect::<Vec<_>>().concat()
    }
}

/// What commands print that get a password or keys of an object store.
#[test]
fn commands_print_no_secrets() {
    let folder = Folder::new("", "");
    let store = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", store.local_addr().unwrap());
    let heads = thread::spawn(move || {
        let (mut stream, _) = store.accept().unwrap();
        let mut head = vec![0; 1 << 16];
        let len = stream.read(&mut head).unwrap();
        let body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        let head_of_answer = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length:";
        write!(stream, "{head_of_answer} {}\r\n\r\n{body}", body.len()).unwrap();
        head.truncate(len);
        head
    });
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let redis = redis();
    let of_redis = redis.as_ref().map_or_else(
        || format!("redis://127.0.0.1:{}", free_port()),
        |redis| format!("redis://127.0.0.1:{}", redis.port()),
    );
    for (arguments, secret) in [
        (&["analyze", "s3://bucket/a.rdb", "--endpoint", &endpoint][..], STORED_SK),
        (&["analyze", "s3://bucket/a.rdb", "--endpoint", &nobody], STORED_SK),
        (&["analyze", "obs://bucket/folder/", "--endpoint", &nobody], STORED_SK),
        (&["analyze", &of_redis, "--format", "json"], REDIS_PASSWORD),
        (&["analyze", &of_redis], WRONG_PASSWORD),
        (&["keys", &of_redis.replace("//", "//denied@")], DENIED_PASSWORD),
    ] {
        let mut command = folder.offkey(arguments);
        for name in ["AWS", "OBS"] {
            command.env(format!("{name}_ACCESS_KEY_ID"), "AKID");
            command.env(format!("{name}_SECRET_ACCESS_KEY"), secret);
        }
        let output = command.env("OFFKEY_REDIS_PASSWORD", secret).output().unwrap();
        let is_good = redis.is_some() && secret == REDIS_PASSWORD;
        assert_eq!(output.status.success(), is_good, "{arguments:?}: {output:?}");
        folder.told(&output);
    }
    let sent = heads.join().unwrap();
    assert!(Canary::new("", "AKID").is_in(&sent), "the keys were not used");
    let canaries = [STORED_SK, REDIS_PASSWORD, WRONG_PASSWORD, DENIED_PASSWORD];
    let canaries = canaries.map(|secret| Canary::new(secret, secret));
    assert_none_in(&canaries, "a request", &sent);
    assert_none_in(&canaries, "what was printed", &folder.printed.lock().unwrap());
}

/// Configurations and keys that cannot be used, with secrets in them.
fn bad_starts(folder: &Folder, key: &str) {
    let path = folder.path("offkey.toml");
    let good = fs::read_to_string(&path).unwrap();
    let database = |url: &str| format!("database = \"{url}\"\nlisten");
    let unreachable = format!("postgres://offkey:{DATABASE_PASSWORD}@127.0.0.1:1/offkey");
    for (from, to) in [
        ("listen", database(&unreachable).as_str()),
        ("listen", &database(&unreachable.replace(":1/", ":port/"))),
        ("listen", &database(&unreachable.replace("postgres:", "mysql:"))),
        ("listen", &database(&unreachable).replace("\"\n", "\n")),
        ("sk = '", "sk = "),
        ("sk = '", "sk = ['"),
        ("sk = '", "colour = 1\nsk = '"),
        ("sk = '", "sk = 1\n# '"),
        ("password = '", "password = "),
        ("password = '", "password = ['"),
        ("password = '", "colour = 1\npassword = '"),
        ("password = '", "password_file = \"password\"\npassword = '"),
        ("ak = \"CONFIGURED\"", "ak = \"\""),
        ("projects = [\"0", "projects = [\"x"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let output = folder.offkey(SERVE).env("OFFKEY_CREDENTIAL_KEY", key).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{to}");
        folder.told(&output);
    }
    fs::write(&path, &good).unwrap();
    for key in [&key[1..], &format!("{key}{key}"), &format!("x{key}")] {
        let output = folder.offkey(SERVE).env("OFFKEY_CREDENTIAL_KEY", key).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        folder.told(&output);
    }
}
