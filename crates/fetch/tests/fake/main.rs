//! Nodes that break off, lie or dawdle: a clean error each time, and nothing kept.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where something is not as it should be"
)]

mod node;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use node::{Node, Script};
use offkey_analysis::{Input, Options, Report, analyze};
use offkey_fetch::{Access, Gate, LiveNode, Secret, Taking, Timeouts};
use offkey_testkit::{RdbFile, value};

const PASSWORD: &str = "canary-of-the-password";
const MARK: &[u8] = b"0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c";

fn data() -> Vec<u8> {
    let mut file = RdbFile::redis(11);
    file.aux("redis-ver", "7.2.4").select_db(0);
    for n in 0..20 {
        file.key(format!("user:{n}"), &value::hash_listpack(&[("name", "Ada"), ("age", "36")]));
    }
    file.finish()
}

fn by_len(data: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", data.len()).as_bytes(), data].concat()
}

fn by_mark(data: &[u8]) -> Vec<u8> {
    [b"$EOF:", MARK, b"\r\n", data, MARK].concat()
}

fn access() -> Access {
    let millis = Duration::from_millis;
    let timeouts = Timeouts { connect: millis(2000), read: millis(400), start: millis(900) };
    Access { password: Some(Secret::new(PASSWORD)), timeouts, ..Access::default() }
}

/// The same where nothing is waited for: a busy machine is no dawdling node.
fn patient() -> Access {
    let timeouts = Timeouts { read: Duration::from_secs(20), ..access().timeouts };
    Access { timeouts, ..access() }
}

fn live(node: &Node, folder: &Path, access: Access) -> Arc<LiveNode> {
    let gate = Gate::new(64, 64);
    let live = LiveNode::new(node.address(), access, Taking::default(), gate);
    Arc::new(live.keep_in(folder))
}

fn analysed(live: &Arc<LiveNode>) -> Report {
    analyze(&[Input::Open(live.clone())], &Options::default(), &()).unwrap()
}

/// The error of a backup that must fail; nothing may be left of it.
fn failure(node: &Node, access: Access) -> String {
    let folder = tempfile::tempdir().unwrap();
    let live = live(node, folder.path(), access);
    let report = analysed(&live);
    assert!(!report.complete, "success of {:?}", report.inputs);
    live.persist(&folder.path().join("backup.rdb"), &report.inputs[0]).unwrap_err();
    drop(live);
    let since = Instant::now();
    // The thread that reads ahead may hold the temporary file for a moment.
    while std::fs::read_dir(folder.path()).unwrap().next().is_some() {
        assert!(since.elapsed() < Duration::from_secs(2), "a file is left");
        std::thread::sleep(Duration::from_millis(5));
    }
    report.inputs[0].error.clone().unwrap()
}

#[test]
fn data_arrives_whole_however_it_is_cut_into_pieces() {
    let data = data();
    let node = Node::start(Script::honest(by_len(&data)));
    for framed in [by_len(&data), by_mark(&data)] {
        for keep_alives in ["", "\n", "\n\n\n"] {
            for len in [1, 3, 39, 40, 41, 1 << 20] {
                let framed = [keep_alives.as_bytes(), &framed].concat();
                let pace = Some((len, Duration::ZERO));
                node.set(Script { pace, ..Script::honest(framed) });
                let folder = tempfile::tempdir().unwrap();
                let live = live(&node, folder.path(), patient());
                let report = analysed(&live);
                assert!(report.complete, "{:?}", report.inputs);
                assert_eq!(report.total_num, 20);
                assert!(report.inputs[0].warnings.is_empty(), "{:?}", report.inputs);
                let target = folder.path().join("backup.rdb");
                live.persist(&target, &report.inputs[0]).unwrap();
                assert_eq!(std::fs::read(&target).unwrap(), data);
                assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
            }
        }
    }
    let heard = node.heard();
    assert!(heard.contains(PASSWORD) && heard.contains("rdb-only"), "{heard}");
    assert!(!heard.contains("ACK"), "{heard}");
}

