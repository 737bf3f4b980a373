//! Reads an input into rows.

use std::borrow::Cow;
use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use super::{KeyDetail, PrefixDetail, Row, RowKind, expiry_names};
use crate::aggregate::largest::Large;
use crate::aggregate::prefixes::{Branch, Counts, WholePrefix};
use crate::aggregate::spread::{SPANS, Spread};
use crate::aggregate::types::Total;
use crate::facts::KeyFacts;
use crate::input::Observe;
use crate::run::{each_input, read_one};
use crate::source::Input;
use crate::summary::Summary;
use crate::{DamagedKey, InputInfo, Options};

/// Takes rows; breaks to end the reading.
type Each<'e> = dyn FnMut(&Row<'_>) -> ControlFlow<()> + 'e;

/// Reads an input, or every file of a folder, and hands its summary to `each`, the inputs
/// numbered from `number` on. What cannot be read or is damaged is told by rows too.
///
/// Answers what is known of the inputs.
pub fn summarise(
    input: impl Into<Input>,
    options: &Options,
    number: u64,
    each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>,
) -> Vec<InputInfo> {
    let mut infos = Vec::new();
    for (found, number) in each_input(input.into()).into_iter().zip(number..) {
        let summary = Summary::new(options, usize::MAX);
        let mut writer = Writer { each: &mut *each, summary, number, is_over: false };
        let info = read_one(&found, options, &mut Flushing { writer: &mut writer, options });
        let is_over = writer.is_over || writer.finish(&info).is_break();
        infos.push(info);
        if is_over {
            break;
        }
    }
    infos
}

struct Flushing<'w, 'e, 'o> {
    writer: &'w mut Writer<'e>,
    options: &'o Options,
}

impl Observe for Flushing<'_, '_, '_> {
    #[inline]
    fn key(&mut self, facts: &KeyFacts<'_>) -> bool {
        let Self { writer, options } = self;
        writer.summary.observe(facts);
        if writer.summary.prefixes.memory() > options.prefix_memory {
            writer.is_over = writer.prefixes().is_break();
        }
        !writer.is_over
    }

    fn damaged(&mut self, damaged: DamagedKey) {
        self.writer.summary.observe_damaged(damaged);
    }
}

struct Writer<'e> {
    each: &'e mut Each<'e>,
    summary: Summary,
    number: u64,
    /// Whether nobody wants more rows.
    is_over: bool,
}

impl Writer<'_> {
    fn finish(&mut self, info: &InputInfo) -> ControlFlow<()> {
        self.prefixes()?;
        let Self { each, summary, number, .. } = self;
        rest(summary, *number, *each)?;
        for damaged in &summary.damaged {
            each(&self::damaged(damaged, *number))?;
        }
        each(&input(info, *number))
    }

    fn prefixes(&mut self) -> ControlFlow<()> {
        let Self { each, summary, number, .. } = self;
        summary.prefixes.drain(|prefix| {
            let Counts { key_count, bytes, lasting_count, lasting_bytes } = prefix.counts;
            let row = sum(RowKind::Prefix, *number, Total { key_count, bytes });
            each(&Row {
                object_type: Some(prefix.object_type),
                name: Some(Cow::Borrowed(prefix.text)),
                no_expiry_num: lasting_count,
                no_expiry_bytes: lasting_bytes,
                detail: prefix_detail(&prefix),
                ..row
            })
        })
    }
}

fn sum(kind: RowKind, number: u64, total: Total) -> Row<'static> {
    Row { num: total.key_count, bytes: total.bytes, ..Row::new(kind, number) }
}

fn json(value: &impl Serialize) -> Cow<'static, str> {
    // Maps with names for keys and no floats: nothing that JSON cannot say.
    Cow::Owned(serde_json::to_string(value).unwrap_or_default())
}

