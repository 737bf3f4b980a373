//! Reads one input: entries become facts, which go to an observer.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use offkey_rdb::{Blocks, Checker, Checksum, Error, Helper, RdbType, Reader};

use crate::aggregate::prefixes::Wanted;
use crate::batch::Batch;
use crate::facts::{KeyFacts, each_of};
use crate::flow::{Keys, Sink, Step, apart, step};
use crate::key_row::KeyRun;
use crate::memory::{Model, Profile, Sizer, Templates};
use crate::run::Poll;
use crate::source::{self, Input, Meter, Source, SourceError};
use crate::strings::StringRun;
use crate::tally::Tally;
use crate::{ChecksumState, DamagedKey, InputInfo, Options, Stopped};

/// Takes what an input holds.
pub(crate) trait Observe {
    /// Takes a key; false ends the reading.
    fn key(&mut self, facts: &KeyFacts<'_>) -> bool;
    /// Takes keys of a file written at this time; breaks off, to end the reading, with the number
    /// of those it took.
    fn keys(&mut self, run: &KeyRun<'_>, written_at_ms: i64) -> ControlFlow<usize> {
        each_of(run.facts(written_at_ms), |facts| self.key(facts))
    }
    /// Takes string keys likewise.
    fn strings(&mut self, run: &StringRun<'_>, written_at_ms: i64) -> ControlFlow<usize> {
        let keys = run.keys().map(|(row, padded)| run.facts(row, padded, written_at_ms));
        each_of(keys, |facts| self.key(facts))
    }
    /// Which string keys it is to be given, if not all of them.
    fn wanted(&self) -> Option<Arc<Wanted>> {
        None
    }
    /// Takes a key whose value is damaged.
    fn damaged(&mut self, damaged: DamagedKey);
}

/// Why an input was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Rdb(#[from] Error),
    /// The observer has enough.
    #[error("not read further")]
    Enough,
}

impl Stop {
    fn stopped(&self) -> Option<Stopped> {
        match self {
            Self::Rdb(error) => Some(Stopped {
                offset: error.at(),
                key: error.context().map(|context| (context.db, context.key.clone())),
            }),
            Self::Source(_) | Self::Enough => None,
        }
    }

    /// Whether another attempt may fare better.
    fn may_pass(&self) -> bool {
        match self {
            Self::Source(error) => error.may_pass(),
            Self::Rdb(error) => error.io().is_some_and(source::may_pass),
            Self::Enough => false,
        }
    }
}

/// Reads `input` to its end or as far as it goes.
///
/// Whatever is wrong with it stands in the answer: only the observer and `poll` end it.
pub(crate) fn read(
    input: &Input,
    options: &Options,
    poll: &mut Poll<'_>,
    observer: &mut impl Observe,
) -> InputInfo {
    let mut info = InputInfo::named(input.name());
    let mut counted = Counted { observer, key_count: 0, damaged_count: 0 };
    let read = open_and_read(input, options, poll, &mut counted, &mut info);
    info.num += counted.key_count;
    info.damaged_num = counted.damaged_count;
    if let Err(stop) = &read {
        info.error = Some(format!("{}: {stop}", info.file));
        info.stopped = stop.stopped();
        info.error_may_pass = stop.may_pass();
    } else if info.checksum == ChecksumState::Wrong {
        info.error = Some(format!("{}: {}", info.file, info.warnings.pop().unwrap_or_default()));
    }
    info.complete = info.error.is_none() && info.damaged_num == 0;
    info
}

