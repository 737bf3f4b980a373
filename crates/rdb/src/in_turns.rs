//! Blocks of a file, read by the thread that wants them or ahead of it by another that has nothing
//! else to do.
//!
//! None waits for the other: the helper begins a block further on than the one that is wanted next,
//! and what it has not read by then is read where it is wanted.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::block::{BLOCK_LEN, Block, Blocks, Inline};
use crate::crc64;

/// Blocks that are read before they are wanted.
const BLOCKS_AHEAD: usize = 10;

/// Bytes that can be read from any place, by several threads at a time.
pub trait ReadAt: Send + Sync {
    /// Reads some of the bytes from `offset` on; none at the end.
    ///
    /// # Errors
    /// As [`Read::read`].
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// Blocks for the thread that wants them.
#[derive(Debug)]
pub(crate) struct InTurns {
    inline: Inline<Place<Arc<dyn ReadAt>>>,
    shared: Arc<Shared>,
}

/// Reads ahead in a thread that has nothing else to do.
#[derive(Debug)]
pub struct Helper(Arc<Shared>);

struct Shared {
    source: Arc<dyn ReadAt>,
    /// Whether checksums are wanted.
    checksum: bool,
    stock: Mutex<Stock>,
}

/// Blocks that nobody has at the moment.
#[derive(Debug, Default)]
struct Stock {
    ready: VecDeque<Ready>,
    used: Vec<Block>,
    /// Offset of the block that is wanted next.
    wanted: u64,
    /// Offset behind the last block that was read ahead.
    next: u64,
    /// Whether there is nothing more to read ahead.
    ended: bool,
}

/// A block that was read ahead.
#[derive(Debug)]
struct Ready {
    offset: u64,
    /// The checksum of its own bytes, if one is wanted.
    crc: Option<u64>,
    block: Block,
}

/// A source from some place on.
struct Place<S> {
    source: S,
    offset: u64,
}

impl<S: Deref<Target = dyn ReadAt>> Read for Place<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read_at(buf, self.offset)?;
        self.offset += len as u64;
        Ok(len)
    }
}

impl InTurns {
    pub(crate) fn start(source: impl ReadAt + 'static, checksum: bool) -> (Self, Helper) {
        let source: Arc<dyn ReadAt> = Arc::new(source);
        let from_start = Place { source: Arc::clone(&source), offset: 0 };
        let shared = Arc::new(Shared { source, checksum, stock: Mutex::default() });
        let inline = Inline::new(from_start, checksum);
        (Self { inline, shared: Arc::clone(&shared) }, Helper(shared))
    }
}

impl Blocks for InTurns {
    fn next_block(&mut self, used: Block) -> io::Result<Block> {
        let mut stock = self.shared.stock();
        let offset = stock.wanted;
        stock.wanted += BLOCK_LEN as u64;
        if !used.is_none() {
            stock.used.push(used);
        }
        let ready = match stock.ready.front() {
            Some(first) if first.offset == offset => stock.ready.pop_front(),
            _ => None,
        };
        match ready {
            // What follows a failure or the end is not wanted, should there be something.
            Some(Ready { block, crc, .. }) if self.inline.goes_on() => {
                drop(stock);
                self.inline.source_mut().offset += block.data().len() as u64;
                Ok(self.inline.note(block, crc))
            }
            _ => {
                let used = stock.used.pop().unwrap_or_else(Block::none);
                drop(stock);
                self.inline.next_block(used)
            }
        }
    }
}

impl Helper {
    /// Reads a block, unless enough are read or there is nothing more to read; tells whether there
    /// may be more for it to do.
    pub fn read_ahead(&self) -> bool {
        let mut stock = self.0.stock();
        if stock.ended || stock.ready.len() >= BLOCKS_AHEAD {
            return false;
        }
        let offset = stock.next.max(stock.wanted + BLOCK_LEN as u64);
        stock.next = offset + BLOCK_LEN as u64;
        let mut block = stock.used.pop().unwrap_or_else(Block::empty);
        drop(stock);

        let read = block.fill(&mut Place { source: &*self.0.source, offset });
        // While the bytes are near.
        let crc = self.0.checksum.then(|| crc64::update(0, block.data()));
        let mut stock = self.0.stock();
        // A failure is told by the thread that wants the block, and meets it too.
        stock.ended = read.is_err() || block.data().len() < BLOCK_LEN;
        let is_wanted = read.is_ok() && !block.data().is_empty() && offset >= stock.wanted;
        if is_wanted {
            stock.ready.push_back(Ready { offset, crc, block });
        } else {
            stock.used.push(block);
        }
        !stock.ended
    }
}

impl Shared {
    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("stock", &self.stock).finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Place<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("offset", &self.offset).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;

    use offkey_testkit::Rng;

    use super::*;

    /// Bytes of which each read gives some; one fails that begins at `fails_at`, and none after it.
    struct Bytes {
        bytes: Vec<u8>,
        fails_at: Option<usize>,
        reads: AtomicUsize,
    }

