//! Reads a whole file and keeps what a test wants to compare.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;

use std::ops::ControlFlow;

use offkey_rdb::{
    Blocks, Checker, Checksum, Damage, Entry, Error, Header, Key, ObjectType, Options, Part,
    RdbType, ReadAt, Reader, Unchecked, Visit,
};
use offkey_testkit::{Expected, Truth};

/// One key as the reader saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) key: Key,
    pub(crate) name: Vec<u8>,
    pub(crate) count: u64,
    /// Hash of every part of the value.
    pub(crate) content: u64,
    pub(crate) damage: Option<String>,
}

/// A file as the reader saw it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) header: Option<Header>,
    pub(crate) keys: Vec<Seen>,
    /// Every entry that is no key, as text.
    pub(crate) others: Vec<String>,
    pub(crate) end: Result<Checksum, Error>,
    /// Bytes read.
    pub(crate) at: u64,
}

impl Outcome {
    /// Whether all was read, nothing was damaged and the checksum does not object.
    pub(crate) fn is_complete(&self) -> bool {
        !matches!(self.end, Err(_) | Ok(Checksum::Wrong { .. }))
            && self.keys.iter().all(|key| key.damage.is_none())
    }

    pub(crate) fn damaged(&self) -> impl Iterator<Item = &Seen> {
        self.keys.iter().filter(|key| key.damage.is_some())
    }
}

/// Reads a file in this thread.
pub(crate) fn read(source: impl Read) -> Outcome {
    match Reader::new(source, Options::default()) {
        Ok(reader) => read_all(reader, true),
        Err(error) => failed(error),
    }
}

/// Reads a file without asking for the items of packed blobs.
pub(crate) fn read_rows(source: impl Read) -> Outcome {
    match Reader::new(source, Options::default()) {
        Ok(reader) => read_all(reader, false),
        Err(error) => failed(error),
    }
}

