//! An object as one stream: parts are asked for ahead of the reader, side by side, and
//! handed out in order. A fault costs the bytes of one part that had not come yet.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use offkey_analysis::Opened;

use super::request::{Answer, Client, Failure, Version, changed};
use super::{ObjectOptions, UrlNow};
use crate::{Error, ErrorKind};

/// Bytes that must come within the read timeout, and that make a new try a fresh one.
const PROGRESS_LEN: usize = 16 << 10;

/// Longest pause between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Longest sleep without a look whether to go on.
const TICK: Duration = Duration::from_millis(100);

/// Where the bytes come from.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) url: UrlNow,
    pub(super) client: Client,
    pub(super) options: ObjectOptions,
    pub(super) tag: Option<String>,
    pub(super) first: Arc<OnceLock<Version>>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Source {
    /// Asks for the first part, which tells how long the object is.
    pub(super) fn open(self) -> Result<Opened, Error> {
        let last = self.options.part_len.saturating_sub(1);
        let mut tries = Tries::new(&self);
        loop {
            match self.client.range(&self.name, &(self.url)(), (0, last), None) {
                Ok(Answer::Whole { len, body }) => {
                    let name = self.name.clone();
                    let reader = Whole { name, body, len, count: 0, stop: self.stop };
                    return Ok(Opened { reader: Box::new(reader), len });
                }
                Ok(Answer::Part { version, body }) => {
                    let plain = |tag: &str| tag.trim_matches('"').to_owned();
                    let found = version.tag.as_deref().map(plain);
                    if let Some(wanted) = self.tag.as_deref().map(plain)
                        && found.as_ref() != Some(&wanted)
                    {
                        let text = format!("{}: the object changed since it was listed", self.name);
                        return Err(Error::new(ErrorKind::NotFound, text));
                    }
                    if self.first.get_or_init(|| version.clone()) != &version {
                        let text =
                            format!("{}: the object changed since its first reading", self.name);
                        return Err(Error::new(ErrorKind::Changed, text));
                    }
                    let len = Some(version.len);
                    return Ok(Opened { reader: Box::new(Parts::new(self, version, body)), len });
                }
                Err(failure) => tries.after(failure)?,
            }
        }
    }

    /// All bytes of a part; `body` is the rest of an answer that has begun.
    fn part(
        &self,
        (first, last): (u64, u64),
        version: &Version,
        mut body: Option<Box<dyn Read + Send>>,
    ) -> Result<Vec<u8>, Error> {
        let len = usize::try_from(last + 1 - first).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        let mut tries = Tries::new(self);
        loop {
            let at = first + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let answer = match body.take() {
                Some(body) => Ok(body),
                None => self.again((at, last), version),
            };
            let before = bytes.len();
            let failure = match answer {
                Ok(body) => match self.fill(&mut bytes, len, body) {
                    Ok(()) => return Ok(bytes),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            if bytes.len() - before >= PROGRESS_LEN {
                tries = Tries::new(self);
            }
            tries.after(failure)?;
        }
    }

    fn again(&self, range: (u64, u64), version: &Version) -> Result<Box<dyn Read + Send>, Failure> {
        match self.client.range(&self.name, &(self.url)(), range, Some(version))? {
            Answer::Part { version: found, body } if found == *version => Ok(body),
            Answer::Part { .. } | Answer::Whole { .. } => Err(changed(&self.name)),
        }
    }

    /// Reads until `bytes` are `len`; what came before a failure stays.
    fn fill(
        &self,
        bytes: &mut Vec<u8>,
        len: usize,
        mut body: Box<dyn Read + Send>,
    ) -> Result<(), Failure> {
        let passing = |kind, text: String| Failure {
            error: Error::new(kind, format!("{}: {text}", self.name)),
            may_pass: true,
        };
        let mut chunk = vec![0; PROGRESS_LEN];
        let mut since = Instant::now();
        let mut progress = 0;
        while bytes.len() < len {
            if self.stop.load(Ordering::Relaxed) {
                let error = Error::new(ErrorKind::Stopped, format!("{}: stopped", self.name));
                return Err(Failure { error, may_pass: false });
            }
            let want = (len - bytes.len()).min(chunk.len());
            let free = chunk.get_mut(..want).unwrap_or_default();
            let count = body.read(free).map_err(|error| {
                passing(ErrorKind::Unreachable, format!("answer cut off: {error}"))
            })?;
            if count == 0 {
                let text = format!("answer cut off, {} bytes before its end", len - bytes.len());
                return Err(passing(ErrorKind::Unreachable, text));
            }
            bytes.extend_from_slice(free.get(..count).unwrap_or_default());
            progress += count;
            if progress >= PROGRESS_LEN {
                (progress, since) = (0, Instant::now());
            } else if since.elapsed() > self.options.read_timeout {
                let seconds = self.options.read_timeout.as_secs_f32();
                return Err(passing(
                    ErrorKind::TimedOut,
                    format!("too little came for {seconds} s"),
                ));
            }
        }
        Ok(())
    }
}

/// How often a part has been asked for in vain.
struct Tries<'s> {
    source: &'s Source,
    count: u32,
}

impl<'s> Tries<'s> {
    fn new(source: &'s Source) -> Self {
        Self { source, count: 0 }
    }

    /// Waits before another try, or says that there is none.
    fn after(&mut self, failure: Failure) -> Result<(), Error> {
        self.count += 1;
        if !failure.may_pass || self.count >= self.source.options.tries {
            return Err(failure.error);
        }
        let factor = 1_u32.checked_shl(self.count - 1).unwrap_or(u32::MAX);
        let pause = self.source.options.backoff.saturating_mul(factor).min(BACKOFF_MAX);
        let until = Instant::now() + pause;
        while !self.source.stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(TICK));
        }
        Err(failure.error)
    }
}

