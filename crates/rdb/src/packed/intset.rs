//! Intset (`intset.c`): integers of one width, ascending.
//!
//! ```text
//! <u32 width: 2, 4 or 8> <u32 members> <member>...      all little endian
//! ```
//!
//! Worked example, the set 1, 2: `02 00 00 00  02 00 00 00  01 00  02 00`.

use crate::error::PackedError;
use crate::packed::header_cut;
use crate::source::{Fault, Source};

/// Walks an intset whose bytes are all that `source` has; answers width and members.
///
/// # Errors
/// [`PackedError`] as [`Fault::Damage`] where the blob contradicts itself.
pub(crate) fn walk<S: Source>(source: &mut S) -> Result<(u8, u64), Fault> {
    let len = source.left();
    let Some(&[w, x, y, z, a, b, c, d]) = source.peek(8)?.first_chunk() else {
        return Err(header_cut("intset", len).into());
    };
    let width: u8 = match u32::from_le_bytes([w, x, y, z]) {
        2 => 2,
        4 => 4,
        8 => 8,
        other => {
            let reason = format!("intset members are 2, 4 or 8 bytes wide, not {other}");
            return Err(PackedError::new(0, reason).into());
        }
    };
    let count = u64::from(u32::from_le_bytes([a, b, c, d]));
    if len - 8 != u64::from(width) * count {
        let reason = format!("intset of {count} members of {width} bytes has {} bytes", len - 8);
        return Err(PackedError::new(4, reason).into());
    }
    source.skip(8)?;
    let mut before = None;
    while source.left() > 0 {
        let at = len - source.left();
        let bytes = source.peek(8)?;
        let member = match (width, bytes) {
            (2, &[a, b, ..]) => i64::from(i16::from_le_bytes([a, b])),
            (4, &[a, b, c, d, ..]) => i64::from(i32::from_le_bytes([a, b, c, d])),
            (_, &[a, b, c, d, e, f, g, h, ..]) => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => return Err(header_cut("intset", len).into()),
        };
        if before.is_some_and(|before| before >= member) {
            let reason = format!("intset member {member} is not above the one before it");
            return Err(PackedError::new(at, reason).into());
        }
        before = Some(member);
        source.skip(u64::from(width))?;
    }
    Ok((width, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Slice;

    fn read(bytes: &[u8]) -> Result<(u8, u64), String> {
        walk(&mut Slice(bytes)).map_err(|fault| match fault {
            Fault::Damage(error) => format!("{}: {}", error.at, error.reason),
            Fault::Stop(error) => panic!("{error}"),
        })
    }

    #[test]
    fn worked_example() {
        assert_eq!(read(b"\x02\0\0\0\x02\0\0\0\x01\0\x02\0"), Ok((2, 2)));
    }

    #[test]
    fn lies_are_found() {
        let table: &[(&[u8], &str)] = &[
            (b"\x03\0\0\0\0\0\0\0", "0: intset members are 2, 4 or 8 bytes wide, not 3"),
            (b"\x02\0\0\0\x03\0\0\0\x01\0\x02\0", "4: intset of 3 members of 2 bytes has 4 bytes"),
            (b"\x08\0\0\0\0\0\0\x20", "4: intset of 536870912 members of 8 bytes has 0 bytes"),
            (
                b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0",
                "10: intset member 1 is not above the one before it",
            ),
            (b"\x02\0\0", "0: intset of 3 bytes is shorter than its own header"),
        ];
        for (bytes, message) in table {
            assert_eq!(read(bytes).unwrap_err(), *message);
        }
    }
}
