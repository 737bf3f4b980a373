//! CRC-64 as Redis computes it (`crc64.c`: Jones polynomial, reflected, initial value 0).

use crc_fast::{CrcAlgorithm, Digest};

/// Continues `crc` over `bytes`.
pub(crate) fn update(crc: u64, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc64Redis, crc);
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::update;

    /// The definition, a bit at a time.
    fn plain(mut crc: u64, bytes: &[u8]) -> u64 {
        for byte in bytes {
            crc ^= u64::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x95ac_9329_ac4b_c9b5 } else { crc >> 1 };
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
}
