//! The tree of prefixes and those without expiry, from all prefixes sorted.

use std::cmp::Reverse;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use offkey_analysis::{LastingKeyPrefix, Options, PrefixNode};
use offkey_rdb::ObjectType;

use crate::plain::{Prefixes, Total, prefixes_of};

const SHOWN_LEN_MAX: usize = 1024;
const SEGMENT_LEN_MAX: usize = 256;
const NODES_MAX: usize = 2000;

/// The prefixes with most bytes that never expire.
pub(crate) fn without_expiry(
    prefixes: &Prefixes,
    lasting: &Prefixes,
    types: &[(ObjectType, Total)],
    options: &Options,
) -> Vec<LastingKeyPrefix> {
    let place = |object_type| types.iter().position(|(t, _)| *t == object_type);
    let mut sorted: Vec<_> = lasting.iter().filter(|(_, total)| total.bytes > 0).collect();
    sorted.sort_by_key(|((object_type, prefix), total)| {
        let shown = &prefix[..prefix.len().min(SHOWN_LEN_MAX)];
        let figures = Reverse((total.bytes, total.num));
        (figures, place(*object_type), shown, prefix.len())
    });
    sorted.truncate(options.prefixes);
    let shown = |(named, own): (&(ObjectType, Vec<u8>), &Total)| {
        let (object_type, prefix) = named;
        let shown = &prefix[..prefix.len().min(SHOWN_LEN_MAX)];
        let is_exact = shown.len() == prefix.len() && std::str::from_utf8(shown).is_ok();
        LastingKeyPrefix {
            key_prefix: String::from_utf8_lossy(shown).into_owned(),
            key_prefix_base64: (!is_exact).then(|| BASE64.encode(shown)),
            r#type: object_type.to_string(),
            bytes: prefixes[named].bytes,
            num: prefixes[named].num,
            no_expiry_num: own.num,
            no_expiry_bytes: own.bytes,
        }
    };
    sorted.into_iter().map(shown).collect()
}

/// The tree of the prefixes with most bytes.
pub(crate) fn tree(prefixes: &Prefixes, lasting: &Prefixes, options: &Options) -> Vec<PrefixNode> {
    let mut bytes: Vec<u64> = prefixes.values().map(|total| total.bytes).collect();
    bytes.sort_unstable_by_key(|bytes| Reverse(*bytes));
    let least = bytes.get(NODES_MAX).copied().unwrap_or(0);
    let shorter = |prefix: &Vec<u8>| {
        let mut shorter = prefixes_of(prefix, options);
        shorter.retain(|shorter| shorter != prefix);
        shorter
    };
    let mut chosen: Vec<_> = (prefixes.iter())
        .filter(|(_, total)| total.bytes > least)
        .map(|(named, total)| (named, total, shorter(&named.1)))
        .collect();
    chosen.sort_by(|(a, a_total, a_shorter), (b, b_total, b_shorter)| {
        let shown = |prefix: &Vec<u8>| prefix[..prefix.len().min(SHOWN_LEN_MAX)].to_vec();
        (b_total.bytes.cmp(&a_total.bytes))
            .then_with(|| a_shorter.len().cmp(&b_shorter.len()))
            .then_with(|| a.0.cmp(&b.0))
            .then_with(|| shown(&a.1).cmp(&shown(&b.1)))
            .then_with(|| a.1.len().cmp(&b.1.len()))
    });
    let places: HashMap<&(ObjectType, Vec<u8>), usize> =
        chosen.iter().enumerate().map(|(place, (named, ..))| (*named, place)).collect();
    let node = |(named, total, shorter): &(&(ObjectType, Vec<u8>), &Total, Vec<Vec<u8>>)| {
        let above = shorter.last();
        let segment = &named.1[above.map_or(0, Vec::len)..];
        let shown = &segment[..segment.len().min(SEGMENT_LEN_MAX)];
        let never = lasting.get(*named).copied().unwrap_or_default();
        PrefixNode {
            parent: above.map(|above| places[&(named.0, above.clone())]),
            r#type: above.is_none().then(|| named.0.to_string()),
            segment: String::from_utf8_lossy(shown).into_owned(),
            segment_base64: std::str::from_utf8(shown).is_err().then(|| BASE64.encode(shown)),
            segment_len: (segment.len() > shown.len()).then_some(segment.len() as u64),
            num: total.num,
            bytes: total.bytes,
            no_expiry_num: never.num,
            no_expiry_bytes: never.bytes,
        }
    };
    chosen.iter().map(node).collect()
}
