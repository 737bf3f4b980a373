//! Load on loopback, bounded in count and time; OFFKEY_LOAD=full for the figures of the docs.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use crate::fleet::{Choice, Client, Fleet};

/// Idle connections, requests a second, creates a second, seconds.
fn size() -> (usize, u32, u32, u32) {
    match std::env::var("OFFKEY_LOAD").as_deref() {
        Ok("full") => (10_000, 500, 50, 20),
        _ => (500, 100, 20, 3),
    }
}

/// Threads that send; each waits for its answer before it sends again.
const LANES: u32 = 16;

/// What came of requests: how long the accepted and the refused ones took.
#[derive(Debug, Default)]
struct Seen {
    accepted: Vec<Duration>,
    refused: Vec<Duration>,
    failed: Vec<String>,
}

/// Sends at a steady rate, whatever the answers take; `call` has the number of the request.
fn send(rate: u32, seconds: u32, call: impl Fn(u32) -> Result<u16, String> + Sync) -> Seen {
    let seen = Mutex::new(Seen::default());
    let start = Instant::now();
    scope(|scope| {
        for lane in 0..LANES {
            let (seen, call) = (&seen, &call);
            scope.spawn(move || {
                for number in (lane..rate * seconds).step_by(LANES.try_into().unwrap()) {
                    let due = Duration::from_secs(1) * number / rate;
                    sleep(due.saturating_sub(start.elapsed()));
                    let sent = Instant::now();
                    let answer = call(number);
                    let mut seen = seen.lock().unwrap();
                    match answer {
                        Ok(200) => seen.accepted.push(sent.elapsed()),
                        Ok(429 | 503) => seen.refused.push(sent.elapsed()),
                        Ok(status) => seen.failed.push(format!("status {status}")),
                        Err(error) => seen.failed.push(error),
                    }
                }
            });
        }
    });
    seen.into_inner().unwrap()
}

fn percentile(times: &mut [Duration], share: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * share / 100).or(times.last()).copied().unwrap_or_default()
}

#[test]
fn requests_are_answered_beside_thousands_of_idle_connections() {
    let (idle, gets, creates, seconds) = size();
    let mut fleet = Fleet::new(None, 1 + usize::try_from(creates * seconds).unwrap());
    // They are to be there to the end.
    fleet.limits = "header_seconds = 600".to_owned();
    let (server, client) = (fleet.serve("server", 1), fleet.client());
    let task = client.run(&server.addr, 0, &Choice::All);
    let id = task["id"].as_str().unwrap();
    let show = |_| {
        let answer = client.show(&server.addr, 0, id).map_err(|error| error.to_string())?;
        Ok(answer.status)
    };
    // Warm, so that what is compared is the connections alone.
    send(gets, 1, show);
    let (rss_before, files_before) = (server.rss_kb(), server.open_files());
    let connections: Vec<TcpStream> =
        (0..idle).map(|_| TcpStream::connect(&server.addr).unwrap()).collect();
    let mut seen = Seen::default();
    let mut created = Seen::default();
    scope(|scope| {
        let shown = scope.spawn(|| send(gets, seconds, show));
        let made = scope.spawn(|| {
            send(creates, seconds, |number| {
                let instance = 1 + usize::try_from(number).unwrap();
                let answer = client.create(&server.addr, instance, &Choice::All);
                Ok(answer.map_err(|error| error.to_string())?.status)
            })
        });
        (seen, created) = (shown.join().unwrap(), made.join().unwrap());
    });
    let rss = server.rss_kb();
    for mut connection in &connections {
        connection.set_nonblocking(true).unwrap();
        let read = connection.read(&mut [0]);
        assert!(matches!(&read, Err(error) if error.kind() == ErrorKind::WouldBlock), "{read:?}");
    }
    assert!(seen.failed.is_empty() && created.failed.is_empty(), "{seen:?} {created:?}");
    assert!(seen.refused.is_empty() && created.refused.is_empty(), "{seen:?} {created:?}");
    drop(connections);
    let start = Instant::now();
    while server.open_files() > files_before + 2 * usize::try_from(LANES).unwrap() {
        assert!(start.elapsed() < Duration::from_secs(20), "connections stay open");
        sleep(Duration::from_millis(50));
    }
    let kb_each = rss.saturating_sub(rss_before) / u64::try_from(idle).unwrap();
    eprintln!(
        "{idle} idle connections, {gets} GETs/s, {creates} creates/s for {seconds} s: \
         GET p50 {:?} p99 {:?}, create p50 {:?} p99 {:?}, memory {rss_before} to {rss} KB, \
         {kb_each} KB a connection",
        percentile(&mut seen.accepted, 50),
        percentile(&mut seen.accepted, 99),
        percentile(&mut created.accepted, 50),
        percentile(&mut created.accepted, 99),
    );
    assert!(kb_each < 30, "{kb_each} KB a connection");
    // Far above what it takes, for machines that have other things to do.
    assert!(percentile(&mut seen.accepted, 99) < Duration::from_secs(2));
}

#[test]
fn four_times_the_limit_leaves_what_is_within_it() {
    let (.., seconds) = size();
    let limit = 50;
    let mut fleet = Fleet::new(None, 1);
    fleet.requests_per_second = limit;
    let (server, client) = (fleet.serve("server", 0), fleet.client());
    let list = |_| {
        let answer = client.call(&server.addr, "GET", 0, "/offline/key-analysis", "");
        Ok(answer.map_err(|error| error.to_string())?.status)
    };
    // A client that was silent may send some at once.
    send(4 * limit, 2, list);
    let mut seen = send(4 * limit, seconds, list);
    assert!(seen.failed.is_empty(), "{seen:?}");
    let goodput = u32::try_from(seen.accepted.len()).unwrap() * 100 / (limit * seconds);
    eprintln!(
        "four times the limit of {limit} requests/s: {goodput} % of it answered, p99 {:?}; \
         refused p99 {:?}",
        percentile(&mut seen.accepted, 99),
        percentile(&mut seen.refused, 99),
    );
    assert!(goodput >= 90, "{goodput} %");
    assert!(!seen.refused.is_empty());
    assert!(percentile(&mut seen.refused, 99) < Duration::from_secs(1));
    assert!(Client::health(&server.addr).is_ok());
}
