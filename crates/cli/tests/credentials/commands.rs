//! `offkey credential` and `offkey token`.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use offkey_service::{Secret, Signer};
use serde_json::Value;

use crate::common::{Folder, OTHER_PROJECT, PROJECT, Server};

const KEY_FILE: &str = "credential_key_file = \"offkey.key\"";
const SERVE: &[&str] = &["serve", "--config", "offkey.toml"];

fn folder() -> Folder {
    let folder = Folder::new(KEY_FILE, "");
    fs::write(folder.path("offkey.key"), folder.good(&["credential", "new-key"])).unwrap();
    folder
}

fn signer(added: &Value) -> Signer {
    let text = |name: &str| added[name].as_str().unwrap().to_owned();
    Signer { ak: text("ak"), sk: Secret::new(text("sk")) }
}

fn list(folder: &Folder) -> Vec<Value> {
    let list = folder.good(&["credential", "list", "--config", "offkey.toml", "--json"]);
    list.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The blocks of commands below `heading` in docs/API.md.
fn documented(heading: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/API.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, text) = text.split_once(&format!("\n{heading}\n")).unwrap();
    let (section, _) = text.split_once("\n#").unwrap();
    let code = |line: &str| line.starts_with("    ");
    section
        .lines()
        .collect::<Vec<_>>()
        .chunk_by(|one, other| code(one) == code(other))
        .filter(|lines| code(lines[0]))
        .map(|lines| lines.join("\n"))
        .collect()
}

#[test]
fn documented_commands_work() {
    let folder = Folder::new(KEY_FILE, "");
    let offkey = Path::new(env!("CARGO_BIN_EXE_offkey")).parent().unwrap();
    let path = format!("{}:{}", offkey.display(), std::env::var("PATH").unwrap());
    let run = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-ec", command]).current_dir(folder.dir.path()).env("PATH", &path);
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let store = documented("### The credential store");
    let [store] = store.as_slice() else { panic!("one block expected: {store:?}") };
    let (add, revoke) = store.split_once("    offkey credential revoke").unwrap();
    let printed = run(add);
    let value = |name: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap().to_owned()
    };
    let (ak, sk) = (value("ak"), value("sk"));
    value("security_token");
    assert_eq!(list(&folder).len(), 2);

    let server = Server::start(folder.offkey(SERVE));
    let tokens = documented("### Tokens");
    assert_eq!(tokens.len(), 2, "{tokens:?}");
    let with_keys = |command: &str| {
        let command = command.replace("localhost:8080", &server.addr);
        command.replace("\"AK\"", &format!("\"{ak}\"")).replace("\"SK\"", &format!("\"{sk}\""))
    };
    let asked = run(&with_keys(&tokens[0]));
    assert!(asked.starts_with("HTTP/1.1 201") && asked.contains("x-subject-token: "), "{asked}");
    let listed = run(&with_keys(&tokens[1]).replace("--ak AK", &format!("--ak {ak}")));
    assert!(listed.contains(crate::common::INSTANCE), "{listed}");
    run(&format!("offkey credential revoke{}", revoke.replace(" AK", &format!(" {ak}"))));
    assert_eq!(list(&folder).len(), 1);
}

#[test]
fn running_service_takes_what_is_added_and_revoked() {
    let folder = folder();
    let server = Server::start(folder.offkey(SERVE));
    let own = signer(&folder.add(&["--project", PROJECT]));
    let both = folder.add(&["--project", PROJECT, "--project", OTHER_PROJECT, "--role", "read"]);
    let both = signer(&both);
    assert_eq!((server.asks(&own, PROJECT), server.asks(&own, OTHER_PROJECT)), (200, 401));
    assert_eq!((server.asks(&both, PROJECT), server.asks(&both, OTHER_PROJECT)), (200, 200));
    let create =
        format!("/v2/{PROJECT}/instances/{}/offline/key-analysis", crate::common::INSTANCE);
    assert_eq!(server.call(&own, "POST", &create, &[], "").status, 400);
    assert_eq!(server.call(&both, "POST", &create, &[], "").status, 403);

    let listed = list(&folder);
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().any(|one| one["ak"] == own.ak && one["role"] == "analyse"));
    let table = folder.good(&["credential", "list", "--config", "offkey.toml"]);
    assert!(table.contains(&both.ak) && !table.contains(both.sk.expose()), "{table}");

    let revoke = ["credential", "revoke", "--config", "offkey.toml", &own.ak];
    let revoked = folder.offkey(&revoke).output().unwrap();
    assert!(revoked.status.success(), "{revoked:?}");
    let audited = String::from_utf8(revoked.stderr).unwrap();
    let line = format!("operation=\"credential revoke\" ak=\"{}\"", own.ak);
    assert!(audited.contains("offkey::audit") && audited.contains(&line), "{audited}");
    assert_eq!((server.asks(&own, PROJECT), server.asks(&both, PROJECT)), (401, 200));
    assert!(folder.bad(&revoke).contains("no such access key"));
    assert_eq!(list(&folder).len(), 1);
}

