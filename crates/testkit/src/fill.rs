//! Fills a real server with data of every type and encoding it knows.

use std::thread::sleep;
use std::time::Duration;

use crate::ask::now_ms;
use crate::fixture::Truth;
use crate::resp::{Client, Reply};
use crate::rng::Rng;

/// The year 2100: far enough for a fixture to stay as it is.
const EXPIRE_AT_MS: u64 = 4_102_444_800_000;

type Command = Vec<Vec<u8>>;

/// Fills a server, the same for a seed; `scale` multiplies the keys of ordinary sizes.
///
/// What a server does not know is left out, so that one function serves Redis 2 to 8 and Valkey.
pub fn fill(client: &mut Client, seed: u64, scale: usize) {
    let mut fill = Fill { client, rng: Rng::new(seed) };
    fill.names();
    fill.strings();
    fill.collections_at_their_borders();
    for round in 0..scale {
        fill.ordinary_keys(round);
    }
    fill.long_lists();
    fill.field_expiry();
    fill.streams();
    fill.vector_sets();
    fill.arrays();
    fill.template_hashes();
    fill.functions();
    fill.other_databases();
}

/// Adds keys that are past their expiry and still there, and returns the truth about them:
/// none if the server does not let us.
pub fn fill_expired(client: &mut Client) -> Vec<Truth> {
    if let Reply::Error(_) = client.call(&[b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0"]) {
        return Vec::new();
    }
    client.run(&[b"SET", b"expired:string", b"gone"]);
    client.run(&[b"RPUSH", b"expired:list", b"a", b"b", b"c"]);
    let at = now_ms(client) + 20;
    let keys = [("expired:string", "string", 4), ("expired:list", "list", 3)];
    let expire = |(key, object_type, count): (&str, &str, u64)| {
        client.run(&[b"PEXPIREAT", key.as_bytes(), at.to_string().as_bytes()]);
        Truth::expired(key, object_type, count, at)
    };
    let truth = keys.map(expire).to_vec();
    sleep(Duration::from_millis(40));
    truth
}

struct Fill<'a> {
    client: &'a mut Client,
    rng: Rng,
}

/// Splits words at blanks: a command without odd bytes.
fn words(line: &str) -> Command {
    line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect()
}

