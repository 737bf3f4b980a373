//! A blob as every type that holds a zipmap.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    offkey_fuzz::read_blob(bytes, &[9]);
});
