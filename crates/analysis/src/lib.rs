//! What the keys of RDB files cost: entries become facts, facts a summary, a summary a report.
#![warn(missing_docs)]

pub mod memory;
mod options;
mod report;
mod run;

pub use options::{Options, SizeKind};
pub use report::{
    ChecksumState, DamagedKey, InputInfo, LargestKey, LargestKeyPrefix, Report, TypeBytes, TypeNum,
};
pub use run::{Cancelled, Progress, analyze};
