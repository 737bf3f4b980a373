//! Files of random keys, with the truth about each.

use crate::dialect::Dialect;
use crate::encoder::{StringForm, canonical_integer};
use crate::file::RdbFile;
use crate::rng::Rng;
use crate::stream::{Consumer, Group, Producer, Stream, StreamEntry, StreamId, StreamVersion};
use crate::value::{self, ExpiringField, Slot, Value};

/// The truth about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Database.
    pub db: u64,
    /// Name.
    pub key: Vec<u8>,
    /// The byte before it.
    pub type_byte: u8,
    /// What the server's `TYPE` answers.
    pub object_type: &'static str,
    /// Elements; bytes of a string; 1 for a module value.
    pub count: u64,
    /// Expiry in milliseconds since 1970.
    pub expire_at_ms: Option<i64>,
    /// Seconds since the last access.
    pub idle_seconds: Option<u64>,
    /// Access counter.
    pub freq: Option<u8>,
    /// Offset of the byte after its record.
    pub end: u64,
}

/// A file and the truth about it.
#[derive(Debug, Clone)]
pub struct Keyspace {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its keys in order.
    pub keys: Vec<Expected>,
}

const MODULE_2: u8 = 7;
/// Fields in the order the server demands: by length, then by bytes.
const TEMPLATES: &[&[&str]] = &[&["age", "name", "email"], &["only"]];

impl Keyspace {
    /// Makes a file of `key_count` keys of every type of the dialect in turn.
    pub fn generate(seed: u64, dialect: Dialect, key_count: usize) -> Self {
        Generator::new(seed, dialect).keyspace(key_count)
    }

    /// The same with short strings and a few elements, for tests that read a file often.
    pub fn generate_small(seed: u64, dialect: Dialect, key_count: usize) -> Self {
        Generator { small: true, ..Generator::new(seed, dialect) }.keyspace(key_count)
    }

    /// Blobs of more entries than their count can say, and longer than a reader will hold.
    pub fn generate_huge(seed: u64) -> Self {
        Generator::new(seed, Dialect::Redis(11)).huge()
    }

    /// Without data of modules, which a server without them refuses.
    pub fn generate_without_modules(seed: u64, dialect: Dialect, key_count: usize) -> Self {
        Generator { modules: false, ..Generator::new(seed, dialect) }.keyspace(key_count)
    }
}

struct Generator {
    rng: Rng,
    dialect: Dialect,
    small: bool,
    modules: bool,
}

impl Generator {
    fn new(seed: u64, dialect: Dialect) -> Self {
        Self { rng: Rng::new(seed), dialect, small: false, modules: true }
    }

    fn keyspace(&mut self, key_count: usize) -> Keyspace {
        let mut file = match self.dialect {
            Dialect::Redis(version) => RdbFile::redis(version),
            Dialect::Valkey(version) => RdbFile::valkey(version),
        };
        self.preface(&mut file);
        let mut types = self.dialect.types();
        types.retain(|type_byte| self.modules || *type_byte != MODULE_2);
        let mut keys = Vec::with_capacity(key_count);
        let mut db = 0;
        for number in 0..key_count {
            if number == 0 || self.rng.one_in(key_count / 3 + 1) {
                db = if number == 0 { 0 } else { db + self.rng.between(1, 4) as u64 };
                file.select_db(db);
                if self.dialect.level() >= 7 {
                    file.resize_db(key_count as u64, 0);
                }
            }
            let type_byte = types[number % types.len()];
            let (expire_at_ms, idle_seconds, freq) = self.attributes(&mut file);
            let value = self.value(type_byte);
            let key = self.name(number);
            file.key(&key, &value);
            keys.push(Expected {
                db,
                key,
                type_byte,
                object_type: value.object_type,
                count: value.count,
                expire_at_ms,
                idle_seconds,
                freq,
                end: file.len() as u64,
            });
        }
        Keyspace { bytes: file.finish(), keys }
    }

