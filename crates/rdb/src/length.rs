//! Lengths and strings, the two forms that everything else is made of.
//!
//! ```text
//! 00llllll                     length of 6 bits
//! 01llllll llllllll            length of 14 bits
//! 10000000 <4 bytes>           length of 32 bits, big endian
//! 10000001 <8 bytes>           length of 64 bits, big endian
//! 11000000 <1 byte>            string: signed integer of 8 bits
//! 11000001 <2 bytes>           string: signed integer of 16 bits, little endian
//! 11000010 <4 bytes>           string: signed integer of 32 bits, little endian
//! 11000011 <clen> <len> <data> string: clen bytes that LZF expands to len
//! ```
//!
//! A string is a length and so many bytes, or one of the last four. Worked example:
//! `03 66 6f 6f` is "foo", `c1 39 30` is "12345", and `c3 05 0a 00 61 e0 00 00`
//! is ten times "a": the literal `00 61`, then `e0 00 00`, nine bytes from one back.

use std::mem;

use crate::block::Blocks;
use crate::entry::Str;
use crate::error::{Error, ErrorKind};
use crate::input::Input;
use crate::limits::Limits;
use crate::lzf;
use crate::source::{Fault, Passing, Slice, Source};
use crate::unchecked::Blob;

/// A length, or the form of a string that has none.
enum Length {
    Count(u64),
    Form(u8),
}

/// How a string stands in the file; its payload is still to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Raw(u64),
    Int(i64),
    Lzf { compressed_len: u64, len: u64 },
}

/// Walks the bytes of a packed blob, wherever they are.
pub(crate) trait Walk {
    fn begin(&mut self, len: u64, compressed_len: Option<u64>);
    /// Takes a blob that begins with `head` as what it says it is, to be checked later, if that
    /// will do.
    fn put_off(&mut self, _head: &[u8]) -> Option<Blob> {
        None
    }
    fn walk<S: Source>(&mut self, source: &mut S) -> Result<(), Fault>;
}

/// Decodes the string that begins `bytes`, if it is of a common form and all there; answers
/// also what follows it.
///
/// Always inlined: called, it answers by way of memory, where its caller reads wider than it
/// wrote and waits. That was a tenth of the time of reading rows.
#[inline(always)]
pub(crate) fn string_at_hand(bytes: &[u8]) -> Option<(Str<'_>, &[u8])> {
    match *bytes {
        [first @ 0..=0x3f, ref rest @ ..] => {
            let (text, rest) = rest.split_at_checked(usize::from(first))?;
            Some((Str::from_bytes(text), rest))
        }
        [first @ 0x40..=0x7f, second, ref rest @ ..] => {
            let len = usize::from(first & 0x3f) << 8 | usize::from(second);
            let (text, rest) = rest.split_at_checked(len)?;
            Some((Str::from_bytes(text), rest))
        }
        [0xc0, a, ref rest @ ..] => Some((Str::from_int(i64::from(i8::from_le_bytes([a]))), rest)),
        [0xc1, a, b, ref rest @ ..] => {
            Some((Str::from_int(i64::from(i16::from_le_bytes([a, b]))), rest))
        }
        [0xc2, a, b, c, d, ref rest @ ..] => {
            Some((Str::from_int(i64::from(i32::from_le_bytes([a, b, c, d]))), rest))
        }
        _ => None,
    }
}

/// As [`string_at_hand`], of a string of which only the length matters, in bytes.
#[inline(always)]
pub(crate) fn length_at_hand(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (string, rest) = string_at_hand(bytes)?;
    Some((string.len, rest))
}

impl<B: Blocks> Input<B> {
    #[inline(always)]
    fn length(&mut self) -> Result<Length, Error> {
        // Nearly all lengths are of one or two bytes and at hand.
        match *self.rest() {
            [first @ 0..=0x3f, ..] => {
                self.consume(1);
                Ok(Length::Count(u64::from(first)))
            }
            [first @ 0x40..=0x7f, second, ..] => {
                self.consume(2);
                Ok(Length::Count(u64::from(first & 0x3f) << 8 | u64::from(second)))
            }
            _ => self.length_of_any_form(),
        }
    }

    fn length_of_any_form(&mut self) -> Result<Length, Error> {
        let first = self.u8()?;
        Ok(match first {
            0..0x40 => Length::Count(u64::from(first)),
            0x40..0x80 => {
                let second = self.u8()?;
                Length::Count(u64::from(first & 0x3f) << 8 | u64::from(second))
            }
            0x80 => Length::Count(u64::from(u32::from_be_bytes(self.array()?))),
            0x81 => Length::Count(u64::from_be_bytes(self.array()?)),
            0x82..0xc0 => {
                return Err(Error::corrupt(
                    self.at() - 1,
                    format!("no length begins with byte {first:#04x}"),
                ));
            }
            0xc0..=0xff => Length::Form(first & 0x3f),
        })
    }

