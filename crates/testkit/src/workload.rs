//! Files of any length from a seed, written piece by piece: what speed and memory are
//! measured on.

use std::io::{self, Write};

use crate::encoder::{Encoder, StringForm};
use crate::file::RdbFile;
use crate::lzf::lzf_compress;
use crate::rng::Rng;
use crate::stream::{Stream, StreamEntry, StreamVersion};
use crate::value::{self, Value};

/// One kind of file.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub about: &'static str,
    /// How many pieces make a file of common size.
    pub count: u64,
    /// Writes one piece, most often a key.
    piece: fn(&mut Pieces, u64),
}

/// Where pieces go.
struct Pieces {
    file: RdbFile,
    rng: Rng,
    seed: u64,
    /// Pieces in all.
    count: u64,
    /// Documents of `lzf`, compressed once.
    documents: Vec<(usize, Vec<u8>)>,
}

impl Workload {
    /// All of them: first those of about 1 GB that speed is measured on, then those that try
    /// the bounds of memory.
    pub const ALL: [Self; 18] = [
        Self::new("small", "strings of 50-100 bytes, one in five expires", 10_000_000, small),
        Self::new("mixed", "six types, sizes and families as a power law", 1_300_000, mixed),
        Self::new("big", "hashes, zsets and lists of 80,000 to 1,000,000 elements", 200, big),
        Self::new("lzf", "JSON of 500-1,500 bytes, compressed", 1_600_000, lzf),
        Self::new("random", "strings of 1-10 KB that do not compress", 190_000, random),
        Self::new("uuid", "names of 32 hexadecimal digits", 4_000_000, uuid),
        Self::new("string", "one string, in MiB", 512, string),
        Self::new("string-lzf", "one compressed string, in MiB", 512, string_lzf),
        Self::new("hash", "one hash, in fields", 5_000_000, one_hash),
        Self::new("zset", "one zset, in members", 5_000_000, one_zset),
        Self::new("nodes", "one list, in nodes", 5_000_000, one_list),
        Self::new("distinct", "prefixes that come once", 2_000_000, distinct),
        Self::new("unlike", "names of three parts, none of which comes twice", 1_000_000, unlike),
        Self::new("uniform", "a million prefixes that come equally often", 5_000_000, uniform),
        Self::new("types", "a prefix and a module type of its own for each key", 500_000, types),
        Self::new("levels", "keys of 500,000 levels", 20, levels),
        Self::new("databases", "a database for each key", 200_000, databases),
        Self::new("names", "names of 1 MiB", 300, names),
    ];

    const fn new(
        name: &'static str,
        about: &'static str,
        count: u64,
        piece: fn(&mut Pieces, u64),
    ) -> Self {
        Self { name, about, count, piece }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name == name)
    }
}

/// Writes a file of `count` pieces; the same bytes for the same seed.
///
/// # Errors
/// That of `out`.
pub fn write_workload(
    workload: Workload,
    count: u64,
    seed: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    const WRITE_LEN: usize = 1 << 18;
    let mut file = RdbFile::redis(10);
    file.aux("redis-ver", "7.0.15").aux("ctime", "1764000000").select_db(0);
    let mut pieces = Pieces { file, rng: Rng::new(seed), seed, count, documents: Vec::new() };
    let mut written = 0;
    for number in 0..count {
        (workload.piece)(&mut pieces, number);
        if pieces.file.len() - written >= WRITE_LEN {
            pieces.file.write_out(out)?;
            written = pieces.file.len();
        }
    }
    out.write_all(&pieces.file.finish())
}

/// A file that takes long to analyse for its size, about a second for a million keys by a
/// build for tests; for tests that look at an analysis while it runs.
pub fn long_work(keys: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let unlike = Workload::named("unlike").unwrap();
    write_workload(unlike, keys.into(), 1, &mut bytes).unwrap();
    bytes
}

impl Pieces {
    fn key(&mut self, name: &str, value: &Value) {
        self.file.key(name, value);
    }

    /// Writes what stands before the elements of the only value.
    fn head(&mut self, number: u64, type_byte: u8, write: impl FnOnce(&mut Encoder)) {
        if number == 0 {
            let mut head = Encoder::default();
            head.raw([type_byte, 1, b'k']);
            write(&mut head);
            self.file.raw(head.0);
        }
    }

    /// Gives some of the keys an expiry in the future.
    fn expire_one_in(&mut self, n: usize) {
        if self.rng.one_in(n) {
            let at = 1_800_000_000_000 + self.rng.below(100_000_000_000) as i64;
            self.file.expire_at_ms(at);
        }
    }

