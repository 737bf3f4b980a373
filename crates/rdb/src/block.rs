//! Blocks: how bytes come from their source, with the checksum of all bytes before them.
//!
//! A block is a buffer whose first [`HEADROOM`] bytes are left free. When a record
//! straddles two blocks, the rest of the first is copied into the headroom of the second,
//! so that a reader always sees its bytes in one piece without a buffer that grows.

use std::io::{self, Read};
use std::iter::repeat_n;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::crc64;
use crate::in_turns::{Helper, InTurns, ReadAt};

/// Bytes kept free before a block's data: the most that can be asked for in one piece.
pub(crate) const HEADROOM: usize = 64 << 10;

/// Bytes of data in a block. Small enough to stay in a core's cache between the reading,
/// the checksum and the parsing.
pub(crate) const BLOCK_LEN: usize = 256 << 10;

/// Blocks that travel between the two threads of [`read_ahead`].
const BLOCKS_AHEAD: usize = 16;

/// Used blocks that go back together: the reading thread mostly waits for them, and to wake it
/// takes longer than to fill one.
const BLOCKS_BACK: usize = 8;

/// A piece of the input.
#[derive(Debug)]
pub struct Block {
    /// [`HEADROOM`] free bytes, then the data. Shared with what is still to be checked of it.
    pub(crate) buf: Arc<[u8]>,
    /// End of the data in `buf`. A block without data is the end of the input.
    pub(crate) end: usize,
    /// Checksum of all bytes of the input before this block's data.
    pub(crate) crc_before: u64,
}

impl Block {
    /// A block of no data, which owns a buffer for some.
    pub(crate) fn empty() -> Self {
        let buf = repeat_n(0, HEADROOM + BLOCK_LEN).collect();
        Self { buf, end: HEADROOM, crc_before: 0 }
    }

    /// The place of a block that is away or not made yet.
    pub(crate) fn none() -> Self {
        Self { buf: Arc::default(), end: HEADROOM, crc_before: 0 }
    }

    /// Whether it has no buffer.
    pub(crate) fn is_none(&self) -> bool {
        self.buf.is_empty()
    }

    /// The bytes read into this block, without what was copied before them.
    pub(crate) fn data(&self) -> &[u8] {
        self.buf.get(HEADROOM..self.end).unwrap_or_default()
    }

    /// The bytes, to be written; they become a copy if others share them.
    pub(crate) fn buf_mut(&mut self) -> &mut [u8] {
        Arc::make_mut(&mut self.buf)
    }

