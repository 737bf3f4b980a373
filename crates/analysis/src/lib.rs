//! What the keys of RDB files cost: entries become facts, facts a summary, a summary a report.
#![warn(missing_docs)]

mod aggregate;
mod batch;
mod facts;
mod flow;
mod input;
mod key_row;
pub mod memory;
mod options;
pub mod partial;
mod report;
pub mod rows;
mod run;
mod source;
mod strings;
mod summary;
mod tally;

pub use aggregate::prefixes::PrefixRule;
pub use facts::KeyFacts;

pub use options::{Options, SizeKind};
pub use report::{
    ChecksumState, DamagedKey, DbTotal, InputInfo, LargestKey, LargestKeyPrefix, LastingKeyPrefix,
    Overhead, PowerTotal, PrefixExactness, PrefixNode, Report, SlotSpread, SlotTotal, SpanTotal,
    SpreadReport, Stopped, TypeBytes, TypeNum, UnlistedPrefix,
};
pub use run::{Cancelled, KeysEnd, Progress, analyze, keys};
pub use source::{Input, Open, Opened};
