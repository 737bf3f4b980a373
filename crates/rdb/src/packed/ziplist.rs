//! Ziplist (`ziplist.c`): the packed form up to Redis 6.2.
//!
//! ```text
//! <u32 total bytes> <u32 offset of last entry> <u16 entries, 65535 = unknown> <entry>... 0xff
//!
//! entry: <length of entry before> <encoding> <data>          all little endian but as noted
//! length before: one byte, or 0xfe <u32>
//! 00llllll <l bytes>            string of up to 63 bytes
//! 01llllll llllllll <l bytes>   string of up to 16383 bytes (big endian)
//! 10000000 <u32> <l bytes>      longer string (big endian)
//! 11000000 11010000 11100000    signed integer of 16, 32, 64 bits
//! 11110000 11111110             signed integer of 24, 8 bits
//! 1111iiii (1 to 13)            integer 0 to 12
//! ```
//!
//! Worked example, the list "a", 12: `10 00 00 00  0d 00 00 00  02 00  00 01 61  03 fd  ff`.

use crate::error::PackedError;
use crate::packed::{
    Backward, Common, ENTRY_PEEK, Entries, Item, Passed, bytes_after_end, entry_cut, header_cut,
    no_end, refused, table_of, wrong_count, wrong_total,
};
use crate::source::{Fault, Source};
use crate::value::WINDOW_LEN;

const KIND: &str = "ziplist";
const HEADER_LEN: u64 = 10;
const END: u8 = 0xff;

/// What the encoding of an entry says.
#[derive(Debug, Clone, Copy)]
enum Head {
    Int { value: i64, len: u64 },
    Str { header_len: u64, len: u64 },
}

/// Decodes the length of the entry before: the bytes it takes, what it says.
#[inline]
fn length_before(bytes: &[u8]) -> Option<(usize, u64)> {
    match *bytes {
        [len @ 0..=0xfd, ..] => Some((1, u64::from(len))),
        [0xfe, a, b, c, d, ..] => Some((5, u64::from(u32::from_le_bytes([a, b, c, d])))),
        _ => None,
    }
}

/// Decodes the encoding (and an integer's data) at the start of `bytes`.
#[inline]
fn head(bytes: &[u8]) -> Option<Head> {
    let int = |value, len| Some(Head::Int { value, len });
    match *bytes {
        [b @ 0..=0x3f, ..] => Some(Head::Str { header_len: 1, len: u64::from(b) }),
        [b @ 0x40..=0x7f, low, ..] => {
            Some(Head::Str { header_len: 2, len: u64::from(b & 0x3f) << 8 | u64::from(low) })
        }
        [0x80, a, b, c, d, ..] => {
            Some(Head::Str { header_len: 5, len: u64::from(u32::from_be_bytes([a, b, c, d])) })
        }
        [0xc0, a, b, ..] => int(i64::from(i16::from_le_bytes([a, b])), 3),
        [0xd0, a, b, c, d, ..] => int(i64::from(i32::from_le_bytes([a, b, c, d])), 5),
        [0xe0, a, b, c, d, e, f, g, h, ..] => int(i64::from_le_bytes([a, b, c, d, e, f, g, h]), 9),
        [0xf0, a, b, c, ..] => int(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), 4),
        [0xfe, a, ..] => int(i64::from(i8::from_le_bytes([a])), 2),
        [b @ 0xf1..=0xfd, ..] => int(i64::from(b & 0x0f) - 1, 1),
        _ => None,
    }
}

/// How many entries the ziplist says it has, if it says so.
pub(crate) fn stated<S: Source>(source: &mut S) -> Result<Option<u64>, Fault> {
    Ok(stated_in(source.peek(10)?))
}

/// As [`stated`], of a ziplist that begins with these bytes.
#[inline]
pub(crate) fn stated_in(head: &[u8]) -> Option<u64> {
    match *head {
        [_, _, _, _, _, _, _, _, n, m, ..] => super::stated(n, m),
        _ => None,
    }
}

/// Bytes of an entry and of what follows it that are looked at in one piece.
const COMMON_LEN: usize = 2 + WINDOW_LEN;

