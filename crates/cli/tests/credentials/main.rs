//! Access keys, tokens and other secrets, with the commands and the service as processes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails, also in what its functions share"
)]

mod commands;
mod common;
mod secrets;