    /// A string that does not compress, quickly.
    fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut noise = Vec::with_capacity(len + 8);
        while noise.len() < len {
            noise.extend_from_slice(&self.rng.bits().to_le_bytes());
        }
        noise.truncate(len);
        noise
    }

    /// A number from `least` up, of which twice as much is a third as likely.
    fn power_law(&mut self, least: usize, most: usize) -> usize {
        let share = (self.rng.below(1 << 30) + 1) as f64 / (1u64 << 30) as f64;
        (least as f64 * share.powf(-0.64)).min(most as f64) as usize
    }
}

/// Value of a string as it is, whatever it looks like.
fn plain(bytes: &[u8]) -> Value {
    let form = match bytes.len() {
        0..0x40 => StringForm::Len6,
        0x40..0x4000 => StringForm::Len14,
        _ => StringForm::Len32,
    };
    value::string_as(form, bytes)
}

fn small(p: &mut Pieces, number: u64) {
    p.expire_one_in(5);
    let len = p.rng.between(50, 100);
    let value = plain(&p.noise(len));
    p.key(&format!("user:{}:profile", 100_000 + number * 7), &value);
}

fn uuid(p: &mut Pieces, _: u64) {
    let len = p.rng.between(40, 70);
    let value = plain(&p.noise(len));
    let name = format!("sess:{:016x}{:016x}:data", p.rng.bits(), p.rng.bits());
    p.key(&name, &value);
}

fn random(p: &mut Pieces, number: u64) {
    let len = p.rng.between(1000, 10_000);
    let value = plain(&p.noise(len));
    p.key(&format!("blob:{number}"), &value);
}

fn lzf(p: &mut Pieces, number: u64) {
    if p.documents.is_empty() {
        p.documents = (0..2000).map(|_| document(&mut p.rng)).collect();
    }
    let (len, body) = p.rng.pick(&p.documents).clone();
    // A literal run of its own makes every value another one.
    let head = format!("{{\"id\":{number:010}");
    let mut value = Encoder::default();
    value.raw([0xc3]).len(1 + head.len() + body.len()).len(head.len() + len);
    value.raw([head.len() as u8 - 1]).raw(head).raw(body);
    let value = Value { type_byte: 0, bytes: value.0, object_type: "string", count: 0 };
    p.key(&format!("doc:{}:{number}", number % 97), &value);
}

/// The rest of a JSON object: its length and its compressed bytes.
fn document(rng: &mut Rng) -> (usize, Vec<u8>) {
    let len = rng.between(500, 1500);
    let mut text = Vec::new();
    while text.len() < len {
        let field = *rng.pick(&["name", "status", "created_at", "updated_at", "tags", "owner"]);
        let (words, number) = (rng.text(18), rng.bits() >> 20);
        let words = String::from_utf8(words).unwrap();
        text.extend(format!(",\"{field}\":\"{words}\",\"{field}_no\":{number}").bytes());
    }
    text.push(b'}');
    let compressed = lzf_compress(&text);
    (text.len(), compressed)
}

/// Elements up to which the server packs a value.
const PACKED_MAX: usize = 128;

fn mixed(p: &mut Pieces, number: u64) {
    p.expire_one_in(4);
    let family = p.power_law(1, 2000);
    let name = |kind: &str| format!("{kind}:app{family}:{number}:{}", number % 7);
    let kind = p.rng.below(100);
    let count = if kind < 45 { 0 } else { p.power_law(8, 200_000) };
    let noise_len = p.rng.between(6, 20);
    let mut texts = |prefix: &str| -> Vec<String> {
        let mut text = |i| format!("{prefix}{:x}-{i}", p.rng.bits() >> (64 - 2 * noise_len as u64));
        (0..count).map(&mut text).collect()
    };
    let (name, value) = match kind {
        0..45 => {
            let len = p.power_law(20, 100_000);
            (name("str"), plain(&p.noise(len)))
        }
        45..65 => {
            let values = texts("v");
            let pairs = values.iter().enumerate().map(|(i, v)| (format!("field{i}"), v.clone()));
            let pairs: Vec<_> = pairs.collect();
            let is_packed = count <= PACKED_MAX;
            (
                name("hash"),
                if is_packed { value::hash_listpack(&pairs) } else { value::hash(&pairs) },
            )
        }
        65..75 => (name("list"), value::list_quicklist_2(&texts("e"), 300, 8000)),
        75..85 if number.is_multiple_of(2) => {
            let members: Vec<i64> = (0..count.min(512) as i64).map(|i| i * 37 + 1000).collect();
            (name("ints"), value::set_intset(&members))
        }
        75..85 => (name("set"), value::set(&texts("m"))),
        85..95 => {
            let texts = texts("z");
            let scored = texts.iter().enumerate().map(|(i, text)| (text, i as f64 * 1.5));
            let scored: Vec<_> = scored.collect();
            let is_packed = count <= PACKED_MAX;
            (
                name("zset"),
                if is_packed { value::zset_listpack(&scored) } else { value::zset_2(&scored) },
            )
        }
        _ => {
            let entry = |(i, text): (usize, String)| StreamEntry {
                id: (1_700_000_000_000 + i as u64, 0),
                pairs: vec![(b"event".to_vec(), text.into_bytes())],
                deleted: false,
            };
            let entries = texts("s").into_iter().enumerate().map(entry).collect();
            let stream = Stream { entries, node_entries_max: 100, ..Stream::default() };
            (name("stream"), value::stream(&stream, StreamVersion::V2))
        }
    };
    p.key(&name, &value);
}

