//! Names for the bytes of the format: flavours, type bytes, opcodes.
//!
//! The numbers 0 to 21 mean the same everywhere. From 22 on Redis and Valkey have
//! chosen their own, and both use 22 and 243: only the magic of the file tells which.

use std::fmt;

/// Who wrote the file, as its magic says: `REDIS` or `VALKEY`.
///
/// Valkey before 9.0, and Valkey 9 when asked by `redis-cli --rdb`, writes `REDIS`;
/// the aux field `valkey-ver` then tells the server, not the numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// Magic `REDIS` and four digits.
    Redis,
    /// Magic `VALKEY` and three digits.
    Valkey,
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flavor::Redis => "redis",
            Flavor::Valkey => "valkey",
        })
    }
}

/// The byte before a key in the file: how its value is written (`rdb.h`, `RDB_TYPE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RdbType {
    /// 0.
    String,
    /// 1: elements one by one (Redis 1 to 3.0).
    List,
    /// 2: members one by one.
    Set,
    /// 3: members with scores as text (to Redis 3.2).
    Zset,
    /// 4: fields and values one by one.
    Hash,
    /// 5: members with scores as eight bytes (Redis 4.0 on).
    Zset2,
    /// 6: a module value that carries no framing.
    ModulePreGa,
    /// 7: a module value made of sub-opcodes.
    Module2,
    /// 9: zipmap (to Redis 2.4).
    HashZipmap,
    /// 10: ziplist (to Redis 3.0).
    ListZiplist,
    /// 11: intset.
    SetIntset,
    /// 12: ziplist.
    ZsetZiplist,
    /// 13: ziplist.
    HashZiplist,
    /// 14: quicklist of ziplists (Redis 3.2 to 6.2).
    ListQuicklist,
    /// 15: stream (Redis 5.0 to 6.2).
    StreamListpacks,
    /// 16: listpack (Redis 7.0 on).
    HashListpack,
    /// 17: listpack (Redis 7.0 on).
    ZsetListpack,
    /// 18: quicklist of listpacks and plain nodes (Redis 7.0 on).
    ListQuicklist2,
    /// 19: stream (Redis 7.0).
    StreamListpacks2,
    /// 20: listpack (Redis 7.2 on).
    SetListpack,
    /// 21: stream (Redis 7.2 on).
    StreamListpacks3,
    /// Redis 22: hash with field expiry, of 7.4-rc1 alone.
    HashMetadataPreGa,
    /// Redis 23: listpack with field expiry, of 7.4-rc1 alone.
    HashListpackExPreGa,
    /// Redis 24: hash with field expiry (7.4 on).
    HashMetadata,
    /// Redis 25: listpack with field expiry (7.4 on).
    HashListpackEx,
    /// Redis 26: stream with idempotent producers (8.6).
    StreamListpacks4,
    /// Redis 27: stream with a list of refused entries (8.8 on).
    StreamListpacks5,
    /// Redis 28: array (8.8 on).
    Array,
    /// Redis 30: template hash, values in a listpack (8.10).
    HashTemplateListpack,
    /// Redis 32: template hash, values one by one (8.10).
    HashTemplateArray,
    /// Valkey 22: hash with field expiry (9.0 on).
    ValkeyHash2,
}

/// Every type with its byte and name; the flavour is that of numbers only one side uses.
const TYPES: &[(u8, Option<Flavor>, RdbType, &str)] = &[
    (0, None, RdbType::String, "string"),
    (1, None, RdbType::List, "list"),
    (2, None, RdbType::Set, "set"),
    (3, None, RdbType::Zset, "zset"),
    (4, None, RdbType::Hash, "hash"),
    (5, None, RdbType::Zset2, "zset-2"),
    (6, None, RdbType::ModulePreGa, "module-pre-ga"),
    (7, None, RdbType::Module2, "module-2"),
    (9, None, RdbType::HashZipmap, "hash-zipmap"),
    (10, None, RdbType::ListZiplist, "list-ziplist"),
    (11, None, RdbType::SetIntset, "set-intset"),
    (12, None, RdbType::ZsetZiplist, "zset-ziplist"),
    (13, None, RdbType::HashZiplist, "hash-ziplist"),
    (14, None, RdbType::ListQuicklist, "list-quicklist"),
    (15, None, RdbType::StreamListpacks, "stream-listpacks"),
    (16, None, RdbType::HashListpack, "hash-listpack"),
    (17, None, RdbType::ZsetListpack, "zset-listpack"),
    (18, None, RdbType::ListQuicklist2, "list-quicklist-2"),
    (19, None, RdbType::StreamListpacks2, "stream-listpacks-2"),
    (20, None, RdbType::SetListpack, "set-listpack"),
    (21, None, RdbType::StreamListpacks3, "stream-listpacks-3"),
    (22, Some(Flavor::Redis), RdbType::HashMetadataPreGa, "hash-metadata-pre-ga"),
    (23, Some(Flavor::Redis), RdbType::HashListpackExPreGa, "hash-listpack-ex-pre-ga"),
    (24, Some(Flavor::Redis), RdbType::HashMetadata, "hash-metadata"),
    (25, Some(Flavor::Redis), RdbType::HashListpackEx, "hash-listpack-ex"),
    (26, Some(Flavor::Redis), RdbType::StreamListpacks4, "stream-listpacks-4"),
    (27, Some(Flavor::Redis), RdbType::StreamListpacks5, "stream-listpacks-5"),
    (28, Some(Flavor::Redis), RdbType::Array, "array"),
    (30, Some(Flavor::Redis), RdbType::HashTemplateListpack, "hash-template-listpack"),
    (32, Some(Flavor::Redis), RdbType::HashTemplateArray, "hash-template-array"),
    (22, Some(Flavor::Valkey), RdbType::ValkeyHash2, "hash-2"),
];

