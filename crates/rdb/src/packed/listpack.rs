//! Listpack (`listpack.c`): the packed form since Redis 7.0, and of stream nodes since 5.0.
//!
//! ```text
//! <u32 total bytes> <u16 entries, 65535 = unknown> <entry>... 0xff      all little endian
//!
//! entry: <encoding> <data> <backlen>
//! 0iiiiiii                      integer 0 to 127
//! 10llllll <l bytes>            string of up to 63 bytes
//! 110iiiii iiiiiiii             signed integer of 13 bits
//! 1110llll llllllll <l bytes>   string of up to 4095 bytes
//! 11110000 <u32> <l bytes>      string of up to 4 GiB
//! 11110001..11110100            signed integer of 16, 24, 32 or 64 bits
//! ```
//!
//! `backlen` is the length of encoding and data, seven bits a byte, most significant first,
//! all but the first byte with the high bit set. Worked example, the list "a", 1000:
//! `0d 00 00 00  02 00  81 61 02  c3 e8 02  ff`, thirteen bytes.

use crate::error::PackedError;
use crate::packed::{
    Backward, Common, ENTRY_PEEK, Entries, Item, Passed, bytes_after_end, entry_cut, header_cut,
    no_end, refused, table_of, wrong_count, wrong_total,
};
use crate::source::{Fault, Source};
use crate::value::WINDOW_LEN;

const KIND: &str = "listpack";
const HEADER_LEN: u64 = 6;
const END: u8 = 0xff;

/// What the encoding of an entry says.
#[derive(Debug, Clone, Copy)]
enum Head {
    Int { value: i64, len: usize },
    Str { header_len: usize, len: u64 },
}

/// Decodes the encoding (and an integer's data) at the start of `bytes`.
#[inline]
fn head(bytes: &[u8]) -> Option<Head> {
    let int = |value, len| Some(Head::Int { value, len });
    match *bytes {
        [b @ 0..=0x7f, ..] => int(i64::from(b), 1),
        [b @ 0x80..=0xbf, ..] => Some(Head::Str { header_len: 1, len: u64::from(b & 0x3f) }),
        [b @ 0xc0..=0xdf, low, ..] => int(int_13(b, low), 2),
        [b @ 0xe0..=0xef, low, ..] => {
            Some(Head::Str { header_len: 2, len: u64::from(b & 0x0f) << 8 | u64::from(low) })
        }
        [0xf0, a, b, c, d, ..] => {
            Some(Head::Str { header_len: 5, len: u64::from(u32::from_le_bytes([a, b, c, d])) })
        }
        [0xf1, a, b, ..] => int(i64::from(i16::from_le_bytes([a, b])), 3),
        [0xf2, a, b, c, ..] => int(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), 4),
        [0xf3, a, b, c, d, ..] => int(i64::from(i32::from_le_bytes([a, b, c, d])), 5),
        [0xf4, a, b, c, d, e, f, g, h, ..] => int(i64::from_le_bytes([a, b, c, d, e, f, g, h]), 9),
        _ => None,
    }
}

/// Thirteen bits in two's complement.
#[inline]
fn int_13(b: u8, low: u8) -> i64 {
    let bits = u16::from(b & 0x1f) << 8 | u16::from(low);
    i64::from(bits) - if bits >= 1 << 12 { 1 << 13 } else { 0 }
}

/// Bytes that the back length of an entry takes (`lpEncodeBacklen`).
#[inline]
pub(crate) fn backlen_len(entry_len: u64) -> usize {
    match entry_len {
        0..=127 => 1,
        128..16383 => 2,
        16383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// Tells whether `bytes`, a whole back length, says `entry_len`.
#[inline]
fn backlen_says(bytes: &[u8], entry_len: u64) -> bool {
    let mut said = 0u64;
    for (i, byte) in bytes.iter().enumerate() {
        if (byte & 0x80 != 0) != (i > 0) {
            return false;
        }
        said = said << 7 | u64::from(byte & 0x7f);
    }
    said == entry_len
}

/// How many entries the listpack says it has, if it says so.
pub(crate) fn stated<S: Source>(source: &mut S) -> Result<Option<u64>, Fault> {
    Ok(stated_in(source.peek(6)?))
}

/// As [`stated`], of a listpack that begins with these bytes.
#[inline]
pub(crate) fn stated_in(head: &[u8]) -> Option<u64> {
    match *head {
        [_, _, _, _, n, m, ..] => super::stated(n, m),
        _ => None,
    }
}

/// Bytes of an entry and of what follows it that are looked at in one piece.
const COMMON_LEN: usize = 1 + WINDOW_LEN;

/// An entry of a common form.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Encoding and first data, and what follows the entry where it is shorter.
    start: &'a [u8; COMMON_LEN],
    /// Encoding and data.
    bytes: &'a [u8],
}

impl Common for Entry<'_> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.bytes
    }

    #[inline]
    fn window(&self) -> &[u8; WINDOW_LEN] {
        let [_, window @ ..] = self.start;
        window
    }

    #[inline]
    fn is_int(&self) -> bool {
        !matches!(self.start, [0x80..=0xbf, ..])
    }

    #[inline]
    fn int(&self) -> i64 {
        match head(self.bytes) {
            Some(Head::Int { value, .. }) => value,
            _ => 0,
        }
    }
}