#[test]
fn reset_at_every_offset_is_an_error() {
    let data = data();
    let mut count = 0;
    let node = Node::start(Script::honest(by_len(&data)));
    for framed in [by_len(&data), by_mark(&data)] {
        let script = Script::honest(framed);
        for at in 0..script.len() {
            node.set(Script { reset_at: Some(at), ..script.clone() });
            let error = failure(&node, patient());
            let is_told = ["connection lost", "closed the connection"];
            assert!(is_told.iter().any(|told| error.contains(told)), "at {at}: {error}");
            assert!(!error.contains(PASSWORD), "{error}");
            count += 1;
        }
    }
    assert!(count >= 1000, "only {count} offsets");
}

/// Lies before the login: the password is not sent.
#[test]
fn password_is_shown_to_no_stranger() {
    let line = |text: &str| format!("{text}\r\n").into_bytes();
    let node = Node::start(Script::says([]));
    let lies: [(&str, Script, &str); 12] = [
        ("another status", Script::says([line("+OK")]), "this is no Redis server"),
        ("mail", Script::says([line("220 mail ESMTP")]), "does not speak the Redis protocol"),
        ("web", Script::says([line("HTTP/1.1 400 Bad Request")]), "does not speak the Redis"),
        ("TLS", Script::says([b"\x15\x03\x03\x00\x02\x02\x0a\n".to_vec()]), "use rediss://"),
        ("pop", Script::says([line("+OK POP3 ready")]), "this is no Redis server"),
        ("error", Script::says([line("-ERR what?")]), "this is no Redis server"),
        ("number", Script::says([line(":1")]), "this is no Redis server"),
        ("protected", Script::says([line("-DENIED Redis is in it")]), "protected mode"),
        ("huge list", hanging([line("*2147483647")]), "too little came"),
        ("huge string", Script::says([line("$9999999999")]), "announces 9999999999 bytes"),
        ("depth", Script::says([line(&"*1\r\n".repeat(1000))]), "does not speak the Redis"),
        ("no line", Script::says([vec![b'+'; 100_000]]), "does not speak the Redis protocol"),
    ];
    for (name, script, told) in lies {
        node.set(script);
        let error = failure(&node, access());
        assert!(error.contains(told), "{name}: {error}");
        assert!(!node.heard().contains("AUTH"), "{name}: {}", node.heard());
    }
}

fn hanging<const N: usize>(answers: [Vec<u8>; N]) -> Script {
    Script { hangs: true, ..Script::says(answers) }
}

/// Says this to PSYNC, and to SYNC.
fn to_sync(text: &str) -> Script {
    let mut script = Script::honest(Vec::new());
    script.answers.pop();
    for _ in 0..2 {
        script.answers.push(format!("{text}\r\n").into_bytes());
    }
    script
}

fn with_data(framed: &[u8]) -> Script {
    Script::honest(framed.to_vec())
}