/// An entry of a common form.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Length of the entry before, encoding and first data, and what follows the entry where it
    /// is shorter.
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
        let [_, _, window @ ..] = self.start;
        window
    }

    #[inline]
    fn is_int(&self) -> bool {
        !matches!(self.start, [_, 0..=0x3f, ..])
    }

    #[inline]
    fn int(&self) -> i64 {
        match head(self.bytes) {
            Some(Head::Int { value, .. }) => value,
            _ => 0,
        }
    }
}

/// Length of encoding and data by their first byte, for the entries that name it there; 0 for
/// others.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiled, where nothing else will do")]
static COMMON_LENS: [u8; 256] = table_of!(common_len);

const fn common_len(first: u8) -> u8 {
    match first {
        0..=0x3f => 1 + first,
        0xc0 => 3,
        0xd0 => 5,
        0xe0 => 9,
        0xf0 => 4,
        0xfe => 2,
        0xf1..=0xfd => 1,
        _ => 0,
    }
}

/// Where a walk stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Offset of the next entry.
    pos: usize,
    /// Entries passed.
    count: u64,
    /// Length of the last of them, and its offset.
    last_len: u64,
    last_at: usize,
}

/// Hands out the entries that `bytes` begins with, as `listpack::common_entries` does; the one
/// before them has `last_len` bytes.
#[inline]
fn common_entries(
    bytes: &[u8],
    len: usize,
    last_len: u64,
    each: &mut impl Entries,
) -> (Place, Option<&'static str>) {
    let mut place = Place { pos: 0, count: 0, last_len, last_at: 0 };
    while let Some(rest) = bytes.get(place.pos..)
        && let Some(start) = rest.first_chunk::<COMMON_LEN>()
    {
        let [before @ 0..=0xfd, first, ..] = *start else { break };
        let entry_len = COMMON_LENS.get(usize::from(first)).map_or(0, |len| usize::from(*len));
        let Some(bytes) = rest.get(1..=entry_len) else { break };
        let next = place.pos + 1 + entry_len;
        // One byte more must be there for the end.
        if u64::from(before) != place.last_len || entry_len == 0 || next >= len {
            break;
        }
        if let Err(reason) = each.common(&Entry { start, bytes }) {
            return (place, Some(reason));
        }
        let (last_len, last_at) = (1 + entry_len as u64, place.pos);
        place = Place { pos: next, count: place.count + 1, last_len, last_at };
    }
    (place, None)
}

/// A ziplist in memory, walked from its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromEnd<'b> {
    /// The ziplist, and what follows it in memory.
    padded: &'b [u8],
    /// Where the entries end that were not passed, and where the last of them begins.
    end: usize,
    at: usize,
}

impl<'b> FromEnd<'b> {
    /// The ziplist of `len` bytes that begins `padded`, if its header and its end are right.
    pub(crate) fn new(padded: &'b [u8], len: usize) -> Option<Self> {
        let [a, b, c, d, e, f, g, h] = *padded.first_chunk()?;
        let total = u32::from_le_bytes([a, b, c, d]);
        let at = usize::try_from(u32::from_le_bytes([e, f, g, h])).ok()?;
        let end = len.checked_sub(1)?;
        let is_right = u64::from(total) == len as u64 && padded.get(end) == Some(&END);
        is_right.then_some(Self { padded, end, at })
    }

    /// Passes an entry that is not common.
    #[inline(never)]
    fn back_long(self) -> Option<Self> {
        let bytes = self.padded.get(self.at..self.end)?;
        let (before_len, before) = length_before(bytes)?;
        let entry_len = match head(bytes.get(before_len..)?)? {
            Head::Int { len, .. } => len,
            Head::Str { header_len, len } => header_len + len,
        };
        if before_len as u64 + entry_len != bytes.len() as u64 {
            return None;
        }
        let at = self.at.checked_sub(usize::try_from(before).ok()?)?;
        Some(Self { end: self.at, at, ..self })
    }
}

impl<'b> Backward for FromEnd<'b> {
    type Entry = Entry<'b>;

    #[inline(always)]
    fn back(self) -> Option<(Passed<Entry<'b>>, Self)> {
        let rest = self.padded.get(self.at..)?;
        if let Some(start) = rest.first_chunk::<COMMON_LEN>()
            && let [before @ 0..=0xfd, first, ..] = *start
        {
            let entry_len = COMMON_LENS.get(usize::from(first)).map_or(0, |len| usize::from(*len));
            if entry_len > 0 && self.at + 1 + entry_len == self.end {
                let bytes = rest.get(1..=entry_len)?;
                let at = self.at.checked_sub(usize::from(before))?;
                let rest = Self { end: self.at, at, ..self };
                return Some((Passed::Common(Entry { start, bytes }), rest));
            }
        }
        Some((Passed::Long, self.back_long()?))
    }

