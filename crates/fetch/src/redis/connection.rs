//! A connection to one server: every wait on it has an end.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

use super::resp::{DEPTH_MAX, REPLY_LEN_MAX, Reply, command};
use super::{Access, Address, Timeouts};
use crate::error::quoted;
use crate::{Error, ErrorKind, Networks};

/// How often a waiting read looks whether it should still wait.
const TICK: Duration = Duration::from_millis(200);

/// Longest line before the data.
const LINE_LEN_MAX: usize = 1 << 10;

/// Longest line of an answer: an error, or a status.
const REPLY_LINE_LEN_MAX: usize = 64 << 10;

/// Errors with which a server that will not serve `PING` shows that it is one.
const SIGNS_OF_REDIS: [&str; 6] = ["NOAUTH", "NOPERM", "LOADING", "MASTERDOWN", "BUSY", "DENIED"];

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A connection that has been logged in; closed when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    /// Name of the server in messages.
    name: String,
    timeouts: Timeouts,
    /// How much longer to wait; see [`Connection::renew`].
    patience: Duration,
    stop: Arc<AtomicBool>,
    /// Bytes that were read and not used, from `at` on.
    buffer: Vec<u8>,
    at: usize,
}

impl Connection {
    /// Connects to `address`, makes sure that it is a server of the right kind, and only
    /// then shows it the password. `networks` limits where an address that another server
    /// named may lead.
    pub(crate) fn open(
        address: &Address,
        access: &Access,
        networks: Option<&Networks>,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        let tcp = connect(address, networks, access.timeouts.connect)?;
        let failed =
            |error: io::Error| Error::new(ErrorKind::Unreachable, format!("{address}: {error}"));
        tcp.set_read_timeout(Some(TICK)).map_err(failed)?;
        tcp.set_write_timeout(Some(access.timeouts.read)).map_err(failed)?;
        tcp.set_nodelay(true).map_err(failed)?;
        let stream = match &access.tls {
            None => Stream::Plain(tcp),
            Some(tls) => Stream::Tls(Box::new(StreamOwned::new(tls.client(&address.host)?, tcp))),
        };
        let mut connection = Self {
            stream,
            name: address.to_string(),
            timeouts: access.timeouts,
            patience: access.timeouts.read,
            stop: Arc::clone(stop),
            buffer: Vec::new(),
            at: 0,
        };
        connection.greet()?;
        connection.log_in(access)?;
        Ok(connection)
    }

    /// Makes sure that the peer speaks the protocol.
    fn greet(&mut self) -> Result<(), Error> {
        match self.call(&[b"PING"])? {
            Reply::Status(pong) if pong == "PONG" => Ok(()),
            Reply::Error(text) if text.starts_with("DENIED") => {
                Err(self.refused(&format!("the server is in protected mode: {text}")))
            }
            Reply::Error(text) if SIGNS_OF_REDIS.iter().any(|sign| text.starts_with(sign)) => {
                Ok(())
            }
            other => Err(self.protocol(&format!(
                "this is no Redis server, it answers PING with {}; nothing else was sent",
                described(&other)
            ))),
        }
    }

    fn log_in(&mut self, access: &Access) -> Result<(), Error> {
        let Some(password) = &access.password else { return Ok(()) };
        let password = password.expose().as_bytes();
        let reply = match &access.user {
            Some(user) => self.call(&[b"AUTH", user.as_bytes(), password])?,
            None => self.call(&[b"AUTH", password])?,
        };
        match reply {
            Reply::Status(_) => Ok(()),
            Reply::Error(text) => Err(self.refused(&format!("login refused: {text}"))),
            other => Err(self.unexpected("AUTH", &other)),
        }
    }

    /// Sends a command and waits for the answer, which may be an error.
    pub(crate) fn call(&mut self, words: &[&[u8]]) -> Result<Reply, Error> {
        self.send(words)?;
        self.reply()
    }

