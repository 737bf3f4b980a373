//! Bytes that no client sends: each is refused or read in one way, and none holds the service.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::common::{Service, analysis};

fn service() -> Service {
    Service::start_with(
        |_| {},
        |config| {
            let one = NonZeroU32::MIN;
            config.limits.header_seconds = one;
            config.limits.body_seconds = one;
            config.limits.connections = NonZeroU32::new(50).unwrap();
        },
    )
}

/// Sends `bytes` and reads until the service closes the connection.
fn exchange(service: &Service, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(service.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The service may answer before it has all.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).map(|part| part.get(..3).unwrap()).collect()
}

#[test]
fn ambiguous_requests_end_the_connection() {
    let service = service();
    let second = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";
    for (name, head, body, first) in [
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", "12345", "400"),
        ("list of lengths", "Content-Length: 5, 6\r\n", "12345", "400"),
        ("signed length", "Content-Length: +5\r\n", "12345", "400"),
        ("negative length", "Content-Length: -1\r\n", "", "400"),
        ("no number", "Content-Length: five\r\n", "12345", "400"),
        ("huge length", "Content-Length: 99999999999999999999\r\n", "", "400"),
        ("space before colon", "Content-Length : 5\r\n", "12345", "400"),
        ("folded header", "X-A: b\r\n c\r\n", "", "400"),
        ("nul in a header", "X-A: b\0c\r\n", "", "400"),
        ("header without a name", ": b\r\n", "", "400"),
        (
            "length and chunks",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
            "404",
        ),
        (
            "chunks and length",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "0\r\n\r\n",
            "404",
        ),
        ("other encoding", "Transfer-Encoding: gzip\r\n", "12345", "400"),
        ("encoding in parts", "Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n", "400"),
        ("unknown encoding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", "400"),
    ] {
        let request = format!("POST /first HTTP/1.1\r\nHost: a\r\n{head}\r\n{body}{second}");
        let answer = exchange(&service, request.as_bytes());
        assert_eq!(statuses(&answer), [first], "{name}: {answer}");
    }
    // Two requests that are none of this are two.
    let answer = exchange(&service, format!("{second}{second}").as_bytes());
    assert_eq!(statuses(&answer), ["404", "404"], "{answer}");
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    let service = service();
    let names: String = (0..200).map(|number| format!("X-{number}: a\r\n")).collect();
    for (name, bytes, first) in [
        ("nothing of HTTP", "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n".to_owned(), "400"),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "400"),
        ("HTTP/9", "GET / HTTP/9.9\r\nHost: a\r\n\r\n".to_owned(), "400"),
        ("space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "400"),
        ("200 headers", format!("GET / HTTP/1.1\r\nHost: a\r\n{names}\r\n"), "431"),
        ("long header", format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(1 << 20)), "431"),
        ("long target", format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20)), "4"),
    ] {
        let answer = exchange(&service, bytes.as_bytes());
        assert!(
            statuses(&answer).iter().all(|status| status.starts_with(first)),
            "{name}: {answer}"
        );
        assert!(statuses(&answer).len() <= 1, "{name}: {answer}");
    }
    // An absolute target has the host of the header; bare line feeds are line ends.
    for (target, status) in [("http://a/nothing", "404"), ("http://evil/nothing", "400")] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = exchange(&service, request.as_bytes());
        assert_eq!(statuses(&answer), [status], "{answer}");
    }
    let answer = exchange(&service, b"GET /nothing HTTP/1.1\nHost: a\n\n");
    assert_eq!(statuses(&answer), ["404"], "{answer}");
    assert_eq!(service.get(&analysis("")).status, 200);
}

#[test]
fn long_deep_and_doubled_bodies_are_refused() {
    let service = service();
    let limit = 12 * 1024 * 1024;
    for (body, expected) in [
        (" ".repeat(limit), (400, "DCS.4004")),
        (" ".repeat(limit + 1), (413, "APIGW.0201")),
        (format!("{{\"node_id\":{}{}}}", "[".repeat(1000), "]".repeat(1000)), (400, "DCS.4005")),
        // What is not known is passed by, however deep.
        (format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)), (400, "DCS.4063")),
        ("{\"node_id\": \"a\", \"node_id\": \"b\"}".to_owned(), (400, "DCS.4005")),
    ] {
        let answer = service.call("POST", &analysis(""), &body);
        assert_eq!(answer.code(), expected, "{} bytes", body.len());
    }
}

#[test]
fn slow_clients_are_cut() {
    let service = service();
    let body = service.signed("POST", &analysis(""), b"{}");
    let mut head = format!("POST {} HTTP/1.1\r\nContent-Length: 2\r\n", body.target);
    for (name, value) in &body.headers {
        head += &format!("{name}: {value}\r\n");
    }
    for (name, bytes, status) in [
        ("nothing", String::new(), None),
        ("half a head", "GET / HTTP/1.1\r\nHost:".to_owned(), None),
        ("half a body", format!("{head}\r\n{{"), Some("408")),
    ] {
        let start = Instant::now();
        let answer = exchange(&service, bytes.as_bytes());
        assert_eq!(statuses(&answer).first().copied(), status, "{name}: {answer}");
        let took = start.elapsed();
        assert!(took > Duration::from_millis(900) && took < Duration::from_secs(10), "{took:?}");
    }
    // A head that comes byte by byte is cut at the same time.
    let start = Instant::now();
    let mut stream = TcpStream::connect(service.addr()).unwrap();
    let cut =
        b"GET / HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            .iter()
            .any(|byte| {
                std::thread::sleep(Duration::from_millis(100));
                stream.write_all(&[*byte]).is_err()
            });
    assert!(cut && start.elapsed() < Duration::from_secs(6));
}

#[test]
fn idle_connections_do_not_shut_others_out() {
    let service = service();
    let idle: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(service.addr()).unwrap()).collect();
    let start = Instant::now();
    assert_eq!(service.get(&analysis("")).status, 200);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    drop(idle);
}
