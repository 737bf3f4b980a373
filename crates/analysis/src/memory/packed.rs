//! Packed blobs as the server builds them: `listpack.c` from 7.0 on, `ziplist.c` before.
//!
//! A blob that the file holds in the server's own form keeps its length. Others are built
//! again while the file is loaded, entry by entry:
//!
//! ```text
//! listpack  [total 4][count 2] { [encoding+data][backlen 1..5] } [255]
//! ziplist   [total 4][tail 4][count 2] { [prevlen 1|5][encoding+data] } [255]
//! ```

use offkey_rdb::{Packed, Str, decimal_len};

/// Longest text that may be stored as an integer.
const INT_TEXT_MAX: u64 = 20;

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
    pub(crate) fn push(&mut self, item: &Str<'_>) {
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

/// Text of a score in a packed blob, built without an allocation.
#[derive(Debug, Default)]
pub(crate) struct ScoreText {
    bytes: [u8; 32],
    len: usize,
}

impl ScoreText {
    /// Prints `score` as the server does (`d2string`): integers as such, others with 17
    /// digits or, from 7.2 on, as few as tell it apart.
    pub(crate) fn new(score: f64, shortest: bool) -> Self {
        let mut text = Self::default();
        // 2^52: above it doubles are integers, which are printed as any double.
        const INT_MAX: f64 = 4_503_599_627_370_496.0;
        if score.is_nan() {
            text.push(b"nan");
        } else if score.is_infinite() {
            text.push(if score > 0.0 { b"inf" } else { b"-inf" });
        } else if score == 0.0 {
            text.push(if score.is_sign_negative() { b"-0" } else { b"0" });
        } else if score.abs() < INT_MAX && score.trunc() == score {
            let _ = std::fmt::write(&mut text, format_args!("{score:.0}"));
        } else {
            text.print(score, shortest);
        }
        text
    }

    /// The printed bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        }
    }

    fn print(&mut self, score: f64, shortest: bool) {
        // Digits and exponent, then the layout of `%.17g` or of `fpconv_dtoa`.
        let mut scientific = Self::default();
        let _ = if shortest {
            std::fmt::write(&mut scientific, format_args!("{:e}", score.abs()))
        } else {
            std::fmt::write(&mut scientific, format_args!("{:.16e}", score.abs()))
        };
        let text = std::str::from_utf8(scientific.as_bytes()).unwrap_or("");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let mut digits = Self::default();
        mantissa.split('.').for_each(|part| digits.push(part.as_bytes()));
        while digits.len > 1 && digits.as_bytes().ends_with(b"0") {
            digits.len -= 1;
        }
        if score < 0.0 {
            self.push(b"-");
        }
        let count = i32::try_from(digits.len).unwrap_or(0);
        let last = exponent - count + 1;
        let plain = if shortest {
            let room = if score < 0.0 { 6 } else { 7 };
            (last >= 0 && exponent.abs() < count + room)
                || (last < 0 && (last > -7 || exponent.abs() < 4))
        } else {
            (-4..17).contains(&exponent)
        };
        if plain {
            self.push_plain(digits.as_bytes(), exponent);
        } else {
            self.push_scientific(digits.as_bytes(), exponent, shortest);
        }
    }

    fn push_plain(&mut self, digits: &[u8], exponent: i32) {
        let Ok(whole) = usize::try_from(exponent + 1) else {
            self.push(b"0.");
            (exponent + 1..0).for_each(|_| self.push(b"0"));
            return self.push(digits);
        };
        match digits.split_at_checked(whole) {
            None | Some((_, [])) => {
                self.push(digits);
                (digits.len()..whole).for_each(|_| self.push(b"0"));
            }
            Some(([], fraction)) => {
                self.push(b"0.");
                self.push(fraction);
            }
            Some((integer, fraction)) => {
                self.push(integer);
                self.push(b".");
                self.push(fraction);
            }
        }
    }

    fn push_scientific(&mut self, digits: &[u8], exponent: i32, shortest: bool) {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, &[]));
        self.push(first);
        if !rest.is_empty() {
            self.push(b".");
            self.push(rest);
        }
        self.push(if exponent < 0 { b"e-" } else { b"e+" });
        let _ = if shortest {
            std::fmt::write(self, format_args!("{}", exponent.abs()))
        } else {
            std::fmt::write(self, format_args!("{:02}", exponent.abs()))
        };
    }
}

impl std::fmt::Write for ScoreText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
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

    #[test]
    fn scores_are_printed_as_the_server_prints_them() {
        for (score, digits_17, shortest) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1"),
            (-1234567.0, "-1234567", "-1234567"),
            (0.1, "0.10000000000000001", "0.1"),
            (-2.5, "-2.5", "-2.5"),
            (1e21, "1e+21", "1e+21"),
            (1e16, "10000000000000000", "1e+16"),
            (4.5e-7, "4.4999999999999998e-07", "4.5e-7"),
            (0.00045, "0.00044999999999999999", "0.00045"),
            (f64::INFINITY, "inf", "inf"),
            (5e-324, "4.9406564584124654e-324", "5e-324"),
        ] {
            let text = |short| String::from_utf8(ScoreText::new(score, short).as_bytes().to_vec());
            assert_eq!(text(false).unwrap(), digits_17);
            assert_eq!(text(true).unwrap(), shortest);
        }
    }
}
