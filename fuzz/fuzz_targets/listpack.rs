//! A blob as every type that holds a listpack.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    offkey_fuzz::read_blob(bytes, &[16, 17, 18, 20, 23, 25, 30]);
});
