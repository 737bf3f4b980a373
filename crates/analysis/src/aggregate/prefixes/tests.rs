//! Tests of the table of prefixes.

use std::collections::BTreeMap;

use super::*;
use crate::Options;

pub(crate) fn facts(key: &[u8], size: u64) -> KeyFacts<'_> {
    KeyFacts {
        db: 0,
        key,
        key_len: key.len() as u64,
        object_type: ObjectType::String,
        encoding: crate::memory::Encoding::Raw,
        num_of_elem: 1,
        bytes: size,
        memory_usage: None,
        serialized_bytes: 0,
        expire_at_ms: None,
        expires_in_ms: None,
        idle_seconds: None,
        freq: None,
        slot: None,
        size,
    }
}

pub(super) fn table(memory_max: usize) -> Prefixes {
    Prefixes::new(Rule::new(b":;,_- ", true), memory_max)
}

fn listed(prefixes: &Prefixes, limit: usize) -> Vec<(String, u64, u64)> {
    let text = |p: &Prefix| String::from_utf8_lossy(&p.text).into_owned();
    let leading = prefixes.leading(ObjectType::String, RankBy::KeyCount, limit);
    leading.iter().map(|p| (text(p), p.counts.key_count, p.counts.bytes)).collect()
}

#[test]
fn rule_by_example() {
    let cases: &[(&str, &[&str])] = &[
        ("a:b:c", &["a", "a:b"]),
        ("user:17:profile", &["user", "user:00"]),
        ("plain", &["plain"]),
        ("plain17", &["plain00"]),
        ("a::b", &["a"]),
        ("a:", &["a"]),
        ("a::b:c", &["a", "a::b"]),
        (":a", &[]),
        (":a:b", &[":a"]),
        (":::", &[]),
        ("", &[]),
        ("a_b-c d;e,f", &["a", "a_b", "a_b-c", "a_b-c d", "a_b-c d;e"]),
    ];
    for (key, expected) in cases {
        let mut prefixes = table(1 << 20);
        prefixes.observe(&facts(key.as_bytes(), 10));
        let mut found: Vec<String> =
            listed(&prefixes, 50).into_iter().map(|(text, ..)| text).collect();
        found.sort_by_key(String::len);
        assert_eq!(found, *expected, "{key:?}");
    }
}

#[test]
fn prefix_of_a_depth() {
    let mut rule = PrefixRule::new(&Options::default());
    let cases: &[(&str, usize, Option<&str>)] = &[
        ("a:b1:c", 1, Some("a")),
        ("a:b1:c", 2, Some("a:b0")),
        ("a:b1:c", 9, Some("a:b0")),
        ("a:b1:c", 0, None),
        ("plain1", 1, Some("plain0")),
        (":a", 1, None),
        ("", 1, None),
    ];
    for (key, depth, expected) in cases {
        let found = rule.prefix(key.as_bytes(), *depth);
        assert_eq!(found, expected.map(str::as_bytes), "{key:?} {depth}");
    }
}

#[test]
fn ranks_by_number_then_bytes_then_text() {
    let mut prefixes = table(1 << 20);
    for (key, size) in [("b:1", 5), ("b:2", 5), ("a:1", 50), ("d:1", 7), ("c:1", 7)] {
        prefixes.observe(&facts(key.as_bytes(), size));
    }
    let named = |s: &str, n, b| (s.to_owned(), n, b);
    let expected = [named("b", 2, 10), named("a", 1, 50), named("c", 1, 7), named("d", 1, 7)];
    assert_eq!(listed(&prefixes, 50), expected);
    assert_eq!(listed(&prefixes, 3), expected[..3]);
}

/// Keys with a few heavy families among names that never come twice.
fn keys(seed: u64, count: u64) -> Vec<String> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let x = state >> 33;
            let name: String =
                (0..8).map(|i| char::from(b'a' + (x >> (i * 3) & 7) as u8)).collect();
            if x.is_multiple_of(4) {
                format!("heavy{}:{name}:x", (b'a' + (x % 64 / 4) as u8) as char)
            } else {
                format!("{name}:x")
            }
        })
        .collect()
}

