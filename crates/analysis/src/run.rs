//! From inputs to one report: passes over the inputs, side by side on all cores.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use crate::aggregate::prefixes::Wanted;
use crate::facts::KeyFacts;
use crate::input::{self, Observe};
use crate::key_row::KeyRun;
use crate::source::{Input, Meter, Source, SourceError};
use crate::strings::StringRun;
use crate::summary::Summary;
use crate::{DamagedKey, InputInfo, Options, Report};

/// Told how far an analysis is; answers whether it should go on.
///
/// Called from the reading threads about every 256 KiB.
pub trait Progress: Sync {
    /// `bytes_read` of all inputs together, `key_count` so far. A second pass reads the bytes
    /// again, so that there are up to twice as many; its keys are counted already.
    ///
    /// # Errors
    /// [`Cancelled`] stops the analysis.
    fn advanced(&self, bytes_read: u64, key_count: u64) -> Result<(), Cancelled>;
}

/// The analysis was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

impl Progress for () {
    fn advanced(&self, _: u64, _: u64) -> Result<(), Cancelled> {
        Ok(())
    }
}

/// Analyses `inputs`, such as paths, into one merged report.
///
/// A bad input does not fail the analysis: what could be read of it is counted, its
/// [`InputInfo::error`] says why it stopped and the report is not `complete`.
///
/// Where prefixes outgrew their memory the inputs are read a second time, to count the
/// leading ones exactly.
///
/// # Errors
/// Only [`Cancelled`], if `progress` asked for it.
pub fn analyze<I: Clone + Into<Input>>(
    inputs: &[I],
    options: &Options,
    progress: &dyn Progress,
) -> Result<Report, Cancelled> {
    let inputs = expanded(inputs.iter().cloned().map(Into::into));
    let run = Run { options, progress: Shared::new(progress) };
    let mut summary = run.pass(&inputs, Summary::new(options, run.part_memory(&inputs)))?;
    let can_read_again = inputs.iter().all(|input| input.as_ref().is_ok_and(Input::can_read_again));
    if summary.prefixes.is_pruned() && can_read_again {
        let mut again = Summary::new(options, 0);
        std::mem::swap(&mut again.prefixes, &mut summary.prefixes);
        let floors = again.prefixes.freeze_whole();
        summary.recounted(run.pass(&inputs, again)?, floors);
    }
    Ok(Report::new(&summary, options))
}

/// Reads an input, which may be a folder, once; each part begins as a copy of `empty`. Answers
/// also whether it can be read again.
pub(crate) fn pass(
    input: Input,
    options: &Options,
    progress: &dyn Progress,
    empty: Summary,
) -> Result<(Summary, bool), Cancelled> {
    let inputs = expanded([input]);
    let can_read_again = inputs.iter().all(|input| input.as_ref().is_ok_and(Input::can_read_again));
    let summary = Run { options, progress: Shared::new(progress) }.pass(&inputs, empty)?;
    Ok((summary, can_read_again))
}

/// Memory for the prefixes of one of several inputs. It must not depend on the number of
/// threads, or the report would.
pub(crate) fn memory_of_several(options: &Options) -> usize {
    options.prefix_memory / 4
}

/// What [`keys`] answers.
#[derive(Debug, Clone, PartialEq)]
pub struct KeysEnd {
    /// What is known of the input.
    pub input: InputInfo,
    /// Its damaged keys, at most [`Report::DAMAGED_MAX`].
    pub damaged: Vec<DamagedKey>,
}

/// Hands every key of an input to `each`, in the order of the file; damaged ones are told
/// at the end.
pub fn keys(
    input: impl Into<Input>,
    options: &Options,
    each: &mut dyn FnMut(&KeyFacts<'_>) -> ControlFlow<()>,
) -> Vec<KeysEnd> {
    let mut ends = Vec::new();
    for found in each_input(input.into()) {
        let mut lister = Lister { each, damaged: Vec::new(), has_enough: false };
        let input = read_one(&found, options, &mut lister);
        let has_enough = lister.has_enough;
        ends.push(KeysEnd { input, damaged: lister.damaged });
        if has_enough {
            break;
        }
    }
    ends
}

struct Lister<'e> {
    each: &'e mut dyn FnMut(&KeyFacts<'_>) -> ControlFlow<()>,
    damaged: Vec<DamagedKey>,
    has_enough: bool,
}

