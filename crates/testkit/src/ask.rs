//! Asks a real server what it knows of its keys.

use crate::fixture::Truth;
use crate::resp::{Client, Reply};

/// Asks for every key of every database.
pub fn ask(client: &mut Client) -> Vec<Truth> {
    let mut truth = Vec::new();
    for db in databases(client) {
        client.run(&[b"SELECT", db.to_string().as_bytes()]);
        let mut keys: Vec<_> =
            client.run(&[b"KEYS", b"*"]).array().into_iter().map(Reply::bytes).collect();
        keys.sort();
        truth.extend(keys.into_iter().map(|key| ask_key(client, db, key)));
    }
    client.run(&[b"SELECT", b"0"]);
    truth
}

fn databases(client: &mut Client) -> Vec<u64> {
    let info = client.run(&[b"INFO", b"keyspace"]).text();
    let lines = info.lines().filter_map(|line| line.strip_prefix("db"));
    lines.map(|line| line.split(':').next().unwrap().parse().unwrap()).collect()
}

fn ask_key(client: &mut Client, db: u64, key: Vec<u8>) -> Truth {
    // These two first: the commands after them count as an access.
    let freq = integer(client.call(&[b"OBJECT", b"FREQ", &key]));
    let idle = integer(client.call(&[b"OBJECT", b"IDLETIME", &key]));
    let memory_usage = integer(client.call(&[b"MEMORY", b"USAGE", &key, b"SAMPLES", b"0"]));
    let object_type = client.run(&[b"TYPE", &key]).text();
    let count = integer(client.run(&[count_command(&object_type).as_bytes(), &key]));
    let encoding = client.run(&[b"OBJECT", b"ENCODING", &key]).text();
    let expires = integer(client.call(&[b"PEXPIRETIME", &key]));
    let left = client.run(&[b"PTTL", &key]).integer();
    let approx = if left < 0 { -1 } else { now_ms(client) + left };
    Truth {
        db,
        key,
        object_type,
        encoding: Some(encoding),
        count: count.map(i64::cast_unsigned),
        pexpireat: expires,
        pexpireat_approx: expires.is_none().then_some(approx),
        ttl: None,
        idle: idle.map(i64::cast_unsigned),
        freq: freq.map(|freq| u8::try_from(freq).unwrap()),
        slot: None,
        node: None,
        memory_usage: memory_usage.map(i64::cast_unsigned),
        expired: false,
    }
}

/// The command that counts the elements of a type.
pub fn count_command(object_type: &str) -> &'static str {
    match object_type {
        "string" => "STRLEN",
        "list" => "LLEN",
        "set" => "SCARD",
        "zset" => "ZCARD",
        "hash" => "HLEN",
        "stream" => "XLEN",
        "array" => "ARCOUNT",
        "vectorset" => "VCARD",
        other => panic!("no command counts the elements of a {other}"),
    }
}

pub(crate) fn now_ms(client: &mut Client) -> i64 {
    let time: Vec<i64> = client
        .run(&[b"TIME"])
        .array()
        .into_iter()
        .map(|part| part.text().parse().unwrap())
        .collect();
    time[0] * 1000 + time[1] / 1000
}

/// The integer, or nothing where the server does not know the command or has no answer.
fn integer(reply: Reply) -> Option<i64> {
    match reply {
        Reply::Integer(value) => Some(value),
        Reply::Error(_) | Reply::Bulk(None) => None,
        other => panic!("expected an integer, found {other:?}"),
    }
}
