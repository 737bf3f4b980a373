//! Packed blobs as the server builds them: `listpack.c` from 7.0 on, `ziplist.c` before.
//!
//! A blob that the file holds in the server's own form keeps its length. Others are built
//! again while the file is loaded, entry by entry:
//!
//! ```text
//! listpack  [total 4][count 2] { [encoding+data][backlen 1..5] } [255]
//! ziplist   [total 4][tail 4][count 2] { [prevlen 1|5][encoding+data] } [255]
//! ```

use offkey_rdb::{Packed, Str, Text, decimal_len};

/// Longest text that may be stored as an integer.
const INT_TEXT_MAX: u64 = 20;

/// Length from which on a text takes more than a byte of encoding and one of backlen.
const SHORT_LEN_END: u64 = 0x40;

/// Length of a blob while it is built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repacked {
    form: Packed,
    len: u64,
    /// Length of the last entry, which a ziplist repeats before the next one.
    last_len: u64,
}

impl Repacked {
    /// An empty blob; `form` is a listpack or a ziplist.
    pub(crate) fn new(form: Packed) -> Self {
        let len = match form {
            Packed::Listpack => 4 + 2 + 1,
            Packed::Ziplist => 4 + 4 + 2 + 1,
            Packed::Zipmap | Packed::Intset => 0,
        };
        Self { form, len, last_len: 0 }
    }

    /// Appends an entry.
    #[inline]
    pub(crate) fn push(&mut self, item: &Str<'_>) {
        let may_be_int = match item.text {
            Text::Int(_) | Text::Short([b'0'..=b'9' | b'-', ..]) => true,
            Text::Short(_) | Text::Long => false,
        };
        if may_be_int || item.len >= SHORT_LEN_END || self.form != Packed::Listpack {
            return self.push_any(item);
        }
        // By far the most frequent.
        self.len = self.len.saturating_add(item.len + 2);
    }

    fn push_any(&mut self, item: &Str<'_>) {
        let int = if item.len <= INT_TEXT_MAX { item.to_int() } else { None };
        self.push_value(int, item.len.min(super::LEN_MAX));
    }

    /// Appends an integer.
    pub(crate) fn push_int(&mut self, value: i64) {
        self.push_value(Some(value), decimal_len(value));
    }

    fn push_value(&mut self, int: Option<i64>, len: u64) {
        let entry_len = match self.form {
            Packed::Listpack => listpack_entry_len(int, len),
            Packed::Ziplist | Packed::Zipmap | Packed::Intset => {
                let prevlen = if self.last_len < 254 { 1 } else { 5 };
                prevlen + ziplist_value_len(int, len)
            }
        };
        self.last_len = entry_len;
        self.len = self.len.saturating_add(entry_len);
    }

    /// Bytes of the blob so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }
}

/// Encoding, data and backlen of a listpack entry (`lpEncodeGetType`, `lpEncodeBacklen`).
pub(crate) fn listpack_entry_len(int: Option<i64>, len: u64) -> u64 {
    let value_len = match int {
        Some(0..0x80) => 1,
        Some(-0x1000..0x1000) => 2,
        Some(-0x8000..0x8000) => 3,
        Some(-0x80_0000..0x80_0000) => 4,
        Some(-0x8000_0000..0x8000_0000) => 5,
        Some(_) => 9,
        None if len < 0x40 => 1 + len,
        None if len < 0x1000 => 2 + len,
        None => 5 + len,
    };
    value_len
        + match value_len {
            0..0x80 => 1,
            0x80..0x3fff => 2,
            0x3fff..0x1f_ffff => 3,
            0x1f_ffff..0xfff_ffff => 4,
            _ => 5,
        }
}

/// Encoding and data of a ziplist entry (`zipTryEncoding`, `zipStoreEntryEncoding`).
fn ziplist_value_len(int: Option<i64>, len: u64) -> u64 {
    match int {
        Some(0..=12) => 1,
        Some(-0x80..0x80) => 2,
        Some(-0x8000..0x8000) => 3,
        Some(-0x80_0000..0x80_0000) => 4,
        Some(-0x8000_0000..0x8000_0000) => 5,
        Some(_) => 9,
        None if len < 0x40 => 1 + len,
        None if len < 0x4000 => 2 + len,
        None => 5 + len,
    }
}

/// Bytes of a ziplist entry before the one of `len` bytes is in place, as a quicklist of up
/// to 6.2 guesses them (`_quicklistNodeAllowInsert`).
pub(crate) fn ziplist_estimate(len: u64) -> u64 {
    let prevlen = if len < 254 { 1 } else { 5 };
    let encoding = match len {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        _ => 5,
    };
    len + prevlen + encoding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(form: Packed, items: &[&[u8]]) -> u64 {
        let mut blob = Repacked::new(form);
        items.iter().for_each(|item| blob.push(&Str::from_bytes(item)));
        blob.len()
    }

    #[test]
    fn listpack_entries_have_the_length_of_their_encoding() {
        for (item, len) in [
            (&b""[..], 2),
            (b"0", 2),
            (b"127", 2),
            (b"128", 3),
            (b"-1", 3),
            (b"4096", 4),
            (b"32768", 5),
            (b"8388608", 6),
            (b"2147483648", 10),
            (b"007", 5),
            (&[b'x'; 63], 65),
            (&[b'x'; 64], 67),
            (&[b'x'; 125], 128),
            (&[b'x'; 126], 130),
            (&[b'x'; 4096], 4103),
        ] {
            assert_eq!(blob(Packed::Listpack, &[item]), 7 + len, "{item:?}");
        }
    }

    #[test]
    fn ziplist_entries_repeat_the_length_before_them() {
        assert_eq!(blob(Packed::Ziplist, &[b"12", b"13", b"abc"]), 11 + 2 + 3 + 5);
        // An entry of 254 bytes makes the next one's prevlen five bytes.
        assert_eq!(blob(Packed::Ziplist, &[&[b'x'; 250], b"1"]), 11 + 253 + 2);
        assert_eq!(blob(Packed::Ziplist, &[&[b'x'; 251], b"1"]), 11 + 254 + 6);
    }
}
