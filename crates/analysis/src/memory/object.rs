//! What every key costs beside its value: name, entry, object and expiry; and string values,
//! which may share the object's block.
//!
//! Up to Redis 8.0 a key is a `dictEntry`, an `sds` and a `robj`, and its expiry one more
//! entry (`object.c`, `db.c`). Valkey 8.0 puts the name into the entry; Redis 8.2 (`kvobj`)
//! and Valkey 8.1 put name, expiry and short values into the object:
//!
//! ```text
//! [metadata classes 8 each][expiry 8][robj 16][header size 1][sds of the key][sds of the value]
//! ```

use offkey_rdb::Str;

use super::model::Model;
use super::rules::{Head, SdsUsage};
use super::sds::embedded_len;
use super::{Cost, Encoding};

/// `sizeof(robj)`; in Valkey 9 a value that is embedded takes the place of the pointer.
const ROBJ_LEN: u64 = 16;
/// `sizeof(dictEntry)`.
pub(crate) const DICT_ENTRY_LEN: u64 = 24;
/// Longest value embedded where the object holds nothing else (`OBJ_ENCODING_EMBSTR_SIZE_LIMIT`).
const EMBSTR_LEN_MAX: u64 = 44;
/// No value longer than this is embedded in Valkey 9, however short its key.
const VALKEY_9_LEN_MAX: u64 = 116;
/// From this length on an expiry's place is reserved (`KEY_SIZE_TO_INCLUDE_EXPIRE_THRESHOLD`).
const LONG_KEY_LEN: u64 = 128;
/// Integers below are shared by all keys (`OBJ_SHARED_INTEGERS`), where objects have no key.
const SHARED_INTEGERS: i64 = 10_000;

/// What is known of a key before its value.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyHead {
    /// Length of the name.
    pub(crate) len: u64,
    /// Whether it expires.
    pub(crate) expires: bool,
    /// Metadata classes attached.
    pub(crate) meta_class_count: u64,
    /// Whether the server kept LRU or LFU data, so that integers have objects of their own.
    pub(crate) has_lru: bool,
}

impl KeyHead {
    fn is_long(&self) -> bool {
        self.len >= LONG_KEY_LEN
    }
}

/// A key without its value: `MEMORY USAGE` starts from the object and adds the head last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ObjectCost {
    pub(crate) head: Cost,
    pub(crate) object: Cost,
}

impl Model {
    /// Computes what [`Model::object`] looks up.
    pub(crate) fn object_of(&self, key: &KeyHead) -> ObjectCost {
        let object = match self.rules.head {
            Head::Argument | Head::Requested | Head::Usable | Head::InEntry => {
                Cost { bytes: self.usable(ROBJ_LEN), usage: ROBJ_LEN }
            }
            Head::Object8_2_0 => Cost { usage: ROBJ_LEN, ..self.redis_block(key, None) },
            Head::Object8_2 | Head::Object8_6 => self.redis_block(key, None),
            Head::Object8_4 => {
                let small = ROBJ_LEN + 1 + embedded_len(key.len);
                let has_spare = self.usable(small) >= small + 8;
                let expiry = if key.expires || key.is_long() || has_spare { 8 } else { 0 };
                Cost { usage: small + expiry, ..self.redis_block(key, None) }
            }
            Head::Object8_10 => {
                Cost { usage: Self::redis_block_len(key, None), ..self.redis_block(key, None) }
            }
            Head::ValkeyUncounted => {
                Cost { usage: ROBJ_LEN, bytes: self.valkey_block(key, None).0 }
            }
            Head::Valkey8_1 | Head::Valkey9 => Cost::same(self.valkey_block(key, None).0),
        };
        ObjectCost { head: self.head(key), object }
    }

    /// Entry and name where they are not part of the object, and the expiry's entry.
    fn head(&self, key: &KeyHead) -> Cost {
        let requested = self.rules.sds_limits.alloc_len(key.len);
        let cluster_len = if self.config.cluster { self.rules.cluster_entry_len } else { 0 };
        let usage = match self.rules.head {
            // The argument's buffer: an embedded string up to 44 bytes.
            Head::Argument if key.len <= EMBSTR_LEN_MAX => DICT_ENTRY_LEN + key.len + 4,
            Head::Argument | Head::Requested => DICT_ENTRY_LEN + requested,
            Head::Usable => DICT_ENTRY_LEN + cluster_len + self.usable(requested),
            Head::InEntry => {
                let entry = self.usable(16 + 1 + requested);
                let expiry = if key.expires { self.usable(DICT_ENTRY_LEN) } else { 0 };
                return Cost { bytes: entry + expiry, usage: entry };
            }
            Head::Object8_2_0
            | Head::Object8_2
            | Head::Object8_4
            | Head::Object8_6
            | Head::Object8_10
            | Head::ValkeyUncounted
            | Head::Valkey8_1
            | Head::Valkey9 => return Cost::default(),
        };
        let expiry = if key.expires { self.usable(DICT_ENTRY_LEN) } else { 0 };
        let entry = self.usable(DICT_ENTRY_LEN + cluster_len);
        Cost { bytes: self.usable(requested) + entry + expiry, usage }
    }