    fn huge(&mut self) -> Keyspace {
        const COUNT: usize = 70_000;
        // A quicklist counts the entries of a node in sixteen bits.
        const NODE_LEN: usize = 65_000;
        let texts: Vec<_> = (0..COUNT).map(|i| format!("a-text-of-some-length-{i}")).collect();
        let pairs: Vec<_> = texts.iter().map(|text| (&text[..], "value")).collect();
        let scored: Vec<_> = texts.iter().map(|text| (&text[..], text.len() as f64)).collect();
        let integers: Vec<_> = (0..COUNT as i64).map(|i| i * 1_000_003).collect();
        let fields = vec![(b"field".to_vec(), self.rng.text(30)), (b"f".to_vec(), b"v".to_vec())];
        let entry = |ms| StreamEntry { id: (ms, 0), pairs: fields.clone(), deleted: false };
        let entries = (1..=COUNT as u64).map(entry).collect();
        let stream = Stream { entries, node_entries_max: 30_000, ..Stream::default() };
        let values = [
            value::hash_listpack(&pairs),
            value::zset_listpack(&scored),
            value::set_listpack(&texts),
            value::list_quicklist_2(&texts, NODE_LEN, 1000),
            value::list_quicklist(&texts, NODE_LEN),
            value::hash_ziplist(&pairs),
            value::zset_ziplist(&scored),
            value::set_intset(&integers),
            value::stream(&stream, StreamVersion::V3),
        ];
        let mut file = RdbFile::redis(11);
        file.select_db(0);
        let mut keys = Vec::new();
        for value in values {
            let key = format!("huge:{}", value.type_byte).into_bytes();
            file.key(&key, &value);
            keys.push(Expected {
                db: 0,
                key,
                type_byte: value.type_byte,
                object_type: value.object_type,
                count: value.count,
                expire_at_ms: None,
                idle_seconds: None,
                freq: None,
                end: file.len() as u64,
            });
        }
        Keyspace { bytes: file.finish(), keys }
    }

    /// What stands before the first key.
    fn preface(&mut self, file: &mut RdbFile) {
        let level = self.dialect.level();
        if level >= 7 {
            let is_valkey = matches!(self.dialect, Dialect::Valkey(_));
            file.aux(if is_valkey { "valkey-ver" } else { "redis-ver" }, "9.9.9");
            file.aux("redis-bits", "64").aux("ctime", "1700000000");
        }
        if level >= 9 && self.modules && self.rng.one_in(2) {
            file.module_aux("some-aux1", 2, &value::module_data(&self.rng.text(30)));
        }
        if level >= 10 {
            file.function("#!lua name=lib\nredis.register_function('f', function() return 1 end)");
        }
        if self.dialect == Dialect::Redis(15) {
            for (id, fields) in TEMPLATES.iter().enumerate() {
                file.hash_template(id as u64, fields);
            }
        }
    }

    /// Expiry, idle time and counter of the next key.
    fn attributes(&mut self, file: &mut RdbFile) -> (Option<i64>, Option<u64>, Option<u8>) {
        let (mut expire_at_ms, mut idle, mut freq) = (None, None, None);
        if self.rng.one_in(4) {
            let seconds = 1_600_000_000 + self.rng.below(500_000_000) as i32;
            let ms = i64::from(seconds) * 1000;
            expire_at_ms = Some(ms);
            if self.dialect.level() < 3 {
                file.expire_at_seconds(seconds);
            } else {
                file.expire_at_ms(ms);
            }
        }
        if self.dialect.level() >= 9 && self.rng.one_in(4) {
            if self.rng.one_in(2) {
                let seconds = self.rng.bits() >> self.rng.between(30, 63);
                idle = Some(seconds);
                file.idle(seconds);
            } else {
                let counter = self.rng.bits() as u8;
                freq = Some(counter);
                file.freq(counter);
            }
        }
        if self.dialect == Dialect::Redis(15) && self.modules && self.rng.one_in(8) {
            let data = value::module_data(&self.rng.text(40));
            file.key_meta(&[(7, &data)]);
        }
        (expire_at_ms, idle, freq)
    }

    /// A name that no other number gets, now and then long, binary or an integer.
    fn name(&mut self, number: usize) -> Vec<u8> {
        let rng = &mut self.rng;
        match rng.below(8) {
            0 => number.to_string().into_bytes(),
            1 => [number.to_string().as_bytes(), b":\x00\xff\r\n\x1b"].concat(),
            2 => [&rng.text(100), number.to_string().as_bytes()].concat(),
            _ => {
                let family = rng.pick(&["user", "order", "session"]);
                format!("{family}:{number}:{}", rng.below(10)).into()
            }
        }
    }

