//! Partials as bytes: a magic, a version, then the aggregates in postcard's form.
//!
//! ```text
//! 4f 4b 50 02   "OKP", version 2
//! ...           `Stored`, numbers as varints
//! ```
//!
//! Nothing in the bytes sizes an allocation, and bytes of whatever content give a partial or
//! an error.

use serde::{Deserialize, Serialize};

use offkey_rdb::{ModuleId, ObjectType};

use super::{Partial, PartialError};
use crate::Options;
use crate::aggregate::largest::Large;
use crate::aggregate::prefixes::{Counts, Floor, Prefixes, Row};
use crate::aggregate::spread::{Database, Powers, Spread};
use crate::aggregate::types::Total;
use crate::memory::Encoding;
use crate::summary::Summary;

const MAGIC: &[u8] = b"OKP";

/// Rises with every change of [`Stored`] or of what its numbers mean.
const VERSION: u8 = 2;

/// Keys and bytes.
type Count = (u64, u64);

/// A type's number; of modules with their id.
type Type = (u8, u64);

#[derive(Serialize, Deserialize)]
struct Stored {
    settings: String,
    can_read_again: bool,
    types: Vec<(Type, Count)>,
    largest: Vec<StoredKey>,
    prefixes: StoredPrefixes,
    prefixes_changed: bool,
    spread: StoredSpread,
    damaged_count: u64,
    /// In JSON, as in reports.
    damaged: String,
    inputs: String,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    size: u64,
    key: Vec<u8>,
    key_len: u64,
    db: u64,
    object_type: Type,
    encoding: Encoding,
    num_of_elem: u64,
    bytes: u64,
    memory_usage: Option<u64>,
    serialized_bytes: u64,
    expire_at_ms: Option<i64>,
    idle_seconds: Option<u64>,
    freq: Option<u8>,
}

#[derive(Serialize, Deserialize)]
struct StoredPrefixes {
    is_frozen: bool,
    /// Types with their floors.
    types: Vec<(Type, Count)>,
    /// Parent plus 1 or 0, place of the type, length of the segment, keys and bytes, those
    /// without an expiry.
    rows: Vec<(u32, u16, u32, Count, Count)>,
    /// The segments, one after another.
    text: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct StoredSpread {
    lasting: Count,
    expired: Count,
    expiring: [Count; 5],
    sizes: Vec<Count>,
    elements: Vec<Count>,
    idle: [Count; 5],
    freq: Vec<Count>,
    dbs: Vec<(u64, StoredDb)>,
    other_dbs: StoredDb,
    slots: Vec<Count>,
}

/// Keys and bytes, and keys with an expiry.
type StoredDb = (Count, u64);

impl Partial {
    /// The partial as bytes, for [`Partial::from_bytes`] of the same version and settings.
    #[must_use]
    pub fn to_bytes(&self, options: &Options) -> Vec<u8> {
        let Summary { types, largest, prefixes, prefixes_changed, spread, .. } = &self.summary;
        let json = |list: serde_json::Result<String>| list.unwrap_or_default();
        let stored = Stored {
            settings: settings(options),
            can_read_again: self.can_read_again,
            types: types.iter().map(|(t, total)| (type_code(t), count(total))).collect(),
            largest: largest.sorted().into_iter().map(StoredKey::new).collect(),
            prefixes: StoredPrefixes::new(prefixes),
            prefixes_changed: *prefixes_changed,
            spread: StoredSpread::new(spread),
            damaged_count: self.summary.damaged_count,
            damaged: json(serde_json::to_string(&self.summary.damaged)),
            inputs: json(serde_json::to_string(&self.summary.inputs)),
        };
        let bytes = [MAGIC, &[VERSION]].concat();
        // Writing to memory and of these types cannot fail.
        postcard::to_extend(&stored, bytes).unwrap_or_default()
    }

