//! CRC-64 as Redis computes it (`crc64.c`: Jones polynomial, reflected, initial value 0).

use crc_fast::{CrcAlgorithm, Digest};

use crate::block::BLOCK_LEN;

/// Continues `crc` over `bytes`.
pub(crate) fn update(crc: u64, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc64Redis, crc);
    digest.update(bytes);
    digest.finalize()
}

/// The checksum of bytes with the checksum `crc` and of `len` further ones, which alone have
/// `further`. Of whole blocks it is told fast.
pub(crate) fn append(crc: u64, further: u64, len: usize) -> u64 {
    const WHOLE: u64 = power(BLOCK_LEN);
    let factor = if len == BLOCK_LEN { WHOLE } else { power(len) };
    times(crc, factor) ^ further
}

// Polynomials over two elements modulo Jones', as reflected as a checksum is: the highest bit is
// that of the power of zero.

const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
const ONE: u64 = 1 << 63;

/// The variable to the power of the bits of `len` bytes, which is what moves a checksum on by
/// so many zeros.
const fn power(len: usize) -> u64 {
    let (mut product, mut square, mut exponent) = (ONE, ONE >> 1, len as u64 * 8);
    while exponent > 0 {
        if exponent & 1 == 1 {
            product = times(product, square);
        }
        square = times(square, square);
        exponent >>= 1;
    }
    product
}

const fn times(a: u64, b: u64) -> u64 {
    let (mut a, mut b, mut product) = (a, b, 0);
    while a > 0 {
        if a & ONE > 0 {
            product ^= b;
        }
        a <<= 1;
        b = if b & 1 == 1 { b >> 1 ^ POLYNOMIAL } else { b >> 1 };
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, a bit at a time.
    fn plain(mut crc: u64, bytes: &[u8]) -> u64 {
        for byte in bytes {
            crc ^= u64::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            }
        }
        crc
    }

    #[test]
    fn equals_redis_check_value() {
        assert_eq!(update(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn equals_the_plain_form_in_pieces_of_any_length() {
        let bytes: Vec<u8> = (0u32..2000).map(|i| (i * 7 % 251).to_le_bytes()[0]).collect();
        for cut in [0, 1, 7, 8, 63, 64, 255, 256, 1024, 1999] {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(update(update(0, a), b), plain(0, &bytes), "cut at {cut}");
        }
    }

    #[test]
    fn appended_is_as_continued() {
        let bytes: Vec<u8> = (0u32..400_000).map(|i| (i * 7 % 251).to_le_bytes()[0]).collect();
        for cut in [0, 1, 7, 100_000, bytes.len() - BLOCK_LEN, bytes.len() - 1, bytes.len()] {
            let (a, b) = bytes.split_at(cut);
            let appended = append(update(0, a), update(0, b), b.len());
            assert_eq!(appended, update(0, &bytes), "cut at {cut}");
        }
    }
}
