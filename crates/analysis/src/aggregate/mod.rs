//! Aggregates: what is remembered of all keys. Each observes keys and merges with another
//! of its kind; `Default` or `new` is its empty value and its memory is bounded.

pub(crate) mod largest;
pub(crate) mod leading;
pub(crate) mod prefixes;
pub(crate) mod spread;
pub(crate) mod types;
