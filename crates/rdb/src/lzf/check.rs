//! Checks compressed strings without expanding them: that the tokens end where the string
//! does, add up to its length and refer to nothing before its beginning.
//!
//! Where the next token begins is known only from the one before, so that a string's tokens
//! cannot be checked faster than they are found. Several strings can be gone over in turn:
//! while the processor waits for one it has something to do for the others.

use super::{Token, cut, token, too_far, wrong_len};
use crate::source::{Fault, Source};

/// Checks that `source` expands to exactly `len` bytes, without expanding it.
pub(crate) fn check<S: Source>(source: &mut S, len: u64) -> Result<(), Fault> {
    let mut done = 0u64;
    while source.left() > 0 {
        let bytes = source.peek(3)?;
        let at_hand = Lane::over(bytes, done);
        let passed = bytes.len() - at_hand.rest.len();
        if passed > 0 {
            done = at_hand.done;
            source.skip(passed as u64)?;
            continue;
        }
        let Some((token_len, token)) = token(bytes) else {
            return Err(cut(done).into());
        };
        match token {
            Token::Literal(count) => {
                let whole = (token_len + count) as u64;
                if whole > source.left() {
                    return Err(cut(done).into());
                }
                source.skip(whole)?;
                done += count as u64;
            }
            Token::Repeat { len, back } => {
                if back as u64 > done {
                    return Err(too_far(done, back).into());
                }
                source.skip(token_len as u64)?;
                done += len as u64;
            }
        }
    }
    if done == len && len > 0 { Ok(()) } else { Err(wrong_len(len, done).into()) }
}

/// A compressed string in memory, and the length it is to expand to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload<'b> {
    /// Its bytes, and what follows them in memory.
    pub(crate) padded: &'b [u8],
    /// How many of the bytes are its own.
    pub(crate) bytes_len: usize,
    pub(crate) len: u64,
}

/// Strings that are gone over side by side: more do not fit into the registers.
const LANES: usize = 3;

/// Bytes of a token that are looked at.
const PEEK: usize = 4;

/// What a token's first byte says, as far as it can be added up without looking at what kind
/// of token it is. With the next two bytes in the places of `after`:
///
/// ```text
///                literal      short reference      long reference
/// low byte       0            the first byte       the length's byte
/// high byte      0            the offset's byte    the offset's byte
/// ```
struct Steps {
    /// Bytes to the next token.
    token_len: [usize; 256],
    /// Bytes it expands to, less what the low byte adds.
    expands_to: [u64; 256],
    /// Least distance it refers back, 0 for literals; the high byte is added.
    back: [u64; 256],
    /// Bits by which the token's bytes are moved to have those two lowest.
    shift: [u32; 256],
}

#[expect(clippy::indexing_slicing, reason = "computed when compiled")]
static STEPS: Steps = {
    let mut steps =
        Steps { token_len: [0; 256], expands_to: [0; 256], back: [0; 256], shift: [0; 256] };
    let mut at = 0;
    while at < 256 {
        let control = at as u64;
        (steps.token_len[at], steps.expands_to[at], steps.shift[at]) = match control {
            0..0x20 => (at + 2, control + 1, 32),
            0x20..0xe0 => (2, ((control >> 5) + 2).wrapping_sub(control), 0),
            _ => (3, 9, 8),
        };
        if control >= 0x20 {
            steps.back[at] = ((control & 0x1f) << 8) + 1;
        }
        at += 1;
    }
    steps
};

/// Where in its string a lane is.
#[derive(Debug, Clone, Copy)]
struct Lane<'b> {
    /// What is still to come, and behind it one byte fewer than a look takes: there is something
    /// to look at as long as a token begins in the string.
    rest: &'b [u8],
    /// Bytes expanded so far.
    done: u64,
    /// Bytes it is to expand to.
    len: u64,
    /// Place of the string in the list.
    number: usize,
}

impl<'b> Lane<'b> {
    /// A lane at the beginning of its string; at no string where too little follows it.
    fn new(number: usize, payload: Payload<'b>) -> Self {
        let Payload { padded, bytes_len, len } = payload;
        let rest = bytes_len.checked_add(PEEK - 1).and_then(|seen| padded.get(..seen));
        Self { rest: rest.unwrap_or_default(), done: 0, len, number }
    }

    /// A lane behind the tokens that begin `bytes`, after `done` expanded bytes: as many as are seen
    /// whole with what a look takes, and are right.
    fn over(bytes: &'b [u8], done: u64) -> Self {
        let mut lane = Self { rest: bytes, done, len: 0, number: 0 };
        loop {
            let (mut next, mut borrow) = (lane, 0);
            if !next.step(&mut borrow) || borrow >> 63 != 0 {
                return lane;
            }
            lane = next;
        }
    }

    /// Passes the next token; false at the end or where it reaches beyond. The highest bit of
    /// `borrow` is set if it refers too far back.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a byte in a table of 256")]
    fn step(&mut self, borrow: &mut u64) -> bool {
        let Some(bytes) = self.rest.first_chunk::<PEEK>() else { return false };
        let bytes = u32::from_le_bytes(*bytes);
        // Taken from the number: of the bytes it would be read a second time, and the others
        // one by one.
        let control = (bytes & 0xff) as usize;
        let Some(rest) = self.rest.get(STEPS.token_len[control]..) else { return false };
        let after = u64::from(bytes).wrapping_shr(STEPS.shift[control]) & 0xffff;
        *borrow |= self.done.wrapping_sub(STEPS.back[control].wrapping_add(after >> 8));
        self.done = self.done.wrapping_add(STEPS.expands_to[control]).wrapping_add(after & 0xff);
        self.rest = rest;
        true
    }

