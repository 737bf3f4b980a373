//! Totals of instances and their nodes, into which a fleet's files are grouped.

use serde::{Deserialize, Serialize};

/// What the files of one instance come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its name; none for the files whose names tell no instance.
    pub instance: Option<String>,
    /// The sums of its files.
    #[serde(flatten)]
    pub totals: Totals,
    /// Its nodes, where the files' names tell them.
    pub nodes: Vec<Node>,
}

/// What the files of one node come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub node: String,
    /// The sums of its files.
    #[serde(flatten)]
    pub totals: Totals,
}

/// Sums over files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Files.
    pub files: u64,
    /// Those of them that were not read to their end or are damaged.
    pub incomplete: u64,
    /// Keys counted.
    pub num: u64,
    /// Keys that are damaged and left out.
    pub damaged_num: u64,
    /// Memory of the keys in bytes.
    pub bytes: u64,
}
