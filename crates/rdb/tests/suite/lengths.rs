//! Strings that are counted by their lengths are those that are handed out otherwise.

use std::collections::BTreeMap;

use offkey_rdb::{Column, Entry, Lengths, Options, Part, Reader, Str, ValueEnd, Visit};
use offkey_testkit::value::{self, Value};
use offkey_testkit::{RdbFile, Rng};

/// Strings of each column by their lengths, however they come.
#[derive(Debug, Default)]
struct Columns {
    wants_texts: bool,
    /// Columns of which lengths were told.
    told: usize,
    counts: BTreeMap<(&'static str, u64), u64>,
}

impl Columns {
    fn add(&mut self, column: &'static str, len: u64, count: u64) {
        *self.counts.entry((column, len)).or_default() += count;
    }
}

impl Visit for Columns {
    fn part(&mut self, part: Part<'_>) {
        match part {
            Part::Member(Str { len, .. }) => self.add("member", len, 1),
            Part::Field(Str { len, .. }) => self.add("field", len, 1),
            Part::Value(Str { len, .. }) => self.add("value", len, 1),
            _ => {}
        }
    }

    fn wants_texts(&self) -> bool {
        self.wants_texts
    }

    fn lengths(&mut self, column: Column, lengths: &Lengths) {
        self.told += 1;
        let column = match column {
            Column::Member => "member",
            Column::Field => "field",
            Column::Value => "value",
        };
        for (len, count) in lengths.iter() {
            assert!(len < Lengths::LEN_END as u64 && count > 0);
            self.add(column, len, count);
        }
    }
}

fn read(value: &Value, wants_texts: bool) -> (Columns, ValueEnd) {
    let mut file = RdbFile::redis(11);
    file.key("k", value);
    let bytes = file.finish();
    let mut reader = Reader::new(&*bytes, Options::default()).unwrap();
    while !matches!(reader.next_entry().unwrap(), Entry::Key(_)) {}
    let mut columns = Columns { wants_texts, ..Columns::default() };
    let end = reader.value(&mut columns).unwrap();
    assert!(matches!(reader.next_entry().unwrap(), Entry::End(_)));
    (columns, end)
}

/// Strings of all lengths and forms: integers, compressed ones, some that are not counted.
fn texts(rng: &mut Rng, count: usize) -> Vec<Vec<u8>> {
    let text = |i: usize| match i % 5 {
        0 => (i as i64 * 7 - 1000).to_string().into_bytes(),
        1 => [format!("{i}:").into_bytes(), rng.text(100)].concat(),
        _ => {
            let len = rng.between(0, 90);
            [format!("{i:04}").into_bytes(), rng.letters(len)].concat()
        }
    };
    (0..count).map(text).collect()
}

#[test]
fn lengths_are_those_of_the_texts() {
    let mut rng = Rng::new(1);
    // Also few, and more than the reader has at hand at once.
    for count in [1, 63, 64, 1000, 40_000] {
        let texts = texts(&mut rng, count);
        let pairs: Vec<_> = texts.iter().zip(texts.iter().rev()).collect();
        let scored: Vec<_> = texts.iter().zip((0u32..).map(f64::from)).collect();
        for value in [value::set(&texts), value::zset_2(&scored), value::hash(&pairs)] {
            let (whole, _) = read(&value, true);
            let (by_length, end) = read(&value, false);
            assert_eq!(end.damage, None);
            assert_eq!(by_length.counts, whole.counts, "{count} of {}", value.object_type);
            assert_eq!(whole.told, 0);
            assert_eq!(by_length.told > 0, count >= 64, "{count} of {}", value.object_type);
        }
    }
}

#[test]
fn elements_that_stand_twice_are_found_among_those_counted() {
    let mut rng = Rng::new(2);
    for (first, second) in [(0, 999), (500, 501), (3, 70)] {
        let mut texts = texts(&mut rng, 1000);
        texts[second] = texts[first].clone();
        let pairs: Vec<_> = texts.iter().map(|text| (&**text, &b"v"[..])).collect();
        let scored: Vec<_> = texts.iter().map(|text| (text, 1.5)).collect();
        for value in [value::set(&texts), value::zset_2(&scored), value::hash(&pairs)] {
            let reason = read(&value, false).1.damage.expect("an element stands twice").reason;
            assert!(reason.ends_with("stands in the value before"), "{reason}");
        }
    }
}
