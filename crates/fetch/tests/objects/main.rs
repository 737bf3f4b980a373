//! Objects of an S3 server that makes faults: never a false success, and little is read
//! twice.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where something is not as it should be"
)]

mod peer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use offkey_analysis::{Input, Options, Report, analyze};
use offkey_fetch::{Bucket, Object, ObjectOptions, Secret, Store};
use offkey_testkit::{RdbFile, Rng, value};

use peer::{Decide, Fault, Peer};

const SECRET: &str = "canary-of-the-secret-key";
/// A tenth of the object that most tests read.
const PART_LEN: u64 = 100_000;

fn options() -> ObjectOptions {
    ObjectOptions {
        part_len: PART_LEN,
        parts_ahead: 3,
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_millis(900),
        tries: 4,
        backoff: Duration::from_millis(10),
    }
}

fn bucket(peer: &Peer) -> Bucket {
    let store = Store {
        endpoint: peer.endpoint(),
        region: "us-east-1".to_owned(),
        path_style: true,
        keys: Some(("ACCESSKEY".to_owned(), Secret::new(SECRET))),
        token: Some(Secret::new("the-token")),
    };
    Bucket::new("backups", false, &store, options()).unwrap()
}

fn analysed(object: Object) -> Report {
    analyze(&[Input::Open(Arc::new(object))], &Options::default(), &()).unwrap()
}

/// One test, since moto takes seconds to start.
#[test]
fn faults_of_an_object_store() {
    let Some(peer) = Peer::start() else { return };
    let mut file = RdbFile::redis(11);
    file.select_db(0);
    let mut rng = Rng::new(3);
    for n in 0..1000 {
        // No run of bytes may come twice, so that a part in the wrong place is found out.
        let noise = rng.bytes(1000);
        file.key(format!("user:{n}"), &value::string(&noise));
    }
    let data = file.finish();
    peer.put("/backups/redis/a.rdb", &data);
    let bucket = bucket(&peer);
    let plain = analysed(bucket.object("redis/a.rdb"));
    assert!(plain.complete, "{:?}", plain.inputs);
    assert_eq!(plain.inputs[0].file, "s3://backups/redis/a.rdb");
    assert_eq!(plain.inputs[0].bytes_total, Some(data.len() as u64));
    passing_faults(&peer, &bucket, &data, &plain);
    lasting_faults(&peer, &bucket);
    compressed_and_listed(&peer, &bucket, &data, &plain);
    plain_urls(&peer, &bucket, &data, &plain);
    two_readings(&peer, &bucket);
}

/// What a report says, without where the bytes came from.
fn essence(report: &Report) -> (u64, u64, String) {
    (report.total_num, report.total_bytes, format!("{:?}", report.largest_keys))
}

/// Faults that pass: the report is the same, and hardly more bytes are sent.
fn passing_faults(peer: &Peer, bucket: &Bucket, data: &[u8], plain: &Report) {
    let every_third = |fault: Fault| move |n: usize| if n % 3 == 1 { fault } else { Fault::None };
    for fault in [
        Fault::Status(500, "InternalError"),
        Fault::Status(503, "SlowDown"),
        Fault::Status(429, "TooManyRequests"),
        Fault::Reset,
        Fault::Short(0),
        Fault::Short(1),
        Fault::Short(40_000),
        Fault::Slow,
    ] {
        peer.set(every_third(fault));
        let report = analysed(bucket.object("redis/a.rdb"));
        assert!(report.complete, "{fault:?}: {:?}", report.inputs);
        assert_eq!(essence(&report), essence(plain), "{fault:?}");
        let more = peer.body_len().checked_sub(data.len()).unwrap();
        // Buffers of the system may hold what nobody has read.
        assert!(more < data.len() / 2, "{fault:?}: {more} bytes were sent twice");
        let requests = peer.requests();
        assert!(requests.iter().all(|request| request.contains("X-Amz-Signature=")));
        assert!(requests.iter().all(|request| !request.contains(SECRET)));
        let again = requests.iter().filter(|request| request.contains("if-match:")).count();
        assert!(again == requests.len() - 1 && again > 10, "{fault:?}: {again}");
    }
}

