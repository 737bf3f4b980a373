//! Values in every form: type byte, bytes, and what a reader must say of them.

use crate::encoder::{Encoder, StringForm, score_text};
use crate::file::module_id;
use crate::packed::{Intset, Listpack, Ziplist, Zipmap};
use crate::stream::{Stream, StreamVersion};

/// A value as it stands in a file, and the truth about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The byte before the key.
    pub type_byte: u8,
    /// What follows the key.
    pub bytes: Vec<u8>,
    /// What the server's `TYPE` answers.
    pub object_type: &'static str,
    /// Elements, fields or entries; bytes of a string; 1 for a module value.
    pub count: u64,
}

fn value(
    type_byte: u8,
    object_type: &'static str,
    count: usize,
    write: impl FnOnce(&mut Encoder),
) -> Value {
    let mut out = Encoder::default();
    write(&mut out);
    Value { type_byte, bytes: out.0, object_type, count: count as u64 }
}

fn flat<T: AsRef<[u8]>>(pairs: &[(T, T)]) -> Vec<&[u8]> {
    pairs.iter().flat_map(|(a, b)| [a.as_ref(), b.as_ref()]).collect()
}

fn scored_flat<T: AsRef<[u8]>>(members: &[(T, f64)]) -> Vec<Vec<u8>> {
    let text = |score: &f64| score_text(*score).into_bytes();
    members.iter().flat_map(|(m, score)| [m.as_ref().to_vec(), text(score)]).collect()
}

/// Type 0, in the form a server gives it.
pub fn string(text: impl AsRef<[u8]>) -> Value {
    let text = text.as_ref();
    value(0, "string", text.len(), |out| _ = out.string(text))
}

/// Type 0, in a given form.
pub fn string_as(form: StringForm, text: impl AsRef<[u8]>) -> Value {
    let text = text.as_ref();
    value(0, "string", text.len(), |out| _ = out.string_as(form, text))
}

/// Type 1.
pub fn list<T: AsRef<[u8]>>(elements: &[T]) -> Value {
    value(1, "list", elements.len(), |out| _ = out.strings(elements))
}

/// Type 2.
pub fn set<T: AsRef<[u8]>>(members: &[T]) -> Value {
    value(2, "set", members.len(), |out| _ = out.strings(members))
}

/// Type 3: scores as text.
pub fn zset<T: AsRef<[u8]>>(members: &[(T, f64)]) -> Value {
    value(3, "zset", members.len(), |out| {
        out.len(members.len());
        for (member, score) in members {
            out.string(member).text_double(*score);
        }
    })
}

/// Type 4.
pub fn hash<T: AsRef<[u8]>>(pairs: &[(T, T)]) -> Value {
    value(4, "hash", pairs.len(), |out| {
        out.len(pairs.len());
        for text in flat(pairs) {
            out.string(text);
        }
    })
}

/// Type 5: scores as eight bytes.
pub fn zset_2<T: AsRef<[u8]>>(members: &[(T, f64)]) -> Value {
    value(5, "zset", members.len(), |out| {
        out.len(members.len());
        for (member, score) in members {
            out.string(member).raw(score.to_le_bytes());
        }
    })
}

/// Type 6: a module value whose length only the module knows.
pub fn module_pre_ga(id: u64, data: &[u8]) -> Value {
    value(6, "module", 1, |out| _ = out.len(id).raw(data))
}

/// Type 7: a module value of sub-opcodes, one of each kind.
pub fn module_2(name: &'static str, version: u64, text: &[u8]) -> Value {
    value(7, name, 1, |out| _ = out.len(module_id(name, version)).raw(module_data(text)))
}

/// The sub-opcodes of a module value, one of each kind, and their end.
pub fn module_data(text: &[u8]) -> Vec<u8> {
    let mut out = Encoder::default();
    out.len(1).len((-5i64).cast_unsigned()); // signed
    out.len(2).len(1u64 << 40); // unsigned
    out.len(3).raw(1.5f32.to_le_bytes());
    out.len(4).raw(2.5f64.to_le_bytes());
    out.len(5).string(text);
    out.len(0).0.clone()
}