/// Length of encoding and data by their first byte, for the entries whose back length is of one
/// byte and that name their length in the first; 0 for others.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiled, where nothing else will do")]
static COMMON_LENS: [u8; 256] = table_of!(common_len);

const fn common_len(first: u8) -> u8 {
    match first {
        0..=0x7f => 1,
        0x80..=0xbf => 1 + (first & 0x3f),
        0xc0..=0xdf => 2,
        0xf1 => 3,
        0xf2 => 4,
        0xf3 => 5,
        0xf4 => 9,
        _ => 0,
    }
}

/// Hands out the entries that `bytes` begins with, up to the first that is not common, not
/// right, or so near their end that it is not seen in one piece with what follows it. Of the
/// `bytes`, the first `len` are the listpack's. Answers the bytes and the number of the entries,
/// with a reason if the one behind them was refused.
#[inline]
fn common_entries(
    bytes: &[u8],
    len: usize,
    each: &mut impl Entries,
) -> (usize, u64, Option<&'static str>) {
    let (mut pos, mut count) = (0, 0);
    while let Some(rest) = bytes.get(pos..)
        && let Some(start) = rest.first_chunk::<COMMON_LEN>()
    {
        let [first, ..] = *start;
        let entry_len = COMMON_LENS.get(usize::from(first)).map_or(0, |len| usize::from(*len));
        let Some((bytes, [backlen, ..])) = rest.split_at_checked(entry_len) else { break };
        let next = pos + entry_len + 1;
        // No first byte of an entry that is not common is 0, nor the listpack's end.
        if usize::from(*backlen) != entry_len || next >= len {
            break;
        }
        if let Err(reason) = each.common(&Entry { start, bytes }) {
            return (pos, count, Some(reason));
        }
        pos = next;
        count += 1;
    }
    (pos, count, None)
}

/// A listpack in memory, walked from its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromEnd<'b> {
    /// The listpack, and what follows it in memory.
    padded: &'b [u8],
    /// Where the entries end that were not passed.
    end: usize,
}

impl<'b> FromEnd<'b> {
    /// The listpack of `len` bytes that begins `padded`, if its header and its end are right.
    pub(crate) fn new(padded: &'b [u8], len: usize) -> Option<Self> {
        let total = u32::from_le_bytes(*padded.first_chunk()?);
        let end = len.checked_sub(1)?;
        let is_right = u64::from(total) == len as u64 && padded.get(end) == Some(&END);
        is_right.then_some(Self { padded, end })
    }

    /// The entry of `entry_len` bytes that ends before `end`: where it begins and how.
    #[inline(always)]
    fn entry(
        &self,
        end: usize,
        entry_len: usize,
    ) -> Option<(usize, &'b [u8; COMMON_LEN], &'b [u8])> {
        let at = end.checked_sub(entry_len)?;
        let rest = self.padded.get(at..)?;
        Some((at, rest.first_chunk()?, rest.get(..entry_len)?))
    }

    /// Passes an entry that is not common: a text whose length takes more than a byte.
    #[inline(never)]
    fn back_long(self) -> Option<Self> {
        let before = self.padded.get(..self.end)?;
        let (backlen_len, entry_len) = match *before {
            [.., len @ 0..=0x7f] => (1, usize::from(len)),
            [.., high @ 0..=0x7f, low] => (2, usize::from(high) << 7 | usize::from(low & 0x7f)),
            _ => return None,
        };
        let (at, start, _) = self.entry(self.end.checked_sub(backlen_len)?, entry_len)?;
        let [first @ 0xe0..=0xef, low, ..] = *start else { return None };
        let said = 2 + (usize::from(first & 0x0f) << 8 | usize::from(low));
        if said != entry_len || self::backlen_len(said as u64) != backlen_len {
            return None;
        }
        Some(Self { end: at, ..self })
    }
}

impl<'b> Backward for FromEnd<'b> {
    type Entry = Entry<'b>;