    /// A string key with its value.
    #[inline]
    pub(crate) fn string(&self, key: &KeyHead, value: &Str<'_>) -> (Encoding, Cost) {
        let len = value.len.min(super::LEN_MAX);
        let inside_max =
            if self.rules.head == Head::Valkey9 { VALKEY_9_LEN_MAX } else { EMBSTR_LEN_MAX };
        if len > inside_max {
            let object = self.object(key);
            return (Encoding::Raw, object.head + object.object + self.sds(len));
        }
        let int = if len <= 20 { value.to_int() } else { None };
        if int.is_none()
            && let Some(object) = self.embstr(key, len)
        {
            return (Encoding::Embstr, self.head(key) + object);
        }
        let mut cost = self.object(key);
        if let Some(int) = int {
            let shared = (0..SHARED_INTEGERS).contains(&int) && !key.has_lru;
            match self.rules.head {
                Head::Argument | Head::Requested | Head::Usable | Head::InEntry if shared => {
                    cost.object.bytes = 0;
                }
                _ => {}
            }
            return (Encoding::Int, cost.head + cost.object);
        }
        (Encoding::Raw, cost.head + cost.object + self.sds(len))
    }

    /// The object with a short value inside, if it may be there.
    fn embstr(&self, key: &KeyHead, len: u64) -> Option<Cost> {
        // Key and value share a cache line: headers of 3 and 4 bytes are taken for granted.
        let in_line =
            |expiry: u64| len <= EMBSTR_LEN_MAX && ROBJ_LEN + key.len + 3 + expiry + 4 + len <= 64;
        match self.rules.head {
            Head::Argument | Head::Requested | Head::Usable | Head::InEntry => {
                let allocated = self.usable(ROBJ_LEN + 3 + len + 1);
                // Up to 6.2 the header was taken for one byte.
                let usage =
                    if self.rules.blob_usage_rounded { allocated } else { ROBJ_LEN + len + 2 };
                (len <= EMBSTR_LEN_MAX).then_some(Cost { bytes: allocated, usage })
            }
            Head::Object8_2_0 | Head::Object8_2 | Head::Object8_4 => {
                let expiry = if key.expires { 8 } else { 0 };
                in_line(expiry).then(|| self.redis_block(key, Some(len)))
            }
            Head::Object8_6 | Head::Object8_10 => {
                in_line(0).then(|| self.redis_block(key, Some(len)))
            }
            Head::ValkeyUncounted | Head::Valkey8_1 => {
                let (block, moved) = self.valkey_block(key, Some(len));
                (in_line(0) && (!moved || in_line(8))).then_some(Cost::same(block))
            }
            Head::Valkey9 => {
                let fits = |expiry: u64| expiry + 8 + 1 + embedded_len(key.len) + len + 4 <= 128;
                let (block, moved) = self.valkey_block(key, Some(len));
                (fits(0) && (!moved || fits(8))).then_some(Cost::same(block))
            }
        }
    }

    /// Bytes of a `kvobj` (`kvobjCreate`, `kvobjCreateEmbedString`): an expiry's place is kept
    /// for long keys too, unless the value is inside.
    fn redis_block_len(key: &KeyHead, value_len: Option<u64>) -> u64 {
        let reserved = key.is_long() && value_len.is_none();
        let slots = u64::from(key.expires || reserved) + key.meta_class_count;
        ROBJ_LEN + 8 * slots + 1 + embedded_len(key.len) + value_len.map_or(0, |len| len + 4)
    }

    fn redis_block(&self, key: &KeyHead, value_len: Option<u64>) -> Cost {
        Cost::same(self.usable(Self::redis_block_len(key, value_len)))
    }