/// Reads a file with string keys in a row where they are plain, `count_max` at most at once;
/// their offsets are not told. Answers also how many they were.
pub(crate) fn read_strings(source: impl Read, count_max: usize) -> (Outcome, usize) {
    let mut count = 0;
    let outcome = match Reader::new(source, Options::default()) {
        Ok(reader) => read_keys(reader, true, |reader, keys| {
            let (db, slot) = (reader.db(), reader.slot());
            let mut left = count_max;
            let (first, first_number) = (keys.len(), reader.value_number());
            reader.strings_at_hand(|string| {
                assert_eq!(&string.padded[..string.name.len()], string.name);
                let mut digest = Digest { wants_items: true, ..Digest::default() };
                digest.part(Part::String(string.value));
                let key = Key {
                    db,
                    key_len: string.name.len() as u64,
                    rdb_type: RdbType::String,
                    expire_at_ms: string.expire_at_ms,
                    idle_seconds: None,
                    freq: None,
                    slot,
                    meta_class_count: 0,
                    at: 0,
                };
                keys.push(Seen {
                    key,
                    name: string.name.to_vec(),
                    count: digest.count(key),
                    content: digest.content.0.finish(),
                    damage: None,
                });
                count += 1;
                left -= 1;
                if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            assert_eq!(reader.value_number() - first_number, (keys.len() - first) as u64);
            let mut unchecked = Unchecked::default();
            reader.swap_unchecked(&mut unchecked);
            for (number, damage) in Checker::default().check(&mut unchecked) {
                let index = usize::try_from(number - first_number).unwrap();
                keys[first + index].damage = Some(damage_text(&damage));
            }
        }),
        Err(error) => failed(error),
    };
    (outcome, count)
}

/// Reads a file in another thread.
pub(crate) fn read_ahead(source: impl Read + Send + 'static) -> Outcome {
    match Reader::read_ahead(source, Options::default()) {
        Ok(reader) => read_all(reader, true),
        Err(error) => failed(error),
    }
}

/// Reads a file with the help of who reads ahead between its entries.
pub(crate) fn read_in_turns(source: impl ReadAt + 'static) -> Outcome {
    match Reader::in_turns(source, Options::default()) {
        Ok((reader, helper)) => read_keys(reader, true, |_, _| {
            helper.read_ahead();
        }),
        Err(error) => failed(error),
    }
}

fn failed(error: Error) -> Outcome {
    Outcome { header: None, keys: Vec::new(), others: Vec::new(), end: Err(error), at: 0 }
}

fn read_all<B: Blocks>(reader: Reader<B>, wants_items: bool) -> Outcome {
    read_keys(reader, wants_items, |_, _| {})
}

/// Reads keys, with `before` called before each entry.
fn read_keys<B: Blocks>(
    mut reader: Reader<B>,
    wants_items: bool,
    mut before: impl FnMut(&mut Reader<B>, &mut Vec<Seen>),
) -> Outcome {
    let mut keys = Vec::new();
    let mut others = Vec::new();
    let end = loop {
        before(&mut reader, &mut keys);
        let entry = match reader.next_entry() {
            Ok(entry) => entry,
            Err(error) => break Err(error),
        };
        match entry {
            Entry::End(checksum) => break Ok(checksum),
            Entry::Key(key) => match read_key(&mut reader, key, wants_items) {
                Ok(seen) => keys.push(seen),
                Err(error) => break Err(error),
            },
            other => others.push(format!("{other:?}")),
        }
    };
    let header = Some(reader.header());
    Outcome { header, keys, others, end, at: reader.at() }
}

fn read_key<B: Blocks>(reader: &mut Reader<B>, key: Key, wants_items: bool) -> Result<Seen, Error> {
    let name = reader.key().to_vec();
    let mut digest = Digest { wants_items, ..Digest::default() };
    let end = reader.value(&mut digest)?;
    let damage = end.damage.as_ref().map(damage_text);
    let content = digest.content.0.finish();
    Ok(Seen { key, name, count: digest.count(key), content, damage })
}

fn damage_text(damage: &Damage) -> String {
    format!("byte {}: {}", damage.at, damage.reason)
}

/// Counts elements as the server does and hashes what passes.
#[derive(Default)]
struct Digest {
    elements: u64,
    values: u64,
    content: Text,
    wants_items: bool,
}

#[derive(Default)]
struct Text(DefaultHasher);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Visit for Digest {
    fn part(&mut self, part: Part<'_>) {
        write!(self.content, "{part:?}").unwrap();
        match part {
            Part::String(string) => self.elements = string.len,
            Part::Intset { count, .. } | Part::Rows(count) => self.elements += count,
            Part::StreamMeta { length, .. } => self.elements = length,
            Part::Member(_) | Part::PlainNode { .. } | Part::Field(_) | Part::ArrayValue { .. } => {
                self.elements += 1;
            }
            Part::Value(_) => self.values += 1,
            _ => {}
        }
    }
    fn wants_items(&self, _: Option<u64>) -> bool {
        self.wants_items
    }
}

impl Digest {
    fn count(&self, key: Key) -> u64 {
        match key.rdb_type.object_type() {
            ObjectType::Module(_) => 1,
            // Values of template hashes come without fields.
            ObjectType::Hash => self.elements.max(self.values),
            _ => self.elements,
        }
    }
}

/// Compares what was seen with what was written.
pub(crate) fn assert_expected(seen: &[Seen], expected: &[Expected]) {
    for (seen, expected) in seen.iter().zip(expected) {
        assert_eq!(seen.damage, None, "{expected:?}");
        let name = expected.key.escape_ascii();
        assert_eq!(seen.name, expected.key, "{name}");
        assert_eq!(seen.key.db, expected.db, "{name}");
        assert_eq!(seen.count, expected.count, "{name}, type {}", expected.type_byte);
        assert_eq!(seen.key.expire_at_ms, expected.expire_at_ms, "{name}");
        assert_eq!(seen.key.idle_seconds, expected.idle_seconds, "{name}");
        assert_eq!(seen.key.freq, expected.freq, "{name}");
        match seen.key.rdb_type.object_type() {
            ObjectType::Module(_) => {}
            object_type => assert_eq!(object_type.to_string(), expected.object_type, "{name}"),
        }
    }
    assert_eq!(seen.len(), expected.len(), "keys");
}

/// Compares what was seen with what a server said; `idle` may be older by some seconds.
pub(crate) fn assert_truth(file: &str, seen: &[Seen], truth: &[Truth]) {
    let mut seen: Vec<_> = seen.iter().collect();
    let mut truth: Vec<_> = truth.iter().collect();
    seen.sort_by_key(|seen| (seen.key.db, &seen.name));
    truth.sort_by_key(|line| (line.db, &line.key));
    for (seen, line) in seen.iter().zip(&truth) {
        let name = format!("{file}: db {}, key {}", line.db, line.key.escape_ascii());
        assert_eq!((seen.key.db, &seen.name), (line.db, &line.key), "{name}");
        assert_eq!(seen.damage, None, "{name}");
        // What a module calls its type is its own choice; the reader knows the file's name.
        if !matches!(seen.key.rdb_type.object_type(), ObjectType::Module(_)) {
            assert_eq!(seen.key.rdb_type.object_type().to_string(), line.object_type, "{name}");
            assert_eq!(Some(seen.count), line.count, "{name}");
        }
        let expire = seen.key.expire_at_ms.unwrap_or(-1);
        match (line.pexpireat, line.pexpireat_approx) {
            (Some(exact), _) => assert_eq!(expire, exact, "{name}"),
            (None, Some(near)) => assert!((expire - near).abs() <= 2000, "{name}: {expire} {near}"),
            (None, None) => assert_eq!(expire >= 0, line.ttl.unwrap() >= 0, "{name}"),
        }
        if let Some(slot) = line.slot
            && let Some(seen_slot) = seen.key.slot
        {
            assert_eq!(seen_slot, slot, "{name}");
        }
        if !line.expired {
            assert_eq!(seen.key.freq, line.freq, "{name}");
        }
        if let Some(idle) = line.idle {
            let seen = seen.key.idle_seconds.expect("a file with idle times has them on all keys");
            assert!(seen.abs_diff(idle) <= 3, "{name}: idle {seen}, the server says {idle}");
        }
    }
    assert_eq!(seen.len(), truth.len(), "{file}: keys");
}
