//! The memory model: what a key costs in a server of a given version once that server has
//! loaded the file.
//!
//! A [`Model`] is made once for an input from [`Profile`], [`Allocator`] and [`Config`]. A
//! [`Sizer`] takes the parts of one value after another and answers with two sizes:
//!
//! - `bytes`, the sum of all allocations the key causes, as `used_memory` counts them;
//! - `memory_usage`, what `MEMORY USAGE key SAMPLES 0` would say, with all its omissions.
//!
//! What belongs to a database rather than to a key is in [`DbCounts::overhead`]. Where the
//! server draws lots (levels of skip lists, collisions in tables), the expected value is used,
//! so the same file always gives the same numbers. docs/MEMORY.md tells how near they come.

mod alloc;
mod array;
mod dict;
mod digits;
mod hash;
mod hash_expire;
mod model;
mod object;
mod overhead;
mod packed;
mod profile;
mod quicklist;
mod rax;
mod rows;
mod rules;
mod score;
mod sds;
mod set;
mod sizer;
mod skiplist;
mod stream;
mod table;
mod template;
mod valkey_hashtable;
mod vectorset;
mod zset;

use std::fmt;
use std::ops::{Add, AddAssign};

use offkey_rdb::Weight;

pub use alloc::Allocator;
pub use model::{Config, Model};
pub use overhead::{DbCounts, OverheadLine};
pub use profile::Profile;
pub use sizer::{Sizer, Sizes};
pub use template::Templates;

/// What `OBJECT ENCODING` answers once the file is loaded.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Encoding {
    /// `raw`; also the answer for values of modules.
    Raw,
    /// `int`
    Int,
    /// `embstr`
    Embstr,
    /// `ziplist`
    Ziplist,
    /// `listpack`
    Listpack,
    /// `listpackex`
    ListpackEx,
    /// `quicklist`
    Quicklist,
    /// `intset`
    Intset,
    /// `hashtable`
    Hashtable,
    /// `skiplist`
    Skiplist,
    /// `stream`
    Stream,
    /// `unknown`, which Redis 5.0 answers for streams.
    Unknown,
    /// `sliced-array`
    SlicedArray,
    /// `template-listpack`
    TemplateListpack,
    /// `template-array`
    TemplateArray,
}

impl Encoding {
    const ALL: [Self; 15] = [
        Self::Raw,
        Self::Int,
        Self::Embstr,
        Self::Ziplist,
        Self::Listpack,
        Self::ListpackEx,
        Self::Quicklist,
        Self::Intset,
        Self::Hashtable,
        Self::Skiplist,
        Self::Stream,
        Self::Unknown,
        Self::SlicedArray,
        Self::TemplateListpack,
        Self::TemplateArray,
    ];

    /// The encoding that shows as `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    /// What `OBJECT ENCODING` answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Int => "int",
            Self::Embstr => "embstr",
            Self::Ziplist => "ziplist",
            Self::Listpack => "listpack",
            Self::ListpackEx => "listpackex",
            Self::Quicklist => "quicklist",
            Self::Intset => "intset",
            Self::Hashtable => "hashtable",
            Self::Skiplist => "skiplist",
            Self::Stream => "stream",
            Self::Unknown => "unknown",
            Self::SlicedArray => "sliced-array",
            Self::TemplateListpack => "template-listpack",
            Self::TemplateArray => "template-array",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Longest string and largest number of elements that is taken at its word: more than any
/// server holds, and small enough that sums do not overflow.
const LEN_MAX: u64 = 1 << 40;

/// The two sizes of a piece of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cost {
    /// As allocated.
    bytes: u64,
    /// As `MEMORY USAGE` counts it.
    usage: u64,
}

impl Cost {
    /// Memory that is counted as it is allocated.
    fn same(bytes: u64) -> Self {
        Self { bytes, usage: bytes }
    }

    /// Both sizes as a weight.
    fn weight(self) -> Weight {
        [self.bytes, self.usage]
    }

    fn of([bytes, usage]: Weight) -> Self {
        Self { bytes, usage }
    }

    fn times(self, count: u64) -> Self {
        Self { bytes: self.bytes.saturating_mul(count), usage: self.usage.saturating_mul(count) }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            usage: self.usage.saturating_add(other.usage),
        }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// The integer next to a number that is not negative.
fn round(value: f64) -> u64 {
    truncate(value + 0.5)
}

/// The integer part of a number that is not negative, as C converts it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, as every length here does"
)]
fn truncate(value: f64) -> u64 {
    value as u64
}
