//! What can differ between server versions; `rows.rs` has what does.

use offkey_rdb::Packed;

use super::profile::Version;
use super::sds::SdsLimits;

/// Memory layout and accounting of one server version.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The line's name.
    pub(crate) name: &'static str,
    pub(crate) valkey: bool,
    /// First version of the row.
    pub(crate) since: Version,
    /// Where the key is kept and what `MEMORY USAGE` makes of it.
    pub(crate) head: Head,
    /// Two pointers more per key in cluster mode (`clusterDictEntryMetadata`).
    pub(crate) cluster_entry_len: u64,
    pub(crate) sds_limits: SdsLimits,
    /// What `MEMORY USAGE` counts for a string of its own.
    pub(crate) sds_usage: SdsUsage,
    /// Whether `MEMORY USAGE` counts blobs as allocated.
    pub(crate) blob_usage_rounded: bool,
    /// Whether `MEMORY USAGE` multiplies an average of the elements, in a `double`.
    pub(crate) averages: bool,
    /// The packed form of small lists, sets, hashes and sorted sets.
    pub(crate) packed: Packed,
    pub(crate) list: ListRules,
    /// `sizeof(dict)`.
    pub(crate) dict_len: u64,
    /// Metadata that dicts of sets and hashes carry since the server counts their memory.
    pub(crate) dict_meta_len: u64,
    /// Whether small sets are listpacks (`setTypeMaybeConvert`).
    pub(crate) set_listpack: bool,
    /// The table of a set.
    pub(crate) set_entries: Entries,
    pub(crate) hash: HashRules,
    pub(crate) zset: ZsetRules,
    pub(crate) stream: StreamRules,
    pub(crate) db: DbRules,
}

/// Where a key's name and object are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// Entry, key and object apart; the size of the command's argument is counted (4.0).
    Argument,
    /// Entry, key and object apart; the key as requested (5.0 to 6.0.8).
    Requested,
    /// Entry, key and object apart; the key as allocated (6.0.9 to 8.0).
    Usable,
    /// Key inside the dict entry (Valkey 8.0).
    InEntry,
    /// Key inside the object (`kvobj`), only the object's own 16 bytes counted (8.2.0, 8.2.1).
    Object8_2_0,
    /// Key inside the object, as allocated (8.2.2).
    Object8_2,
    /// Key inside the object, as requested (8.4).
    Object8_4,
    /// Key inside the object, as allocated, with metadata classes (8.6, 8.8).
    Object8_6,
    /// The same as requested (8.10).
    Object8_10,
    /// Key inside the object but not counted (Valkey 8.1.0 to 8.1.7).
    ValkeyUncounted,
    /// Key inside the object (Valkey 8.1.8).
    Valkey8_1,
    /// Key inside the object, values of up to 116 bytes too (Valkey 9).
    Valkey9,
}

/// What `MEMORY USAGE` counts for a string of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SdsUsage {
    /// `sdsAllocSize`: as requested.
    Requested,
    /// `sdsZmallocSize`: as allocated.
    Usable,
    /// `sdsAllocSize` of 8.4: as requested if shorter than 32 bytes, otherwise the header
    /// knows the whole block.
    Tracked,
}

#[derive(Debug)]
pub(crate) struct ListRules {
    /// `sizeof(quicklist)` as allocated; counted as such from 8.4 on.
    pub(crate) quicklist_len: u64,
    /// `sizeof(quicklistNode)`.
    pub(crate) node_len: u64,
    /// Whether a list of one node is a listpack.
    pub(crate) listpack: bool,
    /// Whether elements over the node limit get a node of their own.
    pub(crate) plain_nodes: bool,
    /// Whether the average is that of elements rather than nodes.
    pub(crate) averages_elements: bool,
}

/// What a table spends per element beside its buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entries {
    /// A `dictEntry` each, of which `MEMORY USAGE` counts `usage`.
    Each { usage: u64 },
    /// A `dictEntryNoValue` for those that share a bucket; `MEMORY USAGE` counts `usage` for
    /// every element.
    Shared { usage: u64 },
    /// A `dictEntryNoValue` for those that share a bucket, counted as they are (Valkey 8.0).
    SharedCounted,
    /// Valkey's `hashtable`, whose struct has `table_len` bytes with its metadata.
    Buckets { table_len: u64 },
}

