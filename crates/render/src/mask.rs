//! Stand-ins for names: a report that can be shown to others.

use std::hash::{BuildHasher as _, RandomState};

use offkey_analysis::{DamagedKey, Report};

use crate::name::exact;

/// What stands between the parts of a name, beside the separators of the analysis.
const BETWEEN: &[u8] = b":;,_- .|/{}";

/// Replaces every part of a name between separators by a stand-in: the same for the same part
/// as long as the mask lives, and another one next time. How parts follow each other stays.
#[derive(Debug)]
pub struct Mask {
    hasher: RandomState,
    between: Vec<u8>,
}

impl Mask {
    /// A mask with stand-ins of its own for names with these separators.
    #[must_use]
    pub fn new(separators: &[u8]) -> Self {
        Self { hasher: RandomState::new(), between: [separators, BETWEEN].concat() }
    }

    /// A name with stand-ins for its parts.
    #[must_use]
    pub fn name(&self, name: &[u8]) -> String {
        let mut masked = String::new();
        for part in name.chunk_by(|a, b| self.is_between(a) == self.is_between(b)) {
            match part.first() {
                Some(first) if self.is_between(first) => {
                    masked.push_str(&String::from_utf8_lossy(part));
                }
                _ => masked.push_str(&format!("{:07x}", self.hasher.hash_one(part) >> 36)),
            }
        }
        masked
    }

    /// A message in which what is quoted, as names are, is left out.
    #[must_use]
    pub fn message(message: &str) -> String {
        let mut masked = String::new();
        let mut chars = message.chars();
        while let Some(char) = chars.next() {
            masked.push(char);
            if char == '"' {
                masked.push('\u{2026}');
                while let Some(char) = chars.next() {
                    match char {
                        '"' => break,
                        '\\' => drop(chars.next()),
                        _ => {}
                    }
                }
                masked.push('"');
            }
        }
        masked
    }

    /// Masks every name of a report; names of files stay.
    pub fn report(&self, report: &mut Report) {
        for key in &mut report.largest_keys {
            self.text(&mut key.key, &mut key.key_base64);
        }
        let by_number = report.largest_key_prefixes.iter_mut();
        for prefix in by_number.chain(&mut report.largest_key_prefixes_by_bytes) {
            self.text(&mut prefix.key_prefix, &mut prefix.key_prefix_base64);
        }
        for prefix in &mut report.key_prefixes_without_expiry {
            self.text(&mut prefix.key_prefix, &mut prefix.key_prefix_base64);
        }
        for node in &mut report.prefix_tree {
            self.text(&mut node.segment, &mut node.segment_base64);
        }
        report.damaged.iter_mut().for_each(|damaged| self.damaged(damaged));
        for input in &mut report.inputs {
            input.error = input.error.take().map(|error| Self::message(&error));
        }
    }

    /// Masks what is told of a damaged key.
    pub fn damaged(&self, damaged: &mut DamagedKey) {
        self.text(&mut damaged.key, &mut damaged.key_base64);
        damaged.reason = Self::message(&damaged.reason);
    }

    fn text(&self, text: &mut String, base64: &mut Option<String>) {
        *text = self.name(&exact(text, base64.take().as_deref()));
    }

    fn is_between(&self, byte: &u8) -> bool {
        self.between.contains(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_stand_in_and_their_place() {
        let mask = Mask::new(b"#");
        let name = mask.name(b"user:1#user\xff");
        let parts: Vec<&str> = name.split([':', '#']).collect();
        let [user, one, broken] = parts[..] else { panic!("three parts expected: {name}") };
        assert_eq!(format!("{user}:{one}#{broken}"), name);
        assert_eq!(mask.name(b"user"), user);
        assert!(user != broken && [user, one, broken].iter().all(|part| part.len() == 7));
        assert_ne!(Mask::new(b"#").name(b"user:1#user\xff"), name, "another run, other names");
    }

    #[test]
    fn messages_lose_what_they_quote() {
        let message = "a.rdb: at byte 9: key \"a\\\"b\": length 7, db 0, key \"\"";
        assert_eq!(
            Mask::message(message),
            "a.rdb: at byte 9: key \"\u{2026}\": length 7, db 0, key \"\u{2026}\""
        );
        assert_eq!(Mask::message("an open \"quote"), "an open \"\u{2026}\"");
    }

    #[test]
    fn no_name_of_a_report_is_left() {
        let text = include_str!("../../../testdata/reports/small.json");
        let mut report: Report = serde_json::from_str(text).unwrap();
        let before = crate::json(&report, false).unwrap();
        assert!(String::from_utf8(before).unwrap().contains("cart"));
        Mask::new(b":").report(&mut report);
        let after = String::from_utf8(crate::json(&report, false).unwrap()).unwrap();
        assert!(!after.contains("cart"), "{after}");
    }
}
