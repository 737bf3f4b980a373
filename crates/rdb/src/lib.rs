//! Reads RDB files of Redis and Valkey: bytes to entries, in bounded memory.
//!
//! Pull between keys, push inside a key:
//!
//! ```
//! use offkey_rdb::{Entry, Options, Reader, Skip};
//!
//! let file: &[u8] = b"REDIS0003\xfe\x00\x00\x01k\x01v\xff";
//! let mut reader = Reader::new(file, Options::default())?;
//! let mut keys = 0;
//! loop {
//!     match reader.next_entry()? {
//!         Entry::Key(key) => {
//!             assert_eq!((key.db, reader.key()), (0, &b"k"[..]));
//!             reader.value(&mut Skip)?;
//!             keys += 1;
//!         }
//!         Entry::End(_) => break,
//!         _ => {}
//!     }
//! }
//! assert_eq!(keys, 1);
//! # Ok::<(), offkey_rdb::Error>(())
//! ```
//!
//! What this crate promises:
//! - No number in a file sizes an allocation, no value is ever held whole except a packed
//!   blob of at most [`Limits::PACKED_LEN_MAX`] bytes; bigger ones are walked as they pass.
//! - Damage inside a value costs that key ([`ValueEnd::damage`]); damage of the framing is
//!   an [`Error`], which names the byte. Never a panic.
#![warn(missing_docs)]

mod block;
mod crc64;
mod entry;
mod error;
mod in_turns;
mod input;
mod length;
mod limits;
mod lzf;
mod packed;
mod reader;
mod source;
mod types;
mod unchecked;
mod value;

pub use block::{Blocks, Inline, ReadAhead};
pub use in_turns::{Helper, ReadAt};

pub use entry::{
    Checksum, Entry, Header, Key, Packed, Part, Skip, Str, StringKey, Text, ValueEnd, Visit,
    decimal_len, parse_int,
};
pub use error::{Context, Damage, Error, ErrorKind, PackedError, Quoted};
pub use limits::{Limits, Options};
pub use reader::Reader;
pub use types::{Flavor, ModuleId, ObjectType, RdbType};
pub use unchecked::{Checker, Unchecked};
pub use value::{Weight, Weights};