    fn text(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        match rng.below(8) {
            0 => Vec::new(),
            1 | 2 => rng.integer().to_string().into_bytes(),
            3 => {
                let len = rng.between(21, if self.small { 70 } else { 400 });
                rng.text(len)
            }
            4 if !self.small => {
                let len = *rng.pick(&[62, 63, 64, 65, 127, 128, 253, 254, 255, 4095, 4096]);
                rng.bytes(len)
            }
            _ => {
                let len = rng.between(1, if self.small { 12 } else { 30 });
                rng.bytes(len)
            }
        }
    }

    /// At most so many strings, no two of them equal.
    fn distinct_texts(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut texts: Vec<_> = (0..count).map(|_| self.text()).collect();
        texts.sort();
        texts.dedup();
        texts
    }

    fn string(&mut self) -> Value {
        let text = self.text();
        let form = match self.rng.below(6) {
            0 if text.len() < 0x40 => StringForm::Len6,
            1 if text.len() < 0x4000 => StringForm::Len14,
            2 => StringForm::Len32,
            3 => StringForm::Len64,
            4 if !text.is_empty() && canonical_integer(&text).is_none() => StringForm::Lzf,
            _ => return value::string(text),
        };
        value::string_as(form, text)
    }

    fn value(&mut self, type_byte: u8) -> Value {
        let count = match self.rng.below(10) {
            _ if self.small => self.rng.between(1, 4),
            0 => self.rng.between(100, 400),
            _ => self.rng.between(1, 20),
        };
        let texts = self.distinct_texts(count);
        let pairs: Vec<_> = texts.iter().map(|text| (text.clone(), self.text())).collect();
        match (type_byte, self.dialect) {
            (0, _) => self.string(),
            (1, _) => value::list(&texts),
            (2, _) => value::set(&texts),
            (3, _) => value::zset(&self.scored(texts)),
            (4, _) => value::hash(&pairs),
            (5, _) => value::zset_2(&self.scored(texts)),
            (7, _) => value::module_2("some-type", 3, &self.text()),
            (9, _) => value::hash_zipmap(&pairs),
            (10, _) => value::list_ziplist(&texts),
            (11, _) => self.intset(count),
            (12, _) => value::zset_ziplist(&self.scored(texts)),
            (13, _) => value::hash_ziplist(&pairs),
            (14, _) => value::list_quicklist(&texts, self.rng.between(1, 30)),
            (15, _) => value::stream(&self.stream(), StreamVersion::V1),
            (16, _) => value::hash_listpack(&pairs),
            (17, _) => value::zset_listpack(&self.scored(texts)),
            (18, _) => value::list_quicklist_2(&texts, self.rng.between(1, 30), 300),
            (19, _) => value::stream(&self.stream(), StreamVersion::V2),
            (20, _) => value::set_listpack(&texts),
            (21, _) => value::stream(&self.stream(), StreamVersion::V3),
            (22, Dialect::Redis(_)) => value::hash_metadata_pre_ga(&self.expiring(pairs)),
            (22, Dialect::Valkey(_)) => value::valkey_hash_2(&self.expiring(pairs)),
            (23, _) => value::hash_listpack_ex_pre_ga(&self.expiring(pairs)),
            (24, _) => value::hash_metadata(&self.expiring(pairs)),
            (25, _) => value::hash_listpack_ex(&self.expiring(pairs)),
            (26, _) => value::stream(&self.stream(), StreamVersion::V4),
            (27, _) => value::stream(&self.stream(), StreamVersion::V5),
            (28, _) => self.array(texts),
            (30, _) => {
                let (template, values) = self.template_values();
                value::hash_template_listpack(template, &values)
            }
            (32, _) => {
                let (template, values) = self.template_values();
                value::hash_template_array(template, &values)
            }
            _ => panic!("no generator for type {type_byte}"),
        }
    }

    fn intset(&mut self, count: usize) -> Value {
        let mut members: Vec<_> = (0..count).map(|_| self.rng.integer()).collect();
        members.sort_unstable();
        members.dedup();
        value::set_intset(&members)
    }

    fn scored(&mut self, members: Vec<Vec<u8>>) -> Vec<(Vec<u8>, f64)> {
        const EDGES: &[f64] = &[0.0, -0.0, 1.5, -1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY];
        let mut score = || match self.rng.below(3) {
            0 => *self.rng.pick(EDGES),
            1 => self.rng.below(1000) as f64,
            _ => self.rng.below(1_000_000) as f64 / 64.0,
        };
        members.into_iter().map(|member| (member, score())).collect()
    }