    pub(crate) fn send(&mut self, words: &[&[u8]]) -> Result<(), Error> {
        let bytes = command(words);
        let sent = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(&bytes),
            // The handshake happens here; its reads may wait for longer than a tick.
            Stream::Tls(stream) => write_tls(stream, &bytes, self.timeouts.connect, &self.stop),
        };
        sent.map_err(|error| self.broken(&error))
    }

    fn reply(&mut self) -> Result<Reply, Error> {
        self.renew();
        let mut left = REPLY_LEN_MAX;
        self.nested_reply(&mut left, DEPTH_MAX)
    }

    fn nested_reply(&mut self, left: &mut usize, depth: u32) -> Result<Reply, Error> {
        let line = self.line(REPLY_LINE_LEN_MAX.min(*left))?;
        *left = left.saturating_sub(line.len().max(1));
        let Some((kind, rest)) = line.split_first() else {
            return Err(self.protocol("an empty line came for an answer"));
        };
        let text = || String::from_utf8_lossy(rest).into_owned();
        let number = || std::str::from_utf8(rest).ok().and_then(|text| text.parse::<i64>().ok());
        match (kind, number()) {
            (b'+', _) => Ok(Reply::Status(text())),
            (b'-', _) => Ok(Reply::Error(text())),
            (b':', Some(number)) => Ok(Reply::Integer(number)),
            (b'$' | b'*', Some(-1)) => Ok(Reply::Bulk(None)),
            (b'$', Some(len)) => match usize::try_from(len) {
                Ok(len) if len <= *left => {
                    *left -= len;
                    self.bulk(len).map(|bytes| Reply::Bulk(Some(bytes)))
                }
                _ => Err(self.protocol(&format!("an answer announces {len} bytes"))),
            },
            (b'*', Some(count)) if depth > 0 => {
                // No room is reserved for a count that need not be true.
                let mut replies = Vec::new();
                for _ in 0..count {
                    replies.push(self.nested_reply(left, depth - 1)?);
                    if *left == 0 {
                        return Err(self.protocol("an answer is longer than 4 MiB"));
                    }
                }
                Ok(Reply::Array(replies))
            }
            _ => Err(self.not_redis(&line)),
        }
    }

    fn bulk(&mut self, len: usize) -> Result<Vec<u8>, Error> {
        while self.unused().len() < len + 2 {
            self.fill()?;
        }
        let bytes = self.unused().get(..len).unwrap_or_default().to_vec();
        self.use_up(len + 2);
        Ok(bytes)
    }

    /// The next line without its end, which is `\r\n` or `\n`.
    fn line(&mut self, len_max: usize) -> Result<Vec<u8>, Error> {
        let mut looked_at = 0;
        loop {
            let unused = self.unused();
            let new = unused.get(looked_at..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', new) {
                let end = looked_at + end;
                let line = unused.get(..end).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.use_up(end + 1);
                return Ok(line);
            }
            looked_at = unused.len();
            if looked_at > len_max {
                let head = unused.get(..looked_at.min(64)).unwrap_or_default().to_vec();
                return Err(self.not_redis(&head));
            }
            self.fill()?;
        }
    }

    /// The next line that is not empty. A server that is not ready sends empty ones to show
    /// that it is alive, and may do so for [`Timeouts::start`].
    pub(crate) fn line_after_keep_alives(&mut self) -> Result<Vec<u8>, Error> {
        let since = Instant::now();
        loop {
            self.renew();
            let line = self.line(LINE_LEN_MAX)?;
            if !line.is_empty() {
                return Ok(line);
            }
            if since.elapsed() > self.timeouts.start {
                let timeout = self.timeouts.start.as_secs_f32();
                let text = format!("the server was not ready to send its data for {timeout} s");
                return Err(self.error(ErrorKind::TimedOut, &text));
            }
        }
    }

    /// Bytes of the data: those read already, else what comes next; 0 is the end.
    pub(crate) fn bytes(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let unused = self.unused();
        if unused.is_empty() {
            return self.wait(buf);
        }
        let len = unused.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), unused.get(..len)) {
            to.copy_from_slice(from);
        }
        self.use_up(len);
        Ok(len)
    }

    fn unused(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn use_up(&mut self, len: usize) {
        self.at += len;
        if self.at >= self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        }
    }

    /// Reads more into the buffer.
    fn fill(&mut self) -> Result<(), Error> {
        let mut chunk = vec![0; 16 << 10];
        let len = self.wait(&mut chunk)?;
        if len == 0 {
            return Err(self.closed());
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(chunk.get(..len).unwrap_or_default());
        Ok(())
    }

    fn read_once(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.read(buf),
            Stream::Tls(stream) => match stream.read(buf) {
                // Servers close without the farewell that TLS asks for.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                result => result,
            },
        }
    }

    /// Waits from now on for [`Timeouts::read`] in all until this is called again, so that
    /// a server which sends a byte now and then does not hold us for ever.
    pub(crate) fn renew(&mut self) {
        self.patience = self.timeouts.read;
    }

    /// Reads until something comes, patience is at its end or nobody wants it any more.
    fn wait(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let since = Instant::now();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(self.error(ErrorKind::Stopped, "stopped"));
            }
            if since.elapsed() >= self.patience {
                let timeout = self.timeouts.read.as_secs_f32();
                return Err(
                    self.error(ErrorKind::TimedOut, &format!("too little came for {timeout} s"))
                );
            }
            match self.read_once(buf) {
                Ok(len) => {
                    self.patience = self.patience.saturating_sub(since.elapsed());
                    return Ok(len);
                }
                Err(error) if is_tick(&error) => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    /// Closes it, so that the server sees no replica any more.
    pub(crate) fn close(&mut self) {
        let tcp = match &mut self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &mut stream.sock,
        };
        // It fails where the server was first.
        let _ = tcp.shutdown(Shutdown::Both);
    }

    pub(crate) fn stop(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    #[cold]
    pub(crate) fn error(&self, kind: ErrorKind, text: &str) -> Error {
        Error::new(kind, format!("{}: {text}", self.name))
    }

    pub(crate) fn refused(&self, text: &str) -> Error {
        self.error(ErrorKind::Refused, text)
    }

    pub(crate) fn protocol(&self, text: &str) -> Error {
        self.error(ErrorKind::Protocol, text)
    }

    pub(crate) fn unexpected(&self, to: &str, reply: &Reply) -> Error {
        self.protocol(&format!("unexpected answer to {to}: {}", described(reply)))
    }

    pub(crate) fn closed(&self) -> Error {
        self.error(ErrorKind::Unreachable, "the server closed the connection")
    }

    fn not_redis(&self, found: &[u8]) -> Error {
        let hint = match (&self.stream, found) {
            (Stream::Plain(_), [0x15, 3, ..]) => "; it expects TLS: use rediss://",
            _ => "",
        };
        self.protocol(&format!("this does not speak the Redis protocol: {}{hint}", quoted(found)))
    }

    fn broken(&self, error: &io::Error) -> Error {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidMessage(_)) => {
                self.protocol("this does not speak TLS: use redis:// if that is meant")
            }
            Some(tls) => self.error(ErrorKind::Unreachable, &format!("TLS: {tls}")),
            None => self.error(ErrorKind::Unreachable, &format!("connection lost: {error}")),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Connects to the first of the addresses that answers; a name is looked up once, and what
/// was checked is what is connected to.
fn connect(
    address: &Address,
    networks: Option<&Networks>,
    timeout: Duration,
) -> Result<TcpStream, Error> {
    let found = address.resolve()?;
    if let Some(networks) = networks
        && let Some(other) = found.iter().find(|found| !networks.allows(found.ip()))
    {
        return Err(Error::new(
            ErrorKind::NotAllowed,
            format!("{address}: {} is not in the allowed networks: {networks}", other.ip()),
        ));
    }
    let mut failure = String::new();
    for socket in found {
        match TcpStream::connect_timeout(&socket, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error.to_string(),
        }
    }
    Err(Error::new(ErrorKind::Unreachable, format!("{address}: cannot connect: {failure}")))
}

fn is_tick(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// Writes all of `bytes`, going on where the handshake waits for the peer.
fn write_tls(
    stream: &mut StreamOwned<ClientConnection, TcpStream>,
    bytes: &[u8],
    timeout: Duration,
    stop: &AtomicBool,
) -> io::Result<()> {
    let since = Instant::now();
    stream.conn.writer().write_all(bytes)?;
    loop {
        let wants_peer = stream.conn.is_handshaking();
        if !wants_peer && !stream.conn.wants_write() {
            return Ok(());
        }
        match stream.conn.complete_io(&mut stream.sock) {
            Ok(_) => {}
            Err(error) if is_tick(&error) => {}
            Err(error) => return Err(error),
        }
        if stop.load(Ordering::Relaxed) || since.elapsed() > timeout {
            return Err(io::Error::other(format!(
                "no TLS session came about in {} s; use redis:// if the server has no TLS",
                timeout.as_secs_f32()
            )));
        }
    }
}

fn described(reply: &Reply) -> String {
    match reply {
        Reply::Status(text) => quoted(text.as_bytes()),
        Reply::Error(text) => format!("the error {}", quoted(text.as_bytes())),
        Reply::Integer(number) => number.to_string(),
        Reply::Bulk(Some(bytes)) => quoted(bytes),
        Reply::Bulk(None) => "nothing".to_owned(),
        Reply::Array(replies) => format!("a list of {}", replies.len()),
    }
}
