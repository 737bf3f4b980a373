//! What speed is measured on: files of about 1 GB (`uuid` 0.4 GB), as Redis 7.0 writes them.

use super::{Pieces, plain};
use crate::encoder::Encoder;
use crate::lzf::lzf_compress;
use crate::rng::Rng;
use crate::stream::{Stream, StreamEntry, StreamVersion};
use crate::value::{self, Value};

pub(super) fn small(p: &mut Pieces, number: u64) {
    p.expire(20);
    let len = p.rng.between(50, 100);
    let value = plain(&p.rng.letters(len));
    p.key(&format!("user:{}:profile", 100_000 + number * 7), &value);
}

pub(super) fn uuid(p: &mut Pieces, _: u64) {
    let len = p.rng.between(40, 80);
    let value = plain(&p.rng.letters(len));
    let name = format!("sess:{:016x}{:016x}:data", p.rng.bits(), p.rng.bits());
    p.key(&name, &value);
}

pub(super) fn random(p: &mut Pieces, number: u64) {
    let len = p.rng.between(1000, 10_000);
    let value = plain(&p.noise(len));
    p.key(&format!("blob:{:02}:{number}", number % 37), &value);
}

pub(super) fn lzf(p: &mut Pieces, number: u64) {
    if p.documents.is_empty() {
        p.documents = (0..2000).map(|_| compressed_document(&mut p.rng)).collect();
    }
    p.expire(10);
    let (len, body) = p.rng.pick(&p.documents).clone();
    // A literal run of its own makes every value another one.
    let head = format!("{{\"no\":{number:010}");
    let mut value = Encoder::default();
    value.raw([0xc3]).len(1 + head.len() + body.len()).len(head.len() + len);
    value.raw([head.len() as u8 - 1]).raw(head).raw(body);
    let value = Value { type_byte: 0, bytes: value.0, object_type: "string", count: 0 };
    let kind = WORDS[number as usize % WORDS.len()];
    p.key(&format!("doc:{kind}:{number}"), &value);
}

const WORDS: [&str; 32] = [
    "active",
    "account",
    "address",
    "amount",
    "browser",
    "campaign",
    "cancelled",
    "category",
    "created",
    "currency",
    "customer",
    "delivery",
    "desktop",
    "discount",
    "failed",
    "invoice",
    "language",
    "mobile",
    "newsletter",
    "number",
    "order",
    "payment",
    "pending",
    "premium",
    "quantity",
    "reference",
    "returned",
    "shipping",
    "success",
    "updated",
    "verified",
    "warehouse",
];

/// The rest of a JSON object: its length and its compressed bytes.
fn compressed_document(rng: &mut Rng) -> (usize, Vec<u8>) {
    let len = rng.power_law(350, 1.4, 20_000);
    let mut text = b",\"items\":[".to_vec();
    document(rng, &mut text, len);
    text.extend(b"]}");
    (text.len(), lzf_compress(&text))
}

/// Appends items of a JSON list until the text has `len` bytes or more.
fn document(rng: &mut Rng, text: &mut Vec<u8>, len: usize) {
    while text.len() < len {
        let [state, kind, a, b, c] = [(); 5].map(|()| *rng.pick(&WORDS));
        let (id, cents) = (rng.below(100_000_000), rng.below(100_000));
        let [day, hour, minute, second] = [28, 24, 60, 60].map(|end| rng.below(end));
        text.extend(
            format!(
                "{{\"id\":{id},\"status\":\"{state}\",\"category\":\"{kind}\",\"price\":{cents},\
                 \"description\":\"{a} {b} {c}\",\
                 \"updated_at\":\"2025-11-{:02}T{hour:02}:{minute:02}:{second:02}Z\"}},",
                day + 1
            )
            .bytes(),
        );
    }
}

/// Fields and members up to which the server packs a value.
const HASH_PACKED_MAX: usize = 512;
const ZSET_PACKED_MAX: usize = 128;
/// Longest string of a packed value.
const PACKED_LEN_MAX: usize = 64;

/// One of 2,000 families, each of one type and one scale of sizes, some far more frequent than
/// others.
pub(super) fn mixed(p: &mut Pieces, number: u64) {
    let family = (2000.0 * p.rng.share().powi(5)) as u64;
    let traits = family.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    let scale = 1.0 + (traits % 7) as f64 / 2.0;
    let team = ["app", "svc", "shop", "game"][(traits % 4) as usize];
    let use_of = WORDS[(family % 12) as usize];
    let name = format!("{team}{}:{use_of}:{}", family / 12, 1_000_000 + number);
    p.expire(if family.is_multiple_of(3) { 60 } else { 0 });
    let rng = &mut p.rng;
    let count = |rng: &mut Rng, least, alpha, most| {
        (rng.power_law(least, alpha, most) as f64 * scale) as usize
    };
    let value = match traits % 100 {
        0..40 => mixed_string(rng, traits, scale),
        40..65 => {
            let count = count(rng, 4, 1.25, 100_000);
            mixed_hash(rng, count)
        }
        65..77 => {
            let count = count(rng, 5, 1.2, 200_000);
            mixed_zset(rng, count, traits.is_multiple_of(2))
        }
        77..87 => {
            let count = count(rng, 4, 1.25, 100_000);
            let elements: Vec<_> = (0..count).map(|_| element(rng, 10, 1.5, 3000)).collect();
            quicklist(&elements)
        }
        87..97 => {
            let count = count(rng, 4, 1.25, 100_000);
            mixed_set(rng, count, traits.is_multiple_of(2))
        }
        _ => mixed_stream(rng),
    };
    p.key(&name, &value);
}