    #[inline(always)]
    fn back(self) -> Option<(Passed<Entry<'b>>, Self)> {
        let end = self.end.checked_sub(1)?;
        let entry_len = usize::from(*self.padded.get(end)?);
        if let Some((at, start, bytes)) = self.entry(end, entry_len) {
            let [first, ..] = *start;
            let said = COMMON_LENS.get(usize::from(first)).map_or(0, |len| usize::from(*len));
            if said == entry_len && said > 0 {
                return Some((Passed::Common(Entry { start, bytes }), Self { end: at, ..self }));
            }
        }
        Some((Passed::Long, self.back_long()?))
    }

    fn is_at_beginning(self) -> bool {
        self.end as u64 == HEADER_LEN
    }
}

/// Walks a listpack whose bytes are all that `source` has; answers the number of entries.
///
/// # Errors
/// [`PackedError`] as [`Fault::Damage`] where the blob contradicts itself or `each` refuses.
pub(crate) fn walk<S: Source>(source: &mut S, mut each: impl Entries) -> Result<u64, Fault> {
    let len = source.left();
    let Some(&[a, b, c, d, n, m]) = source.peek(6)?.first_chunk() else {
        return Err(header_cut(KIND, len).into());
    };
    let total = u64::from(u32::from_le_bytes([a, b, c, d]));
    if total != len {
        return Err(wrong_total(KIND, total, len).into());
    }
    source.skip(HEADER_LEN)?;
    let mut index = 0u64;
    loop {
        let left = source.left();
        let (bytes, bytes_len) = source.peek_padded(ENTRY_PEEK)?;
        let (passed, count, refusal) = common_entries(bytes, bytes_len, &mut each);
        if let Some(reason) = refusal {
            return Err(refused(KIND, len - left + passed as u64, index + count, reason).into());
        }
        if count > 0 {
            source.skip(passed as u64)?;
            index += count;
            continue;
        }
        let bytes = bytes.get(..bytes_len).unwrap_or(bytes);
        match bytes.first() {
            None => return Err(no_end(KIND, len - left).into()),
            Some(&END) => break,
            Some(_) => {}
        }
        let step = step(bytes, &mut each, index, len - left, left)?;
        match step {
            Step::Whole(entry_len) => source.skip(entry_len as u64)?,
            Step::Long { entry_len, backlen_len } => {
                source.skip(entry_len)?;
                let said = source.peek(backlen_len)?.get(..backlen_len);
                if !said.is_some_and(|said| backlen_says(said, entry_len)) {
                    return Err(wrong_backlen(index, len - left, entry_len).into());
                }
                source.skip(backlen_len as u64)?;
            }
        }
        index += 1;
    }
    let after = source.left() - 1;
    if after > 0 {
        return Err(bytes_after_end(KIND, len - after, after).into());
    }
    source.skip(1)?;
    match super::stated(n, m) {
        Some(stated) if stated != index => Err(wrong_count(KIND, stated, index).into()),
        _ => Ok(index),
    }
}

/// How far an entry reaches.
enum Step {
    /// Checked, back length included.
    Whole(usize),
    /// A long string, whose back length is out of sight.
    Long { entry_len: u64, backlen_len: usize },
}

/// Hands out the entry that begins `bytes`; `at` and `left` are its place in the blob.
#[inline]
fn step(
    bytes: &[u8],
    each: &mut impl Entries,
    index: u64,
    at: u64,
    left: u64,
) -> Result<Step, PackedError> {
    let (item, entry_len) = match head(bytes) {
        Some(Head::Int { value, len }) => (Item::Int(value), len as u64),
        Some(Head::Str { header_len, len }) => {
            let entry_len = header_len as u64 + len;
            if entry_len >= left {
                return Err(entry_cut(KIND, at, index, left));
            }
            (Item::text(bytes.get(header_len..).unwrap_or_default(), len), entry_len)
        }
        None => return Err(bad_encoding(bytes, index, at, left)),
    };
    let backlen_len = backlen_len(entry_len);
    // One byte more must be there for the end.
    if entry_len + backlen_len as u64 >= left {
        return Err(entry_cut(KIND, at, index, left));
    }
    let seen = usize::try_from(entry_len)
        .ok()
        .and_then(|entry_len| bytes.get(entry_len..entry_len + backlen_len));
    if let Some(said) = seen
        && !backlen_says(said, entry_len)
    {
        return Err(wrong_backlen(index, at, entry_len));
    }
    each.item(item).map_err(|reason| refused(KIND, at, index, reason))?;
    Ok(match (seen, usize::try_from(entry_len)) {
        (Some(_), Ok(entry_len)) => Step::Whole(entry_len + backlen_len),
        _ => Step::Long { entry_len, backlen_len },
    })
}

#[cold]
fn bad_encoding(bytes: &[u8], index: u64, at: u64, left: u64) -> PackedError {
    match bytes.first() {
        Some(byte @ 0xf5..) => PackedError::new(
            at,
            format!("listpack entry {index} has no known encoding: {byte:#04x}"),
        ),
        _ => entry_cut(KIND, at, index, left),
    }
}