#[test]
fn heavy_prefixes_are_exact_after_a_second_pass_in_bounded_memory() {
    let keys = keys(1, 200_000);
    let mut exact = table(usize::MAX);
    let mut bounded = table(100_000);
    for key in &keys {
        exact.observe(&facts(key.as_bytes(), 3));
        bounded.observe(&facts(key.as_bytes(), 3));
        assert!(bounded.tree.memory() <= 100_000);
    }
    assert!(bounded.is_pruned() && !exact.is_pruned());
    let floors = bounded.freeze();
    keys.iter().for_each(|key| bounded.observe(&facts(key.as_bytes(), 3)));
    bounded.set_floors(floors);
    assert_eq!(listed(&bounded, 16), listed(&exact, 16));
    let (_, floor) = bounded.floors().next().unwrap();
    let least_listed = listed(&bounded, 16)[15].1;
    assert!(floor.key_count < least_listed, "{floor:?} proves {least_listed}");
}

#[test]
fn counts_lie_within_the_floor() {
    let keys = keys(2, 100_000);
    let mut exact = table(usize::MAX);
    let mut parts = [table(60_000), table(60_000), table(60_000)];
    for (i, key) in keys.iter().enumerate() {
        exact.observe(&facts(key.as_bytes(), 3));
        parts[i % 3].observe(&facts(key.as_bytes(), 3));
    }
    let [mut merged, b, c] = parts;
    merged.merge(&b);
    merged.merge(&c);
    let (_, floor) = merged.floors().next().unwrap();
    let counted: BTreeMap<String, u64> =
        listed(&merged, usize::MAX).into_iter().map(|(text, n, _)| (text, n)).collect();
    for (text, count, _) in listed(&exact, usize::MAX) {
        let found = counted.get(&text).copied().unwrap_or(0);
        assert!(found <= count && count <= found + floor.key_count, "{text}: {found} {count}");
    }
}

/// What is so of a table that had to drop prefixes: none has more than is counted of it and its
/// type's floor, and those that are said to be whole have just what is counted.
fn assert_within_floor(bounded: &Prefixes, exact: &Prefixes) {
    let (_, floor) = bounded.floors().next().unwrap();
    let mut text = Vec::new();
    let mut counted = BTreeMap::new();
    for (at, node) in bounded.tree.nodes.iter().enumerate() {
        bounded.tree.text_of(at, &mut text);
        counted.insert(text.clone(), (node.counts, node.is_whole));
    }
    for at in 0..exact.tree.nodes.len() {
        exact.tree.text_of(at, &mut text);
        let all = exact.tree.nodes[at].counts;
        let (found, is_whole) = counted.get(&text).copied().unwrap_or_default();
        let name = text.escape_ascii();
        assert!(all.key_count - found.key_count <= floor.key_count, "{name}: {found:?} {all:?}");
        assert!(all.bytes - found.bytes <= floor.bytes, "{name}: {found:?} {all:?}");
        assert!(!is_whole || found == all, "{name}: {found:?} {all:?}");
    }
}

#[test]
fn prefixes_turned_away_lose_no_more_than_the_floor_says() {
    let letter = |x: u64| char::from(b'a' + (x % 16) as u8);
    let mut rng = offkey_testkit::Rng::new(5);
    let mut next_key = |number: u64| {
        let mut bits = rng.bits();
        let mut name = String::new();
        for _ in 0..=bits % 4 {
            // Some letters come much more often than others.
            let few = if bits & 0x700 == 0 { 0xffff } else { 3 };
            name.extend((0..4).map(|i| letter(bits >> (16 + 4 * i) & few)));
            name.push(':');
            bits = rng.bits();
        }
        // Long names have prefixes of short ones.
        let tail_len = if bits.is_multiple_of(7) { 64 } else { 8 };
        name.extend((0..tail_len).map(|i| letter(number >> (4 * i % 64))));
        (name, bits % 100 + if bits.is_multiple_of(999) { 100_000 } else { 0 })
    };
    for memory_max in [20_000, 500_000] {
        let (mut exact, mut bounded) = (table(usize::MAX), table(memory_max));
        let mut observe = |exact: &mut Prefixes, bounded: &mut Prefixes, number| {
            let (name, size) = next_key(number);
            let facts = facts(name.as_bytes(), size);
            exact.observe(&facts);
            bounded.observe(&facts);
        };
        // Enough for the door to forget now and then.
        for number in 0..700_000 {
            observe(&mut exact, &mut bounded, number);
        }
        assert!(bounded.is_pruned());
        assert_within_floor(&bounded, &exact);
        let mut merged = table(memory_max);
        merged.merge(&bounded);
        merged.merge(&bounded);
        let mut twice = exact.clone();
        twice.merge(&exact);
        assert_within_floor(&merged, &twice);
        for number in 0..100_000 {
            observe(&mut twice, &mut merged, number);
        }
        assert_within_floor(&merged, &twice);
    }
}

