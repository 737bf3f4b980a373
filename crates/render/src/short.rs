//! Long names cut, for pages that show their beginning only.

use offkey_analysis::{LargestKey, Report};

use crate::name::{exact, to_base64};

/// Bytes of a name that a page shows.
const LEN_MAX: usize = 512;

/// Cuts the names of the largest keys to 512 bytes, in which characters stay whole; `key_len`
/// then tells the length of the whole name.
pub fn shorten_names(report: &mut Report) {
    report.largest_keys.iter_mut().for_each(|key| shorten(key, LEN_MAX));
}

fn shorten(key: &mut LargestKey, len: usize) {
    let name = exact(&key.key, key.key_base64.as_deref());
    let Some(cut) = name.get(..len).filter(|cut| cut.len() < name.len()) else { return };
    let whole_len = u64::try_from(name.len()).unwrap_or(u64::MAX);
    let (text, base64) = match std::str::from_utf8(cut) {
        Ok(text) => (text.to_owned(), None),
        // Only its last character is cut.
        Err(error) if error.error_len().is_none() => {
            (String::from_utf8_lossy(cut.get(..error.valid_up_to()).unwrap_or(cut)).into(), None)
        }
        Err(_) => (String::from_utf8_lossy(cut).into_owned(), Some(to_base64(cut))),
    };
    key.key_len = Some(key.key_len.unwrap_or(whole_len));
    (key.key, key.key_base64) = (text, base64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_to_four(name: &[u8], key_len: Option<u64>) -> LargestKey {
        let text = include_str!("../../../testdata/reports/small.json");
        let mut report: Report = serde_json::from_str(text).unwrap();
        let key = &mut report.largest_keys[0];
        key.key = String::from_utf8_lossy(name).into_owned();
        key.key_base64 = std::str::from_utf8(name).err().map(|_| to_base64(name));
        key.key_len = key_len;
        shorten(key, 4);
        report.largest_keys.swap_remove(0)
    }

    #[test]
    fn names_are_cut_between_characters() {
        /// A name, its text once cut, its bytes where that is not exact, the length of the whole.
        type Case<'a> = (&'a [u8], &'a str, Option<&'a [u8]>, Option<u64>);
        let table: &[Case<'_>] = &[
            (b"user", "user", None, None),
            (b"users", "user", None, Some(5)),
            ("abc\u{e9}".as_bytes(), "abc", None, Some(5)),
            (b"a\xff\xffbcd", "a\u{fffd}\u{fffd}b", Some(b"a\xff\xffb"), Some(6)),
            (b"\xff", "\u{fffd}", Some(b"\xff"), None),
        ];
        for (name, text, exact, key_len) in table {
            let key = cut_to_four(name, None);
            assert_eq!((&*key.key, key.key_len), (*text, *key_len));
            assert_eq!(key.key_base64, exact.map(to_base64));
        }
        assert_eq!(cut_to_four(b"users", Some(70_000)).key_len, Some(70_000));
    }
}
