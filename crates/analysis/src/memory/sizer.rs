//! Takes the parts of one value after another and tells what its key costs.

use offkey_rdb::{Key, Part, RdbType, Str, StringKey, Visit, Weight, Weights};

use super::array::ArraySizer;
use super::hash::HashSizer;
use super::model::Model;
use super::object::{KeyHead, ObjectCost};
use super::quicklist::ListSizer;
use super::set::SetSizer;
use super::stream::StreamSizer;
use super::template::TemplateSizer;
use super::vectorset::VectorSetSizer;
use super::zset::ZsetSizer;
use super::{Cost, Encoding};

/// What a key costs in the modelled server once the file is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// What `OBJECT ENCODING` answers.
    pub encoding: Encoding,
    /// Elements; for strings the length in bytes, for values of modules 1.
    pub num_of_elem: u64,
    /// Sum of all allocations.
    pub bytes: u64,
    /// What `MEMORY USAGE key SAMPLES 0` answers; `None` for values of modules, which answer
    /// for themselves.
    pub memory_usage: Option<u64>,
}

/// Sizes one key after another; its buffers are used again.
///
/// ```text
/// sizer.begin(&key);
/// let end = reader.value(&mut sizer)?;
/// let sizes = sizer.finish(end.serialized_len);
/// ```
#[derive(Debug)]
pub struct Sizer<'m> {
    model: &'m Model,
    key: KeyHead,
    kind: Kind,
    string: (Encoding, u64, Cost),
    list: ListSizer,
    set: SetSizer,
    zset: ZsetSizer,
    hash: HashSizer,
    template: TemplateSizer,
    stream: StreamSizer,
    array: ArraySizer,
    vector_set: VectorSetSizer,
}

/// Which of the sizers has the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    List,
    Set,
    Zset,
    Hash,
    Template,
    Stream,
    Array,
    Module,
    VectorSet,
}

impl<'m> Sizer<'m> {
    /// A sizer for keys in the server `model`.
    pub fn new(model: &'m Model) -> Self {
        Self {
            model,
            key: KeyHead::default(),
            kind: Kind::Module,
            string: (Encoding::Raw, 0, Cost::default()),
            list: ListSizer::default(),
            set: SetSizer::default(),
            zset: ZsetSizer::new(model),
            hash: HashSizer::new(model),
            template: TemplateSizer::default(),
            stream: StreamSizer::new(model),
            array: ArraySizer::default(),
            vector_set: VectorSetSizer::default(),
        }
    }

    /// Begins a key, whose parts follow.
    pub fn begin(&mut self, key: &Key) {
        self.key = KeyHead {
            len: key.key_len.min(super::LEN_MAX),
            expires: key.expire_at_ms.is_some(),
            meta_class_count: key.meta_class_count.min(8),
            has_lru: key.idle_seconds.is_some() || key.freq.is_some(),
        };
        self.kind = match key.rdb_type {
            RdbType::String => Kind::String,
            RdbType::List
            | RdbType::ListZiplist
            | RdbType::ListQuicklist
            | RdbType::ListQuicklist2 => {
                self.list.begin(key.rdb_type);
                Kind::List
            }
            RdbType::Set | RdbType::SetIntset | RdbType::SetListpack => {
                self.set.begin();
                Kind::Set
            }
            RdbType::Zset | RdbType::Zset2 | RdbType::ZsetZiplist | RdbType::ZsetListpack => {
                self.zset = ZsetSizer::new(self.model);
                Kind::Zset
            }
            RdbType::Hash
            | RdbType::HashZipmap
            | RdbType::HashZiplist
            | RdbType::HashListpack
            | RdbType::HashMetadataPreGa
            | RdbType::HashListpackExPreGa
            | RdbType::HashMetadata
            | RdbType::HashListpackEx
            | RdbType::ValkeyHash2 => {
                self.hash.begin(self.model, key.rdb_type);
                Kind::Hash
            }
            RdbType::HashTemplateListpack | RdbType::HashTemplateArray => {
                self.template.begin(key.rdb_type);
                Kind::Template
            }
            RdbType::StreamListpacks
            | RdbType::StreamListpacks2
            | RdbType::StreamListpacks3
            | RdbType::StreamListpacks4
            | RdbType::StreamListpacks5 => {
                self.stream = StreamSizer::new(self.model);
                Kind::Stream
            }
            RdbType::Array => {
                self.array.begin();
                Kind::Array
            }
            RdbType::ModulePreGa | RdbType::Module2 => Kind::Module,
        };
    }

