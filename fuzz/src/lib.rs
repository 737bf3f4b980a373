//! What the fuzz targets share: files around the bytes of the fuzzer, and what must hold of them.

use std::io::Read;

use offkey_rdb::{Entry, Error, Options, Part, Reader, Visit};
use offkey_testkit::{Encoder, RdbFile, Value, lzf_compress, value};

/// Counts what passes.
struct Parts {
    count: usize,
    wants_items: bool,
}

impl Visit for Parts {
    fn part(&mut self, _: Part<'_>) {
        self.count += 1;
    }

    fn wants_items(&self, _: Option<u64>) -> bool {
        self.wants_items
    }
}

/// What came out of a file: parts, keys, damaged keys, and how it ended.
#[derive(Debug, PartialEq)]
pub struct Summary {
    parts: usize,
    keys: Vec<Vec<u8>>,
    damage: Vec<String>,
    end: Result<String, String>,
}

impl Summary {
    /// Whether the end was reached, damage or not.
    pub fn is_whole(&self) -> bool {
        self.end.is_ok()
    }
}

/// Reads a file to its end or to an error.
fn read(source: impl Read, wants_items: bool) -> Summary {
    let mut parts = Parts { count: 0, wants_items };
    let (mut keys, mut damage) = (Vec::new(), Vec::new());
    let run = || -> Result<String, Error> {
        let mut reader = Reader::new(source, Options::default())?;
        loop {
            match reader.next_entry()? {
                Entry::Key(_) => {
                    let name = reader.key().to_vec();
                    let end = reader.value(&mut parts)?;
                    keys.push(name);
                    damage.extend(end.damage.map(|damage| format!("{damage:?}")));
                }
                Entry::HashTemplate { .. } => _ = reader.value(&mut parts)?,
                Entry::End(checksum) => return Ok(format!("{checksum:?}")),
                _ => {}
            }
        }
    };
    let end = run().map_err(|error| error.to_string());
    Summary { parts: parts.count, keys, damage, end }
}

/// Hands out one byte at a time.
struct Bytes<'a>(&'a [u8]);

impl Read for Bytes<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = buf.len().min(1);
        self.0.read(buf.get_mut(..len).unwrap_or_default())
    }
}

/// Reads a file whole, byte by byte and without the items of blobs, which must give the same.
pub fn read_every_way(bytes: &[u8]) -> Summary {
    let whole = read(bytes, true);
    assert_eq!(whole, read(Bytes(bytes), true), "byte by byte gives another answer");
    let rows = Summary { parts: whole.parts, ..read(bytes, false) };
    assert_eq!(whole, rows, "without items it gives another answer");
    whole
}

/// A file with a key of this type and content between two others.
pub fn file_with(type_byte: u8, content: &[u8]) -> Vec<u8> {
    let middle = Value { type_byte, bytes: content.to_vec(), object_type: "", count: 0 };
    let mut file = RdbFile::redis(15);
    file.hash_template(0, &["a", "b"]).select_db(0).key("before", &value::string("1"));
    file.key("middle", &middle).key("after", &value::string("2")).finish()
}

/// Reads a blob as a value of each of these types, as it is and compressed. Whatever is in
/// it, it costs one key and no more.
pub fn read_blob(blob: &[u8], types: &[u8]) {
    for type_byte in types {
        let mut content = Encoder::default();
        match type_byte {
            14 => _ = content.len(1),
            18 => _ = content.len(1).len(2),
            25 => _ = content.raw([0; 8]),
            _ => {}
        }
        let mut compressed = content.clone();
        content.len(blob.len()).raw(blob);
        let lzf = lzf_compress(blob);
        compressed.raw([0xc3]).len(lzf.len()).len(blob.len()).raw(lzf);
        for content in [content.0, compressed.0] {
            let summary = read_every_way(&file_with(*type_byte, &content));
            let names: [&[u8]; 3] = [b"before", b"middle", b"after"];
            assert_eq!(summary.keys, names, "type {type_byte}");
            assert_eq!(summary.end.as_deref(), Ok("Right"), "type {type_byte}");
            assert!(summary.damage.len() <= 1, "type {type_byte}");
        }
    }
}