/// Type 9.
pub fn hash_zipmap<T: AsRef<[u8]>>(pairs: &[(T, T)]) -> Value {
    value(9, "hash", pairs.len(), |out| _ = out.string(Zipmap::of(pairs)))
}

/// Type 10.
pub fn list_ziplist<T: AsRef<[u8]>>(elements: &[T]) -> Value {
    value(10, "list", elements.len(), |out| _ = out.string(Ziplist::of(elements)))
}

/// Type 11; members must be distinct.
pub fn set_intset(members: &[i64]) -> Value {
    value(11, "set", members.len(), |out| _ = out.string(Intset::of(members)))
}

/// Type 12.
pub fn zset_ziplist<T: AsRef<[u8]>>(members: &[(T, f64)]) -> Value {
    value(12, "zset", members.len(), |out| _ = out.string(Ziplist::of(&scored_flat(members))))
}

/// Type 13.
pub fn hash_ziplist<T: AsRef<[u8]>>(pairs: &[(T, T)]) -> Value {
    value(13, "hash", pairs.len(), |out| _ = out.string(Ziplist::of(&flat(pairs))))
}

/// Type 14, with so many elements in a node.
pub fn list_quicklist<T: AsRef<[u8]>>(elements: &[T], node_len: usize) -> Value {
    value(14, "list", elements.len(), |out| {
        out.len(elements.chunks(node_len).len());
        for node in elements.chunks(node_len) {
            out.string(Ziplist::of(node));
        }
    })
}

/// Type 15, 19, 21, 26 or 27.
pub fn stream(stream: &Stream, version: StreamVersion) -> Value {
    let type_byte = match version {
        StreamVersion::V1 => 15,
        StreamVersion::V2 => 19,
        StreamVersion::V3 => 21,
        StreamVersion::V4 => 26,
        StreamVersion::V5 => 27,
    };
    value(type_byte, "stream", stream.live_count(), |out| stream.write(out, version))
}

/// Type 16.
pub fn hash_listpack<T: AsRef<[u8]>>(pairs: &[(T, T)]) -> Value {
    value(16, "hash", pairs.len(), |out| _ = out.string(Listpack::of(&flat(pairs))))
}

/// Type 17.
pub fn zset_listpack<T: AsRef<[u8]>>(members: &[(T, f64)]) -> Value {
    value(17, "zset", members.len(), |out| _ = out.string(Listpack::of(&scored_flat(members))))
}

/// Type 18; elements longer than `plain_len` get plain nodes of their own.
pub fn list_quicklist_2<T: AsRef<[u8]>>(
    elements: &[T],
    node_len: usize,
    plain_len: usize,
) -> Value {
    const PLAIN: usize = 1;
    const PACKED: usize = 2;
    let mut nodes: Vec<(usize, Vec<&[u8]>)> = Vec::new();
    for element in elements.iter().map(AsRef::as_ref) {
        match nodes.last_mut() {
            _ if element.len() > plain_len => nodes.push((PLAIN, vec![element])),
            Some((PACKED, node)) if node.len() < node_len => node.push(element),
            _ => nodes.push((PACKED, vec![element])),
        }
    }
    value(18, "list", elements.len(), |out| {
        out.len(nodes.len());
        for (container, node) in &nodes {
            out.len(*container);
            match *container {
                PLAIN => out.string(node[0]),
                _ => out.string(Listpack::of(node)),
            };
        }
    })
}

/// Type 20.
pub fn set_listpack<T: AsRef<[u8]>>(members: &[T]) -> Value {
    value(20, "set", members.len(), |out| _ = out.string(Listpack::of(members)))
}

/// A field, its value, and when it expires in milliseconds since 1970.
pub type ExpiringField<T> = (T, T, Option<u64>);

/// Redis type 22, of 7.4-rc1: expiry as it is, before the field.
pub fn hash_metadata_pre_ga<T: AsRef<[u8]>>(fields: &[ExpiringField<T>]) -> Value {
    value(22, "hash", fields.len(), |out| {
        out.len(fields.len());
        for (field, text, expire_at_ms) in fields {
            out.len(expire_at_ms.unwrap_or(0)).string(field).string(text);
        }
    })
}

