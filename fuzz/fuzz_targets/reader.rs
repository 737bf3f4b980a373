//! A whole file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    offkey_fuzz::read_every_way(bytes);
});
