//! How keys and bytes are spread, as the report shows it.

use serde::{Deserialize, Serialize};

use crate::aggregate::spread::{Database, Powers, SPANS, Spans, Spread};
use crate::aggregate::types::Total;

/// Spreads of all keys over expiries, sizes, access times, databases and slots.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpreadReport {
    /// By expiry when the file was written: `never`, `expired`, then the time left up to an
    /// `hour`, `day`, `week`, `month` or `longer`; all seven always there.
    pub expiry: Vec<SpanTotal>,
    /// By the size that ranks; spans without keys are left out.
    pub size: Vec<PowerTotal>,
    /// Keys that are no strings, by their number of elements.
    pub num_of_elem: Vec<PowerTotal>,
    /// By the time since the last access; empty where no file has it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub idle: Vec<SpanTotal>,
    /// By the logarithmic access counter; empty where no file has it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub freq: Vec<PowerTotal>,
    /// By database, at most 256 of them; databases of the same number in several inputs are
    /// one.
    pub db: Vec<DbTotal>,
    /// Keys of databases beyond those listed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub other_dbs: Option<DbTotal>,
    /// By cluster slot; none where no file tells slots.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slot: Option<SlotSpread>,
}

/// Keys and bytes of a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpanTotal {
    /// Name of the span.
    pub span: String,
    /// Keys.
    pub num: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Keys and bytes from a value up to twice as much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PowerTotal {
    /// Least value counted here: 0, 1, 2, 4, 8 and so on.
    pub at_least: u64,
    /// Keys.
    pub num: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Keys and bytes of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DbTotal {
    /// Its number; none for several together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub db: Option<u64>,
    /// Keys.
    pub num: u64,
    /// Keys with an expiry.
    pub expire_num: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Keys and bytes by cluster slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SlotSpread {
    /// Slots that have keys.
    pub num_of_slots: u64,
    /// Bytes of the largest slot over the mean of those that have keys.
    pub skew: f64,
    /// The largest slots by bytes, at most [`SlotSpread::LARGEST_MAX`].
    pub largest: Vec<SlotTotal>,
}

/// Keys and bytes of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SlotTotal {
    /// The slot, 0 to 16383.
    pub slot: u64,
    /// Keys.
    pub num: u64,
    /// Bytes.
    pub bytes: u64,
}

impl SpreadReport {
    pub(crate) fn new(spread: &Spread) -> Self {
        let before = [("never", spread.lasting), ("expired", spread.expired)];
        Self {
            expiry: (before.into_iter().chain(SPANS.into_iter().zip(spread.expiring)))
                .map(|(span, total)| SpanTotal::new(span, total))
                .collect(),
            size: powers(&spread.sizes),
            num_of_elem: powers(&spread.elements),
            idle: spans_if_any(&spread.idle),
            freq: powers(&spread.freq),
            db: spread.dbs.iter().map(|(db, d)| DbTotal::new(Some(*db), *d)).collect(),
            other_dbs: (spread.other_dbs.total.key_count > 0)
                .then(|| DbTotal::new(None, spread.other_dbs)),
            slot: SlotSpread::new(&spread.slots),
        }
    }
}

impl SpanTotal {
    fn new(span: &str, total: Total) -> Self {
        Self { span: span.to_owned(), num: total.key_count, bytes: total.bytes }
    }
}

impl DbTotal {
    fn new(db: Option<u64>, database: Database) -> Self {
        let Database { total, expire_count } = database;
        Self { db, num: total.key_count, expire_num: expire_count, bytes: total.bytes }
    }
}

impl SlotSpread {
    /// Most slots that are listed.
    pub const LARGEST_MAX: usize = 20;

    fn new(slots: &[Total]) -> Option<Self> {
        let mut used: Vec<(u64, Total)> =
            (0..).zip(slots.iter().copied()).filter(|(_, total)| total.key_count > 0).collect();
        used.sort_by_key(|(slot, total)| (std::cmp::Reverse(total.bytes), *slot));
        let (_, largest) = used.first()?;
        let bytes: u64 = used.iter().map(|(_, total)| total.bytes).fold(0, u64::saturating_add);
        let mean = as_f64(bytes) / as_f64(used.len() as u64);
        let slot_total = |(slot, total): &(u64, Total)| SlotTotal {
            slot: *slot,
            num: total.key_count,
            bytes: total.bytes,
        };
        Some(Self {
            num_of_slots: used.len() as u64,
            skew: if bytes == 0 { 1.0 } else { as_f64(largest.bytes) / mean },
            largest: used.iter().take(Self::LARGEST_MAX).map(slot_total).collect(),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn as_f64(value: u64) -> f64 {
    value as f64
}

fn powers(powers: &Powers) -> Vec<PowerTotal> {
    powers
        .iter()
        .map(|(at_least, total)| PowerTotal { at_least, num: total.key_count, bytes: total.bytes })
        .collect()
}

fn spans_if_any(spans: &Spans) -> Vec<SpanTotal> {
    if spans.iter().all(|total| total.key_count == 0) {
        return Vec::new();
    }
    SPANS.into_iter().zip(*spans).map(|(span, total)| SpanTotal::new(span, total)).collect()
}