fn big(p: &mut Pieces, number: u64) {
    let count = p.rng.between(80_000, 300_000) << p.rng.below(3);
    let name = format!("big:{number}");
    let text = |rng: &mut Rng, i: usize| format!("element:{:x}:{i}", rng.bits() >> 40);
    let value = match number % 3 {
        0 => {
            let pair = |i| (format!("field:{i}"), text(&mut p.rng, i));
            value::hash(&(0..count / 2).map(pair).collect::<Vec<_>>())
        }
        1 => {
            let member = |i| (text(&mut p.rng, i), i as f64 * 0.5);
            value::zset_2(&(0..count / 2).map(member).collect::<Vec<_>>())
        }
        _ => {
            let elements: Vec<_> = (0..count).map(|i| text(&mut p.rng, i)).collect();
            value::list_quicklist_2(&elements, 350, 8000)
        }
    };
    p.key(&name, &value);
}

const MIB: u64 = 1 << 20;

fn string(p: &mut Pieces, number: u64) {
    let len = p.count * MIB;
    p.head(number, 0, |out| _ = out.len(len));
    p.file.raw(vec![b'x'; MIB as usize]);
}

fn string_lzf(p: &mut Pieces, number: u64) {
    // Four literals, then references of 256 bytes to the four before: 85 times what they take.
    const PER_MIB: u64 = MIB / 256;
    let count = p.count * PER_MIB;
    p.head(number, 0, |out| {
        out.raw([0xc3]).len(5 + 3 * count).len(4 + 256 * count).raw(b"\x03abcd");
    });
    p.file.raw(b"\xe0\xf7\x03".repeat(PER_MIB as usize));
}

fn one_hash(p: &mut Pieces, number: u64) {
    let count = p.count;
    p.head(number, 4, |out| _ = out.len(count));
    p.file.raw(format!("\x0ffield-{number:09}\x05value"));
}

fn one_zset(p: &mut Pieces, number: u64) {
    let count = p.count;
    p.head(number, 5, |out| _ = out.len(count));
    p.file.raw(format!("\x10member-{number:09}")).raw((number as f64).to_le_bytes());
}

fn one_list(p: &mut Pieces, number: u64) {
    let count = p.count;
    p.head(number, 18, |out| _ = out.len(count));
    p.file.raw(b"\x02\x0e\x0e\0\0\0\x01\0\x85value\x06\xff");
}

/// Seven letters that tell a number, alike for no two that follow each other.
fn letters(number: u64) -> String {
    let mut scattered = number.wrapping_mul(0x9e37_79b9) % (1 << 32);
    let mut text = String::new();
    for _ in 0..7 {
        text.push(char::from(b'a' + (scattered % 26) as u8));
        scattered /= 26;
    }
    text
}

fn distinct(p: &mut Pieces, number: u64) {
    // Files of the seeds from 1 up have no key in common.
    let number = p.seed.saturating_sub(1) * p.count + number;
    let name = format!("{}:{number}", letters(number));
    p.key(&name, &plain(b"v"));
}

fn unlike(p: &mut Pieces, _: u64) {
    let mut part = || p.rng.bits() >> 32;
    let name = format!("{:x}-{:x}-{:x}", part(), part(), part());
    p.key(&name, &plain(b"v"));
}

fn uniform(p: &mut Pieces, number: u64) {
    let name = format!("{}:{number}", letters(number % 1_000_000));
    p.key(&name, &plain(b"v"));
}

fn types(p: &mut Pieces, number: u64) {
    // The version of a module's type is no part of its name.
    let mut value = Encoder::default();
    value.len(((number << 10) + (1 << 60)) | 1).raw([0]);
    let value = Value { type_byte: 7, bytes: value.0, object_type: "module", count: 1 };
    p.key(&format!("{}:{number}", letters(number)), &value);
}

fn levels(p: &mut Pieces, number: u64) {
    let name = plain(format!("{}{}", letters(number), ":a".repeat(500_000)).as_bytes());
    p.file.raw([0]).raw(name.bytes).raw(plain(b"v").bytes);
}

fn databases(p: &mut Pieces, number: u64) {
    p.file.select_db(number);
    p.key("key", &plain(b"v"));
}

fn names(p: &mut Pieces, number: u64) {
    let name = plain(letters(number).repeat(MIB as usize / 7).as_bytes());
    p.file.raw([0]).raw(name.bytes).raw(plain(b"v").bytes);
}
