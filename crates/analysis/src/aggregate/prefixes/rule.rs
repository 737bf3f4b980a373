//! How keys are cut into prefixes.

use crate::Options;

/// Levels of one key that are counted.
const LEVELS_MAX: u32 = 1024;

/// Separators that are looked for at once.
const FEW: usize = 8;

/// Bytes in which they are looked for at once.
const LANES: usize = 16;

/// How keys are cut into prefixes.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    separates: [bool; 256],
    /// The separators, some of them again and again, each as a row of the same byte; none if
    /// there are more, or none at all.
    few: Option<[[u8; LANES]; FEW]>,
    fold_digits: bool,
}

impl Rule {
    pub(crate) fn new(separators: &[u8], fold_digits: bool) -> Self {
        let mut separates = [false; 256];
        for (byte, separates) in (0..=u8::MAX).zip(&mut separates) {
            *separates = separators.contains(&byte);
        }
        let few = (1..=FEW).contains(&separators.len()).then(|| {
            let mut again = separators.iter().cycle();
            [(); FEW].map(|()| [again.next().copied().unwrap_or_default(); LANES])
        });
        Self { separates, few, fold_digits }
    }

    /// Whether keys that are folded alike are cut alike.
    pub(super) fn may_recall(&self) -> bool {
        !self.fold_digits || (b'0'..=b'9').all(|digit| !self.separates(digit))
    }

    #[inline]
    fn separates(&self, byte: u8) -> bool {
        self.separates.get(usize::from(byte)).copied().unwrap_or_default()
    }

    /// Which of the bytes separate: the lowest bit stands for the first byte.
    #[inline]
    pub(super) fn separators_in<const N: usize>(&self, bytes: &[u8; N]) -> u64 {
        const { assert!(N.is_multiple_of(LANES) && N <= 64, "whole rows, a bit for each byte") };
        let Some(few) = &self.few else {
            let bits = bytes.iter().rev().map(|byte| u64::from(self.separates(*byte)));
            return bits.fold(0, |bits, bit| bits << 1 | bit);
        };
        // Loops of one length, which the compiler makes into a few instructions.
        let mut found = [0; N];
        let (rows, _) = found.as_chunks_mut::<LANES>();
        let (bytes, _) = bytes.as_chunks::<LANES>();
        for (found, bytes) in rows.iter_mut().zip(bytes) {
            for separator in few {
                for ((found, byte), separator) in found.iter_mut().zip(bytes).zip(separator) {
                    *found |= if byte == separator { u8::MAX } else { 0 };
                }
            }
        }
        let (words, _) = found.as_chunks();
        words.iter().rev().fold(0, |bits, word| bits << 8 | lowest_bits(u64::from_le_bytes(*word)))
    }

    /// Eight bytes of a key as they count.
    #[inline]
    pub(super) fn fold(&self, bytes: u64) -> u64 {
        if self.fold_digits { fold_digits(bytes) } else { bytes }
    }

    /// Makes a piece of a key what it counts as.
    #[inline]
    pub(super) fn fold_bytes<const N: usize>(&self, bytes: &mut [u8; N]) {
        if self.fold_digits {
            for byte in bytes {
                *byte = if byte.is_ascii_digit() { b'0' } else { *byte };
            }
        }
    }

    /// Calls `each` with every prefix of `key`, longest last, as its text so far and where
    /// its own segment begins; stops when it says so. `folded` is room for the text.
    pub(crate) fn cut(
        &self,
        key: &[u8],
        folded: &mut Vec<u8>,
        mut each: impl FnMut(&[u8], usize) -> bool,
    ) {
        folded.clear();
        let (chunks, rest) = key.as_chunks::<8>();
        for chunk in chunks {
            folded.extend_from_slice(&self.fold(u64::from_le_bytes(*chunk)).to_le_bytes());
        }
        let fold = |byte: &u8| if self.fold_digits && byte.is_ascii_digit() { b'0' } else { *byte };
        folded.extend(rest.iter().map(fold));

        let mut levels_left = LEVELS_MAX;
        let (mut segment_at, mut after_text, mut is_whole) = (0, false, true);
        for (at, byte) in key.iter().enumerate() {
            let separates = self.separates(*byte);
            if separates {
                is_whole = false;
                if after_text {
                    levels_left -= 1;
                    if !each(folded.get(..at).unwrap_or_default(), segment_at) || levels_left == 0 {
                        return;
                    }
                    segment_at = at;
                }
            }
            after_text = !separates;
        }
        if is_whole && !key.is_empty() {
            each(folded, 0);
        }
    }
}

/// Cuts names as the lists of prefixes do.
#[derive(Debug, Clone)]
pub struct PrefixRule {
    rule: Rule,
    folded: Vec<u8>,
}

impl PrefixRule {
    /// The rule that `options` ask for.
    pub fn new(options: &Options) -> Self {
        Self { rule: Rule::new(&options.separators, options.fold_digits), folded: Vec::new() }
    }

    /// The prefix of `key` that has `depth` levels, or all levels if it has fewer; none for
    /// a key without prefix or a depth of zero.
    pub fn prefix(&mut self, key: &[u8], depth: usize) -> Option<&[u8]> {
        let (mut level, mut len) = (0, None);
        self.rule.cut(key, &mut self.folded, |text, _| {
            level += 1;
            len = (level <= depth).then_some(text.len()).or(len);
            level < depth
        });
        self.folded.get(..len?)
    }
}

/// Makes every digit among eight bytes a `0`.
#[inline]
fn fold_digits(bytes: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Digits become 0 to 9; the addition then carries into the highest bit of all others.
    let less_zero = bytes ^ (EACH * 0x30);
    let no_digit = ((less_zero & (EACH * 0x7f)) + EACH * 0x76) | less_zero;
    let digits = !no_digit & (EACH * 0x80);
    bytes & !((digits >> 3) - (digits >> 7))
}

/// The lowest bit of each of eight bytes, side by side.
#[inline]
fn lowest_bits(bytes: u64) -> u64 {
    // Each power of two moves one of the bits to its place in the highest byte.
    (bytes & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_folded_wherever_they_stand() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                for others in [b'0', b'9', b'a', 0, 0xff, b':'] {
                    let mut bytes = [others; 8];
                    bytes[at] = byte;
                    let expected = bytes.map(|b| if b.is_ascii_digit() { b'0' } else { b });
                    assert_eq!(fold_digits(u64::from_le_bytes(bytes)).to_le_bytes(), expected);
                }
            }
        }
    }
}
