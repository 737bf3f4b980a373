//! String keys that follow each other: the most frequent of all keys, held in little room and
//! observed many at a time.

use offkey_rdb::{ObjectType, StringKey};

use crate::SizeKind;
use crate::aggregate::types::Total;
use crate::batch::Place;
use crate::facts::KeyFacts;
use crate::memory::{Encoding, Sizes};

/// Room for a name: it is copied with what follows it in the file, in one length.
pub(crate) const PADDED_LEN: usize = 64;

/// A string key, without its name. Small, since another core reads it: values of less than
/// 16 KiB and names of less than 64 bytes have sizes below 64 KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StringRow {
    /// Nothing that matters where it does not expire.
    expire_at_ms: i64,
    num_of_elem: u16,
    bytes: u16,
    memory_usage: u16,
    serialized_bytes: u16,
    size: u16,
    name_len: u8,
    expires: bool,
    encoding: Encoding,
}

impl StringRow {
    /// Length of its name.
    #[inline]
    pub(crate) fn name_len(&self) -> usize {
        usize::from(self.name_len)
    }

    /// Bytes of its value in the file.
    pub(crate) fn serialized_bytes(&self) -> u64 {
        u64::from(self.serialized_bytes)
    }

    /// The size that ranks it.
    #[inline]
    pub(crate) fn size(&self) -> u64 {
        u64::from(self.size)
    }

    #[inline]
    pub(crate) fn expire_at_ms(&self) -> Option<i64> {
        self.expires.then_some(self.expire_at_ms)
    }
}

/// String keys of a batch, one after another.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    rows: Vec<StringRow>,
    /// Their names, and room for the next.
    names: Vec<u8>,
    names_len: usize,
}

impl Strings {
    /// Keys of a batch.
    const COUNT_MAX: usize = 4096;
    /// Bytes that room for names grows by.
    const ROOM: usize = 16 << 10;

    #[inline]
    pub(crate) fn push(&mut self, key: &StringKey<'_>, sizes: &Sizes, by: SizeKind) {
        let usage = sizes.memory_usage.unwrap_or(sizes.bytes);
        let fit = |len: u64| u16::try_from(len).unwrap_or(u16::MAX);
        self.rows.push(StringRow {
            expire_at_ms: key.expire_at_ms.unwrap_or_default(),
            expires: key.expire_at_ms.is_some(),
            num_of_elem: fit(sizes.num_of_elem),
            bytes: fit(sizes.bytes),
            memory_usage: fit(usage),
            serialized_bytes: fit(key.serialized_len),
            size: fit(by.of(sizes.bytes, Some(usage), key.serialized_len)),
            name_len: u8::try_from(key.name.len()).unwrap_or(u8::MAX),
            encoding: sizes.encoding,
        });
        if self.names.len() < self.names_len + PADDED_LEN {
            self.grow();
        }
        let room = self.names.get_mut(self.names_len..);
        if let Some(room) = room.and_then(|room| room.first_chunk_mut()) {
            *room = *key.padded;
        }
        self.names_len += key.name.len();
    }

    #[cold]
    fn grow(&mut self) {
        self.names.resize(self.names_len + Self::ROOM, 0);
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= Self::COUNT_MAX
    }

    /// Where the next key will stand.
    pub(crate) fn end(&self) -> StringPlace {
        let [row, name] = [self.rows.len(), self.names_len].map(|at| at.try_into());
        StringPlace { row: row.unwrap_or(u32::MAX), name: name.unwrap_or(u32::MAX) }
    }

    /// The `count` keys from `start` on, of the database and slot of `place`.
    pub(crate) fn run(&self, start: StringPlace, count: u32, place: Place) -> StringRun<'_> {
        let rows = self.rows.get(start.row as usize..).unwrap_or_default();
        StringRun {
            db: place.db,
            slot: place.slot,
            rows: rows.get(..count as usize).unwrap_or_default(),
            names: self.names.get(start.name as usize..).unwrap_or_default(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.names_len = 0;
    }
}

/// A place among the string keys of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StringPlace {
    pub(crate) row: u32,
    name: u32,
}