#[cold]
fn wrong_backlen(index: u64, at: u64, entry_len: u64) -> PackedError {
    PackedError::new(
        at,
        format!("listpack entry {index} of {entry_len} bytes is followed by another length"),
    )
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "lengths of the test are small")]
mod tests {
    use super::*;
    use crate::source::{Padded, Slice};

    /// What is found, whether something follows the blob in memory or not.
    fn entries(bytes: &[u8]) -> Result<Vec<String>, String> {
        let found = entries_of(&mut Slice(bytes));
        for padding in [b"\x01\x01".as_slice(), &[0xff; 40], &[0x81; 40], &[0; 40]] {
            let padded = [bytes, padding].concat();
            assert_eq!(entries_of(&mut Padded::new(&padded, bytes.len())), found, "{padding:?}");
        }
        found
    }

    fn entries_of(source: &mut impl Source) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let count = walk(source, |item: Item<'_>| {
            found.push(match item {
                Item::Int(value) => value.to_string(),
                Item::Short(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
                Item::Long(len) => format!("{len} bytes"),
            });
            Ok(())
        });
        match count {
            Ok(count) => {
                assert_eq!(count, found.len() as u64);
                Ok(found)
            }
            Err(Fault::Damage(error)) => Err(format!("{}: {}", error.at, error.reason)),
            Err(Fault::Stop(error)) => panic!("{error}"),
        }
    }

    /// A listpack of entries given without their back lengths.
    fn pack(entries: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; 6];
        for entry in entries {
            bytes.extend_from_slice(entry);
            let len = entry.len();
            match backlen_len(len as u64) {
                1 => bytes.push(len as u8),
                2 => bytes.extend([(len >> 7) as u8, (len & 127) as u8 | 128]),
                _ => bytes.extend([
                    (len >> 14) as u8,
                    (len >> 7 & 127) as u8 | 128,
                    (len & 127) as u8 | 128,
                ]),
            }
        }
        bytes.push(0xff);
        let total = (bytes.len() as u32).to_le_bytes();
        bytes[..4].copy_from_slice(&total);
        bytes[4] = entries.len() as u8;
        bytes
    }

    #[test]
    fn every_encoding() {
        let long = [&[0xe1u8, 0x2c][..], &[b'x'; 300]].concat();
        let longer = [&[0xf0u8, 0, 0x50, 0, 0][..], &[b'y'; 0x5000]].concat();
        let bytes = pack(&[
            b"\x7f",
            b"\x81a",
            b"\xc3\xe8",
            b"\xdf\xff",
            &long,
            &longer,
            b"\xf1\x00\x80",
            b"\xf2\xff\xff\xff",
            b"\xf3\x00\x00\x00\x80",
            b"\xf4\x00\x00\x00\x00\x00\x00\x00\x80",
        ]);
        let expected = [
            "127",
            "\"a\"",
            "1000",
            "-1",
            "300 bytes",
            "20480 bytes",
            "-32768",
            "-1",
            "-2147483648",
            "-9223372036854775808",
        ];
        assert_eq!(entries(&bytes).unwrap(), expected);
    }

    #[test]
    fn worked_example() {
        let bytes = b"\x0d\0\0\0\x02\0\x81a\x02\xc3\xe8\x02\xff";
        assert_eq!(entries(bytes).unwrap(), ["\"a\"", "1000"]);
    }

    #[test]
    fn lies_are_found() {
        let good = b"\x0d\0\0\0\x02\0\x81a\x02\xc3\xe8\x02\xff";
        let table: &[(usize, u8, &str)] = &[
            (0, 0x0e, "0: listpack of 13 bytes states a length of 14"),
            (4, 3, "4: listpack states 3 entries and holds 2"),
            (6, 0xbf, "6: listpack entry 0 reaches beyond the 7 bytes left in the blob"),
            (8, 1, "6: listpack entry 0 of 2 bytes is followed by another length"),
            (8, 0x82, "6: listpack entry 0 of 2 bytes is followed by another length"),
            (6, 0xff, "7: listpack has 6 bytes after its end"),
            (9, 0xf5, "9: listpack entry 1 has no known encoding: 0xf5"),
            (12, 0, "12: listpack entry 2 reaches beyond the 1 bytes left in the blob"),
        ];
        for (at, byte, message) in table {
            let mut bytes = good.to_vec();
            bytes[*at] = *byte;
            assert_eq!(entries(&bytes).unwrap_err(), *message);
        }
        let mut unknown = good.to_vec();
        unknown[4..6].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(entries(&unknown).unwrap().len(), 2, "65535 means: count them");
        for cut in 0..good.len() {
            assert!(entries(&good[..cut]).is_err(), "cut at {cut}");
        }
    }
}
