//! Packed blobs, entry by entry, in every form an entry can have.

use crate::encoder::canonical_integer;

/// A listpack under construction.
///
/// Four bytes of total length, two of entry count, the entries, `ff`. An entry is an
/// encoding byte, its data, and the length of both again, seven bits a byte, so that it can
/// be walked backwards.
#[derive(Debug, Clone, Default)]
pub struct Listpack {
    entries: Vec<u8>,
    count: usize,
}

impl Listpack {
    /// Begins an empty listpack.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a listpack of these strings.
    pub fn of<T: AsRef<[u8]>>(texts: &[T]) -> Vec<u8> {
        let mut listpack = Self::new();
        for text in texts {
            listpack.push(text);
        }
        listpack.finish()
    }

    /// Appends a string as the server does, integers as integers.
    pub fn push(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        let text = text.as_ref();
        match canonical_integer(text) {
            Some(value) => self.push_integer(value),
            None => self.push_string(text),
        }
    }

    /// Appends an integer in its shortest form.
    pub fn push_integer(&mut self, value: i64) -> &mut Self {
        match value {
            0..=0x7f => self.entry(&[value as u8], &[]),
            -0x1000..=0xfff => {
                let bits = value.cast_unsigned() & 0x1fff;
                self.entry(&[0xc0 | (bits >> 8) as u8, bits as u8], &[])
            }
            -0x8000..=0x7fff => self.push_integer_wide(value, 2),
            -0x80_0000..=0x7f_ffff => self.push_integer_wide(value, 3),
            -0x8000_0000..=0x7fff_ffff => self.push_integer_wide(value, 4),
            _ => self.push_integer_wide(value, 8),
        }
    }

    /// Appends an integer in 2, 3, 4 or 8 bytes.
    pub fn push_integer_wide(&mut self, value: i64, width: usize) -> &mut Self {
        let code = match width {
            2 => 0xf1,
            3 => 0xf2,
            4 => 0xf3,
            8 => 0xf4,
            _ => panic!("no integers of {width} bytes"),
        };
        self.entry(&[code], &value.to_le_bytes()[..width])
    }

    /// Appends a string as a string.
    pub fn push_string(&mut self, text: &[u8]) -> &mut Self {
        match text.len() {
            len @ 0..0x40 => self.entry(&[0x80 | len as u8], text),
            len @ 0x40..0x1000 => self.entry(&[0xe0 | (len >> 8) as u8, len as u8], text),
            len => {
                let [a, b, c, d] = (len as u32).to_le_bytes();
                self.entry(&[0xf0, a, b, c, d], text)
            }
        }
    }

    fn entry(&mut self, code: &[u8], data: &[u8]) -> &mut Self {
        self.entries.extend_from_slice(code);
        self.entries.extend_from_slice(data);
        let len = code.len() + data.len();
        let bytes = (1..5).find(|n| len >> (7 * n) == 0).unwrap_or(5);
        for i in (0..bytes).rev() {
            // Highest bits first; all bytes but the first say that more are to the left.
            let more = if i + 1 == bytes { 0 } else { 0x80 };
            self.entries.push((len >> (7 * i)) as u8 & 0x7f | more);
        }
        self.count += 1;
        self
    }

    /// Ends the listpack and returns its bytes.
    pub fn finish(&self) -> Vec<u8> {
        let mut blob = ((self.entries.len() + 7) as u32).to_le_bytes().to_vec();
        blob.extend(u16::try_from(self.count).unwrap_or(u16::MAX).to_le_bytes());
        blob.extend_from_slice(&self.entries);
        blob.push(0xff);
        blob
    }
}

/// A ziplist under construction.
///
/// Four bytes of total length, four of the last entry's offset, two of entry count, the
/// entries, `ff`. An entry begins with the length of the one before it.
#[derive(Debug, Clone, Default)]
pub struct Ziplist {
    entries: Vec<u8>,
    last_at: usize,
    last_len: usize,
    count: usize,
}

impl Ziplist {
    /// Begins an empty ziplist.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a ziplist of these strings.
    pub fn of<T: AsRef<[u8]>>(texts: &[T]) -> Vec<u8> {
        let mut ziplist = Self::new();
        for text in texts {
            ziplist.push(text);
        }
        ziplist.finish()
    }

    /// Appends a string as the server does, integers as integers.
    pub fn push(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        let text = text.as_ref();
        match canonical_integer(text) {
            Some(value) if text.len() < 32 => self.push_integer(value),
            _ => self.push_string(text),
        }
    }

    /// Appends an integer in its shortest form.
    pub fn push_integer(&mut self, value: i64) -> &mut Self {
        match value {
            0..=12 => self.entry(&[0xf1 + value as u8], &[]),
            -0x80..=0x7f => self.push_integer_wide(value, 1),
            -0x8000..=0x7fff => self.push_integer_wide(value, 2),
            -0x80_0000..=0x7f_ffff => self.push_integer_wide(value, 3),
            -0x8000_0000..=0x7fff_ffff => self.push_integer_wide(value, 4),
            _ => self.push_integer_wide(value, 8),
        }
    }

    /// Appends an integer in 1, 2, 3, 4 or 8 bytes.
    pub fn push_integer_wide(&mut self, value: i64, width: usize) -> &mut Self {
        let code = match width {
            1 => 0xfe,
            2 => 0xc0,
            3 => 0xf0,
            4 => 0xd0,
            8 => 0xe0,
            _ => panic!("no integers of {width} bytes"),
        };
        self.entry(&[code], &value.to_le_bytes()[..width])
    }