    /// Whether others have to do with the bytes.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.buf) > 1
    }

    /// Reads until the block is full or the input ends; the block holds what was read
    /// before a failure.
    pub(crate) fn fill(&mut self, source: &mut impl Read) -> io::Result<()> {
        self.end = HEADROOM;
        let buf = Arc::make_mut(&mut self.buf);
        while let Some(free) = buf.get_mut(self.end..).filter(|free| !free.is_empty()) {
            match source.read(free) {
                Ok(0) => break,
                Ok(len) => self.end += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Where blocks come from: the caller's thread or one that reads ahead.
pub trait Blocks {
    /// Takes back a used block and hands out the next one; one without data is the end.
    ///
    /// # Errors
    /// Those of the source.
    fn next_block(&mut self, used: Block) -> io::Result<Block>;
}

/// Reads in the caller's thread.
#[derive(Debug)]
pub struct Inline<R> {
    source: R,
    crc: Option<u64>,
    /// Whether the source has ended; it is not asked again, should the file grow.
    ended: bool,
    /// A failure to report once the bytes before it are used up.
    failure: Option<io::Error>,
}

impl<R: Read> Inline<R> {
    pub(crate) fn new(source: R, checksum: bool) -> Self {
        Self { source, crc: checksum.then_some(0), ended: false, failure: None }
    }

    /// Whether the source has neither failed nor ended so far.
    pub(crate) fn goes_on(&self) -> bool {
        !self.ended && self.failure.is_none()
    }

    pub(crate) fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// Notes of the next block whether it is the last one, and in it the checksum of those before;
    /// `own` is its own if that was computed.
    pub(crate) fn note(&mut self, mut block: Block, own: Option<u64>) -> Block {
        self.ended = block.end < block.buf.len();
        if let Some(crc) = &mut self.crc {
            block.crc_before = *crc;
            *crc = match own {
                Some(own) => crc64::append(*crc, own, block.data().len()),
                None => crc64::update(*crc, block.data()),
            };
        }
        block
    }
}

impl<R: Read> Blocks for Inline<R> {
    fn next_block(&mut self, mut block: Block) -> io::Result<Block> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.ended {
            return Ok(Block::none());
        }
        if block.is_none() {
            block = Block::empty(); // A small file needs no more than one.
        }
        match block.fill(&mut self.source) {
            Ok(()) => {}
            Err(failure) if block.data().is_empty() => return Err(failure),
            Err(failure) => self.failure = Some(failure),
        }
        Ok(self.note(block, None))
    }
}

/// Blocks that another thread has read before they are wanted, all of them or as many as it had the
/// time for.
#[derive(Debug)]
pub struct ReadAhead(Way);

#[derive(Debug)]
enum Way {
    Thread(Thread),
    InTurns(InTurns),
}

/// A thread that does nothing else.
#[derive(Debug)]
struct Thread {
    full: Receiver<io::Result<Block>>,
    used: SyncSender<Block>,
    /// Used blocks that are still to go back.
    held: Vec<Block>,
}

impl ReadAhead {
    /// Starts a thread that reads `source` a few blocks ahead; it ends with the source or
    /// when the blocks are no longer wanted.
    pub(crate) fn start(source: impl Read + Send + 'static, checksum: bool) -> Self {
        Self(Way::Thread(Thread::start(source, checksum)))
    }

    /// Has `source` read ahead by whoever has the helper, and in between by who wants the blocks.
    pub(crate) fn in_turns(source: impl ReadAt + 'static, checksum: bool) -> (Self, Helper) {
        let (blocks, helper) = InTurns::start(source, checksum);
        (Self(Way::InTurns(blocks)), helper)
    }
}

impl Thread {
    fn start(source: impl Read + Send + 'static, checksum: bool) -> Self {
        let (full_sender, full) = sync_channel(BLOCKS_AHEAD);
        let (used, used_receiver) = sync_channel::<Block>(BLOCKS_AHEAD + 2);
        for _ in 0..BLOCKS_AHEAD {
            // The channel has room for all of them and its receiver is alive. They are made when
            // they are wanted.
            let _ = used.send(Block::none());
        }
        thread::spawn(move || {
            let mut blocks = Inline::new(source, checksum);
            while let Ok(block) = used_receiver.recv() {
                let result = blocks.next_block(block);
                let last = !matches!(&result, Ok(block) if !block.data().is_empty());
                if full_sender.send(result).is_err() || last {
                    break;
                }
            }
        });
        Self { full, used, held: Vec::with_capacity(BLOCKS_BACK) }
    }
}

impl Blocks for ReadAhead {
    fn next_block(&mut self, used: Block) -> io::Result<Block> {
        match &mut self.0 {
            Way::Thread(thread) => thread.next_block(used),
            Way::InTurns(blocks) => blocks.next_block(used),
        }
    }
}

impl Blocks for Thread {
    fn next_block(&mut self, used: Block) -> io::Result<Block> {
        self.held.push(used);
        if self.held.len() == BLOCKS_BACK {
            for block in self.held.drain(..) {
                // The thread has ended once the source has; its blocks are dropped then.
                let _ = self.used.send(block);
            }
        }
        self.full.recv().unwrap_or_else(|_| Ok(Block::empty()))
    }
}