/// Faults that stay, or that mean another object: an error that says so, soon.
fn lasting_faults(peer: &Peer, bucket: &Bucket) {
    let from =
        |first: usize, fault: Fault| move |n: usize| if n >= first { fault } else { Fault::None };
    let cases: Vec<(Decide, &str)> = vec![
        (Box::new(from(0, Fault::Status(500, "InternalError"))), "HTTP 500 InternalError"),
        (Box::new(from(3, Fault::Status(503, "SlowDown"))), "HTTP 503 SlowDown: made for a test"),
        (Box::new(from(2, Fault::Reset)), "s3://backups/redis/a.rdb: "),
        (Box::new(from(2, Fault::Short(100))), "answer cut off"),
        (Box::new(from(2, Fault::Slow)), "s3://backups/redis/a.rdb: "),
        (Box::new(from(2, Fault::Changed)), "the object changed while it was read"),
        (Box::new(from(2, Fault::Status(412, "PreconditionFailed"))), "the object changed"),
        (Box::new(from(2, Fault::Status(403, "ExpiredToken"))), "HTTP 403 ExpiredToken"),
        (Box::new(from(0, Fault::Status(403, "SignatureDoesNotMatch"))), "SignatureDoesNotMatch"),
        (Box::new(from(0, Fault::Status(404, "NoSuchKey"))), "HTTP 404 NoSuchKey"),
        (Box::new(from(2, Fault::Status(404, "NoSuchKey"))), "HTTP 404 NoSuchKey"),
        (Box::new(from(0, Fault::Status(301, "PermanentRedirect"))), "redirects are not followed"),
        (Box::new(from(2, Fault::NoRanges(usize::MAX))), "the object changed"),
    ];
    for (decide, told) in cases {
        peer.set(decide);
        let since = Instant::now();
        let report = analysed(bucket.object("redis/a.rdb"));
        assert!(!report.complete, "{told}: false success");
        let error = report.inputs[0].error.clone().unwrap();
        assert!(error.contains(told), "{told}: {error}");
        for secret in [SECRET, "X-Amz", "the-token"] {
            assert!(!error.contains(secret), "{error}");
        }
        assert!(since.elapsed() < Duration::from_secs(15), "{told}: {:?}", since.elapsed());
    }
    peer.set(|_| Fault::None);
    let error = analysed(bucket.object("redis/none.rdb")).inputs[0].error.clone().unwrap();
    assert!(error.contains("HTTP 404 NoSuchKey"), "{error}");
}

fn compressed_and_listed(peer: &Peer, bucket: &Bucket, data: &[u8], plain: &Report) {
    let zipped = zstd::encode_all(data, 1).unwrap();
    peer.put("/backups/redis/b.rdb.zst", &zipped);
    peer.put("/backups/redis/empty.rdb", b"");
    peer.put("/backups/other/c%20d.rdb", data);
    let report = analysed(bucket.object("redis/b.rdb.zst"));
    assert!(report.complete, "{:?}", report.inputs);
    assert_eq!(essence(&report), essence(plain));
    assert!(analysed(bucket.object("other/c d.rdb")).complete);
    let error = analysed(bucket.object("redis/empty.rdb")).inputs[0].error.clone().unwrap();
    assert!(error.contains("s3://backups/redis/empty.rdb"), "{error}");

    peer.set(|n| if n == 0 { Fault::Status(503, "SlowDown") } else { Fault::None });
    let listed = bucket.list("redis/").unwrap();
    let shown: Vec<_> = listed.iter().map(|object| (object.key.as_str(), object.len)).collect();
    let (len, zipped_len) = (data.len() as u64, zipped.len() as u64);
    assert_eq!(
        shown,
        [("redis/a.rdb", len), ("redis/b.rdb.zst", zipped_len), ("redis/empty.rdb", 0)]
    );
    peer.set(|_| Fault::Status(403, "AccessDenied"));
    let error = bucket.list("redis/").unwrap_err().to_string();
    assert_eq!(error, "s3://backups/redis/: HTTP 403 AccessDenied: made for a test");
}

/// By links that are signed already, and from servers that know no ranges.
fn plain_urls(peer: &Peer, bucket: &Bucket, data: &[u8], plain: &Report) {
    let url = bucket.link("redis/a.rdb", Duration::from_secs(600));
    let at_url = || Object::at_url(&url, options()).unwrap();
    for fault in [Fault::None, Fault::NoRanges(usize::MAX)] {
        peer.set(move |_| fault);
        let report = analysed(at_url());
        assert!(report.complete, "{:?}", report.inputs);
        assert_eq!(essence(&report), essence(plain));
        assert!(!report.inputs[0].file.contains("Signature"));
    }
    peer.set(|_| Fault::NoRanges(100_000));
    let report = analysed(at_url());
    assert!(!report.complete);
    let error = report.inputs[0].error.clone().unwrap();
    assert!(error.contains("answer cut off, and the server cannot resume it"), "{error}");
    assert!(report.inputs[0].bytes_read < data.len() as u64);
}

/// Prefixes that outgrow their memory are counted in a second reading, of the same content.
fn two_readings(peer: &Peer, bucket: &Bucket) {
    let mut file = RdbFile::redis(11);
    file.select_db(0);
    let letters = |n: u32| -> String {
        let letter = |shift: u32| char::from(b'a' + u8::try_from(n >> shift & 15).unwrap());
        [16, 12, 8, 4, 0].map(letter).iter().collect()
    };
    for n in 0..20_000 {
        file.key(format!("{}:key", letters(n)), &value::string(b"value"));
    }
    peer.put("/backups/redis/many.rdb", &file.finish());
    let options = Options { prefix_memory: 64 << 10, ..Options::default() };
    let analysed = || {
        let object = bucket.object("redis/many.rdb");
        analyze(&[Input::Open(Arc::new(object))], &options, &()).unwrap()
    };
    peer.set(|_| Fault::None);
    let report = analysed();
    assert!(report.complete, "{:?}", report.inputs);
    let count = peer.requests().len();
    let firsts = peer.requests().iter().filter(|one| one.contains("bytes=0-")).count();
    assert_eq!(firsts, 2, "readings: {:?}", peer.requests());
    peer.set(move |n| if n >= count / 2 { Fault::Changed } else { Fault::None });
    let report = analysed();
    assert!(!report.complete, "false success: {:?}", peer.requests());
    let error = report.inputs[0].error.clone().unwrap();
    assert!(error.contains("the object changed since its first reading"), "{error}");
}
