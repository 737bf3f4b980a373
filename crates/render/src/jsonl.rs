//! Lines of JSON: a report's rows, and keys, each written without an allocation since there may
//! be a billion of them.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offkey_analysis::{KeyFacts, Report};

use crate::json::push_char;
use crate::table::rows;

/// The report as one object a line, with the columns of its CSV; what says nothing is left out.
///
/// # Errors
/// None that is known of: every row can be written.
pub fn report_lines(report: &Report) -> serde_json::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for row in rows(report) {
        lines.append(&mut crate::json::escaped(&row, false)?);
    }
    Ok(lines)
}

/// Appends the line of a key.
pub fn key_line(line: &mut Vec<u8>, facts: &KeyFacts<'_>) {
    line.extend_from_slice(b"{\"db\":");
    number(line, facts.db);
    line.extend_from_slice(b",\"key\":\"");
    match std::str::from_utf8(facts.key) {
        Ok(text) => {
            escaped(line, text);
            line.push(b'"');
        }
        Err(_) => {
            lossy(line, facts.key);
            line.extend_from_slice(b"\",\"key_base64\":\"");
            base64(line, facts.key);
            line.push(b'"');
        }
    }
    if u64::try_from(facts.key.len()) != Ok(facts.key_len) {
        field(line, "key_len", facts.key_len);
    }
    // The names of types and encodings are ASCII letters, digits, `-` and `_`.
    let _ = write!(line, ",\"type\":\"{}\",\"encoding\":\"{}\"", facts.object_type, facts.encoding);
    field(line, "num_of_elem", facts.num_of_elem);
    field(line, "bytes", facts.bytes);
    optional(line, "memory_usage", facts.memory_usage);
    field(line, "serialized_bytes", facts.serialized_bytes);
    optional(line, "expire_at_ms", facts.expire_at_ms);
    optional(line, "idle_seconds", facts.idle_seconds);
    optional(line, "freq", facts.freq);
    optional(line, "slot", facts.slot);
    line.extend_from_slice(b"}\n");
}

fn number(line: &mut Vec<u8>, value: impl itoa::Integer) {
    line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn field(line: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
    number(line, value);
}

fn optional(line: &mut Vec<u8>, name: &str, value: Option<impl itoa::Integer>) {
    if let Some(value) = value {
        field(line, name, value);
    }
}

/// Appends the content of a JSON string.
fn escaped(line: &mut Vec<u8>, text: &str) {
    // Nearly every name is plain and passes in one copy.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !b"\"\\<>&".contains(&byte);
    if text.bytes().all(is_plain) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    for char in text.chars() {
        match char {
            '"' => line.extend_from_slice(b"\\\""),
            '\\' => line.extend_from_slice(b"\\\\"),
            char => push_char(line, char),
        }
    }
}

/// As [`String::from_utf8_lossy`] would show it.
fn lossy(line: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        escaped(line, chunk.valid());
        if !chunk.invalid().is_empty() {
            push_char(line, char::REPLACEMENT_CHARACTER);
        }
    }
}

fn base64(line: &mut Vec<u8>, bytes: &[u8]) {
    let start = line.len();
    line.resize(start + bytes.len().div_ceil(3) * 4, 0);
    if let Some(tail) = line.get_mut(start..) {
        // The space is exactly what the encoding needs.
        let _ = STANDARD.encode_slice(bytes, tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &[u8]) -> (String, Option<String>) {
        let mut line = Vec::new();
        match std::str::from_utf8(name) {
            Ok(text) => {
                escaped(&mut line, text);
                (String::from_utf8(line).unwrap(), None)
            }
            Err(_) => {
                lossy(&mut line, name);
                let mut encoded = Vec::new();
                base64(&mut encoded, name);
                (String::from_utf8(line).unwrap(), Some(String::from_utf8(encoded).unwrap()))
            }
        }
    }

    #[test]
    fn names_read_back_and_steer_nothing() {
        let names = [
            "user:17",
            "",
            "a\"b\\c",
            "\0\n\u{1b}[1m\u{7f}",
            "\u{9b}\u{202e}</script>",
            "\u{7528}",
        ];
        for name in names {
            let (text, _) = shown(name.as_bytes());
            assert_eq!(serde_json::from_str::<String>(&format!("\"{text}\"")).unwrap(), name);
            assert!(!text.contains(|c: char| c.is_control() || "<>&\u{202e}".contains(c)));
        }
    }

    #[test]
    fn names_that_are_no_text_are_exact_in_base64() {
        let name = b"a\xff\xc3(";
        let (text, encoded) = shown(name);
        assert_eq!(text, String::from_utf8_lossy(name));
        assert_eq!(STANDARD.decode(encoded.unwrap()).unwrap(), name);
    }
}
