//! Allocators: how many bytes a request really takes.
//!
//! `zmalloc_usable_size` of a block is what `used_memory` counts. A file does not say which
//! allocator its server had, so it is an option of the model.

use std::fmt;
use std::str::FromStr;

/// The allocator of the modelled server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Allocator {
    /// jemalloc as bundled with the server: built with `--with-lg-quantum=3`.
    #[default]
    Jemalloc,
    /// jemalloc up to 5.3.0 as distributions build it: quantum 16.
    JemallocQ16,
    /// jemalloc 5.3.1 as distributions build it: quantum 16, whole pages above 14 KiB.
    JemallocQ16p,
    /// `malloc` of glibc.
    Libc,
}

impl Allocator {
    const NAMES: [(Self, &'static str); 4] = [
        (Self::Jemalloc, "jemalloc"),
        (Self::JemallocQ16, "jemalloc-q16"),
        (Self::JemallocQ16p, "jemalloc-q16p"),
        (Self::Libc, "libc"),
    ];

    /// Bytes taken by a request of `len` bytes.
    pub fn usable(self, len: u64) -> u64 {
        match self {
            Self::Jemalloc => size_class(len, 3, 64),
            Self::JemallocQ16 => size_class(len, 4, 128),
            Self::JemallocQ16p if len > 14 << 10 => len.next_multiple_of(PAGE),
            Self::JemallocQ16p => size_class(len, 4, 128),
            Self::Libc => malloc_usable_size(len),
        }
    }

    /// Bytes left of a block made for `from` bytes that is then shrunk to `len`: jemalloc
    /// moves it to the class of `len`, glibc cuts off what makes a chunk of its own.
    pub(crate) fn shrunk(self, from: u64, len: u64) -> u64 {
        const CHUNK_MIN: u64 = 32;
        let (before, after) = (self.usable(from), self.usable(len));
        match self {
            Self::Libc if before > after && before - after < CHUNK_MIN => before,
            Self::Jemalloc | Self::JemallocQ16 | Self::JemallocQ16p | Self::Libc => after,
        }
    }
}

const PAGE: u64 = 1 << 12;

/// jemalloc's size classes (`size_classes.h`): multiples of the quantum up to
/// `linear_max`, then four per doubling without an end.
const fn size_class(len: u64, lg_quantum: u32, linear_max: u64) -> u64 {
    if len <= 8 {
        return 8;
    }
    let spacing = if len <= linear_max { 1 << lg_quantum } else { 1 << ((len - 1).ilog2() - 2) };
    len.next_multiple_of(spacing)
}

/// glibc's `malloc_usable_size`: chunks of 16 bytes with 8 of them for the header, at least
/// 24 usable; from `M_MMAP_THRESHOLD` on whole pages with a header of 16.
///
/// glibc leaves a remainder of less than 32 bytes with the chunk, which a file cannot tell:
/// one small block in some hundreds is 16 bytes larger than this.
const fn malloc_usable_size(len: u64) -> u64 {
    const MMAP_THRESHOLD: u64 = 128 << 10;
    if len >= MMAP_THRESHOLD {
        return (len + 16).next_multiple_of(PAGE) - 16;
    }
    let usable = (len + 8).next_multiple_of(16) - 8;
    if usable < 24 { 24 } else { usable }
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(a, _)| a == self).map_or("?", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Allocator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::NAMES.iter().find(|(_, name)| *name == text).map(|(a, _)| *a).ok_or_else(|| {
            format!(
                "unknown allocator, jemalloc, jemalloc-q16, jemalloc-q16p or libc expected: {text}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests and what each allocator hands out for them.
    #[test]
    fn usable_sizes_are_those_of_the_allocators() {
        for (len, q8, q16, q16p, libc) in [
            (0, 8, 8, 8, 24),
            (1, 8, 8, 8, 24),
            (8, 8, 8, 8, 24),
            (9, 16, 16, 16, 24),
            (24, 24, 32, 32, 24),
            (25, 32, 32, 32, 40),
            (40, 40, 48, 48, 40),
            (64, 64, 64, 64, 72),
            (65, 80, 80, 80, 72),
            (128, 128, 128, 128, 136),
            (129, 160, 160, 160, 136),
            (8193, 10240, 10240, 10240, 8200),
            (14337, 16384, 16384, 16384, 14344),
            (16385, 20480, 20480, 20480, 16392),
            (2 << 20, 2 << 20, 2 << 20, 2 << 20, (2 << 20) + 4080),
            ((2 << 20) + 6, 2_621_440, 2_621_440, 2_101_248, (2 << 20) + 4080),
            ((20 << 20) + 1, 24 << 20, 24 << 20, (20 << 20) + 4096, (20 << 20) + 4080),
        ] {
            assert_eq!(Allocator::Jemalloc.usable(len), q8, "q8 {len}");
            assert_eq!(Allocator::JemallocQ16.usable(len), q16, "q16 {len}");
            assert_eq!(Allocator::JemallocQ16p.usable(len), q16p, "q16p {len}");
            assert_eq!(Allocator::Libc.usable(len), libc, "libc {len}");
        }
    }

    #[test]
    fn glibc_keeps_a_remainder_too_small_for_a_chunk() {
        for (from, len, libc) in [(100, 90, 104), (120, 90, 120), (150, 90, 104), (90, 90, 104)] {
            assert_eq!(Allocator::Libc.shrunk(from, len), libc, "{from} to {len}");
        }
        assert_eq!(Allocator::Jemalloc.shrunk(120, 90), 96);
    }

    #[test]
    fn names_are_read_back() {
        for (allocator, name) in Allocator::NAMES {
            assert_eq!(name.parse(), Ok(allocator));
            assert_eq!(allocator.to_string(), name);
        }
        assert!("tcmalloc".parse::<Allocator>().is_err());
    }
}
