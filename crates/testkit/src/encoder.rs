//! Bytes under construction: lengths, strings and numbers as an RDB file writes them.

use crate::lzf::lzf_compress;

/// How a string is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringForm {
    /// Six bits of length, up to 63 bytes.
    Len6,
    /// Fourteen bits of length.
    Len14,
    /// Four bytes of length.
    Len32,
    /// Eight bytes of length.
    Len64,
    /// The decimal form of one byte.
    Int8,
    /// The decimal form of two bytes.
    Int16,
    /// The decimal form of four bytes.
    Int32,
    /// Compressed.
    Lzf,
}

/// Appends to bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoder(pub Vec<u8>);

impl Encoder {
    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// Appends a length or count in its shortest form.
    pub fn len(&mut self, len: impl TryInto<u64>) -> &mut Self {
        let len = len.try_into().ok().unwrap();
        let form = match len {
            0..0x40 => StringForm::Len6,
            0x40..0x4000 => StringForm::Len14,
            0x4000..0x1_0000_0000 => StringForm::Len32,
            _ => StringForm::Len64,
        };
        self.len_as(form, len)
    }

    /// Appends a length in a form of its own choice, shorter ones included.
    pub fn len_as(&mut self, form: StringForm, len: u64) -> &mut Self {
        match form {
            StringForm::Len6 => self.raw([len as u8 & 0x3f]),
            StringForm::Len14 => self.raw([0x40 | (len >> 8) as u8 & 0x3f, len as u8]),
            StringForm::Len32 => self.raw([0x80]).raw((len as u32).to_be_bytes()),
            StringForm::Len64 => self.raw([0x81]).raw(len.to_be_bytes()),
            StringForm::Int8 | StringForm::Int16 | StringForm::Int32 | StringForm::Lzf => {
                panic!("{form:?} is no form of a length")
            }
        }
    }

    /// Appends a string as a server does: integers and what compresses in their short forms.
    pub fn string(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        let text = text.as_ref();
        let form = match canonical_integer(text) {
            Some(-0x80..=0x7f) => StringForm::Int8,
            Some(-0x8000..=0x7fff) => StringForm::Int16,
            Some(-0x8000_0000..=0x7fff_ffff) => StringForm::Int32,
            _ if text.len() > 20 && lzf_compress(text).len() + 4 < text.len() => StringForm::Lzf,
            _ => return self.len(text.len()).raw(text),
        };
        self.string_as(form, text)
    }

    /// Appends a string in a given form, which must be able to hold it.
    pub fn string_as(&mut self, form: StringForm, text: impl AsRef<[u8]>) -> &mut Self {
        let text = text.as_ref();
        let integer = || canonical_integer(text).unwrap();
        match form {
            StringForm::Int8 => {
                self.raw([0xc0]).raw(i8::try_from(integer()).unwrap().to_le_bytes())
            }
            StringForm::Int16 => {
                self.raw([0xc1]).raw(i16::try_from(integer()).unwrap().to_le_bytes())
            }
            StringForm::Int32 => {
                self.raw([0xc2]).raw(i32::try_from(integer()).unwrap().to_le_bytes())
            }
            StringForm::Lzf => {
                let lzf = lzf_compress(text);
                self.raw([0xc3]).len(lzf.len()).len(text.len()).raw(lzf)
            }
            StringForm::Len6 | StringForm::Len14 | StringForm::Len32 | StringForm::Len64 => {
                self.len_as(form, text.len() as u64).raw(text)
            }
        }
    }

    /// Appends a score as text, as type 3 has it.
    pub fn text_double(&mut self, score: f64) -> &mut Self {
        if score.is_nan() {
            return self.raw([253]);
        }
        if score.is_infinite() {
            return self.raw([if score > 0.0 { 254 } else { 255 }]);
        }
        let text = score_text(score);
        self.raw([text.len() as u8]).raw(text)
    }

    /// Appends a count and that many strings.
    pub fn strings<T: AsRef<[u8]>>(&mut self, texts: &[T]) -> &mut Self {
        self.len(texts.len());
        texts.iter().fold(self, |this, text| this.string(text))
    }
}

/// A score as text: as an integer where it is one, with an exponent where that is shorter.
pub(crate) fn score_text(score: f64) -> String {
    const INTEGERS_EXACT: f64 = 1e15;
    match score.abs() {
        1e-5..INTEGERS_EXACT | 0.0 => score.to_string(),
        _ => format!("{score:?}"),
    }
}

/// The integer whose decimal form `text` is, if it fits 64 bits.
pub(crate) fn canonical_integer(text: &[u8]) -> Option<i64> {
    let value: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.to_string().as_bytes() == text).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_their_shortest_form() {
        for (len, bytes) in [
            (63u64, &b"\x3f"[..]),
            (64, b"\x40\x40"),
            (0x3fff, b"\x7f\xff"),
            (0x4000, b"\x80\x00\x00\x40\x00"),
            (0x1_0000_0000, b"\x81\0\0\0\x01\0\0\0\0"),
        ] {
            assert_eq!(Encoder::default().len(len).0, bytes, "{len}");
        }
    }

    #[test]
    fn strings_take_the_form_a_server_gives_them() {
        for (text, bytes) in [
            ("-1", &b"\xc0\xff"[..]),
            ("128", b"\xc1\x80\x00"),
            ("65536", b"\xc2\x00\x00\x01\x00"),
            ("007", b"\x03007"),
            ("2147483648", b"\x0a2147483648"),
            (&"a".repeat(30), b"\xc3\x05\x1e\x00a\xe0\x14\x00"),
        ] {
            assert_eq!(Encoder::default().string(text).0, bytes, "{text}");
        }
    }
}