    fn is_at_beginning(self) -> bool {
        // The first entry says that there are no bytes before it.
        self.end as u64 == HEADER_LEN && self.at == self.end
    }
}

/// Walks a ziplist whose bytes are all that `source` has; answers the number of entries.
///
/// # Errors
/// [`PackedError`] as [`Fault::Damage`] where the blob contradicts itself or `each` refuses.
pub(crate) fn walk<S: Source>(source: &mut S, mut each: impl Entries) -> Result<u64, Fault> {
    let len = source.left();
    let Some(&[a, b, c, d, e, f, g, h, n, m]) = source.peek(10)?.first_chunk() else {
        return Err(header_cut(KIND, len).into());
    };
    let total = u64::from(u32::from_le_bytes([a, b, c, d]));
    let tail_at = u64::from(u32::from_le_bytes([e, f, g, h]));
    if total != len {
        return Err(wrong_total(KIND, total, len).into());
    }
    source.skip(HEADER_LEN)?;
    let (mut index, mut len_before, mut last_at) = (0u64, 0u64, HEADER_LEN);
    loop {
        let left = source.left();
        let at = len - left;
        let (bytes, bytes_len) = source.peek_padded(ENTRY_PEEK)?;
        let (place, refusal) = common_entries(bytes, bytes_len, len_before, &mut each);
        if let Some(reason) = refusal {
            return Err(refused(KIND, at + place.pos as u64, index + place.count, reason).into());
        }
        if place.count > 0 {
            source.skip(place.pos as u64)?;
            (last_at, len_before) = (at + place.last_at as u64, place.last_len);
            index += place.count;
            continue;
        }
        let bytes = bytes.get(..bytes_len).unwrap_or(bytes);
        match bytes.first() {
            None => return Err(no_end(KIND, at).into()),
            Some(&END) => break,
            Some(_) => {}
        }
        let entry_len = step(bytes, &mut each, index, at, left, len_before)?;
        source.skip(entry_len)?;
        (last_at, len_before) = (at, entry_len);
        index += 1;
    }
    let after = source.left() - 1;
    if after > 0 {
        return Err(bytes_after_end(KIND, len - after, after).into());
    }
    source.skip(1)?;
    if tail_at != last_at {
        return Err(wrong_tail(tail_at, last_at).into());
    }
    match super::stated(n, m) {
        Some(stated) if stated != index => Err(wrong_count(KIND, stated, index).into()),
        _ => Ok(index),
    }
}

/// Hands out the entry that begins `bytes`; answers its whole length.
#[inline]
fn step(
    bytes: &[u8],
    each: &mut impl Entries,
    index: u64,
    at: u64,
    left: u64,
    len_before: u64,
) -> Result<u64, PackedError> {
    let Some((before_len, said)) = length_before(bytes) else {
        return Err(entry_cut(KIND, at, index, left));
    };
    if said != len_before {
        return Err(wrong_length_before(index, at, said, len_before));
    }
    let encoded = bytes.get(before_len..).unwrap_or_default();
    let (item, entry_len) = match head(encoded) {
        Some(Head::Int { value, len }) => (Item::Int(value), len),
        Some(Head::Str { header_len, len }) => {
            let start = usize::try_from(header_len).unwrap_or(usize::MAX);
            (Item::text(encoded.get(start..).unwrap_or_default(), len), header_len + len)
        }
        None => return Err(bad_encoding(encoded, index, at, left)),
    };
    let whole = before_len as u64 + entry_len;
    // One byte more must be there for the end.
    if whole >= left {
        return Err(entry_cut(KIND, at, index, left));
    }
    each.item(item).map_err(|reason| refused(KIND, at, index, reason))?;
    Ok(whole)
}

#[cold]
fn wrong_tail(said: u64, found: u64) -> PackedError {
    PackedError::new(4, format!("ziplist states its last entry at {said}, it is at {found}"))
}

#[cold]
fn wrong_length_before(index: u64, at: u64, said: u64, found: u64) -> PackedError {
    PackedError::new(
        at,
        format!("ziplist entry {index} follows one of {found} bytes and says it has {said}"),
    )
}

