//! Damage by name: where it shows, what is said of it, and what is read all the same.

use offkey_testkit::{Encoder, Intset, Listpack, RdbFile, Stream, StreamEntry, StreamVersion};
use offkey_testkit::{StringForm, Value, Ziplist, Zipmap, value};

use offkey_rdb::Checksum;

use crate::outcome::read;

/// A file of three keys, the one in the middle of this type and with these bytes.
fn with_value(type_byte: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let victim = Value { type_byte, bytes: bytes.as_ref().into(), object_type: "", count: 0 };
    let mut file = RdbFile::redis(12);
    file.select_db(0).key("before", &value::string("1"));
    file.key("victim", &victim).key("after", &value::string("2")).finish()
}

/// The same with a string around the bytes, as packed blobs have.
fn with_blob(type_byte: u8, blob: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Encoder::default();
    out.len(blob.as_ref().len()).raw(blob);
    with_value(type_byte, out.0)
}

/// A file with these bytes between a key and the end.
fn with_record(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut file = RdbFile::redis(12);
    file.select_db(0).key("before", &value::string("1")).raw(bytes).finish()
}

/// Changes the bytes at an offset.
fn put(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> Vec<u8> {
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

fn stream_with_node(node: &[u8], entry_count: u64) -> Vec<u8> {
    let mut out = Encoder::default();
    out.len(1).string([0; 16]).string(node);
    out.len(entry_count).len(1).len(1).len(0);
    with_value(15, out.0)
}

/// A stream of one entry that says it has another number of them.
fn stream_of_length(length: u8) -> Vec<u8> {
    let pairs = vec![(b"field".to_vec(), b"value".to_vec())];
    let entries = vec![StreamEntry { id: (5, 1), pairs, deleted: false }];
    let stream = value::stream(&Stream { entries, ..Stream::default() }, StreamVersion::V1);
    // Before the end stand the length, the last id in two bytes, and the number of groups.
    let at = stream.bytes.len() - 4;
    put(stream.bytes, at, &[length])
}

#[test]
fn wrong_bit_in_the_version_does_not_hide_the_checksum() {
    let file = put(with_record([]), 7, b"02");
    let end = read(&file[..]).end.unwrap();
    assert!(matches!(end, Checksum::Wrong { .. }), "{end:?}");
}

/// Damage that costs one key: the key after it is read and the end is reached.
#[test]
fn damage_inside_a_value() {
    let pair = || Listpack::of(&["a", "b"]);
    let zl_pair = || Ziplist::of(&["a", "b"]);
    let cases: &[(&str, Vec<u8>, &str)] = &[
        (
            "no elements",
            with_value(2, [0]),
            "byte 29: no elements, and a server drops an empty key on load",
        ),
        (
            "intset of width 3",
            with_blob(11, put(Intset::of(&[1, 2]), 0, &[3])),
            "byte 30: intset members are 2, 4 or 8 bytes wide, not 3",
        ),
        (
            "intset count over",
            with_blob(11, put(Intset::of(&[1, 2]), 4, &[9])),
            "byte 34: intset of 9 members of 2 bytes has 4 bytes",
        ),
        (
            "intset count wraps",
            with_blob(11, put(Intset::of(&[1, 2]), 4, &[0, 0, 0, 0x80])),
            "byte 34: intset of 2147483648 members of 2 bytes has 4 bytes",
        ),
        (
            "intset unsorted",
            with_blob(11, Intset::of_width(&[2, 1], 2)),
            "byte 40: intset member 1 is not above the one before it",
        ),
        (
            "intset twice",
            with_blob(11, Intset::of_width(&[1, 1], 2)),
            "byte 40: intset member 1 is not above the one before it",
        ),
        (
            "intset trailing",
            with_blob(11, [Intset::of(&[1]), vec![0]].concat()),
            "byte 34: intset of 1 members of 2 bytes has 3 bytes",
        ),
        (
            "intset cut",
            with_blob(11, [2, 0, 0]),
            "byte 30: intset of 3 bytes is shorter than its own header",
        ),
        (
            "listpack total",
            with_blob(16, put(pair(), 0, &[200])),
            "byte 30: listpack of 13 bytes states a length of 200",
        ),
        (
            "listpack count",
            with_blob(16, put(pair(), 4, &[4])),
            "byte 34: listpack states 4 entries and holds 2",
        ),
        (
            "listpack odd",
            with_blob(16, Listpack::of(&["a", "b", "c"])),
            "byte 30: listpack of 3 entries does not hold whole rows",
        ),
        (
            "listpack no end",
            with_blob(16, put(pair(), 12, &[0])),
            "byte 42: listpack entry 2 reaches beyond the 1 bytes left in the blob",
        ),
        (
            "listpack backlen",
            with_blob(16, put(pair(), 8, &[7])),
            "byte 36: listpack entry 0 of 2 bytes is followed by another length",
        ),
        (
            "listpack string over",
            with_blob(16, put(pair(), 9, &[0xbf])),
            "byte 39: listpack entry 1 reaches beyond the 4 bytes left in the blob",
        ),
        (
            "listpack code",
            with_blob(16, put(pair(), 6, &[0xf5])),
            "byte 36: listpack entry 0 has no known encoding: 0xf5",
        ),
        (
            "listpack empty",
            with_blob(16, Listpack::of::<&str>(&[])),
            "byte 29: no elements, and a server drops an empty key on load",
        ),
        (
            "listpack nothing",
            with_blob(16, ""),
            "byte 30: listpack of 0 bytes is shorter than its own header",
        ),
        (
            "field twice",
            with_blob(16, Listpack::of(&["a", "b", "a", "c"])),
            "byte 42: listpack entry 2: this field stands in the blob before",
        ),
        (
            "member twice",
            with_blob(20, Listpack::of(&["a", "b", "a"])),
            "byte 42: listpack entry 2: this member stands in the blob before",
        ),
        (
            "score is nan",
            with_blob(17, Listpack::of(&["a", "nan"])),
            "byte 39: listpack entry 1: a score cannot be NaN",
        ),
        (
            "field expiry is text",
            with_blob(23, Listpack::of(&["a", "b", "c"])),
            "byte 42: listpack entry 2: an expiry must be an integer",
        ),
        (
            "ziplist total",
            with_blob(13, put(zl_pair(), 0, &[200])),
            "byte 30: ziplist of 17 bytes states a length of 200",
        ),
        (
            "ziplist tail",
            with_blob(13, put(zl_pair(), 4, &[11])),
            "byte 34: ziplist states its last entry at 11, it is at 13",
        ),
        (
            "ziplist count",
            with_blob(13, put(zl_pair(), 8, &[4])),
            "byte 34: ziplist states 4 entries and holds 2",
        ),
        (
            "ziplist prevlen",
            with_blob(13, put(zl_pair(), 13, &[9])),
            "byte 43: ziplist entry 1 follows one of 3 bytes and says it has 9",
        ),
        (
            "ziplist string over",
            with_blob(13, put(zl_pair(), 11, &[0x3f])),
            "byte 40: ziplist entry 0 reaches beyond the 7 bytes left in the blob",
        ),
        (
            "ziplist code",
            with_blob(13, put(zl_pair(), 11, &[0xc1])),
            "byte 40: ziplist entry 0 has no known encoding: 0xc1",
        ),
        (
            "ziplist no end",
            with_blob(13, put(zl_pair(), 16, &[0])),
            "byte 46: ziplist entry 2 follows one of 3 bytes and says it has 0",
        ),
        (
            "zipmap no end",
            with_blob(9, put(Zipmap::of(&[("f", "v")]), 6, &[1])),
            "byte 36: zipmap entry 2 reaches beyond the 1 bytes left in the blob",
        ),
        (
            "zipmap length",
            with_blob(9, put(Zipmap::of(&[("f", "v")]), 1, &[200])),
            "byte 31: zipmap entry 0 reaches beyond the 6 bytes left in the blob",
        ),
        (
            "zipmap free",
            with_blob(9, put(Zipmap::of(&[("f", "v")]), 4, &[200])),
            "byte 33: zipmap entry 1 reaches beyond the 4 bytes left in the blob",
        ),
        (
            "blob is an integer",
            with_value(16, [0xc0, 5]),
            "byte 29: a packed blob expected, an integer found",
        ),
        (
            "lzf back too far",
            with_value(0, [0xc3, 3, 30, 0xe0, 0x15, 5]),
            "byte 32: compressed string refers 6 bytes back, 0 are there, at byte 0 of the expanded form",
        ),
        (
            "lzf literals over",
            with_value(0, [0xc3, 3, 30, 0x1f, b'a', b'b']),
            "byte 32: compressed string ends inside a token, at byte 0 of the expanded form",
        ),
        (
            "lzf too short",
            with_value(0, [0xc3, 2, 30, 0, b'a']),
            "byte 32: compressed string announces 30 bytes and expands to 1, at byte 1 of the expanded form",
        ),
        (
            "lzf too long",
            with_value(0, [0xc3, 4, 1, 2, b'a', b'b', b'c']),
            "byte 32: compressed string announces 1 bytes and expands to 3, at byte 3 of the expanded form",
        ),
        (
            "zset nan",
            with_value(5, value::zset_2(&[("a", f64::NAN)]).bytes),
            "byte 32: a score cannot be NaN",
        ),
        (
            "zset junk score",
            with_value(3, [1, 1, b'a', 2, b'x', b'y']),
            "byte 33: a score must be a number",
        ),
        (
            "plain node is empty",
            with_value(18, [1, 1, 0]),
            "byte 31: a quicklist's plain node cannot be empty",
        ),
        (
            "node of kind 3",
            with_value(18, [&[1, 3, 13][..], &pair()].concat()),
            "byte 30: quicklist node is of kind 1 or 2, not 3",
        ),
        (
            "stream count",
            stream_with_node(&Listpack::of(&["1", "0", "0", "0"]), 1),
            "byte 48: stream node states 1 entries and 0 deleted, it holds 0 and 0",
        ),
        (
            "stream no master",
            stream_with_node(&Listpack::of::<&str>(&[]), 0),
            "byte 48: stream node ends inside an entry",
        ),
        (
            "stream negative",
            stream_with_node(&Listpack::of(&["-1", "0", "0", "0"]), 0),
            "byte 54: listpack entry 0: a count cannot be negative",
        ),
        (
            "stream length",
            with_value(15, stream_of_length(9)),
            "byte 85: stream states 9 entries, its nodes hold 1",
        ),
        (
            "no such template",
            with_blob(30, Listpack::of(&["7", "b"])),
            "byte 36: listpack entry 0: no such template",
        ),
    ];
    for (name, bytes, expected) in cases {
        let outcome = read(&**bytes);
        let damage: Vec<_> = outcome.damaged().filter_map(|key| key.damage.clone()).collect();
        assert_eq!(damage, [*expected], "{name}");
        let after = &outcome.keys[2];
        assert_eq!((&after.name[..], after.count), (&b"after"[..], 1), "{name}");
        assert_eq!(outcome.end.unwrap(), Checksum::Right, "{name}");
    }
}

/// Damage after which no key can be found: the keys before it are kept.
#[test]
fn damage_of_the_framing() {
    let whole = || with_value(0, [1, b'x']);
    let cut = |len: usize| {
        let mut bytes = whole();
        bytes.truncate(bytes.len() - len);
        bytes
    };
    let long = |len: u64| Encoder::default().len_as(StringForm::Len64, len).0.clone();
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("empty", Vec::new(), "truncated at byte 0: the file is empty"),
        (
            "magic alone",
            b"REDIS".to_vec(),
            "truncated at byte 0: 9 bytes expected, 5 left in the file",
        ),
        (
            "no magic",
            b"PK\x03\x04 and more".to_vec(),
            "unsupported at byte 0: an RDB file begins with REDIS or VALKEY, this with \"PK\\x03\\x04 and \"",
        ),
        (
            "version is text",
            b"REDIS00ab\xff".to_vec(),
            "corrupt at byte 0: RDB version expected as digits, found \"00ab\"",
        ),
        (
            "version 0",
            b"REDIS0000\xff".to_vec(),
            "unsupported at byte 0: redis RDB version 0 is not known, only redis 1 to 15 and valkey 80; --force tries it",
        ),
        (
            "version 99",
            b"REDIS0099\xff".to_vec(),
            "unsupported at byte 0: redis RDB version 99 is not known, only redis 1 to 15 and valkey 80; --force tries it",
        ),
        (
            "valkey version 81",
            b"VALKEY081\xff".to_vec(),
            "unsupported at byte 0: valkey RDB version 81 is not known, only redis 1 to 15 and valkey 80; --force tries it",
        ),
        ("no checksum", cut(8), "truncated at byte 41: 8 bytes expected, 0 left in the file"),
        ("half a checksum", cut(4), "truncated at byte 41: 8 bytes expected, 4 left in the file"),
        ("no end", cut(9), "truncated at byte 40: 1 bytes expected, 0 left in the file"),
        (
            "unknown type",
            with_record([99, 1, b'k', 1, b'v']),
            "unsupported at byte 21: type or opcode 99 is not known in redis RDB version 12",
        ),
        (
            "type of valkey",
            with_record([33, 1, b'k', 0]),
            "unsupported at byte 21: type or opcode 33 is not known in redis RDB version 12",
        ),
        (
            "module of before 4.0",
            with_value(6, [0x81, 0, 0, 0, 0, 0, 0, 0, 1, 5]),
            "unsupported at byte 29: db 0, key \"victim\", module-pre-ga: a module value of before Redis 4.0 carries no length and cannot be skipped",
        ),
        (
            "string to the skies",
            with_value(0, long(u64::MAX)),
            "over a limit at byte 38: db 0, key \"victim\", string: string of 18446744073709551615 bytes announced, more than 4294967296 is taken for damage",
        ),
        (
            "string of 1 GiB",
            with_value(0, long(1 << 30)),
            "truncated at byte 56: db 0, key \"victim\", string: 1073741824 bytes announced, 18 left in the file",
        ),
        (
            "key to the skies",
            with_record([vec![0], long(1 << 62)].concat()),
            "over a limit at byte 31: string of 4611686018427387904 bytes announced, more than 4294967296 is taken for damage",
        ),
        (
            "length form 0x82",
            with_value(0, [0x82]),
            "corrupt at byte 29: db 0, key \"victim\", string: no length begins with byte 0x82",
        ),
        (
            "string form 5",
            with_value(0, [0xc5]),
            "corrupt at byte 29: db 0, key \"victim\", string: string form 5 is not known, only 0 to 3 are",
        ),
        (
            "count to the skies",
            with_value(2, long(1 << 62)),
            "corrupt at byte 47: db 0, key \"victim\", set: string form 63 is not known, only 0 to 3 are",
        ),
        (
            "nodes lie",
            with_value(18, [5, 1, 1, b'x']),
            "corrupt at byte 42: db 0, key \"victim\", list-quicklist-2: string form 63 is not known, only 0 to 3 are",
        ),
        (
            "lzf over the file",
            with_value(0, [0xc3, 0x7f, 0xff, 0x7f, 0xff]),
            "truncated at byte 34: db 0, key \"victim\", string: 16383 bytes expected, 18 left in the file",
        ),
        (
            "expiry before the end",
            with_record([252, 0, 0, 0, 0, 0, 0, 0, 0]),
            "corrupt at byte 30: a key expected after its expiry, not the end",
        ),
        (
            "function without engine",
            with_record(b"\xf5\x05junk!"),
            "corrupt at byte 22: the code of a function library begins with #!",
        ),
        (
            "module sub-opcode 9",
            with_value(7, [1, 9]),
            "corrupt at byte 30: db 0, key \"victim\", module-2: module data is marked 0 to 5, not 9",
        ),
    ];
    for (name, bytes, expected) in cases {
        let outcome = read(&**bytes);
        assert_eq!(outcome.end.unwrap_err().to_string(), *expected, "{name}");
        let names: Vec<_> = outcome.keys.iter().map(|key| &key.name[..]).collect();
        let whole: [&[u8]; 3] = [b"before", b"victim", b"after"];
        assert!(whole.starts_with(&names), "{name}: {names:?}");
        assert!(!names.is_empty() || !bytes.starts_with(b"REDIS0012"), "{name}: no key is kept");
    }
}

/// What looks odd and is legal: servers write it.
#[test]
fn oddities_are_no_damage() {
    // Lengths of the entry before stay in five bytes once they had to be.
    let wide = b"\x15\0\0\0\x0d\0\0\0\x02\0\x00\x01a\xfe\x03\0\0\0\x01b\xff";
    let mut zipmap = Zipmap::new();
    zipmap.push(b"f", b"v", 3);
    let cases: &[(&str, Vec<u8>, u64)] = &[
        ("previous length in five bytes", with_blob(13, wide), 1),
        ("ziplist count unknown", with_blob(13, put(Ziplist::of(&["a", "b"]), 8, &[255, 255])), 1),
        (
            "listpack count unknown",
            with_blob(16, put(Listpack::of(&["a", "b"]), 4, &[255, 255])),
            1,
        ),
        ("zipmap count unknown", with_blob(9, put(Zipmap::of(&[("f", "v")]), 0, &[254])), 1),
        ("spare bytes in a zipmap", with_blob(9, zipmap.finish()), 1),
        ("same element twice", with_blob(10, Ziplist::of(&["a", "a"])), 2),
        ("same value twice", with_blob(16, Listpack::of(&["a", "v", "b", "v"])), 2),
        ("integers wider than needed", with_blob(20, wide_integers()), 4),
        (
            "a packed score that is text, which a server takes for 0",
            with_blob(17, Listpack::of(&["a", "b"])),
            1,
        ),
        ("infinite scores", with_blob(17, Listpack::of(&["a", "-inf", "b", "inf"])), 2),
        ("empty strings", with_blob(20, Listpack::of(&[""])), 1),
        ("stream without entries", with_value(15, [0, 0, 0, 0, 0]), 0),
        ("lengths longer than needed", with_value(2, [0x40, 1, 0x80, 0, 0, 0, 1, b'a']), 1),
    ];
    for (name, bytes, count) in cases {
        let outcome = read(&**bytes);
        let victim = &outcome.keys[1];
        assert_eq!((&victim.damage, victim.count), (&None, *count), "{name}");
        assert_eq!(outcome.end.unwrap(), Checksum::Right, "{name}");
    }
}

fn wide_integers() -> Vec<u8> {
    let mut listpack = Listpack::new();
    for (value, width) in [(1, 2), (2, 3), (3, 4), (4, 8)] {
        listpack.push_integer_wide(value, width);
    }
    listpack.finish()
}