#[test]
fn temporary_access_key_takes_its_token_along() {
    let folder = folder();
    let server = Server::start(folder.offkey(SERVE));
    let added = folder.add(&["--project", PROJECT, "--expires-in", "1h"]);
    let short = folder.add(&["--project", PROJECT, "--expires-in", "1s"]);
    let target = format!("/v2/{PROJECT}/instances");
    let ask = |added: &Value, token: &str| {
        let headers = [("x-security-token", token)];
        server.call(&signer(added), "GET", &target, &headers, "").status
    };
    assert_eq!(ask(&added, added["security_token"].as_str().unwrap()), 200);
    assert_eq!(ask(&added, short["security_token"].as_str().unwrap()), 401);
    assert_eq!(server.asks(&signer(&added), PROJECT), 401);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let ended = server.call(
        &signer(&short),
        "GET",
        &target,
        &[("x-security-token", short["security_token"].as_str().unwrap())],
        "",
    );
    assert_eq!(ended.status, 401);
    assert!(ended.body.contains("access key has expired"), "{}", ended.body);
    let ak = short["ak"].as_str().unwrap();
    let error = folder.bad(&["token", "--config", "offkey.toml", "--ak", ak]);
    assert!(error.contains("the access key has expired"), "{error}");
}

#[test]
fn token_of_the_command_opens_its_project() {
    let configured = format!(
        "[[credentials]]\nak = \"CONFIGURED\"\nsk = \"configured secret\"\n\
         projects = [\"{PROJECT}\"]"
    );
    let folder = Folder::new(KEY_FILE, &configured);
    fs::write(folder.path("offkey.key"), folder.good(&["credential", "new-key"])).unwrap();
    let server = Server::start(folder.offkey(SERVE));
    let stored = folder.add(&["--project", PROJECT, "--project", OTHER_PROJECT]);
    let stored = stored["ak"].as_str().unwrap();
    let ask = |token: &str, project: &str| {
        let headers = [("x-auth-token", token.trim())];
        server.send("GET", &format!("/v2/{project}/instances"), &headers, "").status
    };
    let token = ["token", "--config", "offkey.toml", "--ak"];
    let of_configured = folder.good(&[&token, &["CONFIGURED"][..]].concat());
    assert_eq!(ask(&of_configured, PROJECT), 200);
    assert_eq!(ask(&of_configured, OTHER_PROJECT), 401);
    let several = folder.bad(&[&token, &[stored][..]].concat());
    assert!(several.contains("several projects"), "{several}");
    let of_stored = folder.good(&[&token, &[stored, "--project", OTHER_PROJECT][..]].concat());
    assert_eq!(ask(&of_stored, OTHER_PROJECT), 200);
    assert_eq!(ask(&of_stored, PROJECT), 401);
    folder.good(&["credential", "revoke", "--config", "offkey.toml", stored]);
    assert_eq!(ask(&of_stored, OTHER_PROJECT), 401);
    for (args, part) in [
        (["CONFIGURED", "--project", OTHER_PROJECT], "not one of the access key"),
        (["NOBODY", "--project", PROJECT], "no such access key"),
    ] {
        let error = folder.bad(&[&token, &args[..]].concat());
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn key_comes_from_a_file_the_environment_or_systemd_and_is_rotated() {
    let folder = Folder::new("", "");
    let keys: Vec<String> =
        (0..3).map(|_| folder.good(&["credential", "new-key"]).trim().to_owned()).collect();
    let list = ["credential", "list", "--config", "offkey.toml", "--json"];
    let add = ["credential", "add", "--config", "offkey.toml", "--json", "--project", PROJECT];
    let error = folder.bad(&add);
    assert!(error.contains("offkey credential new-key"), "{error}");
    let by_variable = |args: &[&str], keys: &str| {
        folder.offkey(args).env("OFFKEY_CREDENTIAL_KEY", keys).output().unwrap()
    };
    let added = by_variable(&add, &keys[0]);
    assert!(added.status.success(), "{added:?}");
    let signer = signer(&serde_json::from_slice(&added.stdout).unwrap());
    // The service does not start without the key of what is there.
    let without = folder.bad(SERVE);
    assert!(without.contains("no key for it"), "{without}");
    let wrong = by_variable(SERVE, &keys[1]);
    assert_eq!(wrong.status.code(), Some(2));

    // The new key before the old one, then without the old one.
    let both = format!("{}\n{}\n", keys[1], keys[0]);
    let key_id = |output: &std::process::Output| {
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["key_id"].clone()
    };
    let old_id = key_id(&by_variable(&list, &both));
    let rotate = by_variable(&["credential", "rotate-key", "--config", "offkey.toml"], &both);
    assert!(rotate.status.success(), "{rotate:?}");
    assert_ne!(key_id(&by_variable(&list, &keys[1])), old_id);
    assert!(!by_variable(&list, &keys[0]).status.success());

    // systemd hands it over as a file.
    fs::create_dir(folder.path("handed")).unwrap();
    fs::write(folder.path("handed/offkey-credential-key"), &keys[1]).unwrap();
    let mut serve = folder.offkey(SERVE);
    serve.env("CREDENTIALS_DIRECTORY", folder.path("handed"));
    let server = Server::start(serve);
    assert_eq!(server.asks(&signer, PROJECT), 200);
    // The variable goes before it.
    let mut serve = folder.offkey(&list);
    serve.env("CREDENTIALS_DIRECTORY", folder.path("handed"));
    assert!(!serve.env("OFFKEY_CREDENTIAL_KEY", &keys[2]).status().unwrap().success());
}

#[test]
fn secret_key_of_ones_own_comes_by_stdin_or_file() {
    let folder = folder();
    let mut command = folder.offkey(&[
        "credential",
        "add",
        "--config",
        "offkey.toml",
        "--project",
        PROJECT,
        "--ak",
        "PIPED",
        "--sk-file",
        "-",
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"piped/secret+\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("sk: piped/secret+\n"));
    fs::write(folder.path("sk"), "filed-secret\r\n").unwrap();
    let added = folder.add(&["--project", PROJECT, "--ak", "FILED", "--sk-file", "sk"]);
    let server = Server::start(folder.offkey(SERVE));
    assert_eq!(server.asks(&signer(&added), PROJECT), 200);
    let piped = Signer { ak: "PIPED".to_owned(), sk: Secret::new("piped/secret+") };
    assert_eq!(server.asks(&piped, PROJECT), 200);

    fs::write(folder.path("empty"), "\n").unwrap();
    fs::write(folder.path("two"), "two\nlines").unwrap();
    for (args, part) in [
        (["--project", PROJECT, "--ak", "FILED", "--role", "read"], "with this access key id"),
        (["--project", PROJECT, "--ak", "a/b", "--role", "read"], "1 to 128 letters"),
        (["--project", PROJECT, "--ak", "A", "--sk-file", "empty"], "there is nothing in empty"),
        (["--project", PROJECT, "--ak", "A", "--sk-file", "two"], "one line of ASCII"),
        (["--project", PROJECT, "--ak", "A", "--sk-file", "none"], "cannot read none"),
        (["--project", "00", "--ak", "A", "--role", "read"], "no such project: 00"),
        (["--project", PROJECT, "--ak", "A", "--role", "root"], "read, analyse or admin expected"),
        (["--project", PROJECT, "--ak", "A", "--expires-in", "x"], "such as 90s"),
    ] {
        let all = [&["credential", "add", "--config", "offkey.toml"], &args[..]].concat();
        let error = folder.bad(&all);
        assert!(error.contains(part), "{error}");
    }
}