fn open_and_read(
    input: &Input,
    options: &Options,
    poll: &mut Poll<'_>,
    observer: &mut Counted<'_, impl Observe>,
    info: &mut InputInfo,
) -> Result<(), Stop> {
    let mut source = Source::open(input)?;
    info.bytes_total = source.len;
    info.warnings.append(&mut source.notes);
    // All else may keep a thread waiting for ever, and has one to itself that nobody waits for.
    let file = if options.threads == Some(1) { None } else { source.stored_file() };
    let watch = source.watch();
    let is_compressed = source.is_compressed;
    let meter = poll.meter(&source);
    let _unwanted = Unwanted(Arc::clone(&meter));
    let rdb_options = offkey_rdb::Options { checksum: options.checksum, force: options.force };
    let (mut reader, helper) = match file {
        Some(file) => {
            let (reader, helper) = Reader::in_turns(file, rdb_options)?;
            (reader, Some(helper))
        }
        None => (Reader::read_ahead(source.reader, rdb_options)?, None),
    };
    info.rdb_version = Some(reader.header().version);
    info.flavor = Some(reader.header().flavor.to_string());
    let read = entries(&mut reader, helper.as_ref(), input, options, poll, observer, info);
    info.bytes_read =
        if is_compressed { meter.bytes_read.load(Ordering::Relaxed) } else { reader.at() };
    let checksum = read?;
    after_end(&mut reader, source.end_mark.as_deref(), info)?;
    note_checksum(checksum, info);
    watch.check()?;
    Ok(())
}

/// Stops the thread that reads ahead once nobody reads on, so that a connection is closed
/// at once.
struct Unwanted(Arc<Meter>);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

fn entries<B: Blocks + Send>(
    reader: &mut Reader<B>,
    helper: Option<&Helper>,
    input: &Input,
    options: &Options,
    poll: &mut Poll<'_>,
    observer: &mut Counted<'_, impl Observe>,
    info: &mut InputInfo,
) -> Result<Checksum, Stop> {
    // The server's version stands before the first key and decides how memory is modelled.
    let next = step(reader, info)?;
    let profile = options.profile.unwrap_or_else(|| info.server_profile());
    info.profile = Some(profile.to_string());
    let mut model = Model::new(profile, options.allocator, options.config.clone());
    if matches!(next, Step::Template { .. }) {
        model.templates = count_templates(input, options, model.templates)?;
    }
    let mut sink = Sink {
        model: &model,
        tally: Tally::default(),
        options,
        file: info.file.clone(),
        // A key that expires at the very second of the save is still alive.
        written_at_ms: info.created_at_ms.unwrap_or(options.now_ms),
        bytes: 0,
        observer,
        checker: Checker::default(),
    };
    let (sizer, batch) = (Sizer::new(&model), Batch::default());
    let wanted = sink.observer.wanted();
    let keys = Keys { sizer, batch, size: options.size, wanted, reader };
    let read = if options.threads == Some(1) {
        keys.read(next, poll, info, &mut |mut batch| sink.take(&mut batch).then_some(batch))
    } else {
        apart(&mut sink, helper, |deliver| keys.read(next, poll, info, deliver))
    };
    info.bytes = sink.bytes;
    let checksum = read?;
    info.overhead = sink.tally.finish(&model, info.functions_len);
    Ok(checksum)
}

/// Counts the keys of each hash template in a pass of its own; of an input that cannot be
/// read twice, templates are taken to cost their keys nothing.
fn count_templates(
    input: &Input,
    options: &Options,
    mut templates: Templates,
) -> Result<Templates, Stop> {
    if !input.can_read_again() {
        return Ok(templates);
    }
    let source = Source::open(input)?;
    let _unwanted = Unwanted(Arc::clone(&source.meter));
    let rdb_options = offkey_rdb::Options { checksum: false, force: options.force };
    let mut reader = Reader::read_ahead(source.reader, rdb_options)?;
    let mut info = InputInfo::named(String::new());
    loop {
        let is_template = match step(&mut reader, &mut info) {
            Ok(Step::Template { id }) => {
                if reader.value(&mut templates.define(id)).is_err() {
                    return Ok(templates);
                }
                false
            }
            Ok(Step::Key(key)) => {
                matches!(key.rdb_type, RdbType::HashTemplateListpack | RdbType::HashTemplateArray)
            }
            Ok(Step::SelectDb | Step::Slot) => false,
            // Damage is told by the pass that counts.
            Ok(Step::End(_)) | Err(_) => return Ok(templates),
        };
        if is_template && reader.value(&mut templates).is_err() {
            return Ok(templates);
        }
    }
}

