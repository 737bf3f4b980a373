//! The service as a client meets it: started in this process, asked over TCP.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails, also in what its functions share"
)]

mod api;
mod auth;
mod backups;
mod common;
mod create;
mod discovery;
mod events;
mod integers;
mod live;
mod malformed;
mod operations;
#[path = "../../../fetch/tests/objects/peer.rs"]
#[expect(dead_code, reason = "of its faults a few are enough here")]
mod peer;
mod sources;
mod tasks;
mod tls;
mod tokens;
mod uploads;