    /// Allocation of a Valkey object, and whether the expiry moved it: the object is made
    /// without one and keeps its block if that has eight bytes to spare
    /// (`createObjectWithKeyAndExpire`, `objectSetExpire`).
    fn valkey_block(&self, key: &KeyHead, value_len: Option<u64>) -> (u64, bool) {
        let name = 1 + embedded_len(key.len);
        let len = match (self.rules.head, value_len) {
            (Head::Valkey9, Some(len)) => ROBJ_LEN - 8 + name + (len + 4).max(8),
            (_, Some(len)) => ROBJ_LEN + name + len + 4,
            (_, None) if key.is_long() => ROBJ_LEN + 8 + name,
            (_, None) => ROBJ_LEN + name,
        };
        let block = self.usable(len);
        let reserved = key.is_long() && value_len.is_none();
        if key.expires && !reserved && block < len + 8 {
            (self.usable(len + 8), true)
        } else {
            (block, false)
        }
    }

    /// Computes what [`Model::sds`] looks up.
    pub(crate) fn sds_of(&self, len: u64) -> Cost {
        let bytes = self.usable(self.rules.sds_limits.alloc_len(len));
        let usage = match self.rules.sds_usage {
            SdsUsage::Requested => self.rules.sds_limits.alloc_len(len),
            SdsUsage::Usable => bytes,
            SdsUsage::Tracked if (1..0x20).contains(&len) => len + 2,
            SdsUsage::Tracked => bytes,
        };
        Cost { bytes, usage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Allocator, Config};

    fn model(profile: &str) -> Model {
        Model::new(profile.parse().unwrap(), Allocator::Jemalloc, Config::default())
    }

    fn usage(profile: &str, key_len: u64, expires: bool, value: &[u8]) -> (Encoding, u64) {
        let key = KeyHead { len: key_len, expires, ..KeyHead::default() };
        let (encoding, cost) = model(profile).string(&key, &Str::from_bytes(value));
        (encoding, cost.usage)
    }

    /// `SET kkkkk vvvvvvvvvv` on each version.
    #[test]
    fn short_string_costs_what_the_server_says() {
        for (profile, expected) in [
            ("redis-4.0", 24 + 9 + 16 + 12),
            ("redis-5.0", 24 + 7 + 16 + 12),
            ("redis-6.2", 24 + 8 + 16 + 12),
            ("redis-7.2", 24 + 8 + 32),
            ("valkey-8.0", 24 + 32),
            ("redis-8.2", 40),
            ("valkey-8.1", 40),
            ("valkey-9.1", 32),
        ] {
            let found = usage(profile, 5, false, b"vvvvvvvvvv");
            assert_eq!(found, (Encoding::Embstr, expected), "{profile}");
        }
    }

    #[test]
    fn value_is_embedded_while_it_shares_the_line_with_its_key() {
        // 16 + 17 + 3 + 4 + 24 = 64
        assert_eq!(usage("redis-8.2", 17, false, &[b'v'; 24]).0, Encoding::Embstr);
        assert_eq!(usage("redis-8.2", 18, false, &[b'v'; 24]).0, Encoding::Raw);
        assert_eq!(usage("redis-8.2", 17, true, &[b'v'; 24]).0, Encoding::Raw);
        assert_eq!(usage("redis-8.10", 17, true, &[b'v'; 24]).0, Encoding::Embstr);
        assert_eq!(usage("redis-7.2", 300, true, &[b'v'; 44]).0, Encoding::Embstr);
        assert_eq!(usage("valkey-9.1", 17, false, &[b'v'; 96]).0, Encoding::Embstr);
        assert_eq!(usage("valkey-9.1", 17, false, &[b'v'; 97]).0, Encoding::Raw);
    }

    #[test]
    fn integers_have_no_value_beside_the_object() {
        for (profile, expected) in [("redis-6.2", 24 + 8 + 16), ("redis-8.10", 16 + 1 + 7)] {
            assert_eq!(usage(profile, 5, false, b"-123"), (Encoding::Int, expected), "{profile}");
        }
        let shared = KeyHead { len: 5, ..KeyHead::default() };
        let cost = |value| model("redis-6.2").string(&shared, &Str::from_int(value)).1.bytes;
        assert_eq!((cost(9999), cost(10_000)), (32, 48));
    }

    #[test]
    fn expiry_takes_spare_bytes_first_in_valkey() {
        // 17 + 7 = 24 is a size class: no byte to spare; 17 + 8 = 25 leaves 7 of 32.
        assert_eq!(usage("valkey-8.1", 5, true, b"12345678").1, 32);
        assert_eq!(usage("valkey-8.1", 5, false, b"12345678").1, 24);
        // 17 + 32 + 4 = 65 of 80 without, 73 of 80 with expiry.
        assert_eq!(usage("valkey-8.1", 44, true, b"12345678").1, 80);
    }
}