/// Bytes among which the types are.
const BYTES: usize = 64;

/// The types of a flavour by their bytes.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiled, where nothing else will do")]
const fn by_byte(flavor: Flavor) -> [Option<RdbType>; BYTES] {
    let mut types = [None; BYTES];
    let mut at = 0;
    while at < TYPES.len() {
        let (byte, only, rdb_type, _) = TYPES[at];
        let is_of_flavor = match only {
            None => true,
            Some(only) => only as u8 == flavor as u8,
        };
        if is_of_flavor {
            types[byte as usize] = Some(rdb_type);
        }
        at += 1;
    }
    types
}

impl RdbType {
    /// Names a type byte of a file of `flavor`, or `None` if it is not known.
    pub fn from_byte(byte: u8, flavor: Flavor) -> Option<Self> {
        /// The types of each flavour by their bytes.
        static BY_BYTE: [[Option<RdbType>; BYTES]; 2] =
            [by_byte(Flavor::Redis), by_byte(Flavor::Valkey)];
        let [of_redis, of_valkey] = &BY_BYTE;
        let types = match flavor {
            Flavor::Redis => of_redis,
            Flavor::Valkey => of_valkey,
        };
        types.get(usize::from(byte)).copied().flatten()
    }

    /// What the server's `TYPE` answers for such a key; a module names itself.
    pub fn object_type(self) -> ObjectType {
        match self {
            RdbType::String => ObjectType::String,
            RdbType::List
            | RdbType::ListZiplist
            | RdbType::ListQuicklist
            | RdbType::ListQuicklist2 => ObjectType::List,
            RdbType::Set | RdbType::SetIntset | RdbType::SetListpack => ObjectType::Set,
            RdbType::Zset | RdbType::Zset2 | RdbType::ZsetZiplist | RdbType::ZsetListpack => {
                ObjectType::Zset
            }
            RdbType::Hash
            | RdbType::HashZipmap
            | RdbType::HashZiplist
            | RdbType::HashListpack
            | RdbType::HashMetadataPreGa
            | RdbType::HashListpackExPreGa
            | RdbType::HashMetadata
            | RdbType::HashListpackEx
            | RdbType::HashTemplateListpack
            | RdbType::HashTemplateArray
            | RdbType::ValkeyHash2 => ObjectType::Hash,
            RdbType::StreamListpacks
            | RdbType::StreamListpacks2
            | RdbType::StreamListpacks3
            | RdbType::StreamListpacks4
            | RdbType::StreamListpacks5 => ObjectType::Stream,
            RdbType::Array => ObjectType::Array,
            RdbType::ModulePreGa | RdbType::Module2 => ObjectType::Module(ModuleId(0)),
        }
    }

    /// The name used in messages and in `offkey inspect`.
    pub fn name(self) -> &'static str {
        TYPES.iter().find(|(_, _, t, _)| *t == self).map_or("?", |(.., name)| name)
    }
}

impl fmt::Display for RdbType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What `TYPE key` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectType {
    /// `string`
    String,
    /// `list`
    List,
    /// `set`
    Set,
    /// `zset`
    Zset,
    /// `hash`
    Hash,
    /// `stream`
    Stream,
    /// `array` (Redis 8.8 on)
    Array,
    /// The module's own type name, such as `ReJSON-RL` or `vectorset`.
    Module(ModuleId),
}

impl ObjectType {
    /// The type that shows as `name`; of a module's type, with its version of encoding.
    pub fn named(name: &str, encoding_version: Option<u64>) -> Option<Self> {
        match (name, encoding_version) {
            ("string", None) => Some(Self::String),
            ("list", None) => Some(Self::List),
            ("set", None) => Some(Self::Set),
            ("zset", None) => Some(Self::Zset),
            ("hash", None) => Some(Self::Hash),
            ("stream", None) => Some(Self::Stream),
            ("array", None) => Some(Self::Array),
            (_, None) => None,
            (name, Some(version)) => ModuleId::named(name, version).map(Self::Module),
        }
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectType::String => f.write_str("string"),
            ObjectType::List => f.write_str("list"),
            ObjectType::Set => f.write_str("set"),
            ObjectType::Zset => f.write_str("zset"),
            ObjectType::Hash => f.write_str("hash"),
            ObjectType::Stream => f.write_str("stream"),
            ObjectType::Array => f.write_str("array"),
            ObjectType::Module(id) => id.fmt(f),
        }
    }
}