    fn expiring(&mut self, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<ExpiringField<Vec<u8>>> {
        const FROM_MS: u64 = 1_900_000_000_000;
        let mut expire = || self.rng.one_in(2).then(|| FROM_MS + self.rng.below(1 << 36) as u64);
        let mut fields: Vec<_> =
            pairs.into_iter().map(|(field, text)| (field, text, expire())).collect();
        // In a listpack the server keeps them by expiry, those without at the end.
        fields.sort_by_key(|field| field.2.unwrap_or(u64::MAX));
        fields
    }

    fn template_values(&mut self) -> (u64, Vec<Vec<u8>>) {
        let template = self.rng.below(TEMPLATES.len());
        (template as u64, TEMPLATES[template].iter().map(|_| self.text()).collect())
    }

    fn array(&mut self, texts: Vec<Vec<u8>>) -> Value {
        let mut index = 0;
        let mut slots = Vec::new();
        for mut text in texts {
            let slot = match self.rng.below(4) {
                0 => Slot::Integer(self.rng.integer()),
                1 => Slot::Float(self.rng.below(1000) as f64 / 8.0),
                2 => {
                    text.truncate(7);
                    Slot::SmallString(text)
                }
                _ => Slot::String(text),
            };
            slots.push((index, slot));
            index += self.rng.between(1, 1000) as u64;
        }
        let insert_at = self.rng.one_in(2).then_some(index);
        value::array(&slots, insert_at)
    }

    fn stream(&mut self) -> Stream {
        let node_entries_max = self.rng.between(1, if self.small { 3 } else { 100 });
        let mut stream = Stream { node_entries_max, ..Stream::default() };
        let fields = self.distinct_texts(3);
        let mut id = (1_700_000_000_000, 0);
        for number in 0..self.rng.between(1, if self.small { 5 } else { 60 }) {
            let mut pairs: Vec<_> = fields.iter().map(|f| (f.clone(), self.text())).collect();
            if self.rng.one_in(3) {
                pairs.push((b"another".to_vec(), self.text()));
            }
            // A server drops a node without live entries.
            let deleted = number % node_entries_max != 0 && self.rng.one_in(5);
            stream.entries.push(StreamEntry { id, pairs, deleted });
            let same_ms = self.rng.one_in(2);
            let later = self.rng.between(1, 99) as u64;
            id = if same_ms { (id.0, id.1 + 1) } else { (id.0 + later, 0) };
        }
        let ids: Vec<StreamId> = stream.entries.iter().map(|entry| entry.id).collect();
        stream.groups = (0..self.rng.below(3)).map(|number| self.group(&ids, number)).collect();
        if self.rng.one_in(2) {
            let message = |id: &StreamId| (format!("message-{}-{}", id.0, id.1).into(), *id);
            let messages = ids.iter().take(3).map(message).collect();
            stream.producers = vec![Producer { name: b"producer".to_vec(), messages }];
        }
        stream
    }

    fn group(&mut self, ids: &[StreamId], number: usize) -> Group {
        let mut group = Group {
            name: format!("group-{number}").into_bytes(),
            last_id: *self.rng.pick(ids),
            ..Group::default()
        };
        for number in 0..self.rng.below(4) {
            group.consumers.push(Consumer {
                name: format!("consumer-{number}").into_bytes(),
                seen_at_ms: 1_700_000_000_000,
                pending: Vec::new(),
            });
        }
        let count = group.consumers.len();
        for id in ids {
            if self.rng.one_in(8) {
                group.nacked.push(*id);
            } else if count > 0 && self.rng.one_in(3) {
                group.consumers[self.rng.below(count)].pending.push(*id);
            }
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crc64;

    #[test]
    fn every_dialect_has_every_of_its_types() {
        for dialect in Dialect::ALL {
            let types = dialect.types();
            let keyspace = Keyspace::generate(1, *dialect, types.len());
            let written: Vec<_> = keyspace.keys.iter().map(|key| key.type_byte).collect();
            assert_eq!(written, types, "{dialect:?}");
            assert_eq!(keyspace.bytes, Keyspace::generate(1, *dialect, types.len()).bytes);
        }
    }

    #[test]
    fn files_end_with_their_checksum() {
        let bytes = Keyspace::generate(2, Dialect::Redis(12), 50).bytes;
        let (body, checksum) = bytes.split_last_chunk().unwrap();
        assert_eq!(u64::from_le_bytes(*checksum), crc64(body));
    }
}
