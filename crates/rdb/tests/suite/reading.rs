//! Written files are read right however they arrive, and never taken for whole when they are not.

use std::fs;
use std::io::{self, Read};

use offkey_rdb::{Checksum, Entry, Error, ErrorKind, Key, Options, ReadAt, Reader};
use offkey_testkit::{Dialect, Fixture, Keyspace, RdbFile, Rng, mutate, value};

use crate::outcome::{
    Outcome, Seen, assert_expected, read, read_ahead, read_in_turns, read_rows, read_strings,
};

/// Hands out a file in pieces of at most so many bytes.
struct Pieces {
    rest: io::Cursor<Vec<u8>>,
    len_max: usize,
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(self.len_max);
        self.rest.read(&mut buf[..len])
    }
}

impl ReadAt for Pieces {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = buf.len().min(self.len_max);
        read_from(self.rest.get_ref(), &mut buf[..len], offset)
    }
}

fn read_from(bytes: &[u8], buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let start = usize::try_from(offset).unwrap().min(bytes.len());
    (&bytes[start..]).read(buf)
}

fn small_keyspaces() -> impl Iterator<Item = (Dialect, Keyspace)> {
    // Every type twice, whatever the dialect.
    Dialect::ALL.iter().map(|dialect| {
        let count = 2 * dialect.types().len();
        (*dialect, Keyspace::generate_small(1, *dialect, count))
    })
}

#[test]
fn written_files_hold_what_was_written() {
    for dialect in Dialect::ALL {
        for seed in 0..8 {
            let keyspace = Keyspace::generate(seed, *dialect, 200);
            let outcome = read(&*keyspace.bytes);
            let right = match dialect {
                Dialect::Redis(1..5) => Checksum::Absent,
                _ => Checksum::Right,
            };
            assert_eq!(outcome.end.unwrap(), right, "{dialect:?}, seed {seed}");
            assert_expected(&outcome.keys, &keyspace.keys);
        }
    }
}

#[test]
fn huge_blobs_hold_what_was_written() {
    let keyspace = Keyspace::generate_huge(1);
    let outcome = read(&*keyspace.bytes);
    assert_eq!(outcome.end.unwrap(), Checksum::Right);
    assert_expected(&outcome.keys, &keyspace.keys);
}

fn assert_same(here: &Outcome, there: &Outcome, file: &str) {
    assert_eq!(here.keys, there.keys, "{file}");
    assert_eq!(here.others, there.others, "{file}");
    assert_eq!(here.at, there.at, "{file}");
    match (&here.end, &there.end) {
        (Ok(here), Ok(there)) => assert_eq!(here, there, "{file}"),
        (here, there) => panic!("{file}: {here:?}, {there:?}"),
    }
}

#[test]
fn pieces_of_any_size_give_the_same() {
    let mut files: Vec<_> = small_keyspaces()
        .map(|(dialect, keyspace)| (format!("{dialect:?}"), keyspace.bytes))
        .collect();
    for Fixture { path, .. } in Fixture::small() {
        files.push((path.display().to_string(), fs::read(&path).unwrap()));
    }
    for (name, bytes) in files {
        let whole = read(&*bytes);
        for len_max in [1, 2, 3, 7, 64, 1000, 4095] {
            let pieces = || Pieces { rest: io::Cursor::new(bytes.clone()), len_max };
            assert_same(&whole, &read(pieces()), &format!("{name}, pieces of {len_max}"));
            let ahead = read_ahead(pieces());
            assert_same(&whole, &ahead, &format!("{name}, ahead, pieces of {len_max}"));
            let in_turns = read_in_turns(pieces());
            assert_same(&whole, &in_turns, &format!("{name}, in turns, pieces of {len_max}"));
        }
    }
}

#[test]
fn items_not_wanted_are_checked_and_counted_all_the_same() {
    let mut rng = Rng::new(4);
    for (dialect, keyspace) in small_keyspaces() {
        // Whole first, then damaged.
        let damaged = (0..500).map(|_| mutate(&keyspace.bytes, &mut rng));
        for bytes in [keyspace.bytes.clone()].into_iter().chain(damaged) {
            let (items, rows) = (read(&*bytes), read_rows(&*bytes));
            let facts = |outcome: &Outcome| {
                let keys = outcome.keys.iter();
                let fact = |seen: &Seen| {
                    // What a damaged value holds is no fact.
                    let count = seen.damage.is_none().then_some(seen.count);
                    (seen.key, seen.name.clone(), count, seen.damage.clone())
                };
                (keys.map(fact).collect::<Vec<_>>(), outcome.at)
            };
            assert_eq!(facts(&items), facts(&rows), "{dialect:?}");
            assert_eq!(
                items.end.map_err(|error| error.to_string()),
                rows.end.map_err(|error| error.to_string()),
                "{dialect:?}"
            );
        }
    }
}

