//! Keys that are no plain strings, held in little room: another core reads them.

use offkey_rdb::{Key, ObjectType, RdbType};

use crate::SizeKind;
use crate::aggregate::types::Total;
use crate::batch::Place;
use crate::facts::KeyFacts;
use crate::memory::{Encoding, Sizes};

/// A key without its name and its place, if all there is to know of it is of usual size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRow {
    /// Nothing that matters where it does not expire.
    expire_at_ms: i64,
    num_of_elem: u32,
    bytes: u32,
    memory_usage: u32,
    serialized_bytes: u32,
    /// Nothing that matters where the file does not tell it.
    idle_seconds: u32,
    name_len: u16,
    freq: Option<u8>,
    is_idle_told: bool,
    expires: bool,
    rdb_type: RdbType,
    encoding: Encoding,
}

impl KeyRow {
    /// The row of a key whose name is held in full; nothing for the types of modules, which
    /// name themselves, and where something does not fit.
    #[inline]
    pub(crate) fn new(key: &Key, serialized_len: u64, sizes: &Sizes) -> Option<Self> {
        if matches!(key.rdb_type, RdbType::Module2 | RdbType::ModulePreGa) {
            return None;
        }
        let fit = |value: u64| u32::try_from(value).ok();
        Some(Self {
            expire_at_ms: key.expire_at_ms.unwrap_or_default(),
            num_of_elem: fit(sizes.num_of_elem)?,
            bytes: fit(sizes.bytes)?,
            memory_usage: fit(sizes.memory_usage?)?,
            serialized_bytes: fit(serialized_len)?,
            idle_seconds: fit(key.idle_seconds.unwrap_or_default())?,
            name_len: u16::try_from(key.key_len).ok()?,
            freq: key.freq,
            is_idle_told: key.idle_seconds.is_some(),
            expires: key.expire_at_ms.is_some(),
            rdb_type: key.rdb_type,
            encoding: sizes.encoding,
        })
    }

    /// Length of its name.
    #[inline]
    pub(crate) fn name_len(&self) -> usize {
        usize::from(self.name_len)
    }

    #[inline]
    pub(crate) fn object_type(&self) -> ObjectType {
        self.rdb_type.object_type()
    }

    /// Bytes of its value in the file.
    pub(crate) fn serialized_bytes(&self) -> u64 {
        u64::from(self.serialized_bytes)
    }

    /// The size that ranks it.
    #[inline]
    pub(crate) fn size(&self, by: SizeKind) -> u64 {
        let [bytes, usage] = [self.bytes, self.memory_usage].map(u64::from);
        by.of(bytes, Some(usage), self.serialized_bytes())
    }

    #[inline]
    pub(crate) fn num_of_elem(&self) -> u64 {
        u64::from(self.num_of_elem)
    }

    #[inline]
    pub(crate) fn expire_at_ms(&self) -> Option<i64> {
        self.expires.then_some(self.expire_at_ms)
    }

    #[inline]
    pub(crate) fn idle_seconds(&self) -> Option<u64> {
        self.is_idle_told.then_some(u64::from(self.idle_seconds))
    }

    #[inline]
    pub(crate) fn freq(&self) -> Option<u8> {
        self.freq
    }

    /// What is to be known of the key of this name.
    #[inline]
    pub(crate) fn facts<'n>(
        &self,
        place: Place,
        name: &'n [u8],
        written_at_ms: i64,
        by: SizeKind,
    ) -> KeyFacts<'n> {
        let expire_at_ms = self.expire_at_ms();
        KeyFacts {
            db: place.db,
            key: name,
            key_len: u64::from(self.name_len),
            object_type: self.object_type(),
            encoding: self.encoding,
            num_of_elem: self.num_of_elem(),
            bytes: u64::from(self.bytes),
            memory_usage: Some(u64::from(self.memory_usage)),
            serialized_bytes: self.serialized_bytes(),
            expire_at_ms,
            expires_in_ms: expire_at_ms.map(|at| at.saturating_sub(written_at_ms)),
            idle_seconds: self.idle_seconds(),
            freq: self.freq,
            slot: place.slot,
            size: self.size(by),
        }
    }
}

/// Keys that are no plain strings, of one database and slot, that follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRun<'b> {
    /// Where the first of them stands.
    pub(crate) place: Place,
    pub(crate) rows: &'b [KeyRow],
    /// Their names, and what stands in the buffer behind them.
    pub(crate) names: &'b [u8],
    /// The size that ranks them.
    pub(crate) by: SizeKind,
}

