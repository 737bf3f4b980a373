//! What docs/RELIABILITY.md promises, with processes that are killed, stopped and starved.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod analysis;
mod chaos;
mod clocks;
mod database;
mod faults;
mod fleet;
mod leases;
mod load;
mod points;
mod spread;
mod storage;
