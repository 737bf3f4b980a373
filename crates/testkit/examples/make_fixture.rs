//! Makes fixtures: `cargo run -p offkey-testkit --example make_fixture [SERVER [POLICY]]...`
//!
//! Fills the server, has it save, starts another one on that file, and writes the file and
//! what that one says of its keys to `testdata/`. POLICY is `lru` or `lfu`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for whoever makes fixtures")]

use std::env;
use std::fs;

use offkey_testkit::{Client, Server, ask, fill, fill_expired, repo_path, servers, write_answers};

const SEED: u64 = 42;

fn main() {
    for name in env::args().skip(1) {
        let (server, policy) = match name.rsplit_once('-') {
            Some((server, policy @ ("lru" | "lfu"))) => (server, Some(policy)),
            _ => (name.as_str(), None),
        };
        make(&name, server, policy);
    }
}

fn make(name: &str, server: &str, policy: Option<&str>) {
    let installed = servers();
    let found = installed.iter().find(|(installed, _)| installed == server);
    let (_, program) = found.unwrap_or_else(|| panic!("{server} is not installed"));
    let policy_value = policy.map(|policy| format!("allkeys-{policy}"));
    let mut options = vec!["--list-compress-depth", "1"];
    if let Some(value) = &policy_value {
        options.extend(["--maxmemory-policy", value, "--maxmemory", "1gb"]);
    }

    let writer = Server::start(program, &options, None);
    let mut client = writer.client();
    fill(&mut client, SEED, 1);
    let before = ask(&mut client);
    if let Some(policy) = policy {
        spread(&mut client, policy);
    }
    let expired = fill_expired(&mut client);
    let bytes = fs::read(writer.save()).unwrap();
    drop(writer);

    let reader = Server::start(program, &options, Some(&bytes));
    let mut client = reader.client();
    let mut keys = ask(&mut client);
    assert_eq!(before.len(), keys.len(), "a key was lost in loading");
    if policy != Some("lru") {
        // The server counts, but its file does not say.
        keys.iter_mut().for_each(|key| key.idle = None);
    }
    keys.extend(expired);
    let memory = client.run(&[b"INFO", b"memory"]).text();
    let allocator = memory.lines().find_map(|line| line.strip_prefix("mem_allocator:"));

    let text = write_answers(server, allocator.unwrap_or_default(), &keys);
    fs::write(repo_path(format!("testdata/{name}.rdb")), &bytes).unwrap();
    fs::write(repo_path(format!("testdata/{name}.json")), text).unwrap();
    println!("{name}: {} keys, {} bytes", keys.len(), bytes.len());
}

/// Gives some keys an idle time or a counter of every length.
fn spread(client: &mut Client, policy: &str) {
    let (option, values): (&[u8], &[u32]) = match policy {
        "lru" => (b"IDLETIME", &[0, 63, 64, 3600, 16_383, 16_384, 86_400, 8_640_000]),
        _ => (b"FREQ", &[0, 1, 5, 50, 100, 200, 254, 255]),
    };
    for (number, value) in values.iter().enumerate() {
        let key = format!("user:0:{number}:name").into_bytes();
        let dump = client.run(&[b"DUMP", &key]).bytes();
        let value = value.to_string().into_bytes();
        client.run(&[b"RESTORE", &key, b"0", &dump, b"REPLACE", option, &value]);
    }
}