    /// Appends a string as a string.
    pub fn push_string(&mut self, text: &[u8]) -> &mut Self {
        match text.len() {
            len @ 0..0x40 => self.entry(&[len as u8], text),
            len @ 0x40..0x4000 => self.entry(&[0x40 | (len >> 8) as u8, len as u8], text),
            len => {
                let [a, b, c, d] = (len as u32).to_be_bytes();
                self.entry(&[0x80, a, b, c, d], text)
            }
        }
    }

    fn entry(&mut self, code: &[u8], data: &[u8]) -> &mut Self {
        self.last_at = self.entries.len();
        match self.last_len {
            len @ 0..254 => self.entries.push(len as u8),
            len => {
                self.entries.push(254);
                self.entries.extend((len as u32).to_le_bytes());
            }
        }
        self.entries.extend_from_slice(code);
        self.entries.extend_from_slice(data);
        self.last_len = self.entries.len() - self.last_at;
        self.count += 1;
        self
    }

    /// Ends the ziplist and returns its bytes.
    pub fn finish(&self) -> Vec<u8> {
        let mut blob = ((self.entries.len() + 11) as u32).to_le_bytes().to_vec();
        blob.extend(((self.last_at + 10) as u32).to_le_bytes());
        blob.extend(u16::try_from(self.count).unwrap_or(u16::MAX).to_le_bytes());
        blob.extend_from_slice(&self.entries);
        blob.push(0xff);
        blob
    }
}

/// A zipmap under construction: pairs of a field and a value that may have spare room.
///
/// One byte of pair count (254: count by walking), the pairs, `ff`. A length is one byte, or
/// 254 and four bytes.
#[derive(Debug, Clone, Default)]
pub struct Zipmap {
    entries: Vec<u8>,
    count: usize,
}

impl Zipmap {
    /// Begins an empty zipmap.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a zipmap of these pairs.
    pub fn of<T: AsRef<[u8]>>(pairs: &[(T, T)]) -> Vec<u8> {
        let mut zipmap = Self::new();
        for (field, value) in pairs {
            zipmap.push(field.as_ref(), value.as_ref(), 0);
        }
        zipmap.finish()
    }

    /// Appends a pair with `free` unused bytes after the value.
    pub fn push(&mut self, field: &[u8], value: &[u8], free: u8) -> &mut Self {
        self.string_len(field.len());
        self.entries.extend_from_slice(field);
        self.string_len(value.len());
        self.entries.push(free);
        self.entries.extend_from_slice(value);
        self.entries.extend(std::iter::repeat_n(0, usize::from(free)));
        self.count += 1;
        self
    }

    fn string_len(&mut self, len: usize) {
        if len < 254 {
            self.entries.push(len as u8);
        } else {
            self.entries.push(254);
            self.entries.extend((len as u32).to_le_bytes());
        }
    }

    /// Ends the zipmap and returns its bytes.
    pub fn finish(&self) -> Vec<u8> {
        let mut blob = vec![self.count.min(254) as u8];
        blob.extend_from_slice(&self.entries);
        blob.push(0xff);
        blob
    }
}

/// An intset: four bytes of member width, four of member count, the members in order.
#[derive(Debug, Clone, Copy)]
pub struct Intset;

impl Intset {
    /// Makes an intset of these members in the narrowest width, sorted and each once.
    pub fn of(members: &[i64]) -> Vec<u8> {
        let mut members = members.to_vec();
        members.sort_unstable();
        members.dedup();
        let holds = |low: i64, high: i64| members.iter().all(|m| (low..=high).contains(m));
        let width = if holds(-0x8000, 0x7fff) {
            2
        } else if holds(-0x8000_0000, 0x7fff_ffff) {
            4
        } else {
            8
        };
        Self::of_width(&members, width)
    }

    /// Makes an intset of these members as they come.
    pub fn of_width(members: &[i64], width: usize) -> Vec<u8> {
        let mut blob = (width as u32).to_le_bytes().to_vec();
        blob.extend((members.len() as u32).to_le_bytes());
        for member in members {
            blob.extend_from_slice(&member.to_le_bytes()[..width]);
        }
        blob
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listpack_as_in_its_source() {
        // "abc", 1, -1, 1000000.
        let blob = Listpack::of(&["abc", "1", "-1", "1000000"]);
        let entries = b"\x83abc\x04\x01\x01\xdf\xff\x02\xf2\x40\x42\x0f\x04";
        assert_eq!(blob, [b"\x16\0\0\0\x04\0", &entries[..], b"\xff"].concat());
    }

    #[test]
    fn ziplist_as_in_its_source() {
        // The worked example at the head of `ziplist.c`: 2 and 5.
        let blob = Ziplist::of(&["2", "5"]);
        assert_eq!(blob, b"\x0f\0\0\0\x0c\0\0\0\x02\0\x00\xf3\x02\xf6\xff");
    }

    #[test]
    fn long_entries_change_the_length_that_follows() {
        let blob = Ziplist::of(&["x".repeat(300), "y".into()]);
        assert_eq!(blob[10..13], [0, 0x41, 0x2c]);
        assert_eq!(blob[313..320], [254, 0x2f, 1, 0, 0, 1, b'y']);
    }

    #[test]
    fn zipmap_as_in_its_source() {
        // The worked example at the head of `zipmap.c`, without its spare byte.
        assert_eq!(Zipmap::of(&[("foo", "bar")]), b"\x01\x03foo\x03\x00bar\xff");
    }

    #[test]
    fn intset_takes_the_narrowest_width() {
        assert_eq!(Intset::of(&[5, -1, 5]), b"\x02\0\0\0\x02\0\0\0\xff\xff\x05\0");
        assert_eq!(Intset::of(&[1 << 31])[0], 8);
    }
}