impl Fill<'_> {
    fn run(&mut self, command: &Command) -> Reply {
        let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        self.client.run(&words)
    }

    fn line(&mut self, line: &str) {
        self.run(&words(line));
    }

    /// Runs a command of a few words and many arguments.
    fn with<I: IntoIterator<Item = Vec<u8>>>(&mut self, line: &str, arguments: I) {
        let mut command = words(line);
        command.extend(arguments);
        self.run(&command);
    }

    fn knows(&mut self, command: &str) -> bool {
        let reply = self.client.call(&[b"COMMAND", b"INFO", command.as_bytes()]);
        matches!(reply, Reply::Array(infos) if matches!(infos.first(), Some(Reply::Array(_))))
    }

    fn text(&mut self, len: usize) -> Vec<u8> {
        if self.rng.one_in(2) { self.rng.text(len) } else { self.rng.bytes(len) }
    }

    fn texts(&mut self, count: usize, len: usize) -> Vec<Vec<u8>> {
        (0..count).map(|i| [i.to_string().into_bytes(), self.text(len)].concat()).collect()
    }

    fn names(&mut self) {
        let mut names: Vec<Vec<u8>> = ["", "0", "-1", "007", "65536", "=1+1", "<b>", "用户:1"]
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        names.extend([b"\0".to_vec(), b"\xff\xfe".to_vec(), b"line\r\nbreak\x1b[1m".to_vec()]);
        names.extend([vec![b'k'; 64], b"xy".repeat(600), self.rng.bytes(300)]);
        for name in names {
            self.with("SET", [name, b"named".to_vec()]);
        }
    }

    fn strings(&mut self) {
        for exponent in [0, 6, 7, 8, 15, 16, 31, 32, 62] {
            for value in [1i64 << exponent, -(1i64 << exponent), (1i64 << exponent) - 1] {
                self.line(&format!("SET string:integer:{value} {value}"));
            }
        }
        self.with("SET string:empty", [Vec::new()]);
        for len in [1, 19, 20, 21, 43, 44, 45, 63, 64, 100, 500, 1000] {
            let text = self.text(len);
            self.with(&format!("SET string:len:{len}"), [text]);
        }
        self.with("SET string:compressible", [vec![b'z'; 100_000]]);
        let bytes = self.rng.bytes(16_384);
        self.with("SET string:incompressible", [bytes]);
        self.line("SET string:expiring value");
        self.line(&format!("PEXPIREAT string:expiring {EXPIRE_AT_MS}"));
        for _ in 0..5 {
            self.line("APPEND string:appended chunk-of-text");
        }
    }

    /// Every collection type just below, at and above the sizes where its encoding changes.
    fn collections_at_their_borders(&mut self) {
        for count in [1, 128, 129, 512, 513] {
            let texts = self.texts(count, 6);
            let pairs = texts.iter().flat_map(|t| [t.clone(), b"value".to_vec()]);
            self.with(&format!("HMSET hash:count:{count}"), pairs);
            if count > 200 {
                continue; // Only hashes of Redis before 7 change here.
            }
            self.with(&format!("SADD set:count:{count}"), texts.clone());
            self.with(&format!("RPUSH list:count:{count}"), texts.clone());
            let scored = texts.iter().zip(0u32..);
            let scored = scored.flat_map(|(t, i)| [i.to_string().into_bytes(), t.clone()]);
            self.with(&format!("ZADD zset:count:{count}"), scored);
        }
        for len in [63, 64, 65, 253, 254, 255] {
            let text = self.rng.text(len);
            self.with(&format!("HMSET hash:len:{len} field"), [text.clone()]);
            self.with(&format!("SADD set:len:{len} a"), [text.clone()]);
            self.with(&format!("RPUSH list:len:{len} a"), [text.clone()]);
            self.with(&format!("ZADD zset:len:{len} 1.5"), [text]);
        }
        for bits in [14, 30, 62] {
            for count in [1, 50, if bits == 14 { 513 } else { 51 }] {
                let members =
                    (0..count).map(|i: i64| ((1 << bits) - i * 3).to_string().into_bytes());
                self.with(&format!("SADD set:integers:{bits}:{count}"), members);
            }
        }
        for (name, long) in [("small", 0), ("skiplist", 80)] {
            let scores = ["inf", "-inf", "0", "-0", "1e-300", "5e-324", "0.1", "3", "1e17"];
            let members = scores.iter().flat_map(|score| {
                [score.as_bytes().to_vec(), format!("{score}{}", "p".repeat(long)).into_bytes()]
            });
            self.with(&format!("ZADD zset:scores:{name}"), members);
        }
        let integers = (0..300).map(|i: i64| (i * i * i - 500).to_string().into_bytes());
        self.with("RPUSH list:integers", integers);
    }

    fn ordinary_keys(&mut self, round: usize) {
        for number in 0..10 {
            let id = format!("{round}:{number}");
            let (count, len) = (self.rng.between(1, 20), self.rng.between(1, 40));
            let texts = self.texts(count, len);
            let pairs: Vec<_> =
                texts.iter().flat_map(|t| [t.clone(), t.iter().rev().copied().collect()]).collect();
            let scored: Vec<_> =
                texts.iter().flat_map(|t| [t.len().to_string().into_bytes(), t.clone()]).collect();
            self.with(&format!("SET user:{id}:name"), [texts[0].clone()]);
            self.with(&format!("RPUSH queue:{id}"), texts.clone());
            self.with(&format!("SADD tags:{id}"), texts);
            self.with(&format!("HMSET session:{id}"), pairs);
            self.with(&format!("ZADD rank:{id}"), scored);
            if self.rng.one_in(2) {
                let at = EXPIRE_AT_MS + self.rng.below(1_000_000_000) as u64;
                let kind = *self.rng.pick(&["queue", "tags", "session", "rank"]);
                self.line(&format!("PEXPIREAT {kind}:{id} {at}"));
            }
        }
    }

    fn long_lists(&mut self) {
        let big = self.rng.text(9000);
        let bigger = self.rng.bytes(8500);
        let elements = [b"head".to_vec(), big, b"between".to_vec(), bigger, b"tail".to_vec()];
        self.with("RPUSH list:big-elements", elements);
        let elements: Vec<_> = (0..800).map(|_| self.rng.text(40)).collect();
        self.with("RPUSH list:many-nodes", elements);
    }

    fn field_expiry(&mut self) {
        if !self.knows("HPEXPIREAT") {
            return;
        }
        for count in [1, 20, 600] {
            let key = format!("fields:expiring:{count}");
            let pairs = (0..count).map(|i| format!("f{i} value-{i}")).collect::<Vec<_>>().join(" ");
            self.line(&format!("HSET {key} {pairs}"));
            for field in (0..count).step_by(3) {
                let at = EXPIRE_AT_MS + self.rng.below(1_000_000) as u64;
                self.line(&format!("HPEXPIREAT {key} {at} FIELDS 1 f{field}"));
            }
        }
        self.line("HSET fields:persisted a 1 b 2");
        self.line(&format!("HPEXPIREAT fields:persisted {EXPIRE_AT_MS} FIELDS 1 a"));
        self.line("HPERSIST fields:persisted FIELDS 1 a");
    }

    fn streams(&mut self) {
        if !self.knows("XADD") {
            return;
        }
        for count in [1, 99, 101, 300] {
            for i in 0..count {
                self.line(&format!(
                    "XADD stream:{count} {}-{} temp {i} hum x",
                    1000 + i / 2,
                    i % 2
                ));
            }
        }
        for i in 1..60 {
            let fields: Vec<_> = (0..=i % 4).map(|f| format!("f{f} v{i}")).collect();
            self.line(&format!("XADD stream:varied {i}-1 {}", fields.join(" ")));
        }
        for i in (1..60).step_by(4) {
            self.line(&format!("XDEL stream:varied {i}-1"));
        }
        self.line("XGROUP CREATE stream:empty group $ MKSTREAM");
        for group in 0..3 {
            self.line(&format!("XGROUP CREATE stream:101 group-{group} 0"));
            for consumer in 0..group {
                self.line(&format!(
                    "XREADGROUP GROUP group-{group} consumer-{consumer} COUNT 15 STREAMS stream:101 >"
                ));
            }
        }
        self.line("XACK stream:101 group-1 1000-0 1001-1");
        if self.knows("XCFGSET") {
            self.line("XADD stream:producers IDMP producer message-1 * a 1");
            self.line("XADD stream:producers IDMP producer message-2 * a 2");
        }
        if self.knows("XNACK") {
            self.line("XNACK stream:101 group-2 FAIL IDS 2 1002-0 1003-0");
        }
    }

    fn vector_sets(&mut self) {
        if !self.knows("VADD") {
            return;
        }
        for (kind, count) in [("Q8", 20), ("NOQUANT", 5), ("BIN", 5)] {
            for i in 0..count {
                let vector = (0..8).map(|j| ((i * 7 + j * 3) % 11).to_string());
                let vector = vector.collect::<Vec<_>>().join(" ");
                self.line(&format!("VADD vectors:{kind} VALUES 8 {vector} element-{i} {kind}"));
            }
        }
    }

    fn arrays(&mut self) {
        if !self.knows("ARSET") {
            return;
        }
        for i in 0..100 {
            self.line(&format!("ARSET array:integers {i} {}", i * 1000));
            self.line(&format!("ARSET array:strings {} a-string-of-some-length-{i}", i * 5000));
        }
        for (i, value) in ["1.5", "ab", "-3", "a string that is longer"].iter().enumerate() {
            let value = value.as_bytes().to_vec();
            self.with(&format!("ARSET array:mixed {i}"), [value]);
        }
    }

    fn template_hashes(&mut self) {
        if !self.knows("HIMPORT") {
            return;
        }
        self.line("HIMPORT PREPARE people name email age");
        for i in 0..20 {
            self.line(&format!("HIMPORT SET template:{i} people name-{i} n{i}@example.org {i}"));
        }
        let long = self.rng.bytes(200);
        self.with("HIMPORT SET template:long people", [long, b"x".to_vec(), b"1".to_vec()]);
    }

    fn functions(&mut self) {
        if self.knows("FUNCTION") {
            let code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
            self.with("FUNCTION LOAD", [code.as_bytes().to_vec()]);
        }
    }

    fn other_databases(&mut self) {
        for db in [1, 5, 15] {
            self.line(&format!("SELECT {db}"));
            for number in 0..db + 2 {
                self.line(&format!("SET user:{number}:name name"));
                self.line(&format!("HSET session:{number} field value"));
            }
        }
        self.line("SELECT 0");
    }
}