#[test]
fn string_keys_in_a_row_are_the_keys_of_the_entries() {
    let mut rng = Rng::new(5);
    let mut files: Vec<Vec<u8>> =
        Fixture::small().iter().map(|fixture| fs::read(&fixture.path).unwrap()).collect();
    for (_, keyspace) in small_keyspaces() {
        files.extend((0..300).map(|_| mutate(&keyspace.bytes, &mut rng)));
        files.push(keyspace.bytes);
    }
    let mut count = 0;
    for bytes in files {
        let entries = read(&*bytes);
        for count_max in [1, 2, usize::MAX] {
            let (strings, in_a_row) = read_strings(&*bytes, count_max);
            let keys = |outcome: &Outcome| {
                let without_place =
                    |seen: &Seen| Seen { key: Key { at: 0, ..seen.key }, ..seen.clone() };
                outcome.keys.iter().map(without_place).collect::<Vec<_>>()
            };
            assert_eq!(keys(&entries), keys(&strings));
            assert_eq!((entries.at, &entries.others), (strings.at, &strings.others));
            let end = |outcome: &Outcome| format!("{:?}", outcome.end);
            assert_eq!(end(&entries), end(&strings));
            count += in_a_row;
        }
    }
    assert!(count > 1000, "only {count} keys were read in a row");
}

#[test]
fn cut_file_is_an_error_and_keeps_the_keys_before() {
    for (dialect, keyspace) in small_keyspaces() {
        for cut in 0..keyspace.bytes.len() {
            let outcome = read(&keyspace.bytes[..cut]);
            let error = outcome.end.expect_err("a cut file is not whole");
            assert_eq!(error.kind(), ErrorKind::Truncated, "{dialect:?} cut at {cut}: {error}");
            assert!(error.at() <= cut as u64, "{dialect:?} cut at {cut}: {error}");
            let whole = keyspace.keys.iter().take_while(|key| key.end <= cut as u64).count();
            assert_expected(&outcome.keys, &keyspace.keys[..whole]);
        }
    }
}

#[test]
fn cut_real_file_is_an_error() {
    for Fixture { path, .. } in Fixture::small() {
        let bytes = fs::read(&path).unwrap();
        let whole = read(&*bytes);
        for cut in (0..bytes.len()).step_by(431) {
            let outcome = read(&bytes[..cut]);
            let error = outcome.end.expect_err("a cut file is not whole");
            assert_eq!(error.kind(), ErrorKind::Truncated, "{} at {cut}", path.display());
            assert_eq!(
                outcome.keys,
                whole.keys[..outcome.keys.len()],
                "{} at {cut}",
                path.display()
            );
        }
    }
}

#[test]
fn flipped_bit_never_passes() {
    let dialects = Dialect::ALL.iter().filter(|dialect| !matches!(dialect, Dialect::Redis(1..5)));
    let mut flips = 0;
    for dialect in dialects {
        let mut bytes = Keyspace::generate_small(3, *dialect, dialect.types().len()).bytes;
        let right = read(&*bytes);
        assert!(right.is_complete());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let outcome = read(&*bytes);
            assert!(!outcome.is_complete(), "{dialect:?}, bit {bit}: {:?}", outcome.end);
            bytes[bit / 8] ^= 1 << (bit % 8);
            flips += 1;
        }
    }
    println!("{flips} bits flipped");
}

