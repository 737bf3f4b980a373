//! The memory model: what a key costs in a server of a given version.

/// A line of server versions whose memory is modelled alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile;

/// The allocator of the modelled server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allocator;
