//! Files of any length from a seed, written piece by piece: what speed and memory are
//! measured on.

mod speed;

use std::io::{self, Write};

use crate::encoder::{Encoder, StringForm};
use crate::file::RdbFile;
use crate::rng::Rng;
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
        Self::new(
            "small",
            "strings of 50-100 bytes, one in five expires",
            10_000_000,
            speed::small,
        ),
        Self::new("mixed", "six types, sizes and families as a power law", 1_300_000, speed::mixed),
        Self::new(
            "big",
            "hashes, zsets and lists of 80,000 to 1,000,000 elements",
            200,
            speed::big,
        ),
        Self::new("lzf", "JSON of 350-20,000 bytes, compressed", 1_600_000, speed::lzf),
        Self::new("random", "strings of 1-10 KB that do not compress", 190_000, speed::random),
        Self::new("uuid", "names of 32 hexadecimal digits", 4_000_000, speed::uuid),
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

    /// Gives so many of a hundred keys an expiry in the future.
    fn expire(&mut self, percent: usize) {
        if self.rng.below(100) < percent {
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