impl Observe for Lister<'_> {
    fn key(&mut self, facts: &KeyFacts<'_>) -> bool {
        self.has_enough = (self.each)(facts).is_break();
        !self.has_enough
    }

    fn damaged(&mut self, damaged: DamagedKey) {
        if self.damaged.len() < Report::DAMAGED_MAX {
            self.damaged.push(damaged);
        }
    }
}

impl Observe for Summary {
    #[inline]
    fn key(&mut self, facts: &KeyFacts<'_>) -> bool {
        self.observe(facts);
        true
    }

    fn keys(&mut self, run: &KeyRun<'_>, written_at_ms: i64) -> ControlFlow<usize> {
        self.observe_keys(run, written_at_ms);
        ControlFlow::Continue(())
    }

    fn strings(&mut self, run: &StringRun<'_>, written_at_ms: i64) -> ControlFlow<usize> {
        self.observe_strings(run, written_at_ms);
        ControlFlow::Continue(())
    }

    fn wanted(&self) -> Option<Arc<Wanted>> {
        self.prefixes.wanted()
    }

    fn damaged(&mut self, damaged: DamagedKey) {
        self.observe_damaged(damaged);
    }
}

/// Reads one input into an observer, with nobody told of the progress.
pub(crate) fn read_one(found: &Found, options: &Options, observer: &mut impl Observe) -> InputInfo {
    let shared = Shared::new(&());
    match found {
        Ok(input) => input::read(input, options, &mut Poll::new(&shared), observer),
        Err((name, error)) => InputInfo::unread(name.clone(), error),
    }
}

/// An input, or the files of a folder.
pub(crate) fn each_input(input: Input) -> Vec<Found> {
    expanded([input])
}

/// An input, or the name of what could not be made into one.
pub(crate) type Found = Result<Input, (String, SourceError)>;

fn expanded(inputs: impl IntoIterator<Item = Input>) -> Vec<Found> {
    let mut found = Vec::new();
    for input in inputs {
        let name = input.name();
        match input.expand() {
            Ok(inputs) => found.extend(inputs.into_iter().map(Ok)),
            Err(error) => found.push(Err((name, error))),
        }
    }
    found
}

/// Progress of all threads together.
pub(crate) struct Shared<'p> {
    progress: &'p dyn Progress,
    bytes_read: AtomicU64,
    key_count: AtomicU64,
    is_cancelled: AtomicBool,
}

impl<'p> Shared<'p> {
    fn new(progress: &'p dyn Progress) -> Self {
        Self {
            progress,
            bytes_read: AtomicU64::new(0),
            key_count: AtomicU64::new(0),
            is_cancelled: AtomicBool::new(false),
        }
    }
}

/// One thread's view of the progress.
pub(crate) struct Poll<'p> {
    shared: &'p Shared<'p>,
    meter: Arc<Meter>,
    bytes_told: u64,
    keys_to_tell: u64,
    counts_keys: bool,
    parts_left: u32,
}

impl<'p> Poll<'p> {
    /// Parts and keys between two looks at the meter.
    const EVERY: u32 = 4096;
    /// Bytes between two reports of progress.
    const BYTES: u64 = 256 << 10;

    fn new(shared: &'p Shared<'p>) -> Self {
        Self {
            shared,
            meter: Arc::default(),
            bytes_told: 0,
            keys_to_tell: 0,
            counts_keys: true,
            parts_left: Self::EVERY,
        }
    }

    /// Follows the meter of a newly opened source.
    pub(crate) fn meter(&mut self, source: &Source) -> Arc<Meter> {
        self.meter = Arc::clone(&source.meter);
        Arc::clone(&source.meter)
    }

    #[inline]
    pub(crate) fn count_key(&mut self) {
        self.keys_to_tell += 1;
    }

    /// Counts string keys read in a row.
    pub(crate) fn count_strings(&mut self, count: usize) {
        self.keys_to_tell += count as u64;
        self.count_parts(count);
    }

    /// Counts parts that came together.
    pub(crate) fn count_parts(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match self.parts_left.checked_sub(count) {
            Some(left @ 1..) => self.parts_left = left,
            _ => self.look(),
        }
    }

