//! Rows of many inputs back into one report, or into fewer rows.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::ops::ControlFlow;

use serde::Deserialize;

use super::prefixes::{Identity, Prefixes};
use super::{KeyDetail, Row, RowKind, expiry_names, write};
use crate::aggregate::largest::Large;
use crate::aggregate::prefixes::Counts;
use crate::aggregate::spread::{Database, SPANS, add_database};
use crate::aggregate::types::Total;
use crate::memory::Encoding;
use crate::summary::Summary;
use crate::{
    DamagedKey, InputInfo, LargestKeyPrefix, LastingKeyPrefix, Options, PrefixNode, Report,
};

/// Why rows cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// A row is none of ours.
    #[error("a row of kind {kind}: {reason}")]
    Foreign {
        /// The row's kind.
        kind: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There are more prefixes than memory was given for.
    #[error(
        "{count} prefixes take more than {memory_max} bytes: let an engine sum them first, or \
         give more memory"
    )]
    Memory {
        /// Distinct prefixes so far.
        count: usize,
        /// Bytes they may take.
        memory_max: usize,
    },
}

/// Rows on their way to a report.
#[derive(Debug)]
pub struct Merge {
    options: Options,
    summary: Summary,
    inputs: Vec<(u64, InputInfo)>,
    /// By input, then offset.
    damaged: Vec<(u64, i64, DamagedKey)>,
    prefixes: Prefixes,
}

impl Merge {
    /// A merge of nothing, whose sums of prefixes take at most `memory_max` bytes.
    pub fn new(options: &Options, memory_max: usize) -> Self {
        Self::with(options, Prefixes::sums(memory_max))
    }

    /// A merge of rows of which each is all there is of its prefix: an engine summed them.
    pub fn of_sums(options: &Options) -> Self {
        Self::with(options, Prefixes::whole(options))
    }