#[test]
fn second_pass_over_what_is_wanted_counts_what_one_over_all_does() {
    let keys = keys(4, 100_000);
    let mut first = table(100_000);
    keys.iter().for_each(|key| first.observe(&facts(key.as_bytes(), 3)));
    let (mut all, mut few) = (first.clone(), first);
    let (floors_of_all, floors_of_few) = (all.freeze(), few.freeze_whole());
    let wanted = few.wanted().unwrap();
    let mut passed = 0;
    for key in &keys {
        all.observe(&facts(key.as_bytes(), 3));
        let mut padded = [b':'; 64];
        padded[..key.len()].copy_from_slice(key.as_bytes());
        if wanted.may_want(&padded, key.len()) {
            few.observe(&facts(key.as_bytes(), 3));
        } else {
            passed += 1;
        }
    }
    all.set_floors(floors_of_all);
    few.set_floors(floors_of_few);
    assert!(passed > keys.len() / 2, "{passed} passed over");
    assert_eq!(listed(&few, usize::MAX), listed(&all, usize::MAX));
    let long = format!("{}:x", "long".repeat(12));
    let mut padded = [0; 64];
    padded[..long.len()].copy_from_slice(long.as_bytes());
    assert!(wanted.may_want(&padded, long.len()), "long names are all let through");
}

#[test]
fn merge_equals_one_pass() {
    let keys = keys(3, 5000);
    let (mut whole, mut a, mut b) = (table(1 << 24), table(1 << 24), table(1 << 24));
    for (i, key) in keys.iter().enumerate() {
        whole.observe(&facts(key.as_bytes(), 7));
        if i % 3 == 0 { &mut a } else { &mut b }.observe(&facts(key.as_bytes(), 7));
    }
    a.merge(&b);
    assert_eq!(listed(&a, 10_000), listed(&whole, 10_000));
}

#[test]
fn what_never_expires_is_counted_apart() {
    let mut prefixes = table(1 << 20);
    for number in 0..10_u8 {
        let expire_at_ms = (number % 2 == 0).then_some(1);
        let key = [b'a' + number % 5, b':', b'1'];
        prefixes.observe(&KeyFacts { expire_at_ms, ..facts(&key, u64::from(number)) });
    }
    // Of e, 4 and 9: the odd one lasts. Of c, 2 and 7.
    let leading = prefixes.lasting(ObjectType::String, 2);
    let shown: Vec<_> = (leading.iter())
        .map(|p| (p.text[0], p.counts.bytes, p.counts.lasting_bytes, p.counts.lasting_count))
        .collect();
    assert_eq!(shown, [(b'e', 13, 9, 1), (b'c', 9, 7, 1)]);
}

#[test]
fn half_a_million_levels_cost_their_length() {
    let key: Vec<u8> = std::iter::repeat_n(*b"a:", 500_000).flatten().collect();
    let mut prefixes = table(8 << 20);
    prefixes.observe(&facts(&key, 1));
    prefixes.observe(&facts(&key, 1));
    assert!(prefixes.tree.memory() <= 100_000, "{}", prefixes.tree.memory());
    let all = listed(&prefixes, usize::MAX);
    assert_eq!(all.len(), 1024, "deeper levels are not counted");
    assert!(all.iter().all(|(text, n, _)| *n == 2 && "a:".repeat(1024).starts_with(text)));
}
