//! Random keys for a real server, around every size at which something changes.

use offkey_testkit::{Client, Reply, Rng};

type Words = Vec<Vec<u8>>;

/// A sort of keys: how many of them make several megabytes, and the sizes of each.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) keys: usize,
    /// Least and most elements.
    counts: (usize, usize),
    add: fn(&mut Data, Words, usize),
}

const fn kind(
    name: &'static str,
    keys: usize,
    counts: (usize, usize),
    add: fn(&mut Data, Words, usize),
) -> Kind {
    Kind { name, keys, counts, add }
}

/// One kind for every way in which a server keeps values.
pub(crate) const KINDS: [Kind; 15] = [
    kind("strings", 30_000, (0, 0), Data::string),
    kind("integers with expiry", 40_000, (0, 0), Data::integer),
    kind("long strings", 800, (0, 0), Data::long_string),
    kind("small lists", 12_000, (1, 20), Data::list),
    kind("big lists", 60, (3000, 6000), Data::list),
    kind("intsets", 6_000, (1, 512), Data::integer_set),
    kind("small sets", 8_000, (1, 40), Data::set),
    kind("table sets", 100, (600, 1500), Data::set),
    kind("small hashes", 8_000, (1, 20), Data::hash),
    kind("big hashes", 80, (520, 1500), Data::hash),
    kind("small zsets", 8_000, (1, 30), Data::zset),
    kind("big zsets", 80, (150, 1500), Data::zset),
    kind("streams", 150, (1, 1000), Data::stream),
    kind("streams with groups", 150, (100, 500), Data::stream_with_groups),
    kind(FIELD_EXPIRY, 400, (1, 200), Data::expiring_hash),
];

/// The kind that not every server knows, and whose index is a measured mean.
pub(crate) const FIELD_EXPIRY: &str = "field expiry";

/// How many keys of each kind twenty thousand ordinary ones are: what is big is rare.
const USUAL: [usize; 15] = [8000, 3000, 60, 2000, 4, 600, 1400, 2, 3000, 2, 1400, 2, 6, 2, 6];

/// Sizes at which encodings, nodes and tables change, and some between them.
const COUNTS: &[usize] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 16, 17, 20, 40, 64, 65, 100, 126, 127, 128, 129, 130, 160, 200,
    256, 257, 400, 511, 512, 513, 514, 700, 1024, 1025, 1500,
];
const VALUE_LENGTHS: &[usize] = &[
    0, 1, 19, 20, 21, 30, 31, 32, 42, 43, 44, 45, 46, 63, 64, 65, 107, 108, 109, 115, 116, 117,
    127, 128, 129, 250, 251, 252, 253, 254, 255, 256, 257, 4095, 4096,
];

/// Limits that are lowered for some keys, so that the load converts them; their defaults.
const LIMITS: &[(&str, usize)] = &[
    ("hash-max-ziplist-entries", 512),
    ("hash-max-ziplist-value", 64),
    ("zset-max-ziplist-entries", 128),
    ("zset-max-ziplist-value", 64),
    ("set-max-intset-entries", 512),
    ("set-max-listpack-entries", 128), // unknown up to Redis 7.0
    ("set-max-listpack-value", 64),
];

/// Fills a server.
pub(crate) struct Data {
    client: Client,
    rng: Rng,
    number: usize,
    waiting: Vec<Words>,
    waiting_len: usize,
    knows_field_expiry: bool,
    /// One in so many collections has an element that does not fit the smallest form.
    odd_one_in: usize,
}

impl Data {
    pub(crate) fn new(mut client: Client, seed: u64) -> Self {
        let knows_field_expiry = match client.call(&[b"COMMAND", b"INFO", b"HPEXPIRE"]) {
            Reply::Array(infos) => matches!(infos.first(), Some(Reply::Array(_))),
            _ => false,
        };
        let rng = Rng::new(seed);
        let (waiting, waiting_len) = (Vec::new(), 0);
        let (number, odd_one_in) = (0, 4);
        Self { client, rng, number, waiting, waiting_len, knows_field_expiry, odd_one_in }
    }