/// String keys of one database and slot that follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StringRun<'b> {
    pub(crate) db: u64,
    pub(crate) slot: Option<u64>,
    pub(crate) rows: &'b [StringRow],
    /// Their names, and what stands in the buffer behind them.
    names: &'b [u8],
}

impl<'b> StringRun<'b> {
    /// The keys, each with its name and what follows that.
    #[inline]
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'b StringRow, &'b [u8; PADDED_LEN])> {
        let mut rest = self.names;
        self.rows.iter().map_while(move |row| {
            let padded = rest.first_chunk()?;
            rest = rest.get(row.name_len()..)?;
            Some((row, padded))
        })
    }

    /// The first keys.
    pub(crate) fn first(&self, count: usize) -> Self {
        Self { rows: self.rows.get(..count).unwrap_or(self.rows), ..*self }
    }

    /// The keys after so many, and the one before them with its name.
    pub(crate) fn after(&self, count: usize) -> Option<(&'b StringRow, &'b [u8], Self)> {
        let (passed, rows) = self.rows.split_at_checked(count)?;
        let (last, before) = passed.split_last()?;
        let start = before.iter().map(StringRow::name_len).sum();
        let (name, names) = self.names.get(start..)?.split_at_checked(last.name_len())?;
        Some((last, name, Self { rows, names, ..*self }))
    }

    /// Number and size of the keys.
    pub(crate) fn total(&self) -> Total {
        let bytes = self.rows.iter().map(StringRow::size).sum();
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

    /// What is to be known of a key.
    pub(crate) fn facts<'n>(
        &self,
        row: &StringRow,
        padded: &'n [u8; PADDED_LEN],
        written_at_ms: i64,
    ) -> KeyFacts<'n> {
        KeyFacts {
            db: self.db,
            key: padded.get(..row.name_len()).unwrap_or_default(),
            key_len: u64::from(row.name_len),
            object_type: ObjectType::String,
            encoding: row.encoding,
            num_of_elem: u64::from(row.num_of_elem),
            bytes: u64::from(row.bytes),
            memory_usage: Some(u64::from(row.memory_usage)),
            serialized_bytes: u64::from(row.serialized_bytes),
            expire_at_ms: row.expire_at_ms(),
            expires_in_ms: row.expire_at_ms().map(|at| at.saturating_sub(written_at_ms)),
            idle_seconds: None,
            freq: None,
            slot: self.slot,
            size: row.size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use offkey_rdb::{Str, Text};

    use super::*;
    use crate::memory::{Allocator, Config, Model, Profile, Sizer};

    #[test]
    fn the_largest_keys_of_the_form_fit() {
        let padded = [b'n'; PADDED_LEN];
        let value = Str { len: (1 << 14) - 1, text: Text::Long };
        let key = StringKey {
            name: &padded[..63],
            padded: &padded,
            expire_at_ms: Some(i64::MIN),
            value,
            is_compressed: false,
            serialized_len: value.len + 2,
        };
        for profile in Profile::all() {
            for allocator in [Allocator::Jemalloc, Allocator::Libc] {
                let model = Model::new(profile, allocator, Config::default());
                let sizes = Sizer::new(&model).string_key(&key);
                let mut strings = Strings::default();
                strings.push(&key, &sizes, SizeKind::Bytes);
                let run = strings.run(StringPlace { row: 0, name: 0 }, 1, Place::default());
                let (row, padded) = run.keys().next().unwrap();
                let facts = run.facts(row, padded, 0);
                assert_eq!(facts.bytes, sizes.bytes, "{profile}");
                assert_eq!(facts.memory_usage, sizes.memory_usage, "{profile}");
                assert_eq!((facts.num_of_elem, facts.serialized_bytes), (16383, 16385));
                assert_eq!((facts.key, facts.expire_at_ms), (key.name, Some(i64::MIN)));
            }
        }
    }
}
