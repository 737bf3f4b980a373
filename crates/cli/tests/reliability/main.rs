//! What docs/RELIABILITY.md promises, with processes that are killed, stopped and starved.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod analysis;
mod backups;
mod chaos;
mod clocks;
mod database;
mod faults;
mod fleet;
mod leases;
mod library;
mod load;
#[path = "../../../fetch/tests/objects/peer.rs"]
#[expect(dead_code, reason = "it makes no faults here")]
mod peer;
mod points;
mod power;
mod soak;
mod spread;
mod storage;
mod takes;
