//! Keys on their way from a reader to an observer: read and sized in one thread, observed in
//! another.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{TryRecvError, sync_channel};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use offkey_rdb::{
    Blocks, Checker, Checksum, Entry, Error, Helper, Key, Part, RdbType, Reader, Str, Visit,
    Weight, Weights,
};

use crate::aggregate::prefixes::Wanted;
use crate::batch::{Batch, DamagedRow, Event, Mark, OddKey, Place};
use crate::facts::KeyFacts;
use crate::input::{Observe, Stop};
use crate::key_row::KeyRun;
use crate::memory::{Model, Sizer, Sizes};
use crate::run::Poll;
use crate::strings::StringRun;
use crate::tally::Tally;
use crate::{DamagedKey, InputInfo, Options, SizeKind};

/// Bytes of a damaged key's name that are kept.
const DAMAGED_NAME_LEN_MAX: usize = 256;

/// What of a file concerns keys and databases.
pub(crate) enum Step {
    SelectDb,
    Slot,
    Template { id: u64 },
    Key(Key),
    End(Checksum),
}

/// Reads on to the next step, noting what the file says of its server.
pub(crate) fn step<B: Blocks>(reader: &mut Reader<B>, info: &mut InputInfo) -> Result<Step, Error> {
    loop {
        match reader.next_entry()? {
            Entry::Aux { name, value } => info.note_aux(name, value),
            Entry::SelectDb(_) => return Ok(Step::SelectDb),
            Entry::SlotInfo { .. } => return Ok(Step::Slot),
            Entry::HashTemplate { id, .. } => return Ok(Step::Template { id }),
            Entry::Key(key) => return Ok(Step::Key(key)),
            Entry::End(checksum) => return Ok(Step::End(checksum)),
            Entry::Function { len } => info.functions_len += len,
            // Sizes are counted, not believed.
            Entry::ResizeDb { .. } | Entry::ModuleAux { .. } | Entry::SlotImport => {}
        }
    }
}

/// Where full batches go: answers an empty one, or nothing where there is enough.
type Deliver<'d> = dyn FnMut(Batch) -> Option<Batch> + 'd;

/// Reads in a thread of its own, ahead of `sink`.
pub(crate) fn apart<T: Send>(
    sink: &mut Sink<'_, impl Observe>,
    helper: Option<&Helper>,
    read: impl FnOnce(&mut Deliver<'_>) -> Result<T, Stop> + Send,
) -> Result<T, Stop> {
    /// Batches that travel between the threads.
    const BATCHES: usize = 3;
    let (full_sender, full) = sync_channel(BATCHES);
    let (empty_sender, empty) = sync_channel(BATCHES + 1);
    for _ in 0..BATCHES {
        // The channel has room for all of them and its receiver is alive.
        let _ = empty_sender.send(Batch::default());
    }
    thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut checker = Checker::default();
            read(&mut |mut batch| {
                let next = empty.try_recv();
                if next.is_err() {
                    // The other thread has enough to do.
                    batch.check(&mut checker);
                }
                full_sender.send(batch).ok()?;
                next.or_else(|_| empty.recv()).ok()
            })
        });
        let next = || loop {
            match full.try_recv() {
                Ok(batch) => return Some(batch),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {
                    if !helper.is_some_and(Helper::read_ahead) {
                        return full.recv().ok();
                    }
                }
            }
        };
        while let Some(mut batch) = next() {
            if !sink.take(&mut batch) {
                break;
            }
            // Nobody wants it once the reading has ended.
            let _ = empty_sender.send(batch);
        }
        // Nothing is waited for that is no longer wanted.
        drop((full, empty_sender));
        reading.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Reads keys, many at a time.
pub(crate) struct Keys<'k, 'm, B> {
    pub(crate) sizer: Sizer<'m>,
    pub(crate) batch: Batch,
    pub(crate) size: SizeKind,
    /// Which string keys are handed on, if not all of them.
    pub(crate) wanted: Option<Arc<Wanted>>,
    pub(crate) reader: &'k mut Reader<B>,
}

impl<B: Blocks> Keys<'_, '_, B> {
    pub(crate) fn read(
        mut self,
        next: Step,
        poll: &mut Poll<'_>,
        info: &mut InputInfo,
        deliver: &mut Deliver<'_>,
    ) -> Result<Checksum, Stop> {
        let read = self.read_to_end(next, poll, info, deliver);
        // What was read before an error counts.
        if !matches!(read, Err(Stop::Enough)) {
            self.deliver(deliver)?;
        }
        read
    }

