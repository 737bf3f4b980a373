//! The data a server sends a replica.
//!
//! ```text
//! \n...                              it is alive and not ready yet
//! $<len>\r\n <len bytes>             the file, from its disk
//! $EOF:<mark>\r\n <bytes> <mark>     the file, as it is being written; the mark has 40 bytes
//! ```

use std::io::{self, Read};

use memchr::memmem;

use super::Connection;
use super::throttle::Throttle;
use crate::error::quoted;
use crate::{Error, ErrorKind};

/// Bytes that must come within [`super::Timeouts::read`].
const PROGRESS_LEN: usize = 16 << 10;

const MARK_LEN: usize = 40;
const CHUNK_LEN: usize = 64 << 10;

/// A payload longer than this is none: 64 TiB.
const LEN_MAX: u64 = 64 << 40;

/// How the end of the data is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Framing {
    Len(u64),
    Mark(Vec<u8>),
}

/// Reads the data; closes the connection at its end, and fails if it ends before.
#[derive(Debug)]
pub(crate) struct Payload {
    connection: Connection,
    framing: Framing,
    throttle: Option<Throttle>,
    /// Bytes of the data handed out.
    count: u64,
    /// Bytes since patience was last renewed.
    progress: usize,
    /// With a mark: bytes that came, of which those up to `safe` are data, and of these
    /// those up to `at` have been handed out.
    window: Vec<u8>,
    at: usize,
    safe: usize,
    is_done: bool,
}

impl Payload {
    /// Reads on after `line`, which must say how the data ends.
    pub(crate) fn after(
        mut connection: Connection,
        line: &[u8],
        bytes_per_second: Option<u64>,
    ) -> Result<Self, Error> {
        let Some(framing) = framing(line) else {
            let found = quoted(line);
            return Err(connection.protocol(&format!(
                "the data should begin with its length or its mark, not with {found}"
            )));
        };
        connection.renew();
        Ok(Self {
            connection,
            framing,
            throttle: bytes_per_second.map(Throttle::new),
            count: 0,
            progress: 0,
            window: Vec::new(),
            at: 0,
            safe: 0,
            is_done: false,
        })
    }

    /// Length of the data, where the server has said.
    pub(crate) fn len(&self) -> Option<u64> {
        match &self.framing {
            Framing::Len(len) => Some(*len),
            Framing::Mark(_) => None,
        }
    }

    fn done(&mut self) -> usize {
        self.is_done = true;
        self.connection.close();
        0
    }

    /// Takes bytes from the line, at the pace that is set.
    fn take(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let mut len_max = buf.len();
        if let Some(throttle) = &self.throttle {
            throttle.pause(self.connection.stop());
            len_max = len_max.min(throttle.chunk_len());
        }
        let len = self.connection.bytes(buf.get_mut(..len_max).unwrap_or_default())?;
        if let Some(throttle) = &mut self.throttle {
            throttle.took(len);
        }
        self.progress += len;
        if self.progress >= PROGRESS_LEN {
            self.progress = 0;
            self.connection.renew();
        }
        Ok(len)
    }

    fn read_len(&mut self, buf: &mut [u8], len: u64) -> Result<usize, Error> {
        let left = len - self.count;
        if left == 0 {
            return Ok(self.done());
        }
        let len_max = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let taken = self.take(buf.get_mut(..len_max).unwrap_or_default())?;
        if taken == 0 {
            return Err(self.cut(&format!("of {len}")));
        }
        Ok(taken)
    }

    fn read_mark(&mut self, buf: &mut [u8], mark: &[u8]) -> Result<usize, Error> {
        while self.at == self.safe {
            if self.window.get(self.safe..).is_some_and(|rest| rest.starts_with(mark)) {
                return Ok(self.done());
            }
            self.window.drain(..self.at);
            (self.at, self.safe) = (0, 0);
            let old_len = self.window.len();
            self.window.resize(old_len + CHUNK_LEN, 0);
            let mut window = std::mem::take(&mut self.window);
            let taken = self.take(window.get_mut(old_len..).unwrap_or_default())?;
            window.truncate(old_len + taken);
            self.window = window;
            if taken == 0 {
                return Err(self.cut("and before the mark of its end"));
            }
            self.safe = memmem::find(&self.window, mark)
                .unwrap_or_else(|| self.window.len().saturating_sub(mark.len() - 1));
        }
        let ready = self.window.get(self.at..self.safe).unwrap_or_default();
        let len = ready.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), ready.get(..len)) {
            to.copy_from_slice(from);
        }
        self.at += len;
        Ok(len)
    }

    #[cold]
    fn cut(&self, of: &str) -> Error {
        self.connection.error(
            ErrorKind::Unreachable,
            &format!("the server closed the connection after {} bytes {of}", self.count),
        )
    }
}

impl Read for Payload {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.is_done || buf.is_empty() {
            return Ok(0);
        }
        let framing = self.framing.clone();
        let len = match &framing {
            Framing::Len(len) => self.read_len(buf, *len)?,
            Framing::Mark(mark) => self.read_mark(buf, mark)?,
        };
        self.count += u64::try_from(len).unwrap_or(0);
        Ok(len)
    }
}

fn framing(line: &[u8]) -> Option<Framing> {
    let rest = line.strip_prefix(b"$")?;
    if let Some(mark) = rest.strip_prefix(b"EOF:") {
        let is_mark = mark.len() == MARK_LEN && mark.iter().all(u8::is_ascii_graphic);
        return is_mark.then(|| Framing::Mark(mark.to_vec()));
    }
    let is_number = rest.iter().all(u8::is_ascii_digit);
    let len = std::str::from_utf8(rest).ok().filter(|_| is_number)?.parse().ok()?;
    (1..=LEN_MAX).contains(&len).then_some(Framing::Len(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framings() {
        let mark = [b'a'; 40];
        let line = [b"$EOF:".as_slice(), &mark].concat();
        assert_eq!(framing(&line), Some(Framing::Mark(mark.to_vec())));
        assert_eq!(framing(b"$123"), Some(Framing::Len(123)));
        for line in [
            "",
            "$",
            "$0",
            "$-1",
            "$+5",
            "$ 5",
            "$5x",
            "$99999999999999999",
            "$EOF:",
            "$EOF:short",
            "+OK",
            "*1",
            "REDIS0011",
        ] {
            assert_eq!(framing(line.as_bytes()), None, "{line}");
        }
    }
}
