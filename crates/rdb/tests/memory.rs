//! What is held in memory does not depend on the size of a value, nor on what a file claims.
//!
//! A test of its own, since the peak of a process is that of all its tests.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{self, Cursor, Read};

use offkey_rdb::{Entry, ErrorKind, Options, Reader, Skip};
use offkey_testkit::{Encoder, RdbFile, StringForm};

/// Peak of the process, its code included.
const MEMORY_MAX_KIB: u64 = 16 << 10;

/// Makes a file as it is read, so that a big one needs no memory of the test's own.
struct Made<F> {
    piece: F,
    number: u64,
    count: u64,
    buf: Cursor<Vec<u8>>,
}

impl<F: Fn(u64) -> Vec<u8>> Read for Made<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.buf.read(buf)?;
        if len > 0 || self.number == self.count {
            return Ok(len);
        }
        self.buf = Cursor::new((self.piece)(self.number));
        self.number += 1;
        self.buf.read(buf)
    }
}

/// So many pieces, each made from its number.
fn made(count: u64, piece: impl Fn(u64) -> Vec<u8>) -> impl Read {
    Made { piece, number: 0, count, buf: Cursor::default() }
}

fn repeated(pattern: &[u8], times: u64) -> impl Read {
    const PATTERNS: u64 = 1000;
    assert_eq!(times % PATTERNS, 0);
    let piece = pattern.repeat(1000);
    made(times / PATTERNS, move |_| piece.clone())
}

/// A file of one key, whose value is `head` and what `body` gives.
fn file(type_byte: u8, head: impl FnOnce(&mut Encoder), body: impl Read) -> impl Read {
    let mut start = Encoder::default();
    start.raw(b"REDIS0012").raw([type_byte, 1, b'k']);
    head(&mut start);
    Cursor::new(start.0).chain(body).chain(&b"\xff\0\0\0\0\0\0\0\0"[..])
}

/// Reads to the end; answers the bytes of the value.
fn read(name: &str, source: impl Read) -> u64 {
    let mut reader = Reader::new(source, Options::default()).unwrap();
    let Entry::Key(_) = reader.next_entry().unwrap() else { panic!("{name}: a key is there") };
    let value = reader.value(&mut Skip).unwrap();
    assert_eq!(value.damage, None, "{name}");
    assert!(matches!(reader.next_entry(), Ok(Entry::End(_))), "{name}");
    let peak = peak_memory_kib();
    println!("{name}: {} bytes, peak {peak} KiB", value.serialized_len);
    assert!(peak < MEMORY_MAX_KIB, "{name}: the process grew to {peak} KiB");
    value.serialized_len
}

fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn big_values_pass_by_in_little_memory() {
    const LEN: u64 = 128_000_000;
    let string = file(0, |out| _ = out.len(LEN), repeated(b"x", LEN));
    assert!(read("string", string) > LEN);

    // One literal, then references of 264 bytes to the byte before: 88 times what they take.
    let (times, reference) = (500_000, b"\xe0\xff\x00");
    let lzf_head = |out: &mut Encoder| {
        out.raw([0xc3]).len(2 + 3 * times).len(1 + 264 * times).raw(b"\x00x");
    };
    read("string of 132 MB in LZF", file(0, lzf_head, repeated(reference, times)));

    let pair = |number| format!("\x0ffield-{number:09}\x05value").into_bytes();
    read("hash", file(4, |out| _ = out.len(2_000_000), made(2_000_000, pair)));

    let (entry, count) = (b"\x85value\x06", 4_000_000);
    let listpack_len = 7 * (count + 1);
    let listpack_head = |out: &mut Encoder| {
        let total = u32::try_from(listpack_len).unwrap();
        out.len(1).len(2).len(listpack_len).raw(total.to_le_bytes()).raw([0xff, 0xff]);
    };
    let body = repeated(entry, count).chain(&b"\xff"[..]);
    read("list in one listpack", file(18, listpack_head, body));

    let node = b"\x02\x0e\x0e\0\0\0\x01\0\x85value\x06\xff";
    read("list of many nodes", file(18, |out| _ = out.len(500_000), repeated(node, 500_000)));

    let strings = repeated(b"\x05\x05value", 2_000_000).chain(&b"\0"[..]);
    read("module", file(7, |out| _ = out.len(1 << 10), strings));
}

#[test]
fn claims_size_nothing() {
    let claim = |type_byte: u8, len: u64| {
        let mut value = Encoder::default();
        value.len_as(StringForm::Len64, len);
        let mut file = RdbFile::redis(12);
        file.raw([type_byte, 1, b'k']).raw(value.0).finish()
    };
    for type_byte in [0, 1, 2, 3, 4, 5, 10, 11, 13, 14, 15, 16, 17, 18, 20, 21, 22] {
        for len in [1 << 28, 1 << 31, 1 << 40, 1 << 62, u64::MAX] {
            let bytes = claim(type_byte, len);
            let mut reader = Reader::new(&*bytes, Options::default()).unwrap();
            reader.next_entry().unwrap();
            let error = reader.value(&mut Skip).unwrap_err();
            let kinds = [ErrorKind::Truncated, ErrorKind::Limit, ErrorKind::Corrupt];
            assert!(kinds.contains(&error.kind()), "type {type_byte}, {len}: {error}");
        }
    }
    let peak = peak_memory_kib();
    assert!(peak < MEMORY_MAX_KIB, "the process grew to {peak} KiB");
}
