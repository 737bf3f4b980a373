//! An S3 server (moto, a Python package), and before it a relay that makes faults.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use offkey_testkit::{free_port, repo_path};

/// What happens to the answer of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Another status, with an error of this code.
    Status(u16, &'static str),
    /// The connection is closed after so many bytes of the body.
    Short(usize),
    /// Another `ETag`.
    Changed,
    /// One byte a second.
    Slow,
    /// The connection is closed before any answer.
    Reset,
    /// The whole object, whatever range was asked for, and closed after so many bytes.
    NoRanges(usize),
}

/// Decides on the fault of a request, by its number.
pub(crate) type Decide = Box<dyn FnMut(usize) -> Fault + Send>;

/// A running server and its relay.
pub(crate) struct Peer {
    moto: Child,
    moto_port: u16,
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    decide: Decide,
    requests: Vec<String>,
    body_len: usize,
}

impl Peer {
    /// Starts both; `None` where moto is not installed.
    pub(crate) fn start() -> Option<Self> {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let program = repo_path(target).join("venv/bin/moto_server");
        if !program.exists() {
            let required = std::env::var("OFFKEY_SERVERS").is_ok_and(|value| value == "required");
            assert!(!required, "not installed: {}", program.display());
            eprintln!("no {}: nothing is tested", program.display());
            return None;
        }
        let moto_port = free_port();
        let moto = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &moto_port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let state = State { decide: Box::new(|_| Fault::None), requests: Vec::new(), body_len: 0 };
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let its_state = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&its_state);
                thread::spawn(move || relay(stream.unwrap(), moto_port, &state).ok());
            }
        });
        let peer = Self { moto, moto_port, port, state };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", moto_port)).is_err() {
            assert!(since.elapsed() < Duration::from_secs(60), "moto does not start");
            thread::sleep(Duration::from_millis(50));
        }
        peer.put("/backups", b"");
        Some(peer)
    }

    /// Stores an object, or makes a bucket.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            bytes.len()
        );
        let answer = ask(self.moto_port, &[head.as_bytes(), bytes].concat()).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Begins to count anew.
    pub(crate) fn set(&self, decide: impl FnMut(usize) -> Fault + Send + 'static) {
        let fresh = State { decide: Box::new(decide), requests: Vec::new(), body_len: 0 };
        *self.state.lock().unwrap() = fresh;
    }

    /// Heads of the requests since then.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Bytes of bodies that were sent since then.
    pub(crate) fn body_len(&self) -> usize {
        self.state.lock().unwrap().body_len
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.moto.kill();
        let _ = self.moto.wait();
    }
}

fn ask(port: u16, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn relay(mut client: TcpStream, moto_port: u16, state: &Mutex<State>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let text = String::from_utf8(request).unwrap();
    let fault = {
        let mut state = state.lock().unwrap();
        state.requests.push(text.clone());
        let number = state.requests.len() - 1;
        (state.decide)(number)
    };
    let without = |name: &str, text: &str| -> String {
        let keep = |line: &&str| !line.to_ascii_lowercase().starts_with(name);
        text.split_inclusive("\r\n").filter(keep).collect()
    };
    let mut asked = without("connection:", &text).replacen("\r\n", "\r\nConnection: close\r\n", 1);
    if matches!(fault, Fault::NoRanges(_)) {
        asked = without("range:", &asked);
    }
    let answer = match fault {
        Fault::Reset => return Ok(()),
        Fault::Status(status, code) => {
            let body =
                format!("<Error><Code>{code}</Code><Message>made for a test</Message></Error>");
            format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        }
        Fault::None | Fault::Short(_) | Fault::Changed | Fault::Slow | Fault::NoRanges(_) => {
            ask(moto_port, asked.as_bytes())?
        }
    };
    let head_len = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap() + 4;
    let (head, body) = answer.split_at(head_len);
    let mut head = String::from_utf8(head.to_vec()).unwrap();
    if fault == Fault::Changed {
        head = without("etag:", &head).replacen("\r\n", "\r\nETag: \"another\"\r\n", 1);
    }
    client.write_all(head.as_bytes())?;
    let len = match fault {
        Fault::Short(len) | Fault::NoRanges(len) => len.min(body.len()),
        _ => body.len(),
    };
    for chunk in body[..len].chunks(if fault == Fault::Slow { 1 } else { 4096 }) {
        // Counted first: the peer may be done before this thread goes on.
        state.lock().unwrap().body_len += chunk.len();
        client.write_all(chunk)?;
        if fault == Fault::Slow {
            thread::sleep(Duration::from_secs(1));
        }
    }
    Ok(())
}
