//! Files of real servers hold what the servers say they hold.

use std::fs;

use crate::outcome::{assert_truth, read, read_ahead};
use offkey_rdb::Checksum;
use offkey_testkit::{Fixture, fixtures};

#[test]
fn files_hold_what_the_server_said() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 10, "testdata/ is there");
    for Fixture { path, truth } in fixtures {
        let file = path.file_name().unwrap().to_string_lossy();
        let outcome = read(fs::File::open(&path).unwrap());
        let checksum = outcome.end.unwrap_or_else(|error| panic!("{file}: {error}"));
        let has_checksum = outcome.header.unwrap().version >= 5;
        let right = if has_checksum { Checksum::Right } else { Checksum::Absent };
        assert_eq!(checksum, right, "{file}");
        assert_eq!(outcome.at, fs::metadata(&path).unwrap().len(), "{file}");
        assert_truth(&file, &outcome.keys, &truth);
        println!("{file}: {} keys", outcome.keys.len());
    }
}

#[test]
fn reading_ahead_gives_the_same() {
    for Fixture { path, .. } in Fixture::small() {
        let here = read(fs::File::open(&path).unwrap());
        let ahead = read_ahead(fs::File::open(&path).unwrap());
        assert_eq!(here.keys, ahead.keys, "{}", path.display());
        assert_eq!(here.others, ahead.others, "{}", path.display());
        assert_eq!(here.end.unwrap(), ahead.end.unwrap(), "{}", path.display());
    }
}
