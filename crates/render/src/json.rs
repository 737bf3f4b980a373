//! The report as JSON, its names escaped for terminals and web pages too.

use offkey_analysis::Report;
use serde::Serialize;

use crate::name::is_unsafe;

/// Writes the report as one object and a newline; indented where people look at it.
///
/// # Errors
/// None that is known of: every report can be written.
pub fn json(report: &Report, indented: bool) -> serde_json::Result<Vec<u8>> {
    escaped(report, indented)
}

/// Writes anything as a line, or indented, of JSON.
pub(super) fn escaped(value: &impl Serialize, indented: bool) -> serde_json::Result<Vec<u8>> {
    let json =
        if indented { serde_json::to_string_pretty(value)? } else { serde_json::to_string(value)? };
    let mut text = Vec::with_capacity(json.len() + 1);
    // What needs an escape stands only in strings, except the newlines between.
    for char in json.chars() {
        match char {
            '\n' => text.push(b'\n'),
            char => push_char(&mut text, char),
        }
    }
    text.push(b'\n');
    Ok(text)
}

/// Appends a character of a JSON string, its own escapes apart.
pub(super) fn push_char(text: &mut Vec<u8>, char: char) {
    if matches!(char, '<' | '>' | '&') || is_unsafe(char) {
        for unit in char.encode_utf16(&mut [0; 2]) {
            text.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
        }
    } else {
        text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small complete report.
    fn report() -> Report {
        serde_json::from_str(include_str!("../../../testdata/reports/small.json")).unwrap()
    }

    #[test]
    fn report_reads_back_as_it_was() {
        let report = report();
        for indented in [false, true] {
            let text = json(&report, indented).unwrap();
            assert_eq!(serde_json::from_slice::<Report>(&text).unwrap(), report);
        }
    }

    #[test]
    fn names_are_escaped() {
        let mut report = report();
        let name = "</script>\u{1b}\u{9b}\u{202e}\u{2028}\u{e0041}&\u{7528}\"\\\n";
        report.largest_keys[0].key = name.to_owned();
        let text = json(&report, true).unwrap();
        let lines = text.split(|byte| *byte == b'\n').count();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(
            "\"\\u003c/script\\u003e\\u001b\\u009b\\u202e\\u2028\\udb40\\udc41\\u0026\u{7528}\\\"\\\\\\n\""
        ));
        assert_eq!(text.lines().count() + 1, lines);
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
