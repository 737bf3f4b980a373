//! The checksum at the end of a file: CRC-64 "Jones", reflected, no initial or final xor.

/// Computes the checksum that an RDB file of these bytes ends with.
pub fn crc64(bytes: &[u8]) -> u64 {
    crc64_after(0, bytes)
}

/// Goes on from the checksum of the bytes before.
pub(crate) fn crc64_after(mut crc: u64, bytes: &[u8]) -> u64 {
    for byte in bytes {
        crc = TABLE[((crc ^ u64::from(*byte)) & 0xff) as usize] ^ (crc >> 8);
    }
    crc
}

const POLYNOMIAL: u64 = 0xad93_d235_94c9_35a9_u64.reverse_bits();

static TABLE: [u64; 256] = {
    let mut table = [0u64; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_redis() {
        // The self-test at the end of `crc64.c`.
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc64_after(crc64(b"1234"), b"56789"), crc64(b"123456789"));
    }
}