    fn with(options: &Options, prefixes: Prefixes) -> Self {
        let summary = Summary::new(options, 0);
        let options = options.clone();
        Self { options, summary, inputs: Vec::new(), damaged: Vec::new(), prefixes }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The row is none that [`super::summarise`] makes, or memory does not hold more.
    pub fn add(&mut self, row: &Row<'_>) -> Result<(), RowError> {
        let total = Total { key_count: row.num, bytes: row.bytes };
        let foreign =
            |reason: &str| RowError::Foreign { kind: row.kind.name(), reason: reason.to_owned() };
        let object_type = || row.object_type.ok_or_else(|| foreign("its type is not known"));
        let at = || row.at.ok_or_else(|| foreign("it has no place"));
        let spread = &mut self.summary.spread;
        match row.kind {
            RowKind::Type => self.summary.types.add(object_type()?, total),
            RowKind::Prefix => {
                let text = row.name.as_deref().ok_or_else(|| foreign("it has no name"))?;
                let detail = row.detail.as_deref().map(Box::from);
                let counts = Counts {
                    key_count: row.num,
                    bytes: row.bytes,
                    lasting_count: row.no_expiry_num,
                    lasting_bytes: row.no_expiry_bytes,
                };
                let identity = Identity { object_type: object_type()?, text: text.into(), detail };
                self.prefixes.add(identity, counts)?;
            }
            RowKind::Key => self.summary.largest.push(large(row)?),
            RowKind::Expiry | RowKind::Idle => {
                let is_of = |name: &str| row.name.as_deref() == Some(name.as_bytes());
                let mut expiry = [&mut spread.lasting, &mut spread.expired]
                    .into_iter()
                    .chain(&mut spread.expiring);
                let own = match row.kind {
                    RowKind::Expiry => expiry_names().position(is_of).and_then(|i| expiry.nth(i)),
                    _ => SPANS.into_iter().position(is_of).and_then(|i| spread.idle.get_mut(i)),
                };
                own.ok_or_else(|| foreign("its span is not known"))?.add(total);
            }
            RowKind::Size => spread.sizes.add_at(at()?.cast_unsigned(), total),
            RowKind::NumOfElem => spread.elements.add_at(at()?.cast_unsigned(), total),
            RowKind::Freq => spread.freq.add_at(at()?.cast_unsigned(), total),
            RowKind::Db => {
                let database =
                    Database { total, expire_count: row.num.saturating_sub(row.no_expiry_num) };
                match row.at {
                    Some(db) => spread.add_to_db(db.cast_unsigned(), database),
                    None => add_database(&mut spread.other_dbs, database),
                }
            }
            RowKind::Slot => spread.add_to_slot(at()?.cast_unsigned(), total),
            RowKind::Damaged => {
                self.damaged.push((row.input, at()?, from_json(row)?));
                if self.damaged.len() >= 2 * Report::DAMAGED_MAX {
                    self.cut_damaged();
                }
            }
            RowKind::Input => self.inputs.push((row.input, from_json(row)?)),
        }
        Ok(())
    }

    /// The report: what one analysis of all the inputs, in the order of their numbers, says,
    /// without the tree of prefixes and those without expiry, which no row tells.
    pub fn report(mut self) -> Report {
        self.cut_damaged();
        self.inputs.sort_by_key(|(number, _)| *number);
        let Self { options, mut summary, inputs, damaged, prefixes } = self;
        summary.damaged_count = inputs.iter().map(|(_, info)| info.damaged_num).sum();
        summary.damaged = damaged.into_iter().map(|(_, _, damaged)| damaged).collect();
        summary.inputs = inputs.into_iter().map(|(_, info)| info).collect();
        let mut report = Report::new(&summary, &options);
        let mut lists = prefixes.into_lists(&options);
        let mut lasting = Vec::new();
        for object_type in summary.object_types() {
            let [by_number, by_bytes, without_expiry] = lists.take(object_type);
            report.largest_key_prefixes.extend(by_number.iter().map(LargestKeyPrefix::new));
            let by_bytes = by_bytes.iter().map(LargestKeyPrefix::new);
            report.largest_key_prefixes_by_bytes.extend(by_bytes);
            lasting.extend(without_expiry);
        }
        lasting.sort_by_key(|p| Reverse((p.counts.lasting_bytes, p.counts.lasting_count)));
        lasting.truncate(options.prefixes);
        report.key_prefixes_without_expiry = lasting.iter().map(LastingKeyPrefix::new).collect();
        report.prefix_tree = lists.branches(&options).iter().map(PrefixNode::new).collect();
        report
    }

    /// The same as few rows: sums, the largest keys, the leading prefixes. Other rows must
    /// not add to any of these prefixes.
    pub fn rows(mut self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        self.cut_damaged();
        let Self { options, summary, inputs, damaged, prefixes } = self;
        for (prefix, detail) in prefixes.into_lists(&options).into_all() {
            each(&Row {
                object_type: Some(prefix.object_type),
                name: Some(Cow::Borrowed(&prefix.text)),
                num: prefix.counts.key_count,
                bytes: prefix.counts.bytes,
                no_expiry_num: prefix.counts.lasting_count,
                no_expiry_bytes: prefix.counts.lasting_bytes,
                detail: detail.as_deref().map(Cow::Borrowed),
                ..Row::new(RowKind::Prefix, 0)
            })?;
        }
        write::rest(&summary, 0, each)?;
        for (number, _, damaged) in &damaged {
            each(&write::damaged(damaged, *number))?;
        }
        inputs.iter().try_for_each(|(number, info)| each(&write::input(info, *number)))
    }

    fn cut_damaged(&mut self) {
        self.damaged.sort_by_key(|(number, at, _)| (*number, *at));
        self.damaged.truncate(Report::DAMAGED_MAX);
    }
}

fn from_json<'r, T: Deserialize<'r>>(row: &'r Row<'_>) -> Result<T, RowError> {
    serde_json::from_str(row.detail.as_deref().unwrap_or_default())
        .map_err(|e| RowError::Foreign { kind: row.kind.name(), reason: format!("detail: {e}") })
}

fn large(row: &Row<'_>) -> Result<Large, RowError> {
    let detail: KeyDetail<'_> = from_json(row)?;
    let foreign =
        |reason: &str| RowError::Foreign { kind: row.kind.name(), reason: reason.to_owned() };
    Ok(Large {
        size: row.bytes,
        key: row.name.as_deref().unwrap_or_default().to_vec(),
        key_len: detail.key_len,
        db: detail.db,
        object_type: row.object_type.ok_or_else(|| foreign("its type is not known"))?,
        encoding: Encoding::named(&detail.encoding)
            .ok_or_else(|| foreign("its encoding is not known"))?,
        num_of_elem: detail.num_of_elem,
        bytes: detail.memory,
        memory_usage: detail.memory_usage,
        serialized_bytes: detail.serialized_bytes,
        expire_at_ms: detail.expire_at_ms,
        idle_seconds: detail.idle_seconds,
        freq: detail.freq,
    })
}
