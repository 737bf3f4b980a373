//! Test support: writes RDB files, knows what is in them, starts real servers.
//!
//! Everything here is written from the format's description and shares no code with the
//! reader, so that one mistake cannot hide another:
//!
//! ```
//! use offkey_testkit::{RdbFile, value};
//!
//! let mut file = RdbFile::redis(12);
//! file.aux("redis-ver", "7.4.1").select_db(0);
//! file.expire_at_ms(1_700_000_000_000).key("user:1", &value::hash_listpack(&[("name", "Ada")]));
//! let bytes = file.finish();
//! assert!(bytes.starts_with(b"REDIS0012\xfa\x09redis-ver"));
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "only tests use this crate, and a panic is how a test fails"
)]

mod ask;
mod cluster;
mod crc64;
mod dialect;
mod encoder;
mod file;
mod fill;
mod fixture;
mod keyspace;
mod lzf;
mod mutate;
mod packed;
mod postgres;
mod resp;
mod rng;
mod server;
mod stream;
pub mod value;
mod workload;

pub use ask::{ask, count_command};
pub use cluster::{Cluster, wait_for};
pub use crc64::crc64;
pub use dialect::Dialect;
pub use encoder::{Encoder, StringForm};
pub use file::{RdbFile, module_id};
pub use fill::{fill, fill_expired};
pub use fixture::{Fixture, Truth, fixtures, read_truth, repo_path, shared_path, write_answers};
pub use keyspace::{Expected, Keyspace};
pub use lzf::lzf_compress;
pub use mutate::mutate;
pub use packed::{Intset, Listpack, Ziplist, Zipmap};
pub use postgres::Postgres;
pub use resp::{Client, Reply};
pub use rng::Rng;
pub use server::{Server, free_port, servers};
pub use stream::{Consumer, Group, Producer, Stream, StreamEntry, StreamId, StreamVersion};
pub use value::Value;
pub use workload::{Workload, long_work, write_workload};