impl<'b> KeyRun<'b> {
    /// The keys, each with its name and what follows that.
    #[inline]
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'b KeyRow, &'b [u8])> {
        let mut rest = self.names;
        self.rows.iter().map_while(move |row| {
            let own = rest;
            rest = rest.get(row.name_len()..)?;
            Some((row, own))
        })
    }

    /// What is to be known of the keys.
    pub(crate) fn facts(&self, written_at_ms: i64) -> impl Iterator<Item = KeyFacts<'b>> {
        let Self { place, by, .. } = *self;
        self.keys().map(move |(row, rest)| {
            let name = rest.get(..row.name_len()).unwrap_or_default();
            row.facts(place, name, written_at_ms, by)
        })
    }

    /// The first keys.
    pub(crate) fn first(&self, count: usize) -> Self {
        Self { rows: self.rows.get(..count).unwrap_or(self.rows), ..*self }
    }

    /// The keys after so many, and the one before them with its name.
    pub(crate) fn after(&self, count: usize) -> Option<(&'b KeyRow, &'b [u8], Self)> {
        let (last, rest) = self.keys().nth(count.checked_sub(1)?)?;
        let (name, names) = rest.split_at_checked(last.name_len())?;
        Some((last, name, Self { rows: self.rows.get(count..)?, names, ..*self }))
    }

    /// Number and size of the keys.
    pub(crate) fn total(&self) -> Total {
        let bytes = self.rows.iter().map(|row| row.size(self.by)).sum();
        Total { key_count: self.rows.len() as u64, bytes }
    }

    /// Memory of the keys.
    pub(crate) fn bytes(&self) -> u64 {
        self.rows.iter().map(|row| u64::from(row.bytes)).sum()
    }

    /// Keys that expire.
    pub(crate) fn expire_count(&self) -> u64 {
        self.rows.iter().map(|row| u64::from(row.expires)).sum()
    }

    /// Hashes whose fields expire, of Valkey.
    pub(crate) fn expiring_hash_count(&self) -> u64 {
        let is_one = |row: &KeyRow| row.rdb_type == RdbType::ValkeyHash2;
        self.rows.iter().map(|row| u64::from(is_one(row))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(idle_seconds: Option<u64>, key_len: u64) -> Key {
        Key {
            db: 3,
            key_len,
            rdb_type: RdbType::Zset2,
            expire_at_ms: Some(i64::MIN),
            idle_seconds,
            freq: Some(u8::MAX),
            slot: Some(16383),
            meta_class_count: 0,
            at: 0,
        }
    }

    #[test]
    fn says_what_it_was_made_of_or_does_not_fit() {
        const MAX: u64 = u32::MAX as u64;
        let sizes = |bytes, usage| Sizes {
            encoding: Encoding::Skiplist,
            num_of_elem: MAX,
            bytes,
            memory_usage: usage,
        };
        let place = Place { db: 3, slot: Some(16383), number: 0 };
        let name = [b'n'; u16::MAX as usize];
        let whole = key(Some(MAX), name.len() as u64);
        let row = KeyRow::new(&whole, MAX, &sizes(MAX, Some(MAX))).unwrap();
        let facts = row.facts(place, &name, 1, SizeKind::Serialized);
        assert_eq!((facts.num_of_elem, facts.bytes, facts.memory_usage), (MAX, MAX, Some(MAX)));
        assert_eq!(
            (facts.serialized_bytes, facts.size, facts.encoding),
            (MAX, MAX, Encoding::Skiplist)
        );
        assert_eq!((facts.db, facts.slot, facts.key_len), (3, Some(16383), name.len() as u64));
        assert_eq!((facts.expire_at_ms, facts.expires_in_ms), (Some(i64::MIN), Some(i64::MIN)));
        assert_eq!((facts.idle_seconds, facts.freq), (Some(MAX), Some(u8::MAX)));
        assert_eq!(facts.object_type, ObjectType::Zset);
        let untold = KeyRow::new(&key(None, 1), 0, &sizes(1, Some(2))).unwrap();
        let facts = untold.facts(place, b"n", 0, SizeKind::MemoryUsage);
        assert_eq!((facts.idle_seconds, facts.size), (None, 2));

        for (key, len, sizes) in [
            (key(Some(MAX + 1), 1), 0, sizes(1, Some(1))),
            (key(None, 1 << 16), 0, sizes(1, Some(1))),
            (key(None, 1), MAX + 1, sizes(1, Some(1))),
            (key(None, 1), 0, sizes(MAX + 1, Some(1))),
            (key(None, 1), 0, sizes(1, Some(MAX + 1))),
            (key(None, 1), 0, sizes(1, None)),
        ] {
            assert!(KeyRow::new(&key, len, &sizes).is_none(), "{key:?} {len} {sizes:?}");
        }
        // Of modules some answer for themselves, and some, as vector sets, are known.
        for rdb_type in [RdbType::Module2, RdbType::ModulePreGa] {
            let key = Key { rdb_type, ..key(None, 1) };
            assert!(KeyRow::new(&key, 0, &sizes(1, Some(1))).is_none(), "{rdb_type}");
        }
    }
}