    impl ReadAt for Bytes {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            let offset = usize::try_from(offset).unwrap().min(self.bytes.len());
            let turn = self.reads.fetch_add(1, Ordering::Relaxed);
            if turn % 7 == 3 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let end = match self.fails_at {
                Some(at) if at == offset => return Err(io::Error::other("broken")),
                Some(at) if at > offset => at,
                _ => self.bytes.len(),
            };
            let at_once = if turn.is_multiple_of(3) { 100_000 } else { buf.len() };
            let len = at_once.min(buf.len()).min(end - offset);
            buf[..len].copy_from_slice(&self.bytes[offset..offset + len]);
            Ok(len)
        }
    }

    /// Bytes of which no two blocks are alike.
    fn bytes(seed: u64, len: usize) -> Vec<u8> {
        let some = Rng::new(seed).bytes(10_007);
        some.iter().copied().cycle().take(len).collect()
    }

    /// All that comes, until the end or a failure, with its checksums looked at.
    fn all(blocks: &mut InTurns, mut pause: impl FnMut()) -> (Vec<u8>, io::Result<()>) {
        let (mut found, mut used, mut crc) = (Vec::new(), Block::none(), 0);
        loop {
            pause();
            let block = match blocks.next_block(used) {
                Ok(block) => block,
                Err(error) => return (found, Err(error)),
            };
            if block.data().is_empty() {
                return (found, Ok(()));
            }
            assert_eq!(block.crc_before, crc);
            crc = crate::crc64::update(crc, block.data());
            found.extend_from_slice(block.data());
            used = block;
        }
    }

    fn source(bytes: &[u8], fails_at: Option<usize>) -> Bytes {
        Bytes { bytes: bytes.to_vec(), fails_at, reads: AtomicUsize::new(0) }
    }

    #[test]
    fn bytes_come_in_order_however_much_the_other_helps() {
        for len in [0, 1, BLOCK_LEN - 1, BLOCK_LEN, BLOCK_LEN + 1, 5 * BLOCK_LEN, 2_000_000] {
            let bytes = bytes(len as u64, len);
            for helped in [0, 1, 2, 5, 100] {
                let (mut blocks, helper) = InTurns::start(source(&bytes, None), true);
                let (found, end) = all(&mut blocks, || {
                    for _ in 0..helped {
                        helper.read_ahead();
                    }
                });
                assert!(end.is_ok() && found == bytes, "{len} bytes, helped {helped} times");
            }
        }
    }

    /// Tells the other thread to end, whatever happens.
    struct OnDrop<'d>(&'d AtomicBool);

    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn both_at_once_read_every_byte_once() {
        let bytes = bytes(1, 20 * BLOCK_LEN + 77);
        for round in 0..12 {
            let (mut blocks, helper) = InTurns::start(source(&bytes, None), true);
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                let _told = OnDrop(&done);
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        if !helper.read_ahead() || round % 3 == 0 {
                            thread::yield_now();
                        }
                    }
                });
                let (found, end) = all(&mut blocks, || {
                    if round % 2 == 0 {
                        thread::yield_now();
                    }
                });
                assert!(end.is_ok() && found == bytes, "round {round}");
            });
        }
    }

    #[test]
    fn a_failure_is_told_after_the_bytes_before_it() {
        let bytes = bytes(2, 6 * BLOCK_LEN);
        for fails_at in [0, 1, BLOCK_LEN, 3 * BLOCK_LEN - 5, 3 * BLOCK_LEN, 5 * BLOCK_LEN + 100] {
            for helped in [0, 1, 3, 20] {
                let (mut blocks, helper) = InTurns::start(source(&bytes, Some(fails_at)), true);
                let (found, end) = all(&mut blocks, || {
                    for _ in 0..helped {
                        helper.read_ahead();
                    }
                });
                let error = end.expect_err("the source fails");
                assert_eq!(error.to_string(), "broken");
                assert!(found == bytes[..fails_at], "at {fails_at}, helped {helped} times");
            }
        }
    }

    /// A file that grows while it is read.
    struct Growing(AtomicUsize);

    impl ReadAt for Growing {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            let len = 2 * BLOCK_LEN + 1000 * (self.0.fetch_add(1, Ordering::Relaxed) / 3);
            let len = len.saturating_sub(usize::try_from(offset).unwrap()).min(buf.len());
            buf[..len].fill(7);
            Ok(len)
        }
    }

    #[test]
    fn nothing_comes_after_the_end_of_a_file_that_grows() {
        for helped in [0, 1, 2] {
            let (mut blocks, helper) = InTurns::start(Growing(AtomicUsize::new(0)), false);
            let (mut used, mut lens) = (Block::none(), Vec::new());
            for turn in 0..20 {
                for _ in 0..(helped * turn) % 4 {
                    helper.read_ahead();
                }
                used = blocks.next_block(used).unwrap();
                lens.push(used.data().len());
            }
            let whole = lens.iter().take_while(|len| **len == BLOCK_LEN).count();
            assert!(lens[whole + 1..].iter().all(|len| *len == 0), "{lens:?}");
        }
    }

    #[test]
    fn no_more_is_read_ahead_than_was_agreed() {
        let bytes = bytes(3, 20 * BLOCK_LEN);
        let (mut blocks, helper) = InTurns::start(source(&bytes, None), false);
        assert_eq!((0..100).filter(|_| helper.read_ahead()).count(), BLOCKS_AHEAD);
        // One that was left to the thread that wants it, and one of those.
        let used = blocks.next_block(Block::none()).unwrap();
        assert!(!helper.read_ahead());
        blocks.next_block(used).unwrap();
        assert!(helper.read_ahead());
        assert!(!helper.read_ahead());
    }
}