/// None where the text is whole.
fn prefix_detail(prefix: &WholePrefix<'_>) -> Option<Cow<'static, str>> {
    if prefix.text_len == prefix.text.len() as u64 {
        return None;
    }
    let segment = prefix.segment;
    let first = segment.get(..Branch::SEGMENT_LEN_MAX).unwrap_or(segment);
    Some(json(&PrefixDetail {
        prefix_len: prefix.text_len,
        digest: format!("{:032x}", prefix.digest).into(),
        parent_len: prefix.parent_len,
        parent_digest: format!("{:032x}", prefix.parent_digest).into(),
        depth: prefix.depth,
        segment_len: segment.len() as u64,
        segment: BASE64.encode(first).into(),
    }))
}

/// Everything but prefixes and what belongs to one input.
pub(super) fn rest(summary: &Summary, number: u64, each: &mut Each<'_>) -> ControlFlow<()> {
    for (object_type, total) in summary.types.iter().filter(|(_, t)| t.key_count > 0) {
        each(&Row { object_type: Some(object_type), ..sum(RowKind::Type, number, total) })?;
    }
    spread(&summary.spread, number, each)?;
    let largest = summary.largest.sorted();
    (largest.iter().enumerate()).try_for_each(|(rank, large)| each(&key(large, rank, number)))
}

pub(super) fn damaged(damaged: &DamagedKey, number: u64) -> Row<'static> {
    Row {
        at: Some(damaged.offset.cast_signed()),
        num: 1,
        detail: Some(json(damaged)),
        ..Row::new(RowKind::Damaged, number)
    }
}

pub(super) fn input(info: &InputInfo, number: u64) -> Row<'static> {
    Row {
        num: info.num,
        bytes: info.bytes,
        detail: Some(json(info)),
        ..Row::new(RowKind::Input, number)
    }
}

fn key(large: &Large, rank: usize, number: u64) -> Row<'_> {
    let detail = KeyDetail {
        rank,
        db: large.db,
        key_len: large.key_len,
        encoding: large.encoding.name().into(),
        num_of_elem: large.num_of_elem,
        memory: large.bytes,
        memory_usage: large.memory_usage,
        serialized_bytes: large.serialized_bytes,
        expire_at_ms: large.expire_at_ms,
        idle_seconds: large.idle_seconds,
        freq: large.freq,
    };
    Row {
        object_type: Some(large.object_type),
        name: Some(Cow::Borrowed(&large.key)),
        num: 1,
        bytes: large.size,
        detail: Some(json(&detail)),
        ..Row::new(RowKind::Key, number)
    }
}

fn spread(spread: &Spread, number: u64, each: &mut Each<'_>) -> ControlFlow<()> {
    let expiry = [spread.lasting, spread.expired].into_iter().chain(spread.expiring);
    let spans = (expiry_names().zip(expiry).map(|(name, total)| (RowKind::Expiry, name, total)))
        .chain(SPANS.into_iter().zip(spread.idle).map(|(n, total)| (RowKind::Idle, n, total)));
    for (kind, name, total) in spans.filter(|(_, _, total)| total.key_count > 0) {
        let name = Some(Cow::Borrowed(name.as_bytes()));
        each(&Row { name, ..sum(kind, number, total) })?;
    }
    let powers = [
        (RowKind::Size, &spread.sizes),
        (RowKind::NumOfElem, &spread.elements),
        (RowKind::Freq, &spread.freq),
    ];
    for (kind, powers) in powers {
        for (at, total) in powers.places() {
            each(&Row { at: Some(at.cast_signed()), ..sum(kind, number, total) })?;
        }
    }
    let dbs = spread.dbs.iter().map(|(db, database)| (Some(db.cast_signed()), *database));
    for (at, database) in dbs.chain([(None, spread.other_dbs)]) {
        if database.total.key_count > 0 {
            let no_expiry_num = database.total.key_count.saturating_sub(database.expire_count);
            each(&Row { at, no_expiry_num, ..sum(RowKind::Db, number, database.total) })?;
        }
    }
    for (slot, total) in (0..).zip(&spread.slots).filter(|(_, total)| total.key_count > 0) {
        each(&Row { at: Some(slot), ..sum(RowKind::Slot, number, *total) })?;
    }
    ControlFlow::Continue(())
}