    #[inline]
    pub(crate) fn count_part(&mut self) {
        self.parts_left -= 1;
        if self.parts_left == 0 {
            self.look();
        }
    }

    #[cold]
    fn look(&mut self) {
        self.parts_left = Self::EVERY;
        let read = self.meter.bytes_read.load(Ordering::Relaxed);
        if read - self.bytes_told >= Self::BYTES {
            self.tell(read);
        }
    }

    fn tell(&mut self, read: u64) {
        let Shared { progress, bytes_read, key_count, is_cancelled } = self.shared;
        let new_bytes = read - self.bytes_told;
        let bytes = bytes_read.fetch_add(new_bytes, Ordering::Relaxed) + new_bytes;
        let new_keys = if self.counts_keys { self.keys_to_tell } else { 0 };
        let keys = key_count.fetch_add(new_keys, Ordering::Relaxed) + new_keys;
        (self.bytes_told, self.keys_to_tell) = (read, 0);
        if progress.advanced(bytes, keys).is_err() {
            is_cancelled.store(true, Ordering::Relaxed);
        }
        if is_cancelled.load(Ordering::Relaxed) {
            // The next read fails, wherever in the input it is.
            self.meter.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Tells what is left at the end of an input.
    fn finish(mut self) {
        let read = self.meter.bytes_read.load(Ordering::Relaxed);
        self.tell(read);
    }
}

struct Run<'r> {
    options: &'r Options,
    progress: Shared<'r>,
}

impl Run<'_> {
    /// Memory for the prefixes of one part.
    fn part_memory(&self, inputs: &[Found]) -> usize {
        let several = memory_of_several(self.options);
        if inputs.len() > 1 { several } else { self.options.prefix_memory }
    }

    /// Reads every input once; each part begins as a copy of `empty`.
    fn pass(&self, inputs: &[Found], empty: Summary) -> Result<Summary, Cancelled> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = self.options.threads.unwrap_or(cores).clamp(1, inputs.len().max(1));
        let queue = Queue::default();
        if let [input] = inputs {
            // The usual case needs no second table.
            queue.merge(0, self.part(input, empty), self.options);
        } else if threads == 1 {
            self.work(inputs, &empty, &queue);
        } else {
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| self.work(inputs, &empty, &queue));
                }
            });
        }
        if self.progress.is_cancelled.load(Ordering::Relaxed) {
            return Err(Cancelled);
        }
        let (_, whole) = queue.whole.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(whole.unwrap_or_else(|| Summary::new(self.options, 0)))
    }

    /// Takes one input after another until none is left.
    fn work(&self, inputs: &[Found], empty: &Summary, queue: &Queue) {
        while let Some((turn, found)) = queue.take(inputs) {
            queue.merge(turn, self.part(found, empty.clone()), self.options);
        }
    }

    /// Reads one input into `part`.
    fn part(&self, found: &Found, mut part: Summary) -> Summary {
        let info = match found {
            Ok(input) => {
                let mut poll = Poll::new(&self.progress);
                poll.counts_keys = !part.prefixes.is_frozen();
                let info = input::read(input, self.options, &mut poll, &mut part);
                poll.finish();
                info
            }
            Err((name, error)) => InputInfo::unread(name.clone(), error),
        };
        part.inputs.push(info);
        part
    }
}

/// Hands out inputs and merges their summaries in the order of the inputs.
#[derive(Default)]
struct Queue {
    next: AtomicUsize,
    /// Number of parts merged, and what they make together.
    whole: Mutex<(usize, Option<Summary>)>,
    merged: Condvar,
}

impl Queue {
    fn take<'i>(&self, inputs: &'i [Found]) -> Option<(usize, &'i Found)> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        inputs.get(turn).map(|input| (turn, input))
    }

    /// Merges a part once all before it are; so no more parts wait than there are threads.
    fn merge(&self, turn: usize, part: Summary, options: &Options) {
        let whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        let mut guard = self
            .merged
            .wait_while(whole, |(merged, _)| *merged != turn)
            .unwrap_or_else(PoisonError::into_inner);
        let (merged, whole) = &mut *guard;
        match whole {
            Some(whole) => whole.merge(part),
            None => {
                let mut first = part;
                first.prefixes.set_memory_max(options.prefix_memory);
                *whole = Some(first);
            }
        }
        *merged += 1;
        self.merged.notify_all();
    }
}
