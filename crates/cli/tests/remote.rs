//! Live servers and objects, by the program itself.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use offkey_testkit::{Cluster, Server, fill, servers, wait_for};
use serde_json::Value as Json;

const PASSWORD: &str = "canary-of-the-password";

fn offkey(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offkey"));
    command.args(arguments).envs(environment.iter().copied());
    command.output().unwrap()
}

fn report(output: &Output) -> Json {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What went wrong, and the exit status.
fn told(output: &Output) -> (String, i32) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains(PASSWORD), "{text}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains(PASSWORD));
    (text, output.status.code().unwrap())
}

#[test]
fn live_server_is_analysed_and_kept() {
    let servers = servers();
    let Some((_, program)) = servers.iter().find(|(name, _)| name == "redis-7.0.15") else {
        return;
    };
    let server = Server::start(program, &["--repl-diskless-sync-delay", "0"], None);
    let mut client = server.client();
    fill(&mut client, 41, 20);
    client.run(&[b"CONFIG", b"SET", b"requirepass", PASSWORD.as_bytes()]);
    let url = format!("redis://127.0.0.1:{}", server.port());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.rdb");
    let file = file.to_str().unwrap();
    let password = [("OFFKEY_REDIS_PASSWORD", PASSWORD)];

    let arguments = ["analyze", &url, "--keep", file, "--format", "json"];
    let mut live = report(&offkey(&arguments, &password));
    assert_eq!(live["inputs"][0]["file"], url.as_str());
    assert_eq!(live["complete"], true);
    let mut of_file = report(&offkey(&["analyze", file, "--format", "json"], &[]));
    assert!(of_file["total_num"].as_u64().unwrap() > 500);
    for report in [&mut live, &mut of_file] {
        report["inputs"] = Json::Null;
    }
    assert_eq!(live, of_file);

    let password_file = folder.path().join("password");
    std::fs::write(&password_file, format!("{PASSWORD}\n")).unwrap();
    let from_file = ["keys", &url, "--password-file", password_file.to_str().unwrap()];
    let lines = |output: &Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout.clone()).unwrap().lines().count()
    };
    assert_eq!(lines(&offkey(&from_file, &[])), lines(&offkey(&["keys", file], &[])));

    let not_kept = folder.path().join("not.rdb");
    let not_kept = ["analyze", &url, "--keep", not_kept.to_str().unwrap(), "--no-keep"];
    assert!(offkey(&not_kept, &password).status.success());

    // A second one takes the name only if it is whole.
    let before = std::fs::read(file).unwrap();
    for (extra, environment, part) in [
        (&[][..], &[][..], "wants a password"),
        (&[], &[("OFFKEY_REDIS_PASSWORD", "wrong")], "login refused: WRONGPASS"),
        (&["--cluster"], &password, "cluster support disabled"),
        (&["--sentinel", "main"], &password, "redis://127.0.0.1"),
        (&["--require-replica"], &password, "no replica can be used"),
    ] {
        let arguments = [&["analyze", &url, "--keep", file], extra].concat();
        let (text, status) = told(&offkey(&arguments, environment));
        assert!(text.contains(part), "{part}: {text}");
        assert_eq!(status, 1, "{text}");
        assert_eq!(std::fs::read(file).unwrap(), before);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// With a terminal, which `script` makes: nothing else is read from.
#[test]
fn password_is_asked_for_and_not_shown() {
    let servers = servers();
    let Some((_, program)) = servers.iter().find(|(name, _)| name == "redis-7.0.15") else {
        return;
    };
    let server = Server::start(program, &["--repl-diskless-sync-delay", "0"], None);
    let mut client = server.client();
    fill(&mut client, 42, 20);
    client.run(&[b"CONFIG", b"SET", b"requirepass", PASSWORD.as_bytes()]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    for (password, status) in [(PASSWORD, 0), ("wrong", 1)] {
        let command = format!(
            "tty; exec {} analyze redis://127.0.0.1:{} --ask-password --format json -o {}",
            env!("CARGO_BIN_EXE_offkey"),
            server.port(),
            file.display()
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut shown = Vec::new();
        let mut stdout = script.stdout.take().unwrap();
        while !shown.ends_with(b"password: ") {
            let mut byte = [0];
            stdout.read_exact(&mut byte).unwrap();
            shown.push(byte[0]);
        }
        // The prompt may be there a moment before the echo is switched off.
        let shown_first = String::from_utf8_lossy(&shown).into_owned();
        let terminal = shown_first.lines().next().unwrap().trim();
        wait_for("the echo is off", || {
            let told = Command::new("stty").args(["-a", "-F", terminal]).output().unwrap();
            String::from_utf8(told.stdout).unwrap().contains(" -echo ")
        });
        let mut stdin = script.stdin.take().unwrap();
        stdin.write_all(format!("{password}\n").as_bytes()).unwrap();
        stdout.read_to_end(&mut shown).unwrap();
        let text = String::from_utf8_lossy(&shown);
        assert!(!text.contains(password), "{text}");
        assert_eq!(script.wait().unwrap().code(), Some(status), "{text}");
        assert_eq!(text.contains("login refused: WRONGPASS"), status == 1, "{text}");
    }
    let report: Json = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(report["complete"], false);
}

#[test]
fn nodes_of_a_cluster_and_of_sentinel_are_read() {
    let servers = servers();
    let program = |name: &str| {
        servers.iter().find(|(found, _)| found == name).map(|(_, program)| program.clone())
    };
    let (Some(redis), Some(valkey)) = (program("redis-6.2.5"), program("valkey-9.1.2")) else {
        return;
    };
    let cluster = Cluster::start(&valkey);
    cluster.fill(300);
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().to_str().unwrap();
    let url = |server: &Server| format!("redis://127.0.0.1:{}", server.port());
    let entry = url(&cluster.servers[4]);
    let of_masters = ["analyze", &entry, "--cluster", "--keep", keep, "--format", "json"];
    let of_replicas = ["analyze", &entry, "--cluster", "--require-replica", "--format", "json"];
    let named = |report: &Json| {
        let inputs = report["inputs"].as_array().unwrap();
        let mut names: Vec<_> =
            inputs.iter().map(|input| input["file"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    for (arguments, read) in [(&of_masters[..], 0..3), (&of_replicas, 3..6)] {
        wait_for("the cluster is whole", || offkey(arguments, &[]).status.success());
        let report = report(&offkey(arguments, &[]));
        assert_eq!((&report["total_num"], &report["complete"]), (&300.into(), &true.into()));
        let mut expected: Vec<_> = cluster.servers.get(read).unwrap().iter().map(url).collect();
        expected.sort();
        assert_eq!(named(&report), expected);
    }
    let kept = report(&offkey(&["analyze", keep, "--format", "json"], &[]));
    assert_eq!(kept["total_num"], 300);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    drop(cluster);

    let master = Server::start(&redis, &[], None);
    fill(&mut master.client(), 43, 20);
    let port = master.port().to_string();
    let replica = Server::start(&redis, &["--replicaof", "127.0.0.1", &port], None);
    let sentinel = Server::start_sentinel(&redis, master.port());
    for (more, read) in [(None, &master), (Some("--require-replica"), &replica)] {
        let entry = url(&sentinel);
        let arguments = ["analyze", &entry, "--sentinel", "main", "--format", "json"];
        let arguments: Vec<_> = arguments.into_iter().chain(more).collect();
        wait_for("Sentinel knows the replica", || offkey(&arguments, &[]).status.success());
        assert_eq!(named(&report(&offkey(&arguments, &[]))), [url(read)]);
    }
}

#[test]
fn what_cannot_be_reached_is_told() {
    let nobody = format!("redis://127.0.0.1:{}", offkey_testkit::free_port());
    let (text, status) = told(&offkey(&["analyze", &nobody], &[]));
    assert!(text.contains(&format!("{nobody}: cannot open: ")), "{text}");
    assert_eq!(status, 1);
    let url = format!("redis://user:{PASSWORD}@127.0.0.1");
    let (text, status) = told(&offkey(&["analyze", &url], &[]));
    assert!(text.contains("seen by everyone who lists processes"), "{text}");
    assert_eq!(status, 2);
    let http = nobody.replace("redis", "http");
    let keys = [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", PASSWORD)];
    for arguments in [
        &["analyze", &format!("{http}/a.rdb")][..],
        &["analyze", "s3://bucket/a.rdb", "--endpoint", &http],
        &["analyze", "obs://bucket/folder/", "--endpoint", &http],
    ] {
        let (text, status) = told(&offkey(arguments, &keys));
        assert!(text.contains(&format!("{}: cannot open: ", arguments[1])), "{text}");
        assert_eq!(status, 1);
    }
    let (text, status) = told(&offkey(&["analyze", "obs://bucket/a.rdb"], &[]));
    assert!(text.contains("obs:// needs a region or an endpoint"), "{text}");
    assert_eq!(status, 2);
    assert!(!Path::new("redis:").exists());
}
