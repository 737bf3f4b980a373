//! Strings of the server (`sds.c`) and how they are embedded in other structs.
//!
//! A loaded string has exactly its length: header, `len` bytes, a NUL. The header's size
//! follows from the length; an empty string gets the one byte `SDS_TYPE_8` header of three
//! because the server expects it to be appended to.

/// Where the header of a string grows from 3 to 5 and from 5 to 9 bytes.
///
/// Redis 8.2 and Valkey 8.0 let `sdsReqType` look at what the allocator could be asked for,
/// so that a string may grow into its whole block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SdsLimits {
    /// `len < 256`, `len < 65536`.
    Length,
    /// `len + 3 < 256`, `len + 5 < 65536`: header and NUL are counted in.
    Allocation,
}

impl SdsLimits {
    /// Bytes to ask for a string of `len` bytes, `S(len)`.
    pub(crate) const fn alloc_len(self, len: u64) -> u64 {
        len + 1
            + match len {
                0 => 3,
                1..0x20 => 1,
                _ => self.long_header_len(len),
            }
    }

    /// Bytes of the header of a string that is not `SDS_TYPE_5`.
    const fn long_header_len(self, len: u64) -> u64 {
        let (max_8, max_16) = match self {
            Self::Length => (0xff, 0xffff),
            Self::Allocation => (0xff - 3, 0xffff - 5),
        };
        if len <= max_8 {
            3
        } else if len <= max_16 {
            5
        } else if len <= 0xffff_ffff - 9 {
            9
        } else {
            17
        }
    }
}

/// Bytes of a key or field of `len` bytes inside another struct (`sdswrite`), with header and
/// NUL, `E(len)`: an empty one has the smallest header here.
pub(crate) const fn embedded_len(len: u64) -> u64 {
    if len < 0x20 { len + 2 } else { embedded_sds8_len(len) }
}

/// The same where the header may not be `SDS_TYPE_5`, which has no room for flags.
pub(crate) const fn embedded_sds8_len(len: u64) -> u64 {
    len + 1 + SdsLimits::Allocation.long_header_len(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_grows_with_the_length() {
        use SdsLimits::{Allocation, Length};
        for (len, to_8_0, later, embedded) in [
            (0, 4, 4, 2),
            (1, 3, 3, 3),
            (31, 33, 33, 33),
            (32, 36, 36, 36),
            (252, 256, 256, 256),
            (253, 257, 259, 259),
            (255, 259, 261, 261),
            (256, 262, 262, 262),
            (65530, 65536, 65536, 65536),
            (65531, 65537, 65541, 65541),
            (65536, 65546, 65546, 65546),
        ] {
            assert_eq!(Length.alloc_len(len), to_8_0, "{len}");
            assert_eq!(Allocation.alloc_len(len), later, "{len}");
            assert_eq!(embedded_len(len), embedded, "{len}");
        }
        assert_eq!(embedded_sds8_len(0), 4);
    }
}
