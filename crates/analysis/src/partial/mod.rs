//! An analysis in pieces, on any number of machines or with a crash in between.
//!
//! ```text
//!  input -- count --> Partial --+
//!  input -- count --> Partial --+-- merge --> Partial --> report
//!                                               |  ^
//!           where prefixes outgrew their memory:|  | finish
//!  input -- recount ----------------------------+--+
//!  input -- recount ----------------------------+
//! ```
//!
//! A partial is bytes between the pieces ([`Partial::to_bytes`]). Merged in the order of the
//! inputs, whatever the grouping, it gives the report that [`crate::analyze`] gives of all of
//! them at once.
//!
//! ```
//! use offkey_analysis::{Input, Options, partial::Partial};
//!
//! let (options, file) = (Options::default(), concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
//! let stored = Partial::count(Input::Path(file.into()), &options, &())?.to_bytes(&options);
//! let mut all = Partial::from_bytes(&stored, &options).unwrap();
//! all.merge(Partial::count(Input::Path(file.into()), &options, &())?);
//! assert_eq!(all.needs_recount(), false);
//! assert_eq!(all.report(&options).inputs.len(), 2);
//! # Ok::<(), offkey_analysis::Cancelled>(())
//! ```

mod stored;

use crate::run::{self, Cancelled, Progress};
use crate::source::Input;
use crate::summary::Summary;
use crate::{DamagedKey, InputInfo, Options, Report};

/// What is known of the keys of some inputs.
#[derive(Debug, Clone)]
pub struct Partial {
    summary: Summary,
    /// Whether all of the inputs can be read a second time.
    can_read_again: bool,
}

/// Bytes that are no partial of these options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartialError {
    /// They are something else, or cut.
    #[error("not a partial result: {0}")]
    Malformed(String),
    /// Another version of this program wrote them.
    #[error("partial result of another version: {found}, {expected} expected")]
    Version {
        /// Version in the bytes.
        found: u8,
        /// Version of this program.
        expected: u8,
    },
    /// They come from an analysis with other options.
    #[error("partial result of other settings: {found}, {expected} expected")]
    Settings {
        /// Settings in the bytes.
        found: String,
        /// Settings of this analysis.
        expected: String,
    },
}

impl Partial {
    /// Reads an input, which is one of several.
    ///
    /// # Errors
    /// Only [`Cancelled`], if `progress` asked for it.
    pub fn count(
        input: impl Into<Input>,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Self, Cancelled> {
        let empty = Summary::new(options, run::memory_of_several(options));
        let (summary, can_read_again) = run::pass(input.into(), options, progress, empty)?;
        Ok(Self { summary, can_read_again })
    }

    /// Reads an input again, to count exactly the prefixes that lead in `merged`, which holds
    /// all of the inputs.
    ///
    /// # Errors
    /// Only [`Cancelled`], if `progress` asked for it.
    pub fn recount(
        merged: &Self,
        input: impl Into<Input>,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Self, Cancelled> {
        let mut empty = Summary::new(options, 0);
        empty.prefixes = merged.summary.prefixes.clone();
        empty.prefixes.freeze();
        let (summary, can_read_again) = run::pass(input.into(), options, progress, empty)?;
        Ok(Self { summary, can_read_again })
    }

    /// Adds a partial of inputs that come after those of this one.
    pub fn merge(&mut self, other: Self) {
        self.can_read_again &= other.can_read_again;
        self.summary.merge(other.summary);
    }

    /// Whether prefixes outgrew their memory, and the inputs can be read again to count the
    /// leading ones exactly.
    #[must_use]
    pub fn needs_recount(&self) -> bool {
        self.can_read_again
            && self.summary.prefixes.is_pruned()
            && !self.summary.prefixes.is_frozen()
    }

    /// Puts the counts of a second pass, merged over all inputs, in place of those of the first.
    pub fn finish(&mut self, recounted: Self) {
        let floors = self.summary.prefixes.freeze();
        self.summary.recounted(recounted.summary, floors);
    }

    /// The report.
    #[must_use]
    pub fn report(&self, options: &Options) -> Report {
        Report::new(&self.summary, options)
    }

    /// The inputs, and their damaged keys as far as they are kept: for giving them other names.
    pub fn named(&mut self) -> (&mut [InputInfo], &mut [DamagedKey]) {
        (&mut self.summary.inputs, &mut self.summary.damaged)
    }

    /// The inputs.
    #[must_use]
    pub fn inputs(&self) -> &[InputInfo] {
        &self.summary.inputs
    }
}
