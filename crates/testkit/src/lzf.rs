//! A small LZF compressor.
//!
//! The stream is a row of literal runs, `000lllll` and `l + 1` bytes, and references,
//! `llldddddd` style: three bits of length (7: one more byte of length follows), thirteen
//! bits of distance less one; a reference copies `length + 2` bytes.

const LITERAL_RUN_MAX: usize = 32;
const REFERENCE_LEN_MAX: usize = 264;
const DISTANCE_MAX: usize = 0x2000;
const PLACES_MAX: usize = 1 << 14;

/// Compresses `bytes`; the result may be longer than they are.
pub fn lzf_compress(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // Where three bytes were seen last, by their hash; as large as the text is long.
    let mut last_seen = vec![None; (2 * bytes.len()).next_power_of_two().min(PLACES_MAX)];
    let mut literals = 0..0;
    let mut at = 0;
    while at < bytes.len() {
        let found = bytes.get(at..at + 3).and_then(|three| {
            let hash = three.iter().fold(0u32, |hash, byte| hash << 8 | u32::from(*byte));
            let place = (hash.wrapping_mul(0x9e37_79b9) >> 8) as usize % last_seen.len();
            last_seen[place].replace(at).filter(|start: &usize| bytes[*start..].starts_with(three))
        });
        match found.filter(|start| at - start <= DISTANCE_MAX) {
            Some(start) => {
                let len = common_prefix(&bytes[start..], &bytes[at..]).min(REFERENCE_LEN_MAX);
                write_literals(&mut out, &bytes[literals]);
                write_reference(&mut out, at - start - 1, len - 2);
                at += len;
                literals = at..at;
            }
            None => {
                at += 1;
                literals.end = at;
            }
        }
    }
    write_literals(&mut out, &bytes[literals]);
    out
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn write_literals(out: &mut Vec<u8>, bytes: &[u8]) {
    for run in bytes.chunks(LITERAL_RUN_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn write_reference(out: &mut Vec<u8>, distance: usize, len: usize) {
    let high = (distance >> 8) as u8;
    if len < 7 {
        out.push((len as u8) << 5 | high);
    } else {
        out.extend([7 << 5 | high, (len - 7) as u8]);
    }
    out.push(distance as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    fn decompress(mut lzf: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while let [control, rest @ ..] = lzf {
            lzf = rest;
            let control = usize::from(*control);
            if control < 32 {
                let (run, rest) = lzf.split_at(control + 1);
                out.extend_from_slice(run);
                lzf = rest;
                continue;
            }
            let mut len = control >> 5;
            if len == 7 {
                len += usize::from(lzf[0]);
                lzf = &lzf[1..];
            }
            let start = out.len() - ((control & 31) << 8 | usize::from(lzf[0])) - 1;
            lzf = &lzf[1..];
            for i in start..start + len + 2 {
                out.push(out[i]);
            }
        }
        out
    }

    #[test]
    fn comes_back_as_it_was() {
        let mut rng = Rng::new(1);
        for len in [0, 1, 3, 32, 33, 100, 300, 9000, 20_000] {
            for bytes in [rng.bytes(len), rng.text(len), vec![b'x'; len]] {
                assert_eq!(decompress(&lzf_compress(&bytes)), bytes, "{len} bytes");
            }
        }
        assert!(lzf_compress(&[0; 1000]).len() < 40);
    }
}
