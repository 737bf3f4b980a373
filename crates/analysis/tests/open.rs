//! Inputs that are no files: opened by others, once or as often as needed.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use offkey_analysis::{Input, Open, Opened, Options, analyze};
use offkey_testkit::{Dialect, Keyspace, RdbFile, value};

/// Bytes, and what happens after them.
#[derive(Debug)]
struct Source {
    bytes: Vec<u8>,
    end: End,
    opened: AtomicU32,
    /// Set once a reader that hangs has given up.
    gave_up: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Again,
    Once,
    Fails,
    Hangs,
}

struct Hanging(Arc<AtomicBool>, Arc<AtomicBool>);

impl Read for Hanging {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        while !self.0.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::other("stopped"))
    }
}

/// It is let go of even where it was told to stop before it was asked for a byte.
impl Drop for Hanging {
    fn drop(&mut self) {
        self.1.store(true, Ordering::Relaxed);
    }
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the line was cut"))
    }
}

impl Open for Source {
    fn name(&self) -> String {
        "test://source\x1b[1m".to_owned()
    }

    fn open(&self, stop: &Arc<AtomicBool>) -> io::Result<Opened> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let bytes = Cursor::new(self.bytes.clone());
        let reader: Box<dyn Read + Send> = match self.end {
            End::Again | End::Once => Box::new(bytes),
            End::Fails => Box::new(bytes.chain(Failing)),
            End::Hangs => {
                Box::new(bytes.chain(Hanging(Arc::clone(stop), Arc::clone(&self.gave_up))))
            }
        };
        Ok(Opened { reader, len: Some(self.bytes.len() as u64) })
    }

    fn can_open_again(&self) -> bool {
        self.end == End::Again
    }
}

fn source(bytes: &[u8], end: End) -> Arc<Source> {
    Arc::new(Source {
        bytes: bytes.to_vec(),
        end,
        opened: AtomicU32::new(0),
        gave_up: Arc::default(),
    })
}

fn bytes() -> Vec<u8> {
    Keyspace::generate_small(7, Dialect::Redis(11), 2000).bytes
}

#[test]
fn opened_bytes_are_analysed_like_a_file() {
    let source = source(&bytes(), End::Again);
    let report = analyze(&[Input::Open(source.clone())], &Options::default(), &()).unwrap();
    assert!(report.complete, "{:?}", report.inputs);
    assert_eq!(report.inputs[0].file, "test://source\\u{1b}[1m");
    assert_eq!(report.inputs[0].bytes_total, Some(source.bytes.len() as u64));
    assert_eq!(source.opened.load(Ordering::Relaxed), 1);
}

#[test]
fn second_pass_is_made_only_where_it_can_be() {
    let options = Options { prefix_memory: 1 << 12, ..Options::default() };
    for (end, passes) in [(End::Again, 2), (End::Once, 1)] {
        let source = source(&bytes(), end);
        let report = analyze(&[Input::Open(source.clone())], &options, &()).unwrap();
        assert!(report.complete, "{:?}", report.inputs);
        assert_eq!(source.opened.load(Ordering::Relaxed), passes, "{end:?}");
    }
}

/// Other bytes each time it is opened.
#[derive(Debug)]
struct Changing(Vec<Vec<u8>>, AtomicU32);

impl Open for Changing {
    fn name(&self) -> String {
        "test://changing".to_owned()
    }

    fn open(&self, _: &Arc<AtomicBool>) -> io::Result<Opened> {
        let time = self.1.fetch_add(1, Ordering::Relaxed);
        let bytes = usize::try_from(time).ok().and_then(|time| self.0.get(time)).cloned();
        let bytes = bytes.ok_or_else(|| io::Error::other("opened too often"))?;
        let len = Some(bytes.len() as u64);
        Ok(Opened { reader: Box::new(Cursor::new(bytes)), len })
    }

    fn can_open_again(&self) -> bool {
        true
    }
}

#[test]
fn input_that_changed_before_its_second_pass_is_told() {
    let file = |count: u32, written: &str, members: &[&str]| {
        let mut file = RdbFile::redis(11);
        file.aux("ctime", written).select_db(0);
        file.key("set", &value::set(members));
        for number in 0..count {
            // Digits count alike, letters do not.
            let digits = format!("{number:06}");
            let name: String = digits.bytes().map(|digit| char::from(digit | 0x40)).collect();
            file.key(format!("{name}:x"), &value::string("text"));
        }
        file.finish()
    };
    let first = file(3000, "1764000000", &["aa", "bb"]);
    let cases = [
        ("the same", first.clone(), true),
        ("a key more", file(3001, "1764000000", &["aa", "bb"]), false),
        ("written later", file(3000, "1764000001", &["aa", "bb"]), false),
        ("another element", file(3000, "1764000000", &["aa", "bb", "cc"]), false),
    ];
    let options = Options { prefix_memory: 1 << 14, ..Options::default() };
    for (about, second, is_exact) in cases {
        let source = Arc::new(Changing(vec![first.clone(), second], AtomicU32::new(0)));
        let report = analyze(&[Input::Open(source.clone())], &options, &()).unwrap();
        assert_eq!(source.1.load(Ordering::Relaxed), 2, "{about}");
        assert_eq!(report.prefix_exactness.counts_exact, is_exact, "{about}");
    }
}

#[test]
fn failure_of_the_line_is_told_with_what_came_before() {
    let bytes = bytes();
    let source = source(&bytes[..bytes.len() / 2], End::Fails);
    let report = analyze(&[Input::Open(source)], &Options::default(), &()).unwrap();
    assert!(!report.complete);
    assert!(report.total_num > 0);
    let error = report.inputs[0].error.clone().unwrap();
    assert!(error.contains("the line was cut"), "{error}");
}

#[test]
fn reader_that_waits_is_told_when_nobody_reads_on() {
    // Not an RDB file, so that the analysis ends while more is awaited.
    let mut bytes = b"REDIS0011\xf4".to_vec();
    bytes.resize(1 << 20, 0xf4);
    let source = source(&bytes, End::Hangs);
    let report = analyze(&[Input::Open(source.clone())], &Options::default(), &()).unwrap();
    assert!(report.inputs[0].error.is_some());
    let since = Instant::now();
    while !source.gave_up.load(Ordering::Relaxed) {
        assert!(since.elapsed() < Duration::from_secs(2), "the reader still waits");
        std::thread::sleep(Duration::from_millis(5));
    }
}
