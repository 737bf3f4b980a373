//! A blob as every type that holds a ziplist.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    offkey_fuzz::read_blob(bytes, &[10, 12, 13, 14]);
});
