//! Damage at random, the same for a seed.

use crate::crc64::crc64;
use crate::rng::Rng;

/// Bytes that mean much to a reader: huge lengths, special encodings, opcodes.
const SPLICES: &[&[u8]] = &[
    b"\x81\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x80\xff\xff\xff\xff",
    b"\x80\x7f\xff\xff\xff",
    b"\x81\0\0\0\x01\0\0\0\0",
    b"\x7f\xff",
    b"\xc3",
    b"\xc0",
    b"\xc4",
    b"\xf4",
    b"\xf7",
    b"\xff",
    b"\xfe",
    b"\0",
];

/// Magic and version stay as they are, but for truncation.
const HEADER_LEN: usize = 9;

/// Damages a file in one of eight ways; seven of ten results get a checksum that lets the
/// damage through.
pub fn mutate(file: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut out = file.to_vec();
    let at = rng.between(HEADER_LEN, out.len() - 1);
    match rng.below(8) {
        0 => {
            out.truncate(rng.below(file.len()));
            return out;
        }
        1 => out[at] ^= 1 << rng.below(8),
        2 => out[at] = rng.bits() as u8,
        3 => {
            let splice = rng.pick(SPLICES);
            let end = out.len().min(at + splice.len());
            out.splice(at..end, splice.iter().copied());
        }
        4 => _ = out.splice(at..at, rng.pick(SPLICES).iter().copied()),
        5 => {
            let end = out.len().min(at + rng.between(1, 8));
            out.drain(at..end);
        }
        6 => {
            let other = rng.between(HEADER_LEN, out.len() - 1);
            let (low, high) = (at.min(other), at.max(other).min(at.min(other) + 4096));
            let block = out[low..high].to_vec();
            out.splice(at..at, block);
        }
        _ => {
            for _ in 0..rng.between(2, 5) {
                let at = rng.between(HEADER_LEN, out.len() - 1);
                out[at] = rng.bits() as u8;
            }
        }
    }
    if out.len() > HEADER_LEN + 8 && rng.below(10) < 7 {
        let body = out.len() - 8;
        let checksum = if rng.one_in(10) { crc64(&out[..body]) } else { 0 };
        out[body..].copy_from_slice(&checksum.to_le_bytes());
    }
    out
}