#[test]
fn lies_of_the_protocol_are_errors() {
    let data = data();
    let mut wrong = data.clone();
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    let mut flipped = data.clone();
    flipped[data.len() / 2] ^= 0xff;
    let short = [b"$100\r\n".as_slice(), &data].concat();
    let long = [format!("${}\r\n", data.len() + 5).as_bytes(), &data].concat();
    let no_mark = [b"$EOF:", MARK, b"\r\n", &data[..]].concat();
    let early_mark = [b"$EOF:", MARK, b"\r\n", &data[..99], MARK, &data[99..]].concat();
    let mut at_options = Script::honest(Vec::new());
    at_options.answers[2] = b"-NOPERM this user has no permissions\r\n".to_vec();
    let mut at_login = Script::honest(Vec::new());
    at_login.answers[1] = b"-WRONGPASS invalid username-password pair\r\n".to_vec();
    let slow = Script {
        pace: Some((1, Duration::from_millis(20))),
        ..with_data(&by_len(&data.repeat(3)))
    };
    let lies: Vec<(&str, Script, &str)> = vec![
        ("password", at_login, "login refused: WRONGPASS"),
        ("permission", at_options, "+psync +sync +replconf +ping"),
        ("loading", to_sync("-LOADING Redis is loading the dataset"), "still loading"),
        ("no master", to_sync("-NOMASTERLINK Can't SYNC"), "has lost its master"),
        ("moved", to_sync("-MOVED 1 192.0.2.1:6379"), "sends us elsewhere, which is not followed"),
        ("managed", to_sync("-ERR unknown command `psync`"), "redis-cli --rdb"),
        ("unavailable", to_sync("-ERR Command is not available: 'PSYNC'"), "managed services"),
        ("continue", to_sync("+CONTINUE"), "unexpected answer to PSYNC"),
        ("other error", to_sync("-ERR no"), "does not send its data: ERR no"),
        ("no save", with_data(b"-ERR BGSAVE failed\r\n"), "BGSAVE failed"),
        ("no length", with_data(b"$0\r\n"), "should begin with its length"),
        ("negative", with_data(b"$-1\r\n"), "should begin with its length"),
        ("absurd", with_data(b"$18446744073709551615\r\n"), "should begin with its length"),
        ("short mark", with_data(b"$EOF:abc\r\n"), "should begin with its length"),
        ("no frame", with_data(&[&data[..], b"\n"].concat()), "should begin with its length"),
        ("says less", with_data(&short), "truncated"),
        ("says more", with_data(&long), "closed the connection after"),
        ("mark missing", with_data(&no_mark), "before the mark of its end"),
        ("mark early", with_data(&early_mark), "truncated"),
        ("checksum", with_data(&by_len(&wrong)), "checksum"),
        ("flipped", with_data(&by_mark(&flipped)), "at byte"),
        ("web page", with_data(&by_len(b"<html>no</html>")), "HTML"),
        ("half a line", hanging([b"+PONG\r\n".to_vec(), b"+O".to_vec()]), "too little came"),
        ("silence", Script { hangs: true, ..with_data(b"") }, "too little came"),
        ("stalls", Script { hangs: true, ..with_data(&long) }, "too little came"),
        ("dawdles", slow, "too little came"),
        (
            "never ready",
            Script { forever: b"\n".to_vec(), ..with_data(b"") },
            "was not ready to send its data",
        ),
    ];
    assert!(lies.len() >= 20);
    let node = Node::start(Script::says([]));
    for (name, script, told) in lies {
        node.set(script);
        let since = Instant::now();
        let error = failure(&node, access());
        assert!(error.contains(told), "{name}: {error}");
        assert!(!error.contains(PASSWORD), "{name}: {error}");
        assert!(since.elapsed() < Duration::from_secs(5), "{name}: {:?}", since.elapsed());
    }
}

#[test]
fn server_without_psync_is_asked_by_sync() {
    let data = data();
    let mut script = to_sync("-ERR unknown command 'PSYNC'");
    script.answers[2..5].fill(b"-ERR unknown command 'REPLCONF'\r\n".to_vec());
    *script.answers.last_mut().unwrap() = by_len(&data);
    let node = Node::start(script);
    let folder = tempfile::tempdir().unwrap();
    assert!(analysed(&live(&node, folder.path(), patient())).complete);
}

#[test]
fn nobody_and_a_name_without_address_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let port = offkey_testkit::free_port();
    for (host, told) in [("127.0.0.1", "cannot connect"), ("no.such.name.invalid", "not found")] {
        let address = offkey_fetch::Address { host: host.to_owned(), port };
        let live = LiveNode::new(address, access(), Taking::default(), Gate::new(1, 1));
        let report = analysed(&Arc::new(live.keep_in(folder.path())));
        let error = report.inputs[0].error.clone().unwrap();
        assert!(error.contains(told), "{error}");
    }
}