    /// Takes a length that must be a plain number.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<u64, Error> {
        match self.length()? {
            Length::Count(count) => Ok(count),
            Length::Form(form) => Err(Error::corrupt(
                self.at() - 1,
                format!("a number expected, string form {form} found"),
            )),
        }
    }

    /// Takes a number inside a value. A string in its place is damage, but its end is known:
    /// it counts as 0 and costs only the key.
    #[inline]
    pub(crate) fn value_count(&mut self) -> Result<u64, Error> {
        match *self.rest() {
            [0xc0..=0xc3, ..] => self.string_for_count(),
            _ => self.count(),
        }
    }

    #[cold]
    fn string_for_count(&mut self) -> Result<u64, Error> {
        self.note_damage(self.at(), "a number expected, a string found");
        self.str()?;
        Ok(0)
    }

    /// Takes the head of a string.
    #[inline]
    pub(crate) fn form(&mut self) -> Result<Form, Error> {
        let form = match self.length()? {
            Length::Count(len) => Form::Raw(len),
            Length::Form(0) => Form::Int(i64::from(i8::from_le_bytes(self.array()?))),
            Length::Form(1) => Form::Int(i64::from(i16::from_le_bytes(self.array()?))),
            Length::Form(2) => Form::Int(i64::from(i32::from_le_bytes(self.array()?))),
            Length::Form(3) => Form::Lzf { compressed_len: self.count()?, len: self.count()? },
            Length::Form(form) => {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    self.at() - 1,
                    format!("string form {form} is not known, only 0 to 3 are"),
                ));
            }
        };
        if let Form::Raw(len) | Form::Lzf { compressed_len: len, .. } = form
            && len > Limits::STRING_LEN_MAX
        {
            return Err(self.string_too_long(len));
        }
        Ok(form)
    }

    #[cold]
    fn string_too_long(&self, len: u64) -> Error {
        Error::new(
            ErrorKind::Limit,
            self.at(),
            format!(
                "string of {len} bytes announced, more than {} is taken for damage",
                Limits::STRING_LEN_MAX
            ),
        )
    }

    /// Takes a string, handing out the bytes of a short one.
    #[inline]
    pub(crate) fn str(&mut self) -> Result<Str<'_>, Error> {
        // Nearly all strings are short, not compressed and at hand.
        let short = match *self.rest() {
            [first @ 0..=0x3f, ref rest @ ..] => {
                Some(usize::from(first)).filter(|n| *n <= rest.len())
            }
            _ => None,
        };
        if let Some(len) = short {
            return Ok(Str::from_bytes(self.pass(1, len)));
        }
        let form = self.form()?;
        self.str_of(form)
    }

    fn str_of(&mut self, form: Form) -> Result<Str<'_>, Error> {
        match form {
            Form::Raw(len) => match usize::try_from(len) {
                Ok(short) if len <= Str::SHORT_LEN_MAX => Ok(Str::from_bytes(self.take(short)?)),
                _ => {
                    self.skip(len)?;
                    Ok(Str::long(len))
                }
            },
            Form::Int(value) => Ok(Str::from_int(value)),
            Form::Lzf { compressed_len, len } => self.lzf_str(compressed_len, len),
        }
    }

    /// Takes a string and tells how it stood in the file.
    pub(crate) fn str_and_form(&mut self) -> Result<(Form, Str<'_>), Error> {
        let form = self.form()?;
        Ok((form, self.str_of(form)?))
    }

    /// Takes the payload of a compressed string; damage in it is noted.
    fn lzf_str(&mut self, compressed_len: u64, len: u64) -> Result<Str<'_>, Error> {
        let at = self.at();
        match usize::try_from(len) {
            Ok(_) if len <= Str::SHORT_LEN_MAX => {
                // The buffer is away while it is filled: it belongs to the input as well.
                let mut buf = mem::take(&mut self.short);
                let expanded = match usize::try_from(compressed_len) {
                    Ok(in_piece) if in_piece <= Self::PEEK_MAX => {
                        self.take(in_piece).map(|bytes| {
                            let len = usize::try_from(len).unwrap_or_default();
                            lzf::expand(bytes, len, &mut buf).map(drop).map_err(Fault::Damage)
                        })
                    }
                    _ => self.skip(compressed_len).map(|()| Err(Fault::Damage(lzf::too_long(len)))),
                };
                self.short = buf;
                if !self.settle(at, expanded?)? {
                    return Ok(Str::long(len));
                }
                let whole = usize::try_from(len).ok().and_then(|len| self.short.get(..len));
                Ok(Str::from_bytes(whole.unwrap_or_default()))
            }
            _ => {
                match usize::try_from(compressed_len) {
                    Ok(in_piece) if in_piece <= Self::PEEK_MAX => {
                        self.pass_unchecked(in_piece, len)?;
                    }
                    _ => {
                        let mut source = Passing { input: self, left: compressed_len };
                        let checked = lzf::check(&mut source, len);
                        let left = source.left();
                        self.skip(left)?;
                        self.settle(at, checked)?;
                    }
                }
                Ok(Str::long(len))
            }
        }
    }

    /// Expands a compressed payload chunk by chunk; `each` gets a chunk and the number of
    /// bytes before it. Answers whether it was whole; damage is noted and passed by.
    fn unlzf(
        &mut self,
        compressed_len: u64,
        len: u64,
        mut each: impl FnMut(&[u8], usize),
    ) -> Result<bool, Error> {
        let at = self.at();
        let mut source = lzf::Expand::new(Passing { input: self, left: compressed_len }, len);
        let mut done = 0;
        let walked = loop {
            if source.left() == 0 {
                break source.finish();
            }
            match source.peek(1) {
                Ok(chunk) => {
                    let chunk_len = chunk.len();
                    each(chunk, done);
                    done += chunk_len;
                    if let Err(fault) = source.skip(chunk_len as u64) {
                        break Err(fault);
                    }
                }
                Err(fault) => break Err(fault),
            }
        };
        let left = source.compressed_left();
        self.settle(at, walked).and_then(|whole| self.skip(left).map(|()| whole))
    }

    /// Takes a string into `out`, at most `len_max` bytes of it; answers its whole length.
    pub(crate) fn string_into(&mut self, out: &mut Vec<u8>, len_max: usize) -> Result<u64, Error> {
        out.clear();
        match self.form()? {
            Form::Raw(len) => {
                let mut left = len;
                while left > 0 {
                    let piece =
                        usize::try_from(left).map_or(Self::PEEK_MAX, |l| l.min(Self::PEEK_MAX));
                    let bytes = self.take(piece)?;
                    let room = len_max.saturating_sub(out.len());
                    out.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
                    left -= piece as u64;
                    if room <= piece {
                        self.skip(left)?;
                        break;
                    }
                }
                Ok(len)
            }
            Form::Int(value) => {
                out.extend_from_slice(value.to_string().as_bytes());
                Ok(out.len() as u64)
            }
            Form::Lzf { compressed_len, len } => {
                self.unlzf(compressed_len, len, |chunk, _| {
                    let room = len_max.saturating_sub(out.len());
                    out.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
                })?;
                Ok(len)
            }
        }
    }

    /// Takes a packed blob and lets `walk` go over it; damage in it is noted.
    ///
    /// `scratch` holds the expanded form of a compressed blob that fits.
    pub(crate) fn blob(
        &mut self,
        scratch: &mut Vec<u8>,
        walk: &mut impl Walk,
    ) -> Result<(), Error> {
        let form_at = self.at();
        let form = self.form()?;
        let at = self.at();
        match form {
            Form::Int(_) => {
                self.note_damage(form_at, "a packed blob expected, an integer found");
            }
            Form::Raw(len) => {
                walk.begin(len, None);
                match usize::try_from(len) {
                    Ok(in_piece) if in_piece <= Self::PEEK_MAX => {
                        let bytes = self.take(in_piece)?;
                        match walk.put_off(bytes) {
                            Some(blob) => self.passed_unchecked(in_piece, blob),
                            None => {
                                let walked = walk.walk(&mut Slice(bytes));
                                self.settle_in(at, walked)?;
                            }
                        }
                    }
                    _ => {
                        let mut source = Passing { input: self, left: len };
                        let walked = walk.walk(&mut source);
                        let left = source.left();
                        self.settle_in(at, walked)?;
                        self.skip(left)?;
                    }
                }
            }
            Form::Lzf { compressed_len, len } => {
                walk.begin(len, Some(compressed_len));
                match (usize::try_from(compressed_len), usize::try_from(len)) {
                    (Ok(in_piece), Ok(whole))
                        if in_piece <= Self::PEEK_MAX && whole <= Limits::PACKED_LEN_MAX =>
                    {
                        let bytes = self.take(in_piece)?;
                        match walk.put_off(lzf::Beginning::of(bytes).bytes()) {
                            Some(blob) => {
                                let expanded_len = Some(whole);
                                self.passed_unchecked(in_piece, Blob { expanded_len, ..blob });
                            }
                            None => {
                                let walked = lzf::expand(bytes, whole, scratch)
                                    .map_err(Fault::Damage)
                                    .and_then(|expanded| walk.walk(&mut Slice(expanded)));
                                self.settle(at, walked)?;
                            }
                        }
                    }
                    _ => {
                        let passing = Passing { input: self, left: compressed_len };
                        let mut source = lzf::Expand::new(passing, len);
                        let walked = walk.walk(&mut source).and_then(|()| source.finish());
                        let left = source.compressed_left();
                        self.settle(at, walked)?;
                        self.skip(left)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes damage found in a payload that begins at `at` and stands there as it is.
    fn settle_in(&mut self, at: u64, walked: Result<(), Fault>) -> Result<bool, Error> {
        match walked {
            Ok(()) => Ok(true),
            Err(Fault::Damage(error)) => {
                self.note_damage(at.saturating_add(error.at), error.reason);
                Ok(false)
            }
            Err(Fault::Stop(error)) => Err(error),
        }
    }

    /// Notes damage found in a compressed payload that begins at `at`: offsets inside its
    /// expanded form are not offsets of the file.
    fn settle(&mut self, at: u64, walked: Result<(), Fault>) -> Result<bool, Error> {
        match walked {
            Err(Fault::Damage(error)) => {
                let damage = error.in_expanded(at);
                self.note_damage(damage.at, damage.reason);
                Ok(false)
            }
            whole => self.settle_in(at, whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Inline;
    use crate::entry::Text;

    fn input(bytes: &[u8]) -> Input<Inline<&[u8]>> {
        Input::new(Inline::new(bytes, true))
    }

    #[test]
    fn strings_of_every_form() {
        let table: &[(&[u8], &[u8])] = &[
            (b"\x03foo", b"foo"),
            (b"\x40\x03foo", b"foo"),
            (b"\x80\0\0\0\x03foo", b"foo"),
            (b"\x81\0\0\0\0\0\0\0\x03foo", b"foo"),
            (b"\xc0\x85", b"-123"),
            (b"\xc1\x39\x30", b"12345"),
            (b"\xc2\xff\xff\xff\x7f", b"2147483647"),
            (b"\xc3\x05\x0a\x00\x61\xe0\x00\x00", b"aaaaaaaaaa"),
            (b"\x00", b""),
        ];
        for (bytes, text) in table {
            let mut out = Vec::new();
            let mut whole = input(bytes);
            assert_eq!(whole.string_into(&mut out, 1000).unwrap(), text.len() as u64);
            assert_eq!(out, *text);
            assert_eq!(whole.at(), bytes.len() as u64, "everything is taken");
            let mut whole = input(bytes);
            let string = whole.str().unwrap();
            assert_eq!(string.len, text.len() as u64);
            match string.text {
                Text::Short(short) => assert_eq!(short, *text),
                Text::Int(value) => assert_eq!(value.to_string().as_bytes(), *text),
                Text::Long => panic!("{text:?} is short"),
            }
        }
    }

    #[test]
    fn unknown_forms_are_framing_errors() {
        for first in [0x82u8, 0xbf, 0xc4, 0xff] {
            let bytes = [first, 0, 0, 0, 0, 0, 0, 0, 0];
            let error = input(&bytes).str().map(|s| s.len).unwrap_err();
            assert_eq!((error.kind(), error.at()), (ErrorKind::Corrupt, 0), "{first:#x}");
        }
    }

    #[test]
    fn announced_length_allocates_nothing() {
        let error = input(b"\x81\0\0\0\0\x40\0\0\0abc").str().map(|s| s.len).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated);
        assert_eq!(error.reason(), "1073741824 bytes announced, 3 left in the file");
        let error = input(b"\x81\xff\xff\xff\xff\xff\xff\xff\xffabc").str().map(|s| s.len);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Limit);
    }

    #[test]
    fn long_key_is_cut_and_its_length_kept() {
        let mut bytes = vec![0x80, 0, 3, 0, 0];
        bytes.extend(std::iter::repeat_n(b'k', 3 << 16));
        bytes.push(b'!');
        let mut out = Vec::new();
        let mut whole = input(&bytes);
        assert_eq!(whole.string_into(&mut out, 100_000).unwrap(), 3 << 16);
        assert_eq!(out.len(), 100_000);
        assert_eq!(whole.u8().unwrap(), b'!');
    }
}