fn element(rng: &mut Rng, least: usize, alpha: f64, most: usize) -> Vec<u8> {
    let len = rng.power_law(least, alpha, most);
    rng.letters(len)
}

fn mixed_string(rng: &mut Rng, traits: u64, scale: f64) -> Value {
    match traits % 5 {
        0 => value::string(rng.below(10_000_000).to_string()),
        1 => {
            let len = (rng.power_law(120, 1.3, 60_000) as f64 * scale) as usize;
            let mut text = b"[".to_vec();
            document(rng, &mut text, len);
            value::string(text)
        }
        _ => {
            let len = (rng.power_law(24, 1.2, 100_000) as f64 * scale) as usize;
            value::string(rng.letters(len))
        }
    }
}

fn mixed_hash(rng: &mut Rng, count: usize) -> Value {
    let pair = |i: usize| {
        let field = if count <= WORDS.len() { WORDS[i].to_owned() } else { format!("field:{i}") };
        let value = match i % 3 {
            0 => rng.below(1_000_000).to_string().into_bytes(),
            _ => element(rng, 8, 1.6, 2000),
        };
        (field.into_bytes(), value)
    };
    let pairs: Vec<_> = (0..count).map(pair).collect();
    let is_short = pairs.iter().all(|(_, value)| value.len() <= PACKED_LEN_MAX);
    if is_short && count <= HASH_PACKED_MAX {
        value::hash_listpack(&pairs)
    } else {
        value::hash(&pairs)
    }
}

fn mixed_zset(rng: &mut Rng, count: usize, has_whole_scores: bool) -> Value {
    let member = |i: usize| {
        let score = rng.below(10_000_000) as f64;
        let score = if has_whole_scores { score } else { score / 100.0 };
        (format!("member:{}", i * 31 + 1000), score)
    };
    let members: Vec<_> = (0..count).map(member).collect();
    if count <= ZSET_PACKED_MAX { value::zset_listpack(&members) } else { value::zset_2(&members) }
}

fn mixed_set(rng: &mut Rng, count: usize, has_ints: bool) -> Value {
    if has_ints && count <= HASH_PACKED_MAX {
        let members: Vec<_> = (0..count as i64).map(|i| i * 13 + 5).collect();
        return value::set_intset(&members);
    }
    let member = |i: usize| {
        if has_ints { (i * 13 + 5).to_string() } else { format!("tag-{:x}-{i}", rng.bits() >> 24) }
    };
    value::set(&(0..count).map(member).collect::<Vec<_>>())
}

fn mixed_stream(rng: &mut Rng) -> Value {
    let count = rng.power_law(3, 1.1, 20_000);
    let mut ms = 1_700_000_000_000;
    let mut entry = || {
        ms += rng.between(1, 500) as u64;
        let value = |rng: &mut Rng| {
            let len = rng.between(4, 24);
            rng.letters(len)
        };
        let fields = ["device", "reading", "status"];
        let pairs = fields.map(|field| (field.as_bytes().to_vec(), value(rng)));
        StreamEntry { id: (ms, 0), pairs: pairs.to_vec(), deleted: false }
    };
    let entries = (0..count).map(|_| entry()).collect();
    let stream = Stream { entries, node_entries_max: 100, ..Stream::default() };
    value::stream(&stream, StreamVersion::V2)
}

/// Nodes of at most 8 KiB, as the server makes them by default.
fn quicklist(elements: &[Vec<u8>]) -> Value {
    let len: usize = elements.iter().map(|element| element.len() + 4).sum();
    let nodes = len.div_ceil(8 << 10).max(1);
    value::list_quicklist_2(elements, elements.len().div_ceil(nodes).max(1), 8000)
}

pub(super) fn big(p: &mut Pieces, number: u64) {
    let rng = &mut p.rng;
    let count = match number {
        _ if number % 40 == 7 => rng.between(600_000, 1_000_000),
        _ if number % 10 == 3 => rng.between(200_000, 400_000),
        _ => rng.between(80_000, 120_000),
    };
    let text = |rng: &mut Rng, least: usize, most: usize| {
        let len = rng.between(least, most);
        rng.letters(len)
    };
    let (kind, value) = match number % 3 {
        0 => {
            let pair = |i| (format!("field:{i}").into_bytes(), text(rng, 8, 32));
            ("hash", value::hash(&(0..count).map(pair).collect::<Vec<_>>()))
        }
        1 => {
            let member = |i| {
                let name = format!("member:{i}:{:x}", rng.bits() >> 32);
                (name, rng.below(1_000_000_000) as f64 / 100.0)
            };
            ("zset", value::zset_2(&(0..count).map(member).collect::<Vec<_>>()))
        }
        _ => {
            let elements: Vec<_> = (0..count).map(|_| text(rng, 10, 60)).collect();
            ("list", quicklist(&elements))
        }
    };
    p.key(&format!("big:{kind}:{number}"), &value);
}