    /// The partial in `bytes`, of an analysis with the same settings.
    ///
    /// # Errors
    /// There is none.
    pub fn from_bytes(bytes: &[u8], options: &Options) -> Result<Self, PartialError> {
        let malformed = |reason: String| PartialError::Malformed(reason);
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| malformed("other bytes".to_owned()))?;
        match rest.split_first() {
            Some((&VERSION, body)) => Self::from_body(body, options),
            Some((&found, _)) => Err(PartialError::Version { found, expected: VERSION }),
            None => Err(malformed("no version".to_owned())),
        }
    }

    fn from_body(body: &[u8], options: &Options) -> Result<Self, PartialError> {
        let stored: Stored = postcard::from_bytes(body)
            .map_err(|error| PartialError::Malformed(error.to_string()))?;
        let expected = settings(options);
        if stored.settings != expected {
            return Err(PartialError::Settings { found: stored.settings, expected });
        }
        let malformed = |error: serde_json::Error| PartialError::Malformed(error.to_string());
        let mut summary = Summary::new(options, options.prefix_memory);
        for (code, (key_count, bytes)) in stored.types {
            summary.types.add(object_type(code)?, Total { key_count, bytes });
        }
        for key in stored.largest {
            summary.largest.push(key.large()?);
        }
        stored.prefixes.restore(&mut summary.prefixes)?;
        summary.prefixes_changed = stored.prefixes_changed;
        summary.spread = stored.spread.spread();
        summary.damaged_count = stored.damaged_count;
        summary.damaged = serde_json::from_str(&stored.damaged).map_err(malformed)?;
        summary.inputs = serde_json::from_str(&stored.inputs).map_err(malformed)?;
        Ok(Self { summary, can_read_again: stored.can_read_again })
    }
}

/// What of the options decides the numbers; whoever merges must have the same.
fn settings(options: &Options) -> String {
    let Options {
        top,
        prefixes: _,
        separators,
        fold_digits,
        checksum: _,
        profile,
        allocator,
        config,
        size,
        force: _,
        prefix_memory,
        threads: _,
        now_ms,
    } = options;
    let profile = profile.map(|profile| profile.to_string());
    format!(
        "top {top}, separators {separators:?}, fold {fold_digits}, profile {profile:?}, \
         {allocator:?}, {config:?}, {size:?}, memory {prefix_memory}, now {now_ms}"
    )
}

fn count(total: Total) -> Count {
    (total.key_count, total.bytes)
}

fn total((key_count, bytes): Count) -> Total {
    Total { key_count, bytes }
}

fn type_code(object_type: ObjectType) -> Type {
    match object_type {
        ObjectType::String => (0, 0),
        ObjectType::List => (1, 0),
        ObjectType::Set => (2, 0),
        ObjectType::Zset => (3, 0),
        ObjectType::Hash => (4, 0),
        ObjectType::Stream => (5, 0),
        ObjectType::Array => (6, 0),
        ObjectType::Module(ModuleId(id)) => (7, id),
    }
}

fn object_type(code: Type) -> Result<ObjectType, PartialError> {
    Ok(match code {
        (0, _) => ObjectType::String,
        (1, _) => ObjectType::List,
        (2, _) => ObjectType::Set,
        (3, _) => ObjectType::Zset,
        (4, _) => ObjectType::Hash,
        (5, _) => ObjectType::Stream,
        (6, _) => ObjectType::Array,
        (7, id) => ObjectType::Module(ModuleId(id)),
        (code, _) => return Err(PartialError::Malformed(format!("unknown type: {code}"))),
    })
}

impl StoredKey {
    fn new(large: &Large) -> Self {
        Self {
            size: large.size,
            key: large.key.clone(),
            key_len: large.key_len,
            db: large.db,
            object_type: type_code(large.object_type),
            encoding: large.encoding,
            num_of_elem: large.num_of_elem,
            bytes: large.bytes,
            memory_usage: large.memory_usage,
            serialized_bytes: large.serialized_bytes,
            expire_at_ms: large.expire_at_ms,
            idle_seconds: large.idle_seconds,
            freq: large.freq,
        }
    }