#[cold]
fn bad_encoding(encoded: &[u8], index: u64, at: u64, left: u64) -> PackedError {
    match encoded.first() {
        Some(byte @ (0x81..=0xbf | 0xc1..=0xcf | 0xd1..=0xdf | 0xe1..=0xef | 0xff)) => {
            PackedError::new(
                at,
                format!("ziplist entry {index} has no known encoding: {byte:#04x}"),
            )
        }
        _ => entry_cut(KIND, at, index, left),
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "lengths of the test are small")]
mod tests {
    use super::*;
    use crate::source::{Padded, Slice};

    const GOOD: &[u8] = b"\x10\0\0\0\x0d\0\0\0\x02\0\x00\x01a\x03\xfd\xff";

    /// What is found, whether something follows the blob in memory or not.
    fn entries(bytes: &[u8]) -> Result<Vec<String>, String> {
        let found = entries_of(&mut Slice(bytes));
        for padding in [b"\x03\x01".as_slice(), &[0xff; 40], &[3; 40], &[0; 40]] {
            let padded = [bytes, padding].concat();
            assert_eq!(entries_of(&mut Padded::new(&padded, bytes.len())), found, "{padding:?}");
        }
        found
    }

    fn entries_of(source: &mut impl Source) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let walked = walk(source, |item: Item<'_>| {
            found.push(match item {
                Item::Int(value) => value.to_string(),
                Item::Short(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
                Item::Long(len) => format!("{len} bytes"),
            });
            Ok(())
        });
        match walked {
            Ok(count) => {
                assert_eq!(count, found.len() as u64);
                Ok(found)
            }
            Err(Fault::Damage(error)) => Err(format!("{}: {}", error.at, error.reason)),
            Err(Fault::Stop(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn worked_example() {
        assert_eq!(entries(GOOD).unwrap(), ["\"a\"", "12"]);
    }

    #[test]
    fn every_encoding() {
        let long = [&[0x41u8, 0x2c][..], &[b'x'; 300]].concat();
        let longer = [&[0x80u8, 0, 0, 0x50, 0][..], &[b'y'; 0x5000]].concat();
        let all: &[&[u8]] = &[
            b"\xf1",
            b"\xfe\x80",
            b"\xc0\x00\x80",
            b"\xf0\xff\xff\xff",
            b"\xd0\x00\x00\x00\x80",
            b"\xe0\x00\x00\x00\x00\x00\x00\x00\x80",
            &long,
            &longer,
            b"\x00",
        ];
        let mut bytes = vec![0; 10];
        let (mut before, mut last) = (0, 0);
        for entry in all {
            last = bytes.len();
            if before < 254 {
                bytes.push(before as u8);
            } else {
                bytes.push(0xfe);
                bytes.extend((before as u32).to_le_bytes());
            }
            bytes.extend_from_slice(entry);
            before = bytes.len() - last;
        }
        bytes.push(0xff);
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
        bytes[8] = all.len() as u8;
        let expected = [
            "0",
            "-128",
            "-32768",
            "-1",
            "-2147483648",
            "-9223372036854775808",
            "300 bytes",
            "20480 bytes",
            "\"\"",
        ];
        assert_eq!(entries(&bytes).unwrap(), expected);
    }

    #[test]
    fn lies_are_found() {
        let table: &[(usize, u8, &str)] = &[
            (0, 0x0e, "0: ziplist of 16 bytes states a length of 14"),
            (4, 0x0a, "4: ziplist states its last entry at 10, it is at 13"),
            (8, 3, "4: ziplist states 3 entries and holds 2"),
            (13, 4, "13: ziplist entry 1 follows one of 3 bytes and says it has 4"),
            (14, 0xc1, "13: ziplist entry 1 has no known encoding: 0xc1"),
            (11, 0x3f, "10: ziplist entry 0 reaches beyond the 6 bytes left in the blob"),
            (15, 0, "15: ziplist entry 2 follows one of 2 bytes and says it has 0"),
        ];
        for (at, byte, message) in table {
            let mut bytes = GOOD.to_vec();
            bytes[*at] = *byte;
            assert_eq!(entries(&bytes).unwrap_err(), *message);
        }
        for cut in 0..GOOD.len() {
            assert!(entries(&GOOD[..cut]).is_err(), "cut at {cut}");
        }
    }
}
