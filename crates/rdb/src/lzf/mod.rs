//! LZF, the compression Redis uses inside its files (`lzf_d.c`).
//!
//! ```text
//! 000lllll <l+1 bytes>              literal bytes
//! lllooooo oooooooo                 l+2 bytes (l 1 to 6) from o+1 bytes back
//! 111ooooo llllllll oooooooo        l+9 bytes from o+1 bytes back
//! ```
//!
//! Nothing reaches further back than 8 KiB, so a stream of any length expands in a window
//! of fixed size. Worked example: `00 61 e0 00 00` is "a" and nine more of it.

mod check;
mod expand;

pub(crate) use self::check::{Payload, check, check_all};
use self::expand::repeat;
pub(crate) use self::expand::{expand, expand_padded};

use crate::error::PackedError;
use crate::source::{Fault, Source};

/// Furthest a reference reaches back.
const REACH: usize = 8 << 10;

/// Most that one token expands to.
const TOKEN_LEN_MAX: usize = 264;

/// One step of the stream.
enum Token {
    /// So many bytes follow as they are.
    Literal(usize),
    /// So many bytes repeat those `back` bytes ago.
    Repeat { len: usize, back: usize },
}

/// Decodes the token that begins `bytes`; its length and the token.
#[inline]
fn token(bytes: &[u8]) -> Option<(usize, Token)> {
    match *bytes {
        [control @ 0..=0x1f, ..] => Some((1, Token::Literal(usize::from(control) + 1))),
        [control @ 0xe0..=0xff, more, low, ..] => {
            Some((3, Token::Repeat { len: usize::from(more) + 9, back: back(control, low) }))
        }
        [control @ 0x20..=0xdf, low, ..] => Some((
            2,
            Token::Repeat { len: usize::from(control >> 5) + 2, back: back(control, low) },
        )),
        _ => None,
    }
}

/// Bytes of what a stream expands to that [`Beginning`] holds.
const BEGINNING_LEN: usize = 16;

/// The first bytes that a stream expands to.
#[derive(Debug)]
pub(crate) struct Beginning {
    bytes: [u8; BEGINNING_LEN],
    len: usize,
}

impl Beginning {
    /// As many bytes as are held, unless the stream ends or is wrong before.
    pub(crate) fn of(stream: &[u8]) -> Self {
        let (mut bytes, mut len, mut rest) = ([0; BEGINNING_LEN], 0, stream);
        while len < BEGINNING_LEN
            && let Some((token_len, token)) = token(rest)
        {
            rest = rest.get(token_len..).unwrap_or_default();
            match token {
                Token::Literal(count) => {
                    let Some((literal, after)) = rest.split_at_checked(count) else { break };
                    let room = bytes.iter_mut().skip(len);
                    room.zip(literal).for_each(|(to, from)| *to = *from);
                    (len, rest) = (len + count, after);
                }
                Token::Repeat { len: count, back } => {
                    if back > len {
                        break;
                    }
                    for at in (len..BEGINNING_LEN).take(count) {
                        bytes.copy_within(at - back..=at - back, at);
                    }
                    len += count;
                }
            }
        }
        Self { bytes, len: len.min(BEGINNING_LEN) }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[inline]
fn back(control: u8, low: u8) -> usize {
    (usize::from(control & 0x1f) << 8 | usize::from(low)) + 1
}

#[cold]
fn cut(at: u64) -> PackedError {
    PackedError::new(at, "compressed string ends inside a token")
}

#[cold]
fn too_far(at: u64, back: usize) -> PackedError {
    PackedError::new(at, format!("compressed string refers {back} bytes back, {at} are there"))
}

#[cold]
fn wrong_len(announced: u64, found: u64) -> PackedError {
    PackedError::new(
        found,
        format!("compressed string announces {announced} bytes and expands to {found}"),
    )
}

/// A payload of more bytes than any compressor makes of so few.
#[cold]
pub(crate) fn too_long(len: u64) -> PackedError {
    PackedError::new(0, format!("compressed string announces {len} bytes and takes far more"))
}

/// Expands a stream as it is read, in a window of fixed size.
#[derive(Debug)]
pub(crate) struct Expand<S> {
    source: S,
    /// The last bytes handed out, then those to come.
    window: Vec<u8>,
    /// Next byte to hand out.
    pos: usize,
    /// Bytes announced and not yet handed out.
    left: u64,
    /// Bytes expanded so far.
    done: u64,
    len: u64,
}

impl<S: Source> Expand<S> {
    /// Bytes the window grows to before what is used up is dropped.
    const WINDOW_LEN: usize = 64 << 10;

    pub(crate) fn new(source: S, len: u64) -> Self {
        Self { source, window: Vec::new(), pos: 0, left: len, done: 0, len }
    }

    /// Bytes of the compressed form that were not read.
    pub(crate) fn compressed_left(&self) -> u64 {
        self.source.left()
    }

    /// Checks that the stream ends where it was announced to, after all was handed out.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        if self.left == 0 && self.source.left() == 0 && self.done == self.len && self.len > 0 {
            return Ok(());
        }
        Err(PackedError::new(
            self.done,
            format!("compressed string announces {} bytes and has others", self.len),
        )
        .into())
    }