    /// Tells what the key costs whose parts have passed; `serialized_len` is the length of
    /// its value in the file, which stands for the memory of a module's value.
    pub fn finish(&mut self, serialized_len: u64) -> Sizes {
        let model = self.model;
        let object = match self.kind {
            // The value decides on its object.
            Kind::String => ObjectCost::default(),
            _ => model.object(&self.key),
        };
        let (encoding, num_of_elem, cost) = match self.kind {
            Kind::String => self.string,
            Kind::List => self.list.finish(model, object),
            Kind::Set => self.set.finish(model, object),
            Kind::Zset => self.zset.finish(model, object),
            Kind::Hash => self.hash.finish(model, object),
            Kind::Template => self.template.finish(model, object),
            Kind::Stream => self.stream.finish(model, object),
            Kind::Array => self.array.finish(model, object),
            Kind::VectorSet => self.vector_set.finish(model, object),
            Kind::Module => {
                let cost = object.head + object.object + Cost::same(serialized_len);
                return Sizes {
                    encoding: Encoding::Raw,
                    num_of_elem: 1,
                    bytes: cost.bytes,
                    memory_usage: None,
                };
            }
        };
        Sizes { encoding, num_of_elem, bytes: cost.bytes, memory_usage: Some(cost.usage) }
    }

    /// Tells what a key with a plain string value costs.
    #[inline]
    pub fn string_key(&self, key: &StringKey<'_>) -> Sizes {
        let head = KeyHead {
            len: key.name.len() as u64,
            expires: key.expire_at_ms.is_some(),
            meta_class_count: 0,
            has_lru: false,
        };
        let (encoding, cost) = self.model.string(&head, &key.value);
        let num_of_elem = key.value.len;
        Sizes { encoding, num_of_elem, bytes: cost.bytes, memory_usage: Some(cost.usage) }
    }

    fn string(&mut self, value: &Str<'_>) {
        let (encoding, cost) = self.model.string(&self.key, value);
        self.string = (encoding, value.len, cost);
    }
}

