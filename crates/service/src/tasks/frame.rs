//! Frames between a worker and the process that analyses: a kind, a length, the bytes.
//!
//! ```text
//! 70 10 00 00 00 00 00 00 00 ...   progress: bytes read and keys, 8 bytes each
//! ```

use std::io::{self, Read, Write};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To the analysis: what to do, in JSON.
    Job,
    /// To it: what an earlier part has left.
    Blob,
    /// From it: how far it is.
    Progress,
    /// From it: how it ended, in JSON.
    End,
    /// From it: the report or partial.
    Body,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Job, Self::Blob, Self::Progress, Self::End, Self::Body];

    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Job => b'j',
            Self::Blob => b'x',
            Self::Progress => b'p',
            Self::End => b'e',
            Self::Body => b'b',
        }
    }

    pub(super) fn of(byte: u8) -> io::Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.byte() == byte)
            .ok_or_else(|| io::Error::other(format!("no frame begins with byte {byte:#04x}")))
    }
}

/// The nine bytes before those of a frame.
pub(super) fn head(kind: Kind, len: usize) -> [u8; 9] {
    let mut head = [kind.byte(); 9];
    if let Some(rest) = head.last_chunk_mut() {
        *rest = u64::try_from(len).unwrap_or(u64::MAX).to_le_bytes();
    }
    head
}

/// Kind and length in the nine bytes.
pub(super) fn parse_head(head: [u8; 9]) -> io::Result<(Kind, u64)> {
    let [kind, len @ ..] = head;
    Ok((Kind::of(kind)?, u64::from_le_bytes(len)))
}

/// Writes a frame.
pub(super) fn write(to: &mut impl Write, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&head(kind, bytes.len()))?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads a frame of this kind; grows with what comes, whatever the length says.
pub(super) fn read(from: &mut impl Read, kind: Kind) -> io::Result<Vec<u8>> {
    let mut head = [0; 9];
    from.read_exact(&mut head)?;
    let (found, len) = parse_head(head)?;
    if found != kind {
        return Err(io::Error::other(format!("{kind:?} expected, {found:?} found")));
    }
    let mut bytes = Vec::new();
    from.take(len).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(read) if read == len => Ok(bytes),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        write(&mut bytes, Kind::Job, b"{}").unwrap();
        assert_eq!(bytes, b"j\x02\0\0\0\0\0\0\0{}");
        assert_eq!(read(&mut bytes.as_slice(), Kind::Job).unwrap(), b"{}");
        assert!(read(&mut bytes.as_slice(), Kind::Body).is_err());
        for len in 0..bytes.len() {
            assert!(read(&mut bytes.get(..len).unwrap(), Kind::Job).is_err());
        }
        bytes[0] = b'?';
        assert!(read(&mut bytes.as_slice(), Kind::Job).is_err());
    }
}
