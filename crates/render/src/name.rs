//! Names as text that no terminal, spreadsheet or browser acts upon.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A key's name for people: text stays as it is, anything else becomes `\xHH`, and a
/// backslash is doubled so that no two names look alike.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a>(pub &'a [u8]);

/// A text of ours that may quote foreign bytes: control characters become `\xHH`.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a>(pub &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name that would not be seen, or not whole, is put in quotes.
        let quote = match self.0 {
            [] | [b' ', ..] | [.., b' '] => "\"",
            _ => "",
        };
        f.write_str(quote)?;
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '\\' => f.write_str("\\\\")?,
                    char => write_char(f, char)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_str(quote)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| write_char(f, char))
    }
}

fn write_char(f: &mut fmt::Formatter<'_>, char: char) -> fmt::Result {
    if !is_unsafe(char) {
        return f.write_char(char);
    }
    let mut bytes = [0; 4];
    char.encode_utf8(&mut bytes).bytes().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}

/// Whether a character steers a terminal or the direction of a text, or cannot be seen.
pub(crate) fn is_unsafe(char: char) -> bool {
    match char {
        ' '..='~' => false,
        '\u{61c}' // The Arabic letter mark.
        | '\u{200b}'..='\u{200f}' // Zero width, and marks of direction.
        | '\u{2028}'..='\u{202e}' // Ends of lines and paragraphs, embeddings, overrides.
        | '\u{2060}'..='\u{206f}' // Invisible operators, isolates.
        | '\u{feff}' // The byte order mark.
        | '\u{fff9}'..='\u{fffb}' // Marks of annotations.
        | '\u{e0000}'..='\u{e007f}' => true, // Tags.
        char => char.is_control(),
    }
}

/// The bytes of a name that a report gives as text, and in base64 where that is not exact.
#[must_use]
pub fn exact<'a>(text: &'a str, base64: Option<&str>) -> Cow<'a, [u8]> {
    match base64.and_then(|base64| STANDARD.decode(base64).ok()) {
        Some(bytes) => Cow::Owned(bytes),
        None => Cow::Borrowed(text.as_bytes()),
    }
}

/// Base64 of a name, as reports hold it.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_show_and_steer_nothing() {
        let table: &[(&[u8], &str)] = &[
            (b"user:17", "user:17"),
            ("\u{7528}\u{6237}:1 \u{e9}".as_bytes(), "\u{7528}\u{6237}:1 \u{e9}"),
            (b"", "\"\""),
            (b" a ", "\" a \""),
            (b"a\\x1b", "a\\\\x1b"),
            (b"\x1b[31m", "\\x1b[31m"),
            (b"a\0b\r\nc\td\x7f", "a\\x00b\\x0d\\x0ac\\x09d\\x7f"),
            (b"\xff\xfe", "\\xff\\xfe"),
            (b"\x9b31m", "\\x9b31m"),
            ("\u{9b}31m".as_bytes(), "\\xc2\\x9b31m"),
            ("\u{202e}gnp.exe".as_bytes(), "\\xe2\\x80\\xaegnp.exe"),
            ("a\u{2066}b\u{feff}".as_bytes(), "a\\xe2\\x81\\xa6b\\xef\\xbb\\xbf"),
        ];
        for (name, shown) in table {
            assert_eq!(Name(name).to_string(), *shown);
        }
    }

    #[test]
    fn no_two_names_look_alike() {
        let mut seen = std::collections::HashSet::new();
        for first in 0..=255_u8 {
            assert!(seen.insert(Name(&[first]).to_string()));
            for second in 0..=255_u8 {
                assert!(seen.insert(Name(&[first, second]).to_string()));
            }
        }
    }

    #[test]
    fn messages_keep_their_backslashes() {
        assert_eq!(Text("key \"\\x1b\": \u{1b}[1m").to_string(), "key \"\\x1b\": \\x1b[1m");
    }
}
