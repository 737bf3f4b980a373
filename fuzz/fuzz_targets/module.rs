//! A module's value, its data beside the keys, and the metadata of a key.
#![no_main]

use offkey_testkit::{RdbFile, module_id};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let value = [&[0x81][..], &module_id("some-type", 1).to_be_bytes(), bytes].concat();
    offkey_fuzz::read_every_way(&offkey_fuzz::file_with(7, &value));
    let mut aux = RdbFile::redis(15);
    offkey_fuzz::read_every_way(&aux.module_aux("some-type", 1, bytes).finish());
    let mut meta = RdbFile::redis(15);
    offkey_fuzz::read_every_way(&meta.key_meta(&[(1, bytes)]).raw(b"\x00\x01k\x01v").finish());
});
