//! Where a packed blob's bytes come from: memory, the input, or an LZF stream.
//!
//! Packed decoders are written once against [`Source`]. Blobs that fit are walked in
//! memory; a bigger one is walked as it passes, so that no blob is too big.

use crate::block::Blocks;
use crate::error::{Error, PackedError};
use crate::input::Input;

/// Why a blob's walk ended early.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The blob is damaged; what follows it can still be read.
    Damage(PackedError),
    /// Nothing more can be read.
    Stop(Error),
}

impl From<PackedError> for Fault {
    fn from(error: PackedError) -> Self {
        Fault::Damage(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Stop(error)
    }
}

/// A blob's bytes, from first to last.
pub(crate) trait Source {
    /// The next bytes, at least `want` (at most 128) of them unless the blob ends before.
    fn peek(&mut self, want: usize) -> Result<&[u8], Fault>;

    /// As [`Source::peek`], with the number of the next bytes: what follows them in the answer
    /// is not the blob's, and lets its last bytes be read like all others.
    #[inline]
    fn peek_padded(&mut self, want: usize) -> Result<(&[u8], usize), Fault> {
        self.peek(want).map(|bytes| (bytes, bytes.len()))
    }

    /// Passes `len` bytes, which need not have been peeked at but must be in the blob.
    fn skip(&mut self, len: u64) -> Result<(), Fault>;

    /// Bytes left in the blob.
    fn left(&self) -> u64;
}

/// A blob in memory.
#[derive(Debug)]
pub(crate) struct Slice<'a>(pub(crate) &'a [u8]);

impl Source for Slice<'_> {
    #[inline]
    fn peek(&mut self, _: usize) -> Result<&[u8], Fault> {
        Ok(self.0)
    }

    #[inline]
    fn skip(&mut self, len: u64) -> Result<(), Fault> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.0 = self.0.get(len..).unwrap_or_default();
        Ok(())
    }

    #[inline]
    fn left(&self) -> u64 {
        self.0.len() as u64
    }
}

/// A blob in memory, with what follows it there.
#[derive(Debug)]
pub(crate) struct Padded<'a> {
    bytes: &'a [u8],
    /// How many of the bytes are the blob's.
    left: usize,
}

impl<'a> Padded<'a> {
    /// A blob that begins `bytes` and has `len` of them.
    pub(crate) fn new(bytes: &'a [u8], len: usize) -> Self {
        Self { bytes, left: len.min(bytes.len()) }
    }
}

impl Source for Padded<'_> {
    #[inline]
    fn peek(&mut self, _: usize) -> Result<&[u8], Fault> {
        Ok(self.bytes.get(..self.left).unwrap_or_default())
    }

    #[inline]
    fn peek_padded(&mut self, _: usize) -> Result<(&[u8], usize), Fault> {
        Ok((self.bytes, self.left))
    }

    #[inline]
    fn skip(&mut self, len: u64) -> Result<(), Fault> {
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(self.left);
        self.bytes = self.bytes.get(len..).unwrap_or_default();
        self.left -= len;
        Ok(())
    }

    #[inline]
    fn left(&self) -> u64 {
        self.left as u64
    }
}

/// A blob that is still in the input, of which `left` bytes are to come.
#[derive(Debug)]
pub(crate) struct Passing<'a, B> {
    pub(crate) input: &'a mut Input<B>,
    pub(crate) left: u64,
}

impl<B: Blocks> Source for Passing<'_, B> {
    fn peek(&mut self, want: usize) -> Result<&[u8], Fault> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        if self.input.peek_some(want.min(left))?.len() < want.min(left) {
            return Err(Fault::Stop(self.input.truncated(self.left)));
        }
        let bytes = self.input.rest();
        Ok(bytes.get(..left).unwrap_or(bytes))
    }

    fn skip(&mut self, len: u64) -> Result<(), Fault> {
        self.input.skip(len)?;
        self.left -= len;
        Ok(())
    }

    fn left(&self) -> u64 {
        self.left
    }
}
