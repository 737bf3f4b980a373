//! Backups of real servers, with writes going on: what does not change is found as the
//! server says, and the server is left as it was.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where something is not as it should be"
)]

mod cluster;
mod data;
mod sentinel;
mod single;
mod tls;