    /// Expands tokens until the window is full enough or the stream ends.
    fn more(&mut self) -> Result<(), Fault> {
        if self.window.len() > Self::WINDOW_LEN {
            let keep_from = self.pos.min(self.window.len() - REACH);
            self.window.drain(..keep_from);
            self.pos -= keep_from;
        }
        while self.source.left() > 0 && self.window.len() <= Self::WINDOW_LEN {
            let peeked = self.source.peek(3 + 32)?;
            let Some((token_len, token)) = token(peeked) else {
                return Err(cut(self.done).into());
            };
            let count = match token {
                Token::Literal(count) => {
                    let Some(literal) = peeked.get(token_len..token_len + count) else {
                        return Err(cut(self.done).into());
                    };
                    self.window.extend_from_slice(literal);
                    self.source.skip((token_len + count) as u64)?;
                    count
                }
                Token::Repeat { len, back } => {
                    if back > self.window.len() {
                        return Err(too_far(self.done, back).into());
                    }
                    let done = self.window.len();
                    self.window.resize(done + len, 0);
                    repeat(&mut self.window, done, back, len);
                    self.source.skip(token_len as u64)?;
                    len
                }
            };
            self.done += count as u64;
        }
        Ok(())
    }

    fn at_hand(&self) -> u64 {
        ((self.window.len() - self.pos) as u64).min(self.left)
    }
}

impl<S: Source> Source for Expand<S> {
    fn peek(&mut self, want: usize) -> Result<&[u8], Fault> {
        debug_assert!(want < Self::WINDOW_LEN - REACH - TOKEN_LEN_MAX, "the window must hold it");
        let want = (want as u64).min(self.left);
        if self.at_hand() < want {
            self.more()?;
            if self.at_hand() < want {
                return Err(wrong_len(self.len, self.done).into());
            }
        }
        let rest = self.window.get(self.pos..).unwrap_or_default();
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        Ok(rest.get(..left).unwrap_or(rest))
    }

    fn skip(&mut self, len: u64) -> Result<(), Fault> {
        let mut to_go = len;
        loop {
            let step = self.at_hand().min(to_go);
            self.pos += usize::try_from(step).unwrap_or(usize::MAX);
            self.left -= step;
            to_go -= step;
            if to_go == 0 {
                return Ok(());
            }
            self.more()?;
            if self.at_hand() == 0 {
                return Err(wrong_len(self.len, self.done).into());
            }
        }
    }

    fn left(&self) -> u64 {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Slice;

    fn all_ways(bytes: &[u8], len: usize) -> Result<Vec<u8>, ()> {
        let mut out = Vec::new();
        let expanded = expand(bytes, len, &mut out).map(<[u8]>::to_vec);
        let checked = check(&mut Slice(bytes), len as u64);
        let mut stream = Expand::new(Slice(bytes), len as u64);
        let mut streamed = Vec::new();
        let walked = loop {
            if stream.left() == 0 {
                break stream.finish();
            }
            match stream.peek(1) {
                Ok(chunk) => {
                    let step = chunk.len().min(100);
                    streamed.extend_from_slice(&chunk[..step]);
                    stream.skip(step as u64).unwrap();
                }
                Err(fault) => break Err(fault),
            }
        };
        assert_eq!(expanded.is_ok(), checked.is_ok(), "check and expand agree on {bytes:02x?}");
        assert_eq!(expanded.is_ok(), walked.is_ok(), "stream and expand agree on {bytes:02x?}");
        let expanded = expanded.map_err(|_| ())?;
        let beginning = Beginning::of(bytes);
        assert_eq!(beginning.bytes(), &expanded[..len.min(BEGINNING_LEN)], "of {bytes:02x?}");
        assert_eq!(expanded, streamed);
        Ok(expanded)
    }

    #[test]
    fn worked_example() {
        assert_eq!(all_ways(b"\x00a\xe0\x00\x00", 10).unwrap(), b"aaaaaaaaaa");
        assert_eq!(all_ways(b"\x02abc\x20\x02", 6).unwrap(), b"abcabc");
    }

    #[test]
    fn lies_are_found() {
        let table: &[(&[u8], usize)] = &[
            (b"", 0),
            (b"", 5),
            (b"\x00a\xe0\x00\x00", 9),
            (b"\x00a\xe0\x00\x00", 11),
            (b"\x00a\xe0\x00\x01", 10),
            (b"\x20\x00", 3),
            (b"\x05abc", 6),
            (b"\x00a\xe0\x00", 10),
            (b"\x00a\x20", 4),
        ];
        for (bytes, len) in table {
            assert!(all_ways(bytes, *len).is_err(), "{bytes:02x?} as {len}");
        }
    }

    #[test]
    fn stream_expands_beyond_its_window() {
        let mut bytes = b"\x03abcd".to_vec();
        let tokens = 4000;
        for _ in 0..tokens {
            bytes.extend_from_slice(b"\xe0\xff\x03");
        }
        let len = 4 + tokens * 264;
        let out = all_ways(&bytes, len).unwrap();
        assert!(out.chunks_exact(4).all(|c| c == b"abcd"));
    }
}
