//! The reader on whole files: real ones, written ones, damaged ones.

mod fixtures;
mod outcome;
mod reading;
