//! From inputs to one report.

use std::path::PathBuf;

use crate::{Options, Report};

/// Told how far an analysis is; answers whether it should go on.
///
/// Called from the reading threads about every 256 KiB.
pub trait Progress: Sync {
    /// `bytes_read` of all inputs together, `key_count` so far.
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

/// Analyses `paths` into one merged report.
///
/// A bad input does not fail the analysis: what could be read of it is counted, its
/// [`crate::InputInfo::error`] says why it stopped and the report is not `complete`.
///
/// # Errors
/// Only [`Cancelled`], if `progress` asked for it.
pub fn analyze(
    paths: &[PathBuf],
    options: &Options,
    progress: &dyn Progress,
) -> Result<Report, Cancelled> {
    let _ = (paths, options, progress);
    Err(Cancelled)
}
