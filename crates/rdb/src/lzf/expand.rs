//! Expands compressed strings in memory.

use super::{Token, back, cut, token, too_far, wrong_len};
use crate::error::PackedError;

/// Bytes of a literal copied at once, and free behind what is written so that they may be.
const COPY_LEN: usize = 32;

/// A token's first byte, and the most that a literal has.
const TOKEN_PEEK: usize = 1 + COPY_LEN;

/// Bytes of a repetition copied at once: most are shorter.
const STEP_LEN: usize = 16;

/// Expands `bytes` to exactly `len` bytes, which lie in `out`.
pub(crate) fn expand<'o>(
    bytes: &[u8],
    len: usize,
    out: &'o mut Vec<u8>,
) -> Result<&'o [u8], PackedError> {
    let expanded = expand_padded(bytes, bytes.len(), len, out)?;
    Ok(expanded.get(..len).unwrap_or(expanded))
}

/// As [`expand`], of the first `bytes_len` bytes of `padded`: what follows them lets the last
/// ones be read like all others. Answers the expanded bytes likewise, with what follows them.
pub(crate) fn expand_padded<'o>(
    padded: &[u8],
    bytes_len: usize,
    len: usize,
    out: &'o mut Vec<u8>,
) -> Result<&'o [u8], PackedError> {
    // Never shrunk: the caller bounds `len` by a constant and the buffer is used again.
    if out.len() < len + COPY_LEN {
        out.resize(len + COPY_LEN, 0);
    }
    let (mut pos, mut done) = expand_common(padded, bytes_len, len, out);
    // The last bytes, where no more are seen in one piece, or what is not right.
    let bytes = padded.get(..bytes_len).unwrap_or(padded);
    while let Some(rest) = bytes.get(pos..).filter(|rest| !rest.is_empty()) {
        let Some((token_len, token)) = token(rest) else { return Err(cut(done as u64)) };
        let after = rest.get(token_len..).unwrap_or_default();
        let count = match token {
            Token::Literal(count) if count > after.len() => return Err(cut(done as u64)),
            Token::Repeat { back, .. } if back > done => return Err(too_far(done as u64, back)),
            Token::Literal(count) | Token::Repeat { len: count, .. } => count,
        };
        let Some(room) = out.get_mut(done..done + count).filter(|_| done + count <= len) else {
            return Err(wrong_len(len as u64, (done + count) as u64));
        };
        pos += token_len;
        match token {
            Token::Literal(_) => {
                room.iter_mut().zip(after).for_each(|(to, from)| *to = *from);
                pos += count;
            }
            Token::Repeat { back, .. } => repeat(out, done, back, count),
        }
        done += count;
    }
    if done == len && len > 0 { Ok(out) } else { Err(wrong_len(len as u64, done as u64)) }
}

/// Expands tokens up to the first that is not right, or is not seen in one piece with what
/// follows it; answers the bytes that they take and expand to.
fn expand_common(padded: &[u8], bytes_len: usize, len: usize, out: &mut [u8]) -> (usize, usize) {
    let (mut pos, mut done) = (0, 0);
    while pos < bytes_len
        && let Some(bytes) = padded.get(pos..).and_then(|rest| rest.first_chunk::<TOKEN_PEEK>())
    {
        let [control, literal @ ..] = bytes;
        // Written out rather than by `token`, whose answer would pass through memory.
        if usize::from(*control) < COPY_LEN {
            let count = usize::from(*control) + 1;
            let (next, done_next) = (pos + 1 + count, done + count);
            let room = out.get_mut(done..).and_then(|room| room.first_chunk_mut());
            let Some(room) = room.filter(|_| next <= bytes_len && done_next <= len) else {
                break;
            };
            *room = *literal;
            (pos, done) = (next, done_next);
        } else {
            // Which of the two forms it is cannot be foreseen: no branch.
            let [_, second, third, ..] = *bytes;
            let is_long = *control >= 0xe0;
            let count =
                if is_long { usize::from(second) + 9 } else { usize::from(*control >> 5) + 2 };
            let back = back(*control, if is_long { third } else { second });
            let (next, done_next) = (pos + 2 + usize::from(is_long), done + count);
            if next > bytes_len || done_next > len || back > done {
                break;
            }
            repeat(out, done, back, count);
            (pos, done) = (next, done_next);
        }
    }
    (pos, done)
}

/// Writes at `done` the `count` bytes that stand `back` bytes before it; both ranges, which
/// may overlap, are in `out`.
#[inline(always)]
pub(super) fn repeat(out: &mut [u8], done: usize, back: usize, count: usize) {
    let start = done - back;
    if back < STEP_LEN || done + count + STEP_LEN > out.len() {
        return repeat_near(out, start, done, count);
    }
    // In steps of one length, each of which copies what is there already. The first in any
    // case, since how many it takes cannot be foreseen.
    copy_step(out, start, done);
    let mut copied = STEP_LEN;
    while copied < count {
        copy_step(out, start + copied, done + copied);
        copied += STEP_LEN;
    }
}

/// Copies [`STEP_LEN`] bytes of `out`.
#[inline(always)]
fn copy_step(out: &mut [u8], from: usize, to: usize) {
    let step: Option<&[u8; STEP_LEN]> = out.get(from..).and_then(|bytes| bytes.first_chunk());
    let step = step.copied();
    let room = out.get_mut(to..).and_then(|room| room.first_chunk_mut());
    if let (Some(step), Some(room)) = (step, room) {
        *room = step;
    }
}

/// As [`repeat`], where a step would copy what is not there yet or write beyond the end.
#[inline(never)]
fn repeat_near(out: &mut [u8], start: usize, done: usize, count: usize) {
    // The pattern doubles with each copy.
    let (back, mut copied) = (done - start, 0);
    while copied < count {
        let piece = (back + copied).min(count - copied);
        out.copy_within(start..start + piece, done + copied);
        copied += piece;
    }
}