    fn read_to_end(
        &mut self,
        mut next: Step,
        poll: &mut Poll<'_>,
        info: &mut InputInfo,
        deliver: &mut Deliver<'_>,
    ) -> Result<Checksum, Stop> {
        loop {
            match next {
                Step::SelectDb => self.batch.mark(Mark::NextDb),
                Step::Slot => self.batch.mark(Mark::NextSlot),
                Step::Template { .. } => {
                    self.reader.value(&mut offkey_rdb::Skip)?;
                }
                Step::Key(key) => self.value(&key, poll)?,
                Step::End(checksum) => return Ok(checksum),
            }
            loop {
                self.strings_at_hand(poll, info);
                while self.batch.is_full() || self.reader.has_much_unchecked() {
                    self.deliver(deliver)?;
                    self.strings_at_hand(poll, info);
                }
                let Some(key) = self.reader.key_at_hand() else { break };
                self.value(&key, poll)?;
            }
            next = step(self.reader, info)?;
        }
    }

    /// Reads the value of a key.
    fn value(&mut self, key: &Key, poll: &mut Poll<'_>) -> Result<(), Stop> {
        self.sizer.begin(key);
        let sizer = &mut self.sizer;
        let end = self.reader.value_unchecked(&mut Polled { sizer, poll })?;
        let is_whole = end.damage.is_none();
        let sizes = is_whole.then(|| self.sizer.finish(end.serialized_len));
        self.batch.push(key, self.reader.key(), end, sizes);
        poll.count_key();
        Ok(())
    }

    /// Reads string keys as long as they are plain and there is room for them.
    fn strings_at_hand(&mut self, poll: &mut Poll<'_>, info: &mut InputInfo) {
        if let Some(wanted) = self.wanted.clone() {
            return self.wanted_at_hand(&wanted, poll, info);
        }
        let Self { sizer, batch, size, reader, .. } = self;
        let count = batch.push_strings(place(reader), |strings| {
            reader.strings_at_hand(|key| {
                strings.push(&key, &sizer.string_key(&key), *size);
                if strings.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        });
        poll.count_strings(count);
    }

    /// Reads string keys likewise, and passes over those that are not wanted.
    fn wanted_at_hand(&mut self, wanted: &Wanted, poll: &mut Poll<'_>, info: &mut InputInfo) {
        let Self { sizer, batch, size, reader, .. } = self;
        let first = place(reader);
        let (mut next, mut passed) = (first.number, 0);
        reader.strings_at_hand(|key| {
            let number = next;
            next += 1;
            // Compressed ones are checked, and found damaged, as in the first pass.
            if !key.is_compressed && !wanted.may_want(key.padded, key.name.len()) {
                passed += 1;
                return ControlFlow::Continue(());
            }
            batch.push_strings(Place { number, ..first }, |strings| {
                strings.push(&key, &sizer.string_key(&key), *size);
            });
            if batch.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        info.num += passed;
        poll.count_strings(usize::try_from(next - first.number).unwrap_or(usize::MAX));
    }

    /// Has the keys at hand observed.
    fn deliver(&mut self, deliver: &mut Deliver<'_>) -> Result<(), Stop> {
        self.reader.swap_unchecked(&mut self.batch.unchecked);
        let batch = std::mem::take(&mut self.batch);
        self.batch = deliver(batch).ok_or(Stop::Enough)?;
        Ok(())
    }
}

/// Where the next key stands.
fn place<B: Blocks>(reader: &Reader<B>) -> Place {
    Place { db: reader.db(), slot: reader.slot(), number: reader.value_number() }
}

/// Where the keys of an input go.
pub(crate) struct Sink<'k, O> {
    pub(crate) model: &'k Model,
    pub(crate) tally: Tally,
    pub(crate) options: &'k Options,
    pub(crate) file: String,
    pub(crate) written_at_ms: i64,
    /// Memory of the keys so far.
    pub(crate) bytes: u64,
    pub(crate) observer: &'k mut O,
    pub(crate) checker: Checker,
}

impl<O: Observe> Sink<'_, O> {
    /// Takes the keys of a batch, which is empty then; false ends the reading.
    pub(crate) fn take(&mut self, batch: &mut Batch) -> bool {
        batch.check(&mut self.checker);
        batch.drain(self.options.size, |event| match event {
            Event::Keys(run) => self.keys(&run),
            Event::OddKey(odd, sizes, name) => self.odd_key(odd, &self.facts(odd, sizes, name)),
            Event::Strings(run) => self.strings(&run),
            Event::Damaged(row) => {
                self.observer.damaged(damaged(&self.file, row));
                true
            }
            Event::Mark(Mark::NextDb) => {
                self.tally.next_db(self.model);
                true
            }
            Event::Mark(Mark::NextSlot) => {
                self.tally.next_slot();
                true
            }
        })
    }

    fn keys(&mut self, run: &KeyRun<'_>) -> bool {
        let taken = self.observer.keys(run, self.written_at_ms);
        let run = taken.break_value().map_or(*run, |count| run.first(count));
        self.tally.keys(run.rows.len() as u64, run.expire_count(), run.expiring_hash_count());
        self.bytes = self.bytes.saturating_add(run.bytes());
        taken.is_continue()
    }

    fn odd_key(&mut self, odd: &OddKey, facts: &KeyFacts<'_>) -> bool {
        let is_expiring_hash = odd.key.rdb_type == RdbType::ValkeyHash2;
        let expires = u64::from(facts.expire_at_ms.is_some());
        self.tally.keys(1, expires, u64::from(is_expiring_hash));
        self.bytes = self.bytes.saturating_add(facts.bytes);
        self.observer.key(facts)
    }

    fn strings(&mut self, run: &StringRun<'_>) -> bool {
        let taken = self.observer.strings(run, self.written_at_ms);
        let run = taken.break_value().map_or(*run, |count| run.first(count));
        self.tally.keys(run.rows.len() as u64, run.expire_count(), 0);
        self.bytes = self.bytes.saturating_add(run.bytes());
        taken.is_continue()
    }

    fn facts<'a>(&self, odd: &OddKey, sizes: &Sizes, name: &'a [u8]) -> KeyFacts<'a> {
        let OddKey { ref key, object_type, serialized_bytes, .. } = *odd;
        KeyFacts {
            db: key.db,
            key: name,
            key_len: key.key_len,
            object_type,
            encoding: sizes.encoding,
            num_of_elem: sizes.num_of_elem,
            bytes: sizes.bytes,
            memory_usage: sizes.memory_usage,
            serialized_bytes,
            expire_at_ms: key.expire_at_ms,
            expires_in_ms: key.expire_at_ms.map(|at| at.saturating_sub(self.written_at_ms)),
            idle_seconds: key.idle_seconds,
            freq: key.freq,
            slot: key.slot,
            size: self.options.size.of(sizes.bytes, sizes.memory_usage, serialized_bytes),
        }
    }
}

