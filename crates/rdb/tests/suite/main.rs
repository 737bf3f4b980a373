//! The reader on whole files: real ones, written ones, damaged ones.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is how a test fails"
)]

mod corrupt;
mod fixtures;
mod hostile;
mod outcome;
mod reading;
mod servers;
mod weights;