#[test]
fn every_opcode_is_read() {
    let data = value::module_data(b"text");
    let string = value::string("v");
    let mut redis = RdbFile::redis(15);
    redis.aux("redis-ver", "9.9.9").aux("ctime", "1700000000").module_aux("some-aux1", 2, &data);
    redis.function("#!lua name=lib").function_pre_ga("lib", Some("text"), "code");
    redis.function_pre_ga("lib", None, "longer").hash_template(3, &["a", "b"]);
    redis.select_db(1 << 40).resize_db(4, 1).slot_info(16_383, 1, 0);
    redis.expire_at_seconds(-5).idle(70_000).key("a", &string);
    redis.expire_at_ms(i64::MAX).freq(255).key_meta(&[(1, &data), (2, &data)]).key("b", &string);
    redis.select_db(0).key("c", &string);
    let outcome = read(&*redis.finish());
    assert_eq!(outcome.end.unwrap(), Checksum::Right);
    let [a, b, c] = [0, 1, 2].map(|i| outcome.keys[i].key);
    assert_eq!((a.db, a.slot, a.expire_at_ms), (1 << 40, Some(16_383), Some(-5000)));
    assert_eq!((a.idle_seconds, a.freq), (Some(70_000), None));
    assert_eq!((b.expire_at_ms, b.freq, b.meta_class_count), (Some(i64::MAX), Some(255), 2));
    assert_eq!((c.db, c.slot, c.expire_at_ms, c.freq), (0, None, None, None));
    let others: Vec<_> = outcome.others.iter().map(|entry| &entry[..]).collect();
    assert_eq!(others.len(), 11, "{others:?}");
    assert_eq!(
        others[3..10],
        [
            "Function { len: 14 }",
            "Function { len: 4 }",
            "Function { len: 6 }",
            "HashTemplate { id: 3, field_count: 2 }",
            "SelectDb(1099511627776)",
            "ResizeDb { key_count: 4, expire_count: 1 }",
            "SlotInfo { slot: 16383, key_count: 1, expire_count: 0 }",
        ]
    );

    let mut valkey = RdbFile::valkey(80);
    valkey.slot_import(&"j".repeat(40), &[(0, 5), (9, 9)]).aux("slot-info", "7,2,1,1");
    let outcome = read(&*valkey.key("a", &string).finish());
    assert_eq!(outcome.end.unwrap(), Checksum::Right);
    assert_eq!(outcome.keys[0].key.slot, Some(7));
    assert_eq!(
        outcome.others,
        ["SlotImport", "SlotInfo { slot: 7, key_count: 2, expire_count: 1 }"]
    );
}

/// Is interrupted before every read, and fails at the end of its bytes.
struct Failing {
    rest: io::Cursor<Vec<u8>>,
    interrupted: bool,
}

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match self.rest.read(buf)? {
            0 => Err(io::Error::other("the disk is gone")),
            len => Ok(len),
        }
    }
}

impl ReadAt for Failing {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match read_from(self.rest.get_ref(), buf, offset)? {
            0 => Err(io::Error::other("the disk is gone")),
            len => Ok(len),
        }
    }
}

#[test]
fn failing_source_is_an_error_and_keeps_the_keys_before() {
    let keyspace = Keyspace::generate_small(1, Dialect::Redis(12), 40);
    for cut in (0..keyspace.bytes.len()).step_by(7) {
        let source = || Failing {
            rest: io::Cursor::new(keyspace.bytes[..cut].to_vec()),
            interrupted: false,
        };
        let whole = keyspace.keys.iter().take_while(|key| key.end <= cut as u64).count();
        for outcome in [read(source()), read_ahead(source()), read_in_turns(source())] {
            let error = outcome.end.expect_err("the source fails");
            assert_eq!(
                (error.kind(), error.reason()),
                (ErrorKind::Io, "the disk is gone"),
                "{cut}"
            );
            assert_expected(&outcome.keys, &keyspace.keys[..whole]);
        }
    }
}

#[test]
fn options_do_as_they_say() {
    let end = |bytes: &[u8], options: Options| -> Result<Checksum, Error> {
        let mut reader = Reader::new(bytes, options)?;
        loop {
            if let Entry::End(checksum) = reader.next_entry()? {
                return Ok(checksum);
            }
        }
    };
    let default = Options::default();
    let mut file = RdbFile::redis(12);
    let mut bytes = file.key("k", &value::string("v")).finish();
    assert_eq!(end(&bytes, default).unwrap(), Checksum::Right);
    assert_eq!(end(&bytes, Options { checksum: false, ..default }).unwrap(), Checksum::Skipped);
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(end(&bytes, default), Ok(Checksum::Wrong { .. })));
    assert_eq!(end(&bytes, Options { checksum: false, ..default }).unwrap(), Checksum::Skipped);

    let newer = RdbFile::redis(16).key("k", &value::string("v")).finish();
    assert_eq!(end(&newer, default).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(end(&newer, Options { force: true, ..default }).unwrap(), Checksum::Right);
    let unsure = RdbFile::redis(12).key("k", &value::string("v")).finish_without_checksum();
    assert_eq!(end(&unsure, default).unwrap(), Checksum::Disabled);
}