    /// The kinds this server knows.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &'static Kind> + use<> {
        let knows_all = self.knows_field_expiry;
        KINDS.iter().filter(move |kind| knows_all || kind.name != FIELD_EXPIRY)
    }

    /// Adds `keys` keys of a kind and of its own sizes.
    pub(crate) fn add_many(&mut self, kind: &Kind, keys: usize) {
        for _ in 0..keys {
            let count = self.rng.between(kind.counts.0, kind.counts.1);
            self.add(kind, count);
        }
        self.send();
    }

    /// Adds twenty thousand ordinary keys, so many times.
    pub(crate) fn add_usual_mix(&mut self, times: usize) {
        self.odd_one_in = 1000;
        for (kind, keys) in self.kinds().zip(USUAL) {
            self.add_many(kind, keys * times);
        }
    }

    /// Adds keys of every kind with every number of elements where something changes, half of
    /// them under lowered limits.
    pub(crate) fn add_border_cases(&mut self, keys: usize) {
        for lowered in [true, false] {
            self.set_limits(lowered);
            for kind in self.kinds() {
                // Strings are quick and have the most borders.
                let keys = if kind.counts.1 == 0 { keys * 4 } else { keys };
                for _ in 0..keys {
                    let count = *self.rng.pick(COUNTS) + self.rng.below(2);
                    self.add(kind, count);
                }
            }
            self.send();
        }
    }

    fn add(&mut self, kind: &Kind, count: usize) {
        let key = self.key();
        (kind.add)(self, vec![key], count);
    }

    fn set_limits(&mut self, lowered: bool) {
        for (name, default) in LIMITS {
            let value = if lowered { 4 } else { *default }.to_string();
            let reply = self.client.call(&[b"CONFIG", b"SET", name.as_bytes(), value.as_bytes()]);
            assert!(name.contains("listpack") || reply == Reply::Status("OK".into()), "{name}");
        }
    }

    fn command(&mut self, words: Words) {
        self.waiting_len += words.iter().map(Vec::len).sum::<usize>();
        self.waiting.push(words);
        if self.waiting.len() >= 1000 || self.waiting_len > 1 << 20 {
            self.send();
        }
    }

    fn send(&mut self) {
        let commands = std::mem::take(&mut self.waiting);
        self.waiting_len = 0;
        for (reply, command) in self.client.call_all(&commands).into_iter().zip(&commands) {
            let name = command[0].escape_ascii();
            assert!(!matches!(reply, Reply::Error(_)), "{name}: {reply:?}");
        }
    }

    /// `NAME KEY ARGUMENT...`
    fn with(&mut self, name: &str, key: &[Vec<u8>], arguments: impl IntoIterator<Item = Vec<u8>>) {
        let mut words = vec![name.as_bytes().to_vec()];
        words.extend_from_slice(key);
        words.extend(arguments);
        self.command(words);
    }

    /// A name of 1 to 300 bytes that no other key has.
    fn key(&mut self) -> Vec<u8> {
        self.number += 1;
        let mut key = self.number.to_string().into_bytes();
        let len = match self.rng.below(20) {
            0 => self.rng.between(120, 135),
            1 => self.rng.between(240, 300),
            2..5 => self.rng.between(40, 120),
            _ => self.rng.between(1, 40),
        };
        if key.len() < len {
            key.push(b':');
            let text = self.rng.bytes(len.saturating_sub(key.len()));
            key.extend(text);
        }
        key
    }

    fn text(&mut self, len: usize) -> Vec<u8> {
        if self.rng.one_in(4) { self.rng.text(len) } else { self.rng.bytes(len) }
    }

    /// An element: mostly short, now and then a number.
    fn item(&mut self) -> Vec<u8> {
        match self.rng.below(20) {
            0..4 => self.rng.integer().to_string().into_bytes(),
            4 => {
                let len = self.rng.between(40, 64);
                self.text(len)
            }
            _ => {
                let len = self.rng.between(0, 40);
                self.text(len)
            }
        }
    }

    /// Elements, now and then with a long one at a random place.
    fn items(&mut self, count: usize) -> Words {
        let mut items: Vec<_> = (0..count.max(1)).map(|_| self.item()).collect();
        if self.rng.one_in(self.odd_one_in) {
            let len = match self.rng.below(8) {
                0 => self.rng.between(4000, 20_000),
                _ => self.rng.between(65, 400),
            };
            let at = self.rng.below(items.len());
            items[at] = self.text(len);
        }
        items
    }

    fn string(&mut self, key: Words, _: usize) {
        let len = match self.rng.below(10) {
            0..4 => *self.rng.pick(VALUE_LENGTHS),
            4 => self.rng.between(40, 1000),
            _ => self.rng.between(1, 60),
        };
        let text = self.text(len);
        self.with("SET", &key, [text]);
        self.expire_some(&key, 4);
    }

    fn integer(&mut self, key: Words, _: usize) {
        let integer = self.rng.integer().to_string().into_bytes();
        self.with("SET", &key, [integer]);
        self.expire_some(&key, 1);
    }

    fn long_string(&mut self, key: Words, _: usize) {
        let bits = self.rng.between(8, 17);
        let len = self.rng.between(1, 1 << bits);
        let text = self.rng.bytes(len);
        self.with("SET", &key, [text]);
    }

    fn list(&mut self, key: Words, count: usize) {
        let items = self.items(count);
        self.with("RPUSH", &key, items);
        self.expire_some(&key, 8);
    }

    fn integer_set(&mut self, key: Words, count: usize) {
        let width = self.rng.between(12, 63);
        let mut integer = || (self.rng.bits() >> (64 - width)).to_string().into_bytes();
        let mut members: Vec<_> = (0..count.max(1)).map(|_| integer()).collect();
        if self.rng.one_in(2 * self.odd_one_in) {
            members.push(b"no integer".to_vec());
        }
        self.with("SADD", &key, members);
    }

    fn set(&mut self, key: Words, count: usize) {
        let members = self.items(count);
        self.with("SADD", &key, members);
        self.expire_some(&key, 8);
    }

    /// Some fields and values: half of the hashes have nothing over the limit of a blob.
    fn fields(&mut self, count: usize) -> Vec<[Vec<u8>; 2]> {
        let (fields, values) = (self.items(count), self.items(count));
        fields.into_iter().zip(values).map(|(field, value)| [field, value]).collect()
    }

    fn hash(&mut self, key: Words, count: usize) {
        let fields = self.fields(count);
        self.with("HMSET", &key, fields.into_iter().flatten());
        self.expire_some(&key, 8);
    }

    fn expiring_hash(&mut self, key: Words, count: usize) {
        let fields = self.fields(count);
        self.with("HMSET", &key, fields.iter().flatten().cloned());
        for [field, _] in &fields {
            if self.rng.one_in(2) {
                let after = self.after_ms();
                let words = [after, b"FIELDS".to_vec(), b"1".to_vec(), field.clone()];
                self.with("HPEXPIRE", &key, words);
            }
        }
    }

    fn zset(&mut self, key: Words, count: usize) {
        let members = self.items(count);
        let scored: Vec<_> = members.into_iter().flat_map(|m| [self.score(), m]).collect();
        self.with("ZADD", &key, scored);
        self.expire_some(&key, 8);
    }

    fn score(&mut self) -> Vec<u8> {
        let power = f64::from(u32::try_from(self.rng.below(40)).unwrap());
        let score = match self.rng.below(7) {
            0 => self.rng.below(1000) as f64,
            1 => self.rng.below(1 << 40) as f64 / 1e3,
            2 => self.rng.below(1 << 30) as f64 / 1e17,
            3 => *self.rng.pick(&[-0.0, 5e-324, f64::INFINITY, f64::MIN, 1e15, 1e18]),
            // Around 2^52, 2^62 and 2^63, where integers are printed in another way.
            4 => f64::exp2(*self.rng.pick(&[52.0, 53.0, 62.0, 63.0])) + power.exp2() - 512.0,
            5 => -((self.rng.bits() >> self.rng.below(63)) as f64),
            _ => Some(f64::from_bits(self.rng.bits())).filter(|s| !s.is_nan()).unwrap_or(0.5),
        };
        format!("{score:e}").into_bytes()
    }

    fn stream(&mut self, key: Words, count: usize) {
        let mut ms = self.rng.below(1 << 40);
        let step = *self.rng.pick(&[1, 50, 70_000]);
        for number in 0..count.max(1) {
            ms += self.rng.below(step + 1);
            let id = format!("{ms}-{number}");
            let mut words = vec![id.into_bytes()];
            for _ in 0..self.rng.between(1, 3) {
                let len = self.rng.between(1, 10);
                words.extend([self.rng.text(len), self.item()]);
            }
            let deleted = number > 0 && self.rng.one_in(20);
            let id = words[0].clone();
            self.with("XADD", &key, words);
            if deleted {
                self.with("XDEL", &key, [id]);
            }
        }
    }

    fn stream_with_groups(&mut self, key: Words, count: usize) {
        self.stream(key.clone(), count);
        for number in 0..self.rng.between(1, 3) {
            let len = self.rng.between(0, 60);
            let group = [number.to_string().into_bytes(), self.rng.text(len)].concat();
            let create = [b"CREATE".to_vec(), key[0].clone(), group.clone(), b"0".to_vec()];
            self.with("XGROUP", &[], create);
            for number in 0..self.rng.between(1, 4) {
                let len = self.rng.between(0, 40);
                let consumer = [number.to_string().into_bytes(), self.rng.text(len)].concat();
                let most = self.rng.between(1, 150).to_string().into_bytes();
                let words = [b"GROUP".to_vec(), group.clone(), consumer, b"COUNT".to_vec(), most];
                let tail = [b"STREAMS".to_vec(), key[0].clone(), b">".to_vec()];
                self.with("XREADGROUP", &[], words.into_iter().chain(tail));
            }
        }
    }

    /// Gives one of `n` keys an expiry.
    fn expire_some(&mut self, key: &[Vec<u8>], n: usize) {
        if self.rng.one_in(n) {
            let after = self.after_ms();
            self.with("PEXPIRE", key, [after]);
        }
    }

    /// Days to years from now: no key expires while the test runs.
    fn after_ms(&mut self) -> Vec<u8> {
        self.rng.between(1_000_000_000, 100_000_000_000).to_string().into_bytes()
    }
}