/// The size a hash's table is given when its fields are read one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presize {
    /// None: it grows from 4 buckets (4.0).
    Never,
    /// To the fields left; a hash that was packed first grows from 4 (5.0 to 6.2).
    Left,
    /// To the fields left; one that was packed first is given a table for those (7.0).
    LeftAndPacked,
    /// To all fields (8.6).
    All,
}

/// How a field and its value are kept in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldForm {
    /// Two strings.
    Sds,
    /// An `mstr` and a string (7.4 to 8.4).
    Mstr,
    /// One `entry` if it has at most 128 bytes, otherwise the value apart (8.6 on).
    Entry,
    /// The same in Valkey 8.1 on.
    ValkeyEntry,
}

#[derive(Debug)]
pub(crate) struct HashRules {
    pub(crate) field: FieldForm,
    pub(crate) entries: Entries,
    pub(crate) presize: Presize,
    /// `sizeof(listpackEx)`; 0 where fields cannot expire.
    pub(crate) listpack_ex_len: u64,
    /// Metadata of the dict of a hash with field expiry.
    pub(crate) expire_meta_len: u64,
    /// Valkey's pointer to the vectors of fields with expiry.
    pub(crate) expire_index: bool,
}

/// Where a member of a skip list is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZsetNode {
    /// Apart from its node of 24 bytes and 16 a level.
    Apart,
    /// Inside its node, after `base` bytes and 16 a level.
    Inside { base: u64 },
}

#[derive(Debug)]
pub(crate) struct ZsetRules {
    pub(crate) entries: Entries,
    pub(crate) node: ZsetNode,
    /// `sizeof(zskiplist)`; 0 where the header is part of it.
    pub(crate) skiplist_len: u64,
    /// The header node, `ZSKIPLIST_MAXLEVEL` levels high.
    pub(crate) header_len: u64,
    /// Whether `MEMORY USAGE` counts dict, skip list and header.
    pub(crate) fixed_counted: bool,
    /// Whether `MEMORY USAGE` counts them as allocated.
    pub(crate) skiplist_rounded: bool,
    /// Whether the dict is sized for all members at once.
    pub(crate) presize: bool,
    /// Whether a blob that is built keeps integer scores as such up to 2^62 (`double2ll`).
    pub(crate) integer_scores: bool,
    /// Whether other scores are printed in their shortest form.
    pub(crate) shortest_scores: bool,
}

#[derive(Debug)]
pub(crate) struct StreamRules {
    /// `sizeof(stream)`.
    pub(crate) stream_len: u64,
    /// What `MEMORY USAGE` counts of it.
    pub(crate) stream_usage: StreamUsage,
    /// `sizeof(streamCG)`.
    pub(crate) group_len: u64,
    /// `sizeof(streamConsumer)`.
    pub(crate) consumer_len: u64,
    /// `sizeof(streamNACK)`.
    pub(crate) nack_len: u64,
    /// `sizeof(rax)`.
    pub(crate) rax_len: u64,
    /// Whether trees of ids have leaf nodes.
    pub(crate) rax_leaves: bool,
    /// Whether listpacks are counted as allocated.
    pub(crate) blob_rounded: bool,
    /// Whether the stream knows who refers to an id (`cgroups_ref`).
    pub(crate) cgroups_ref: bool,
    /// Whether a group keeps its pending entries by time too.
    pub(crate) time_tree: bool,
    /// Whether the tree of idempotent producers is counted.
    pub(crate) producer_tree: bool,
}

/// What `MEMORY USAGE` makes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamUsage {
    /// Trees by an old estimate, the struct not counted (5.0, 6.0).
    EstimateOnly,
    /// Trees by the old estimate, the struct counted (6.2 to 8.2).
    Estimate,
    /// Trees of ids as allocated (Valkey 8.1).
    Trees,
    /// Everything as allocated except listpacks (8.4).
    Tracked,
}

/// The tables of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DbTable {
    /// A `dict`; entries are part of the keys.
    Dict,
    /// A `dict` of objects, with a `dictEntryNoValue` for those that share a bucket.
    DictOfObjects,
    /// Valkey's `hashtable`.
    Hashtable,
}

#[derive(Debug)]
pub(crate) struct DbRules {
    pub(crate) table: DbTable,
    /// Metadata of a database's dict of keys: the histogram of key sizes.
    pub(crate) main_meta_len: u64,
    /// The same of a dict of expiries.
    pub(crate) expires_meta_len: u64,
    /// Struct of a slot's tables in cluster mode.
    pub(crate) slot_len: u64,
    pub(crate) slot_expires_len: u64,
}