impl Visit for Sizer<'_> {
    fn part(&mut self, part: Part<'_>) {
        match self.kind {
            Kind::String => {
                if let Part::String(value) = &part {
                    self.string(value);
                }
            }
            Kind::List => self.list.part(self.model, &part),
            Kind::Set => self.set.part(self.model, &part),
            Kind::Zset => self.zset.part(self.model, &part),
            Kind::Hash => self.hash.part(self.model, &part),
            Kind::Template => self.template.part(self.model, &part),
            Kind::Stream => self.stream.part(self.model, &part),
            Kind::Array => self.array.part(self.model, &part),
            Kind::VectorSet => self.vector_set.part(self.model, &part),
            Kind::Module => {
                if let Part::Module(id) = &part
                    && id.is_vector_set()
                {
                    self.vector_set.begin();
                    self.kind = Kind::VectorSet;
                }
            }
        }
    }

    #[inline]
    fn member(&mut self, member: Str<'_>) {
        match self.kind {
            Kind::Set => self.set.member(self.model, &member),
            _ => self.part(Part::Member(member)),
        }
    }

    #[inline]
    fn scored(&mut self, member: Str<'_>, score: f64) {
        match self.kind {
            Kind::Zset => self.zset.scored(self.model, &member, score),
            _ => {
                self.part(Part::Member(member));
                self.part(Part::Score(score));
            }
        }
    }

    #[inline]
    fn pair(&mut self, field: Str<'_>, value: Str<'_>) {
        match self.kind {
            Kind::Hash => self.hash.pair(self.model, &field, &value),
            _ => {
                self.part(Part::Field(field));
                self.part(Part::Value(value));
            }
        }
    }

    fn weights(&self) -> Option<Weights<'_>> {
        match self.kind {
            Kind::Set => self.set.weights(self.model),
            Kind::Zset => self.zset.weights(self.model),
            Kind::Hash => self.hash.weights(self.model),
            Kind::String
            | Kind::List
            | Kind::Template
            | Kind::Stream
            | Kind::Array
            | Kind::Module
            | Kind::VectorSet => None,
        }
    }

    fn weighed(&mut self, row_count: u64, sum: Weight) {
        match self.kind {
            Kind::Set => self.set.weighed(row_count, sum),
            Kind::Zset => self.zset.weighed(self.model, row_count, sum),
            Kind::Hash => self.hash.weighed(row_count, sum),
            Kind::String
            | Kind::List
            | Kind::Template
            | Kind::Stream
            | Kind::Array
            | Kind::Module
            | Kind::VectorSet => {}
        }
    }

    fn wants_items(&self, stated: Option<u64>) -> bool {
        match self.kind {
            Kind::List => self.list.wants_items(),
            Kind::Set => self.set.wants_items(self.model, stated),
            Kind::Zset => self.zset.wants_items(self.model, stated),
            Kind::Hash => self.hash.wants_items(self.model, stated),
            Kind::String
            | Kind::Template
            | Kind::Stream
            | Kind::Array
            | Kind::Module
            | Kind::VectorSet => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use offkey_rdb::{ModuleId, Packed, Text};

    use super::*;
    use crate::memory::{Allocator, Config, Profile};

    const TYPES: [RdbType; 14] = [
        RdbType::String,
        RdbType::List,
        RdbType::Set,
        RdbType::Zset2,
        RdbType::Hash,
        RdbType::Module2,
        RdbType::HashZipmap,
        RdbType::SetIntset,
        RdbType::ListQuicklist,
        RdbType::ListQuicklist2,
        RdbType::HashListpackEx,
        RdbType::StreamListpacks3,
        RdbType::Array,
        RdbType::HashTemplateListpack,
    ];

    fn key(rdb_type: RdbType, key_len: u64) -> Key {
        Key {
            db: 0,
            key_len,
            rdb_type,
            expire_at_ms: Some(1),
            idle_seconds: None,
            freq: None,
            slot: None,
            meta_class_count: key_len,
            at: 0,
        }
    }

    /// Every kind of part, with `len` wherever a length or a count stands.
    fn parts(len: u64) -> Vec<Part<'static>> {
        let long = Str { len, text: Text::Long };
        let vector_set = b"vectorset".iter().fold(0u64, |id, c| id << 6 | u64::from(c - b'a' + 26));
        let mut parts = vec![
            Part::Module(ModuleId(vector_set << 10)),
            Part::String(long),
            Part::Count(len),
            Part::Packed { kind: Packed::Ziplist, len, compressed_len: Some(len) },
            Part::Intset { width: 8, count: len },
            Part::PlainNode { len, compressed_len: Some(len) },
            Part::Member(long),
            Part::Score(1.5),
            Part::ScoreText(long),
            Part::Field(long),
            Part::Value(long),
            Part::FieldExpire(len),
            Part::Template { id: len },
            Part::StreamNode { id: [7; 16], len, count: len },
            Part::StreamMeta { length: len, group_count: len },
            Part::Group { name: long },
            Part::Pending { id: [7; 16], delivered_at_ms: len },
            Part::Consumer { name: long },
            Part::ConsumerPending { id: [7; 16] },
            Part::Producer { name: long },
            Part::ProducedId(long),
            Part::ArrayValue { index: len, string: Some(long) },
        ];
        parts.extend([Part::ModuleInt(len); 6]);
        parts.extend([Part::ModuleString(long); 3]);
        parts
    }

    #[test]
    fn no_claim_of_a_file_overflows() {
        for profile in Profile::all() {
            for allocator in [Allocator::Jemalloc, Allocator::Libc] {
                let model = Model::new(profile, allocator, Config::default());
                let mut sizer = Sizer::new(&model);
                for (rdb_type, len) in
                    TYPES.iter().flat_map(|t| [0, 1, 1 << 32, u64::MAX].map(|len| (*t, len)))
                {
                    sizer.begin(&key(rdb_type, len));
                    for part in parts(len).iter().chain(&parts(u64::MAX)) {
                        sizer.part(*part);
                    }
                    assert!(sizer.finish(len).bytes > 0, "{profile} {rdb_type} {len}");
                }
            }
        }
    }

    #[test]
    fn module_values_answer_for_themselves() {
        let profile = "redis-7.4".parse().unwrap();
        let model = Model::new(profile, Allocator::Jemalloc, Config::default());
        let mut sizer = Sizer::new(&model);
        sizer.begin(&key(RdbType::Module2, 5));
        sizer.part(Part::Module(ModuleId(0)));
        sizer.part(Part::ModuleInt(3));
        let sizes = sizer.finish(1000);
        // Key 8, entry 24, object 16, expiry 24, and the value's length in the file.
        assert_eq!((sizes.bytes, sizes.memory_usage, sizes.num_of_elem), (1072, None, 1));
    }
}
