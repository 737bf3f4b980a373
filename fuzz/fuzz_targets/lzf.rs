//! A compressed string: as a value, as a blob and as a key's name.
#![no_main]

use offkey_testkit::Encoder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((announced, lzf)) = bytes.split_first_chunk() else { return };
    let announced = u32::from_le_bytes(*announced) >> 8;
    let mut content = Encoder::default();
    content.raw([0xc3]).len(lzf.len()).len(u64::from(announced)).raw(lzf);
    for type_byte in [0, 11, 16] {
        let summary = offkey_fuzz::read_every_way(&offkey_fuzz::file_with(type_byte, &content.0));
        assert!(summary.is_whole(), "a compressed string has a known end: {summary:?}");
    }
    // The name of a set of one member, which is the byte after it.
    content.raw([1, 0]);
    let file = [&b"REDIS0003\x02"[..], &content.0, b"\xff"].concat();
    assert!(offkey_fuzz::read_every_way(&file).is_whole());
});