/// Looks at what follows the end: a replication stream's mark, an append-only file's tail.
fn after_end<B: Blocks>(
    reader: &mut Reader<B>,
    end_mark: Option<&[u8]>,
    info: &mut InputInfo,
) -> Result<(), Stop> {
    let mut head = Vec::new();
    let count = reader.bytes_after_end(&mut head)?;
    if count == 0 || end_mark.is_some_and(|mark| mark == head.as_slice()) {
        return Ok(());
    }
    info.warnings.push(match head.first() {
        Some(b'*' | b'#') => format!(
            "{count} bytes after the RDB preamble are the tail of an append-only file and were \
             not analysed"
        ),
        _ => format!("{count} bytes after the end of the RDB data were not read"),
    });
    Ok(())
}

fn note_checksum(checksum: Checksum, info: &mut InputInfo) {
    info.checksum = match checksum {
        Checksum::Right => ChecksumState::Right,
        Checksum::Absent => ChecksumState::Absent,
        Checksum::Disabled => ChecksumState::Disabled,
        Checksum::Skipped => ChecksumState::Skipped,
        Checksum::Wrong { stored, computed } => {
            info.warnings.push(format!(
                "corrupt at byte {}: checksum of the file is {computed:#018x}, it states \
                 {stored:#018x}",
                info.bytes_read.saturating_sub(8)
            ));
            ChecksumState::Wrong
        }
    };
}

/// Counts what an observer is given.
struct Counted<'o, O> {
    observer: &'o mut O,
    key_count: u64,
    damaged_count: u64,
}

impl<O: Observe> Observe for Counted<'_, O> {
    #[inline]
    fn key(&mut self, facts: &KeyFacts<'_>) -> bool {
        self.key_count += 1;
        self.observer.key(facts)
    }

    fn keys(&mut self, run: &KeyRun<'_>, written_at_ms: i64) -> ControlFlow<usize> {
        let taken = self.observer.keys(run, written_at_ms);
        self.key_count += taken.break_value().unwrap_or(run.rows.len()) as u64;
        taken
    }

    fn strings(&mut self, run: &StringRun<'_>, written_at_ms: i64) -> ControlFlow<usize> {
        let taken = self.observer.strings(run, written_at_ms);
        self.key_count += taken.break_value().unwrap_or(run.rows.len()) as u64;
        taken
    }

    fn wanted(&self) -> Option<Arc<Wanted>> {
        self.observer.wanted()
    }

    fn damaged(&mut self, damaged: DamagedKey) {
        self.damaged_count += 1;
        self.observer.damaged(damaged);
    }
}

impl InputInfo {
    fn named(file: String) -> Self {
        Self {
            file,
            rdb_version: None,
            flavor: None,
            server_version: None,
            profile: None,
            created_at_ms: None,
            used_mem: None,
            checksum: ChecksumState::Unknown,
            complete: false,
            bytes_read: 0,
            bytes_total: None,
            bytes: 0,
            overhead: Vec::new(),
            functions_len: 0,
            num: 0,
            damaged_num: 0,
            error_may_pass: false,
            error: None,
            stopped: None,
            warnings: Vec::new(),
        }
    }

    /// An input that could not be opened.
    pub(crate) fn unread(file: String, error: &SourceError) -> Self {
        Self {
            error: Some(format!("{file}: {error}")),
            error_may_pass: error.may_pass(),
            ..Self::named(file)
        }
    }

    pub(crate) fn note_aux(&mut self, name: &[u8], value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        let number = || text().parse::<u64>().ok();
        match name {
            b"redis-ver" => self.server_version = Some(text()),
            b"valkey-ver" => {
                self.server_version = Some(text());
                self.flavor = Some(offkey_rdb::Flavor::Valkey.to_string());
            }
            b"ctime" => {
                let seconds = number().and_then(|s| i64::try_from(s).ok());
                self.created_at_ms = seconds.and_then(|s| s.checked_mul(1000));
            }
            b"used-mem" => self.used_mem = number(),
            _ => {}
        }
    }

    fn server_profile(&self) -> Profile {
        let is_valkey = self.flavor.as_deref() == Some("valkey");
        let version = self.server_version.as_deref().unwrap_or_default();
        Profile::for_server(is_valkey, version, self.rdb_version.unwrap_or_default())
    }
}
