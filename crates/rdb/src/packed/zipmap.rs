//! Zipmap (`zipmap.c`): small hashes up to Redis 2.4.
//!
//! ```text
//! <u8 pairs, 254 = unknown> (<len> <field> <len> <u8 free> <value> <free bytes>)... 0xff
//! len: one byte below 254, or 254 <u32 little endian>
//! ```
//!
//! Worked example, the hash a: 1 with one spare byte: `01  01 61  01 01 31 00  ff`.

use crate::packed::{
    ENTRY_PEEK, Each, Item, bytes_after_end, entry_cut, header_cut, no_end, refused, wrong_count,
};
use crate::source::{Fault, Source};

const KIND: &str = "zipmap";
const END: u8 = 0xff;
const COUNT_UNKNOWN: u8 = 254;

/// Walks a zipmap whose bytes are all that `source` has, fields and values in turn;
/// answers the number of both together.
///
/// # Errors
/// [`crate::PackedError`] as [`Fault::Damage`] where the blob contradicts itself or `each`
/// refuses.
pub(crate) fn walk<S: Source>(source: &mut S, mut each: impl Each) -> Result<u64, Fault> {
    let len = source.left();
    let Some(&stated) = source.peek(1)?.first() else {
        return Err(header_cut(KIND, len).into());
    };
    source.skip(1)?;
    let mut index = 0u64;
    loop {
        let left = source.left();
        let at = len - left;
        let is_value = index % 2 == 1;
        let bytes = source.peek(ENTRY_PEEK)?;
        let (len_len, string_len) = match *bytes {
            [] => return Err(no_end(KIND, at).into()),
            [END, ..] if !is_value => break,
            [short @ 0..=253, ..] => (1, u64::from(short)),
            [254, a, b, c, d, ..] => (5, u64::from(u32::from_le_bytes([a, b, c, d]))),
            _ => return Err(entry_cut(KIND, at, index, left).into()),
        };
        let free = match (is_value, bytes.get(len_len)) {
            (true, Some(free)) => u64::from(*free),
            (true, None) => return Err(entry_cut(KIND, at, index, left).into()),
            (false, _) => 0,
        };
        let header_len = len_len + usize::from(is_value);
        let whole = header_len as u64 + string_len + free;
        // One byte more must be there for the end.
        if whole >= left {
            return Err(entry_cut(KIND, at, index, left).into());
        }
        let item = Item::text(bytes.get(header_len..).unwrap_or_default(), string_len);
        each(item).map_err(|reason| refused(KIND, at, index, reason))?;
        source.skip(whole)?;
        index += 1;
    }
    let after = source.left() - 1;
    if after > 0 {
        return Err(bytes_after_end(KIND, len - after, after).into());
    }
    source.skip(1)?;
    if stated < COUNT_UNKNOWN && u64::from(stated) != index / 2 {
        return Err(wrong_count(KIND, u64::from(stated), index / 2).into());
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Slice;

    fn entries(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut found = Vec::new();
        let walked = walk(&mut Slice(bytes), |item: Item<'_>| {
            match item {
                Item::Short(bytes) => found.push(bytes.to_vec()),
                Item::Int(_) | Item::Long(_) => panic!("short strings only"),
            }
            Ok(())
        });
        match walked {
            Ok(_) => Ok(found),
            Err(Fault::Damage(error)) => Err(format!("{}: {}", error.at, error.reason)),
            Err(Fault::Stop(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn worked_example() {
        assert_eq!(entries(b"\x01\x01a\x01\x011\x00\xff").unwrap(), [b"a", b"1"]);
        assert_eq!(entries(b"\xfe\xfe\x01\0\0\0a\x01\x001\xff").unwrap(), [b"a", b"1"]);
    }

    #[test]
    fn lies_are_found() {
        let table: &[(&[u8], &str)] = &[
            (b"", "0: zipmap of 0 bytes is shorter than its own header"),
            (
                b"\x01\x01a\x01\x001",
                "3: zipmap entry 1 reaches beyond the 3 bytes left in the blob",
            ),
            (b"\x01\x01a\xff", "3: zipmap entry 1 reaches beyond the 1 bytes left in the blob"),
            (b"\x02\x01a\x01\x001\xff", "4: zipmap states 2 entries and holds 1"),
            (
                b"\x01\x01a\x01\x091\xff",
                "3: zipmap entry 1 reaches beyond the 4 bytes left in the blob",
            ),
        ];
        for (bytes, message) in table {
            assert_eq!(entries(bytes).unwrap_err(), *message);
        }
    }
}
