//! Written files are read right however they arrive, and never taken for whole when they are not.

use std::fs;
use std::io::{self, Read};

use offkey_rdb::{Checksum, ErrorKind};
use offkey_testkit::{Dialect, Fixture, Keyspace};

use crate::outcome::{Outcome, assert_expected, read, read_ahead};

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
        }
    }
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
