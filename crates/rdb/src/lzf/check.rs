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
        let Some((token_len, token)) = token(source.peek(3)?) else {
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

/// A compressed string in a buffer, and the length it is to expand to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) len: u64,
}

/// Strings that are gone over side by side: more do not fit into the registers.
const LANES: usize = 3;

/// What a token's first byte says, as far as it can be added up without looking at what kind
/// of token it is. With the next two bytes in the places of `bytes_after`:
///
/// ```text
///                literal      short reference      long reference
/// low byte       0            the first byte       the length's byte
/// high byte      0            the offset's byte    the offset's byte
/// ```
#[derive(Debug, Clone, Copy)]
struct Step {
    /// Bytes to the next token.
    token_len: usize,
    /// Bytes it expands to, less what the low byte adds.
    expands_to: u64,
    /// Least distance it refers back, 0 for literals; the high byte is added.
    back: u64,
    /// Bits by which the token's bytes are moved to have those two lowest.
    shift: u32,
}

#[expect(clippy::indexing_slicing, reason = "computed when compiled")]
static STEPS: [Step; 256] = {
    let mut steps = [Step { token_len: 0, expands_to: 0, back: 0, shift: 0 }; 256];
    let mut at = 0;
    while at < steps.len() {
        let control = at as u64;
        let back = ((control & 0x1f) << 8) + 1;
        steps[at] = match control {
            0..0x20 => Step { token_len: at + 2, expands_to: control + 1, back: 0, shift: 32 },
            0x20..0xe0 => Step {
                token_len: 2,
                expands_to: ((control >> 5) + 2).wrapping_sub(control),
                back,
                shift: 0,
            },
            _ => Step { token_len: 3, expands_to: 9, back, shift: 8 },
        };
        at += 1;
    }
    steps
};

/// Where in its string a lane is.
#[derive(Debug, Clone, Copy)]
struct Lane {
    pos: usize,
    /// Bytes expanded so far.
    done: u64,
    /// Its highest bit is set once a token referred too far back.
    borrow: u64,
    /// Place of the string in the list.
    number: usize,
    payload: Payload,
}

impl Lane {
    fn new(number: usize, payload: Payload) -> Self {
        Self { pos: payload.start, done: 0, borrow: 0, number, payload }
    }

    /// Passes the next token; false if it cannot be seen whole.
    #[inline(always)]
    fn step(&mut self, buf: &[u8]) -> bool {
        let bytes = buf.get(self.pos..).and_then(|rest| rest.first_chunk::<4>());
        let Some(bytes) = bytes else { return false };
        let [control, ..] = *bytes;
        let Some(step) = STEPS.get(usize::from(control)) else { return false };
        let Step { token_len, expands_to, back, shift } = *step;
        let bytes_after = u64::from(u32::from_le_bytes(*bytes)) >> shift & 0xffff;
        self.borrow |= self.done.wrapping_sub(back.wrapping_add(bytes_after >> 8));
        self.done = self.done.wrapping_add(expands_to).wrapping_add(bytes_after & 0xff);
        self.pos = self.pos.wrapping_add(token_len);
        true
    }

    /// Goes on to the end of the string, alone.
    fn is_right_to_its_end(mut self, buf: &[u8]) -> bool {
        while self.pos < self.payload.end {
            if !self.step(buf) {
                return false;
            }
        }
        self.is_right()
    }

    fn is_right(&self) -> bool {
        let is_whole = self.pos == self.payload.end && self.done == self.payload.len;
        is_whole && self.done > 0 && self.borrow >> 63 == 0
    }
}

/// Checks all `payloads` of `buf`; calls `doubtful` with the number of each that has to be
/// looked at by [`check`], which those without damage seldom are.
pub(crate) fn check_all(buf: &[u8], payloads: &[Payload], mut doubtful: impl FnMut(usize)) {
    let waiting = payloads.iter().copied().enumerate();
    let mut waiting = waiting.map(|(number, payload)| Lane::new(number, payload));
    let mut begun: [Option<Lane>; LANES] = [waiting.next(), waiting.next(), waiting.next()];
    if let [Some(a), Some(b), Some(c)] = begun {
        let mut lanes = [a, b, c];
        'all: loop {
            for lane in &mut lanes {
                if lane.pos >= lane.payload.end {
                    if !lane.is_right() {
                        doubtful(lane.number);
                    }
                    match waiting.next() {
                        Some(new) => *lane = new,
                        None => {
                            lane.number = usize::MAX;
                            break 'all;
                        }
                    }
                }
                if !lane.step(buf) {
                    break 'all;
                }
            }
        }
        begun = lanes.map(|lane| (lane.number != usize::MAX).then_some(lane));
    }
    // The last ones have nobody beside them.
    for lane in begun.into_iter().flatten().chain(waiting) {
        if !lane.is_right_to_its_end(buf) {
            doubtful(lane.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Slice;
    use offkey_testkit::{Rng, lzf_compress};

    fn doubtful(buf: &[u8], payloads: &[Payload]) -> Vec<usize> {
        let mut found = Vec::new();
        check_all(buf, payloads, |number| found.push(number));
        found.sort_unstable();
        found
    }

    /// Compressed texts behind each other, one in `one_bad_in` of them damaged.
    fn texts(rng: &mut Rng, count: usize, one_bad_in: usize) -> (Vec<u8>, Vec<Payload>) {
        let (mut buf, mut payloads) = (Vec::new(), Vec::new());
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
            payloads.push(Payload { start, end: buf.len(), len });
        }
        (buf, payloads)
    }

    #[test]
    fn what_is_damaged_is_doubtful_and_little_else() {
        let mut rng = Rng::new(5);
        for round in 0..300 {
            let one_bad_in = *rng.pick(&[3, 20, 1_000_000]);
            let count = rng.below(40);
            let (mut buf, payloads) = texts(&mut rng, count, one_bad_in);
            if rng.one_in(2) {
                buf.extend([0xff; 9]);
            }
            let found = doubtful(&buf, &payloads);
            let mut right = 0;
            for (number, Payload { start, end, len }) in payloads.iter().enumerate() {
                let checked = check(&mut Slice(&buf[*start..*end]), *len);
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
            let payload = |n: usize| Payload { start: n * 5, end: n * 5 + 5, len: 11 };
            let payloads: Vec<Payload> = (0..4).map(payload).collect();
            let found = doubtful(&buf, &payloads);
            assert_eq!(found.contains(&0), back > 0, "{back} bytes back");
        }
    }
}
