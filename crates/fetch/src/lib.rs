//! Brings the bytes of RDB files from where they are: live servers, object stores, HTTP.
//!
//! A live server is asked for its data as a replica would ask ([`LiveNode`]); which servers
//! there are is found out by [`discover`]. Both are blocking, since the analysis reads
//! while the bytes arrive. Files in object stores and behind URLs are read in parts and
//! resumed after a fault ([`Object`]).
#![warn(missing_docs)]

mod error;
mod gate;
mod networks;
mod objects;
mod part;
mod redis;
mod secret;
mod topology;

pub use error::{Error, ErrorKind};
pub use gate::Gate;
pub use networks::{NetworkError, Networks};
pub use objects::{
    Bucket, Listed, Object, ObjectOptions, ObjectUrl, ObjectUrlError, Places, Store, unusable,
};
pub use part::{part_file, remove_left_parts};
pub use redis::{Access, Address, LiveNode, Meter, RedisUrl, Taking, Timeouts, Tls, UrlError};
pub use secret::Secret;
pub use topology::{Found, Group, Node, Preference, Role, Slots, Topology, discover};