type Bytes = Result<Vec<u8>, Error>;

/// Parts on their way, in order.
struct Parts {
    source: Source,
    version: Version,
    now: Cursor<Vec<u8>>,
    ahead: VecDeque<Receiver<Bytes>>,
    /// First byte that has not been asked for.
    next: u64,
}

impl Parts {
    fn new(source: Source, version: Version, body: Box<dyn Read + Send>) -> Self {
        let (now, ahead) = (Cursor::default(), VecDeque::new());
        let mut parts = Self { source, version, now, ahead, next: 0 };
        parts.ask(Some(body));
        parts
    }

    /// Asks for the next part in a thread of its own.
    fn ask(&mut self, body: Option<Box<dyn Read + Send>>) {
        let first = self.next;
        let last = (first + self.source.options.part_len).min(self.version.len) - 1;
        self.next = last + 1;
        let (sender, receiver) = sync_channel(1);
        let (source, version) = (self.source.clone(), self.version.clone());
        thread::spawn(move || {
            // Nobody may want it any more.
            let _ = sender.send(source.part((first, last), &version, body));
        });
        self.ahead.push_back(receiver);
    }
}

impl Read for Parts {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = self.now.read(buf)?;
            if len > 0 || buf.is_empty() {
                return Ok(len);
            }
            while self.ahead.len() < self.source.options.parts_ahead.max(1)
                && self.next < self.version.len
            {
                self.ask(None);
            }
            let Some(receiver) = self.ahead.pop_front() else { return Ok(0) };
            let bytes = receiver.recv().map_err(|_| io::Error::other("a part was lost"))??;
            self.now = Cursor::new(bytes);
        }
    }
}

/// All of an object in one answer, which cannot be resumed.
struct Whole {
    name: String,
    body: Box<dyn Read + Send>,
    len: Option<u64>,
    count: u64,
    stop: Arc<AtomicBool>,
}

impl Read for Whole {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let cut = |text: String| {
            let name = &self.name;
            Error::new(
                ErrorKind::Unreachable,
                format!("{name}: answer cut off, and the server cannot resume it: {text}"),
            )
        };
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Stopped, format!("{}: stopped", self.name)).into());
        }
        let len = self.body.read(buf).map_err(|error| cut(error.to_string()))?;
        self.count += u64::try_from(len).unwrap_or(0);
        match self.len {
            Some(all) if len == 0 && !buf.is_empty() && self.count < all => {
                Err(cut(format!("{} of {all} bytes came", self.count)).into())
            }
            _ => Ok(len),
        }
    }
}