#[cold]
fn damaged(file: &str, row: DamagedRow<'_>) -> DamagedKey {
    let DamagedRow { db, object_type, name, serialized_bytes, damage } = row;
    let name = name.get(..DAMAGED_NAME_LEN_MAX).unwrap_or(name);
    let text = std::str::from_utf8(name).ok();
    DamagedKey {
        file: file.to_owned(),
        db,
        key: String::from_utf8_lossy(name).into_owned(),
        key_base64: text.is_none().then(|| BASE64.encode(name)),
        r#type: object_type.to_string(),
        offset: damage.at,
        reason: damage.reason,
        serialized_bytes,
    }
}

/// Hands parts to the sizer and looks at the clock now and then, since one value can take
/// long.
struct Polled<'a, 'm, 'p> {
    sizer: &'a mut Sizer<'m>,
    poll: &'a mut Poll<'p>,
}

impl Visit for Polled<'_, '_, '_> {
    #[inline]
    fn part(&mut self, part: Part<'_>) {
        self.sizer.part(part);
        self.poll.count_part();
    }

    #[inline]
    fn member(&mut self, member: Str<'_>) {
        self.sizer.member(member);
        self.poll.count_part();
    }

    #[inline]
    fn scored(&mut self, member: Str<'_>, score: f64) {
        self.sizer.scored(member, score);
        self.poll.count_part();
    }

    #[inline]
    fn pair(&mut self, field: Str<'_>, value: Str<'_>) {
        self.sizer.pair(field, value);
        self.poll.count_part();
    }

    fn weights(&self) -> Option<Weights<'_>> {
        self.sizer.weights()
    }

    fn weighed(&mut self, row_count: u64, sum: Weight) {
        self.sizer.weighed(row_count, sum);
        self.poll.count_parts(usize::try_from(row_count).unwrap_or(usize::MAX));
    }

    #[inline]
    fn wants_items(&self, stated: Option<u64>) -> bool {
        self.sizer.wants_items(stated)
    }
}
