//! A stream: as its value's bytes, and as the listpack of its only node.
#![no_main]

use offkey_testkit::Encoder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((version, bytes)) = bytes.split_first() else { return };
    let type_byte = [15, 19, 21, 26, 27][usize::from(version % 5)];
    if version & 0x80 == 0 {
        offkey_fuzz::read_every_way(&offkey_fuzz::file_with(type_byte, bytes));
        return;
    }
    let mut content = Encoder::default();
    content.len(1).string([0; 16]).len(bytes.len()).raw(bytes);
    content.len(1).len(1).len(1).len(0);
    let summary = offkey_fuzz::read_every_way(&offkey_fuzz::file_with(15, &content.0));
    assert!(summary.is_whole(), "a node's listpack has a known end: {summary:?}");
});
