//! What rows weigh together is what their strings weigh that are handed out otherwise.

use offkey_rdb::{Entry, Options, Part, Reader, Str, ValueEnd, Visit, Weight, Weights};
use offkey_testkit::value::{self, Value};
use offkey_testkit::{RdbFile, Rng};

/// Strings with weights.
const LEN_END: usize = 80;

/// What rows weigh, however they come: strings beyond the weights too.
#[derive(Debug)]
struct Rows {
    weighs: bool,
    weights: [Vec<Weight>; 2],
    /// Rows that were weighed.
    weighed: u64,
    count: u64,
    sum: Weight,
}

impl Rows {
    fn new(weighs: bool) -> Self {
        let weights = [3, 11].map(|factor| {
            (0..LEN_END as u64).map(|len| [len * factor + 1, len * len * factor]).collect()
        });
        Self { weighs, weights, weighed: 0, count: 0, sum: [0; 2] }
    }

    fn add(&mut self, column: usize, len: u64) {
        let [first, second] = &mut self.sum;
        let weight = self.weights[column].get(usize::try_from(len).unwrap());
        // Any other number for those without a weight.
        let [a, b] = weight.copied().unwrap_or([len * 1_000_003, len]);
        (*first, *second) = (*first + a, *second + b);
    }
}

impl Visit for Rows {
    fn part(&mut self, part: Part<'_>) {
        match part {
            Part::Member(Str { len, .. }) | Part::Field(Str { len, .. }) => {
                self.count += 1;
                self.add(0, len);
            }
            Part::Value(Str { len, .. }) => self.add(1, len),
            _ => {}
        }
    }

    fn weights(&self) -> Option<Weights<'_>> {
        let [first, value] = &self.weights;
        self.weighs.then_some(Weights { first, value })
    }

    fn weighed(&mut self, row_count: u64, [a, b]: Weight) {
        assert!(self.weighs);
        self.weighed += row_count;
        self.count += row_count;
        let [first, second] = &mut self.sum;
        (*first, *second) = (*first + a, *second + b);
    }
}

fn read(value: &Value, weighs: bool) -> (Rows, ValueEnd) {
    let mut file = RdbFile::redis(11);
    file.key("k", value);
    let bytes = file.finish();
    let mut reader = Reader::new(&*bytes, Options::default()).unwrap();
    while !matches!(reader.next_entry().unwrap(), Entry::Key(_)) {}
    let mut rows = Rows::new(weighs);
    let end = reader.value(&mut rows).unwrap();
    assert!(matches!(reader.next_entry().unwrap(), Entry::End(_)));
    (rows, end)
}

/// Strings of all lengths and forms: integers, compressed ones, some without a weight.
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
fn rows_weigh_what_their_strings_do() {
    let mut rng = Rng::new(1);
    // Also few, and more than the reader has at hand at once.
    for count in [1, 63, 64, 1000, 40_000] {
        let texts = texts(&mut rng, count);
        let pairs: Vec<_> = texts.iter().zip(texts.iter().rev()).collect();
        let scored: Vec<_> = texts.iter().zip((0u32..).map(f64::from)).collect();
        for value in [value::set(&texts), value::zset_2(&scored), value::hash(&pairs)] {
            let (one_by_one, _) = read(&value, false);
            let (weighed, end) = read(&value, true);
            assert_eq!(end.damage, None);
            let what = |rows: &Rows| (rows.count, rows.sum);
            assert_eq!(what(&weighed), what(&one_by_one), "{count} of {}", value.object_type);
            assert_eq!(weighed.count, count as u64);
            assert!(4 * weighed.weighed >= weighed.count, "{} of {count}", weighed.weighed);
            assert_eq!(one_by_one.weighed, 0);
        }
    }
}

#[test]
fn elements_that_stand_twice_are_found_among_those_weighed() {
    let mut rng = Rng::new(2);
    for (first, second) in [(0, 999), (500, 501), (3, 70)] {
        let mut texts = texts(&mut rng, 1000);
        texts[second] = texts[first].clone();
        let pairs: Vec<_> = texts.iter().map(|text| (&**text, &b"v"[..])).collect();
        let scored: Vec<_> = texts.iter().map(|text| (text, 1.5)).collect();
        for value in [value::set(&texts), value::zset_2(&scored), value::hash(&pairs)] {
            let reason = read(&value, true).1.damage.expect("an element stands twice").reason;
            assert!(reason.ends_with("stands in the value before"), "{reason}");
        }
    }
}
