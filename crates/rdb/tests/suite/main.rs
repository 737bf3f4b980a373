//! The reader on whole files: real ones, written ones, damaged ones.

mod corrupt;
mod fixtures;
mod hostile;
mod outcome;
mod reading;
mod servers;