/// A module's type: nine characters of six bits, then ten bits of encoding version
/// (`module.c`, `moduleTypeEncodeId`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(pub u64);

impl ModuleId {
    /// The vector set of Redis 8, which is built in but written as a module value.
    pub const VECTOR_SET_NAME: &'static [u8; 9] = b"vectorset";

    /// Characters of names (`module.c`, `ModuleTypeNameCharSet`).
    const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// The id of a name of nine characters and a version of its encoding.
    pub fn named(name: &str, encoding_version: u64) -> Option<Self> {
        if name.len() != 9 || encoding_version > 0x3ff {
            return None;
        }
        let id = name.bytes().try_fold(0, |id: u64, byte| {
            let six_bits = Self::CHARS.iter().position(|c| *c == byte)?;
            Some(id << 6 | u64::try_from(six_bits).ok()?)
        })?;
        Some(Self(id << 10 | encoding_version))
    }

    /// The nine characters of the type's name.
    pub fn name(self) -> [u8; 9] {
        let mut name = [b'?'; 9];
        let mut left = self.0 >> 10;
        for slot in name.iter_mut().rev() {
            if let Some(c) = usize::try_from(left & 0x3f).ok().and_then(|i| Self::CHARS.get(i)) {
                *slot = *c;
            }
            left >>= 6;
        }
        name
    }

    /// The module's own version of its encoding, 0 to 1023.
    pub fn encoding_version(self) -> u64 {
        self.0 & 0x3ff
    }

    /// Tells whether this is the vector set of Redis 8.
    pub fn is_vector_set(self) -> bool {
        &self.name() == Self::VECTOR_SET_NAME
    }
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().iter().try_for_each(|c| write!(f, "{}", char::from(*c)))
    }
}

/// Opcodes: the bytes that stand where a type byte could (`rdb.h`, `RDB_OPCODE_*`).
pub(crate) mod opcode {
    /// Redis 8.10: a template's field names, before the first database.
    pub(crate) const HASH_TEMPLATE: u8 = 242;
    /// Redis 8.6: metadata classes of the next key. Valkey 9: a slot import in progress.
    pub(crate) const KEY_META_OR_SLOT_IMPORT: u8 = 243;
    pub(crate) const SLOT_INFO: u8 = 244;
    pub(crate) const FUNCTION2: u8 = 245;
    pub(crate) const FUNCTION_PRE_GA: u8 = 246;
    pub(crate) const MODULE_AUX: u8 = 247;
    pub(crate) const IDLE: u8 = 248;
    pub(crate) const FREQ: u8 = 249;
    pub(crate) const AUX: u8 = 250;
    pub(crate) const RESIZEDB: u8 = 251;
    pub(crate) const EXPIRETIME_MS: u8 = 252;
    pub(crate) const EXPIRETIME: u8 = 253;
    pub(crate) const SELECTDB: u8 = 254;
    pub(crate) const EOF: u8 = 255;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_22_depends_on_the_magic() {
        assert_eq!(RdbType::from_byte(22, Flavor::Redis), Some(RdbType::HashMetadataPreGa));
        assert_eq!(RdbType::from_byte(22, Flavor::Valkey), Some(RdbType::ValkeyHash2));
        assert_eq!(RdbType::from_byte(24, Flavor::Valkey), None);
        assert_eq!(RdbType::from_byte(8, Flavor::Redis), None);
    }

    #[test]
    fn types_are_found_by_their_names() {
        let module = ObjectType::Module(ModuleId(0x1234_5678_9abc_def0));
        for found in [ObjectType::String, ObjectType::Zset, ObjectType::Array, module] {
            let version = match found {
                ObjectType::Module(id) => Some(id.encoding_version()),
                _ => None,
            };
            assert_eq!(ObjectType::named(&found.to_string(), version), Some(found));
        }
        assert_eq!(ObjectType::named("tree", None), None);
        assert_eq!(ObjectType::named("ReJSON-R?", Some(3)), None);
        assert_eq!(ObjectType::named("ReJSON-RL", Some(1024)), None);
    }

    #[test]
    fn module_id_spells_its_name() {
        // "vectorset" by the six-bit alphabet, encoding version 0.
        let id = b"vectorset".iter().fold(0u64, |id, c| id << 6 | u64::from(c - b'a' + 26)) << 10;
        assert_eq!(ModuleId(id).to_string(), "vectorset");
        assert!(ModuleId(id).is_vector_set());
        assert_eq!(ModuleId(id | 3).encoding_version(), 3);
    }
}