    fn large(self) -> Result<Large, PartialError> {
        Ok(Large {
            size: self.size,
            key: self.key,
            key_len: self.key_len,
            db: self.db,
            object_type: object_type(self.object_type)?,
            encoding: self.encoding,
            num_of_elem: self.num_of_elem,
            bytes: self.bytes,
            memory_usage: self.memory_usage,
            serialized_bytes: self.serialized_bytes,
            expire_at_ms: self.expire_at_ms,
            idle_seconds: self.idle_seconds,
            freq: self.freq,
        })
    }
}

impl StoredPrefixes {
    fn new(prefixes: &Prefixes) -> Self {
        let types = prefixes
            .floors()
            .map(|(object_type, floor)| (type_code(object_type), (floor.key_count, floor.bytes)))
            .collect();
        let mut stored =
            Self { is_frozen: prefixes.is_frozen(), types, rows: Vec::new(), text: Vec::new() };
        for Row { parent, type_at, segment, counts } in prefixes.rows() {
            let len = u32::try_from(segment.len()).unwrap_or_default();
            let Counts { key_count, bytes, lasting_count, lasting_bytes } = counts;
            let (all, lasting) = ((key_count, bytes), (lasting_count, lasting_bytes));
            stored.rows.push((parent.wrapping_add(1), type_at, len, all, lasting));
            stored.text.extend_from_slice(segment);
        }
        stored
    }

    fn restore(self, prefixes: &mut Prefixes) -> Result<(), PartialError> {
        for (code, (key_count, bytes)) in self.types {
            prefixes.add_floor(object_type(code)?, Floor { key_count, bytes });
        }
        let mut text = self.text.as_slice();
        for (parent, type_at, len, (key_count, bytes), lasting) in self.rows {
            let (lasting_count, lasting_bytes) = lasting;
            let counts = Counts { key_count, bytes, lasting_count, lasting_bytes };
            let split = usize::try_from(len).ok().and_then(|len| text.split_at_checked(len));
            let Some((segment, rest)) = split else {
                return Err(PartialError::Malformed("prefixes without text".to_owned()));
            };
            text = rest;
            let parent = parent.wrapping_sub(1);
            prefixes.add_row(Row { parent, type_at, segment, counts });
        }
        if self.is_frozen {
            prefixes.set_frozen();
        }
        Ok(())
    }
}

impl StoredSpread {
    fn new(spread: &Spread) -> Self {
        let counts = |totals: &[Total]| totals.iter().copied().map(count).collect();
        Self {
            lasting: count(spread.lasting),
            expired: count(spread.expired),
            expiring: spread.expiring.map(count),
            sizes: counts(spread.sizes.all()),
            elements: counts(spread.elements.all()),
            idle: spread.idle.map(count),
            freq: counts(spread.freq.all()),
            dbs: spread.dbs.iter().map(|(db, database)| (*db, stored_db(*database))).collect(),
            other_dbs: stored_db(spread.other_dbs),
            slots: counts(&spread.slots),
        }
    }

    fn spread(self) -> Spread {
        let totals = |counts: Vec<Count>| counts.into_iter().map(total).collect::<Vec<_>>();
        let mut spread = Spread {
            lasting: total(self.lasting),
            expired: total(self.expired),
            expiring: self.expiring.map(total),
            sizes: Powers::of(&totals(self.sizes)),
            elements: Powers::of(&totals(self.elements)),
            idle: self.idle.map(total),
            freq: Powers::of(&totals(self.freq)),
            other_dbs: database(self.other_dbs),
            ..Spread::default()
        };
        // Merged into nothing, so that the bounds hold whatever the bytes say.
        let rest = Spread {
            dbs: self.dbs.into_iter().map(|(db, stored)| (db, database(stored))).collect(),
            slots: totals(self.slots),
            ..Spread::default()
        };
        spread.merge(&rest);
        spread
    }
}

fn stored_db(database: Database) -> StoredDb {
    (count(database.total), database.expire_count)
}

fn database((count, expire_count): StoredDb) -> Database {
    Database { total: total(count), expire_count }
}