/// Redis type 23, of 7.4-rc1: triples in a listpack.
pub fn hash_listpack_ex_pre_ga<T: AsRef<[u8]>>(fields: &[ExpiringField<T>]) -> Value {
    value(23, "hash", fields.len(), |out| _ = out.string(triples(fields)))
}

/// Redis type 24: expiry relative to the earliest, plus one.
pub fn hash_metadata<T: AsRef<[u8]>>(fields: &[ExpiringField<T>]) -> Value {
    let first = fields.iter().filter_map(|f| f.2).min().unwrap_or(0);
    value(24, "hash", fields.len(), |out| {
        out.raw(first.to_le_bytes()).len(fields.len());
        for (field, text, expire_at_ms) in fields {
            out.len(expire_at_ms.map_or(0, |at| at - first + 1)).string(field).string(text);
        }
    })
}

/// Redis type 25: the earliest expiry, then triples in a listpack.
pub fn hash_listpack_ex<T: AsRef<[u8]>>(fields: &[ExpiringField<T>]) -> Value {
    let first = fields.iter().filter_map(|f| f.2).min().unwrap_or(0);
    value(25, "hash", fields.len(), |out| {
        out.raw(first.to_le_bytes()).string(triples(fields));
    })
}

fn triples<T: AsRef<[u8]>>(fields: &[ExpiringField<T>]) -> Vec<u8> {
    let mut listpack = Listpack::new();
    for (field, text, expire_at_ms) in fields {
        let expire = i64::try_from(expire_at_ms.unwrap_or(0)).unwrap();
        listpack.push(field).push(text).push_integer(expire);
    }
    listpack.finish()
}

/// Valkey type 22: expiry after the value, -1 for none.
pub fn valkey_hash_2<T: AsRef<[u8]>>(fields: &[ExpiringField<T>]) -> Value {
    value(22, "hash", fields.len(), |out| {
        out.len(fields.len());
        for (field, text, expire_at_ms) in fields {
            let expire = expire_at_ms.map_or(u64::MAX, |at| at);
            out.string(field).string(text).raw(expire.to_le_bytes());
        }
    })
}

/// What an array holds at an index.
#[derive(Debug, Clone)]
pub enum Slot {
    /// A string of its own.
    String(Vec<u8>),
    /// An integer in the slot.
    Integer(i64),
    /// A float in the slot.
    Float(f64),
    /// A string of a few bytes in the slot.
    SmallString(Vec<u8>),
}

/// Type 28; `insert_at` is where the next insertion goes.
pub fn array(slots: &[(u64, Slot)], insert_at: Option<u64>) -> Value {
    value(28, "array", slots.len(), |out| {
        out.len(slots.len());
        match insert_at {
            None => out.len(0),
            Some(at) => out.len(1).len(at),
        };
        for (index, slot) in slots {
            out.len(*index);
            match slot {
                Slot::String(text) => out.len(0).string(text),
                Slot::Integer(value) => out.len(1).raw(value.to_le_bytes()),
                Slot::Float(value) => out.len(2).raw(value.to_le_bytes()),
                Slot::SmallString(text) => out.len(3).string(text),
            };
        }
    })
}

/// Type 30: template id and values in a listpack.
pub fn hash_template_listpack<T: AsRef<[u8]>>(template: u64, values: &[T]) -> Value {
    let mut listpack = Listpack::new();
    listpack.push_integer(i64::try_from(template).unwrap());
    for text in values {
        listpack.push(text);
    }
    value(30, "hash", values.len(), |out| _ = out.string(listpack.finish()))
}

/// Type 32: template id, then values as many as the template has fields.
pub fn hash_template_array<T: AsRef<[u8]>>(template: u64, values: &[T]) -> Value {
    value(32, "hash", values.len(), |out| {
        out.len(template);
        for text in values {
            out.string(text);
        }
    })
}