    /// Whether the string ended where it should, and expands to what it should.
    fn is_right(&self) -> bool {
        self.rest.len() == PEEK - 1 && self.done == self.len && self.done > 0
    }
}

/// Checks all `payloads`; calls `doubtful` with the number of each that has to be looked at by
/// [`check`], which those without damage seldom are. It can be called twice for one.
///
/// Never inlined: it needs all registers for itself.
#[expect(clippy::indexing_slicing, reason = "one of the lanes, which stay in registers so")]
#[inline(never)]
pub(crate) fn check_all<'b>(
    payloads: impl Iterator<Item = Payload<'b>>,
    mut doubtful: impl FnMut(usize),
) {
    let mut waiting = payloads.enumerate().map(|(number, payload)| Lane::new(number, payload));
    let begun: [Option<Lane<'_>>; LANES] = [waiting.next(), waiting.next(), waiting.next()];
    let mut left = begun;
    if let [Some(a), Some(b), Some(c)] = begun {
        // One borrow for all lanes: for three there are no registers.
        let (mut lanes, mut borrow) = ([a, b, c], 0u64);
        let last = 'all: loop {
            for at in 0..LANES {
                if lanes[at].step(&mut borrow) {
                    continue;
                }
                if borrow >> 63 != 0 {
                    lanes.iter().for_each(|lane| doubtful(lane.number));
                    borrow = 0;
                } else if !lanes[at].is_right() {
                    doubtful(lanes[at].number);
                }
                match waiting.next() {
                    Some(new) => lanes[at] = new,
                    None => break 'all at,
                }
            }
        };
        left = lanes.map(Some);
        left[last] = None;
    }
    // These have too few beside them.
    for mut lane in left.into_iter().flatten() {
        let mut borrow = 0;
        while lane.step(&mut borrow) {}
        if borrow >> 63 != 0 || !lane.is_right() {
            doubtful(lane.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::source::Slice;
    use offkey_testkit::{Rng, lzf_compress};

    fn doubtful(buf: &[u8], texts: &[(Range<usize>, u64)]) -> Vec<usize> {
        let mut found = Vec::new();
        let payloads = texts.iter().map(|(place, len)| Payload {
            padded: &buf[place.start..],
            bytes_len: place.len(),
            len: *len,
        });
        check_all(payloads, |number| found.push(number));
        found.sort_unstable();
        found
    }

    /// Compressed texts behind each other, one in `one_bad_in` of them damaged.
    fn texts(
        rng: &mut Rng,
        count: usize,
        one_bad_in: usize,
    ) -> (Vec<u8>, Vec<(Range<usize>, u64)>) {
        let (mut buf, mut texts) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let text_len = rng.between(1, 2000);
            let text = rng.text(text_len);
            let mut compressed = lzf_compress(&text);
            let mut len = text.len() as u64;
            if rng.one_in(one_bad_in) {
                match rng.below(3) {
                    0 => len ^= 1 << rng.below(12),
                    1 => compressed.truncate(rng.below(compressed.len())),
                    _ => {
                        let at = rng.below(compressed.len());
                        compressed[at] = rng.bytes(1)[0];
                    }
                }
            }
            let start = buf.len();
            buf.extend(compressed);
            texts.push((start..buf.len(), len));
        }
        (buf, texts)
    }

    #[test]
    fn what_is_damaged_is_doubtful_and_little_else() {
        let mut rng = Rng::new(5);
        for round in 0..300 {
            let one_bad_in = *rng.pick(&[3, 20, 1_000_000]);
            let count = rng.below(40);
            let (mut buf, texts) = texts(&mut rng, count, one_bad_in);
            if rng.one_in(2) {
                buf.extend([0xff; 9]);
            }
            let found = doubtful(&buf, &texts);
            let mut right = 0;
            for (number, (place, len)) in texts.iter().enumerate() {
                let checked = check(&mut Slice(&buf[place.clone()]), *len);
                let is_doubtful = found.contains(&number);
                assert!(checked.is_ok() || is_doubtful, "round {round}, string {number}");
                right += usize::from(!is_doubtful);
            }
            if one_bad_in > 100 && count > 10 {
                assert!(right > count / 2, "round {round}: {right} of {count} were checked");
            }
        }
    }

    #[test]
    fn references_before_the_beginning_are_doubtful() {
        // "a", then ten bytes from so many back, four times over.
        for back in 0..300u16 {
            let [high, low] = back.to_be_bytes();
            let one = [0, b'a', 0xe0 | high, 1, low];
            let buf = [one.repeat(4), vec![0; 8]].concat();
            let texts: Vec<_> = (0..4).map(|n| (n * 5..n * 5 + 5, 11)).collect();
            let found = doubtful(&buf, &texts);
            assert_eq!(found.contains(&0), back > 0, "{back} bytes back");
        }
    }
}
