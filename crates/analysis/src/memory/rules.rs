//! What differs between server versions, one row a version.
//!
//! A row states what changed since the row before it; the rest is inherited. The struct
//! sizes are those of 64 bit builds. Every row but 5.0.0, 6.0.0 and 8.2.0 (read in the
//! sources) was held against a real server, see docs/MEMORY.md.

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
    pub(crate) set_listpack: bool,
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
    pub(crate) group_len: u64,
    pub(crate) consumer_len: u64,
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

/// Every row, oldest first, Redis before Valkey.
pub(crate) static ROWS: [Rules; 22] = [
    REDIS_4_0,
    REDIS_5_0,
    REDIS_5_0_6,
    REDIS_6_0,
    REDIS_6_0_9,
    REDIS_6_2,
    REDIS_6_2_12,
    REDIS_7_0,
    REDIS_7_2,
    REDIS_7_4,
    REDIS_8_0,
    REDIS_8_2_0,
    REDIS_8_2,
    REDIS_8_4,
    REDIS_8_6,
    REDIS_8_8,
    REDIS_8_10,
    VALKEY_7_2,
    VALKEY_8_0,
    VALKEY_8_1,
    VALKEY_8_1_8,
    VALKEY_9,
];

pub(crate) const REDIS_4_0: Rules = Rules {
    name: "redis-4.0",
    valkey: false,
    since: (4, 0, 0),
    head: Head::Argument,
    cluster_entry_len: 0,
    sds_limits: SdsLimits::Length,
    sds_usage: SdsUsage::Requested,
    blob_usage_rounded: false,
    averages: true,
    packed: Packed::Ziplist,
    list: ListRules {
        quicklist_len: 40,
        node_len: 32,
        listpack: false,
        plain_nodes: false,
        averages_elements: false,
    },
    dict_len: 96,
    dict_meta_len: 0,
    set_listpack: false,
    set_entries: Entries::Each { usage: 24 },
    hash: HashRules {
        field: FieldForm::Sds,
        entries: Entries::Each { usage: 24 },
        presize: Presize::Never,
        listpack_ex_len: 0,
        expire_meta_len: 0,
        expire_index: false,
    },
    zset: ZsetRules {
        entries: Entries::Each { usage: 24 },
        node: ZsetNode::Apart,
        skiplist_len: 32,
        header_len: 1048,
        fixed_counted: false,
        skiplist_rounded: false,
        presize: false,
        integer_scores: false,
        shortest_scores: false,
    },
    stream: StreamRules {
        stream_len: 40,
        stream_usage: StreamUsage::EstimateOnly,
        group_len: 32,
        consumer_len: 24,
        nack_len: 24,
        rax_len: 24,
        rax_leaves: true,
        blob_rounded: false,
        cgroups_ref: false,
        time_tree: false,
        producer_tree: false,
    },
    db: DbRules {
        table: DbTable::Dict,
        main_meta_len: 0,
        expires_meta_len: 0,
        slot_len: 0,
        slot_expires_len: 0,
    },
};

const REDIS_5_0: Rules = Rules {
    name: "redis-5.0",
    since: (5, 0, 0),
    head: Head::Requested,
    hash: HashRules { presize: Presize::Left, ..REDIS_4_0.hash },
    zset: ZsetRules { presize: true, ..REDIS_4_0.zset },
    ..REDIS_4_0
};

const REDIS_5_0_6: Rules = Rules {
    since: (5, 0, 6),
    zset: ZsetRules { fixed_counted: true, ..REDIS_5_0.zset },
    ..REDIS_5_0
};

const REDIS_6_0: Rules = Rules {
    name: "redis-6.0",
    since: (6, 0, 0),
    zset: ZsetRules { header_len: 536, ..REDIS_5_0_6.zset },
    ..REDIS_5_0_6
};

const REDIS_6_0_9: Rules =
    Rules { since: (6, 0, 9), head: Head::Usable, sds_usage: SdsUsage::Usable, ..REDIS_6_0 };

const REDIS_6_2: Rules = Rules {
    name: "redis-6.2",
    since: (6, 2, 0),
    stream: StreamRules { stream_usage: StreamUsage::Estimate, ..REDIS_6_0_9.stream },
    ..REDIS_6_0_9
};

const REDIS_6_2_12: Rules = Rules {
    since: (6, 2, 12),
    stream: StreamRules { blob_rounded: true, ..REDIS_6_2.stream },
    ..REDIS_6_2
};

const REDIS_7_0: Rules = Rules {
    name: "redis-7.0",
    since: (7, 0, 0),
    cluster_entry_len: 16,
    blob_usage_rounded: true,
    packed: Packed::Listpack,
    list: ListRules { node_len: 40, ..REDIS_6_2_12.list },
    dict_len: 56,
    hash: HashRules { presize: Presize::LeftAndPacked, ..REDIS_6_2_12.hash },
    zset: ZsetRules { integer_scores: true, ..REDIS_6_2_12.zset },
    stream: StreamRules { stream_len: 80, group_len: 40, ..REDIS_6_2_12.stream },
    ..REDIS_6_2_12
};

const REDIS_7_2: Rules = Rules {
    name: "redis-7.2",
    since: (7, 2, 0),
    list: ListRules { listpack: true, ..REDIS_7_0.list },
    set_listpack: true,
    set_entries: Entries::Shared { usage: 24 },
    zset: ZsetRules { shortest_scores: true, ..REDIS_7_0.zset },
    stream: StreamRules { consumer_len: 32, ..REDIS_7_0.stream },
    ..REDIS_7_0
};

const REDIS_7_4: Rules = Rules {
    name: "redis-7.4",
    since: (7, 4, 0),
    cluster_entry_len: 0,
    list: ListRules { plain_nodes: true, ..REDIS_7_2.list },
    hash: HashRules {
        field: FieldForm::Mstr,
        listpack_ex_len: 32,
        expire_meta_len: 32,
        ..REDIS_7_2.hash
    },
    db: DbRules { slot_len: 64, slot_expires_len: 64, ..REDIS_7_2.db },
    ..REDIS_7_2
};

const REDIS_8_0: Rules = Rules {
    name: "redis-8.0",
    since: (8, 0, 0),
    list: ListRules { averages_elements: true, ..REDIS_7_4.list },
    ..REDIS_7_4
};

const REDIS_8_2_0: Rules = Rules {
    name: "redis-8.2",
    since: (8, 2, 0),
    head: Head::Object8_2_0,
    sds_limits: SdsLimits::Allocation,
    hash: HashRules { listpack_ex_len: 24, expire_meta_len: 24, ..REDIS_8_0.hash },
    zset: ZsetRules { entries: Entries::Each { usage: 16 }, ..REDIS_8_0.zset },
    stream: StreamRules { stream_len: 112, nack_len: 32, cgroups_ref: true, ..REDIS_8_0.stream },
    db: DbRules {
        table: DbTable::DictOfObjects,
        main_meta_len: 2560,
        expires_meta_len: 64,
        slot_len: 2560,
        slot_expires_len: 64,
    },
    ..REDIS_8_0
};

const REDIS_8_2: Rules = Rules { since: (8, 2, 2), head: Head::Object8_2, ..REDIS_8_2_0 };

const REDIS_8_4: Rules = Rules {
    name: "redis-8.4",
    since: (8, 4, 0),
    head: Head::Object8_4,
    sds_usage: SdsUsage::Tracked,
    blob_usage_rounded: false,
    averages: false,
    list: ListRules { quicklist_len: 48, averages_elements: false, ..REDIS_8_2.list },
    dict_meta_len: 8,
    zset: ZsetRules {
        entries: Entries::Each { usage: 24 },
        skiplist_len: 40,
        skiplist_rounded: true,
        ..REDIS_8_2.zset
    },
    stream: StreamRules {
        stream_len: 120,
        stream_usage: StreamUsage::Tracked,
        group_len: 48,
        rax_len: 32,
        blob_rounded: false,
        time_tree: true,
        ..REDIS_8_2.stream
    },
    db: DbRules { main_meta_len: 0, expires_meta_len: 0, slot_len: 152, ..REDIS_8_2.db },
    ..REDIS_8_2
};

const REDIS_8_6: Rules = Rules {
    name: "redis-8.6",
    since: (8, 6, 0),
    head: Head::Object8_6,
    hash: HashRules {
        field: FieldForm::Entry,
        entries: Entries::Shared { usage: 24 },
        presize: Presize::All,
        ..REDIS_8_4.hash
    },
    zset: ZsetRules {
        entries: Entries::Shared { usage: 24 },
        node: ZsetNode::Inside { base: 16 },
        header_len: 528,
        ..REDIS_8_4.zset
    },
    stream: StreamRules {
        stream_len: 160,
        group_len: 56,
        nack_len: 64,
        time_tree: false,
        ..REDIS_8_4.stream
    },
    ..REDIS_8_4
};

const REDIS_8_8: Rules = Rules {
    name: "redis-8.8",
    since: (8, 8, 0),
    stream: StreamRules { group_len: 64, ..REDIS_8_6.stream },
    ..REDIS_8_6
};

const REDIS_8_10: Rules = Rules {
    name: "redis-8.10",
    since: (8, 10, 0),
    head: Head::Object8_10,
    set_entries: Entries::Shared { usage: 16 },
    hash: HashRules { entries: Entries::Shared { usage: 16 }, ..REDIS_8_8.hash },
    zset: ZsetRules { entries: Entries::Shared { usage: 16 }, ..REDIS_8_8.zset },
    stream: StreamRules { rax_len: 40, rax_leaves: false, producer_tree: true, ..REDIS_8_8.stream },
    ..REDIS_8_8
};

const VALKEY_7_2: Rules = Rules { name: "valkey-7.2", valkey: true, ..REDIS_7_2 };

const VALKEY_8_0: Rules = Rules {
    name: "valkey-8.0",
    since: (8, 0, 0),
    head: Head::InEntry,
    cluster_entry_len: 0,
    sds_limits: SdsLimits::Allocation,
    list: ListRules { plain_nodes: true, ..VALKEY_7_2.list },
    set_entries: Entries::SharedCounted,
    db: DbRules { slot_len: 64, slot_expires_len: 64, ..VALKEY_7_2.db },
    ..VALKEY_7_2
};

const VALKEY_8_1: Rules = Rules {
    name: "valkey-8.1",
    since: (8, 1, 0),
    head: Head::ValkeyUncounted,
    set_entries: Entries::Buckets { table_len: 72 },
    hash: HashRules {
        field: FieldForm::ValkeyEntry,
        entries: Entries::Buckets { table_len: 72 },
        ..VALKEY_8_0.hash
    },
    zset: ZsetRules { entries: Entries::Buckets { table_len: 72 }, ..VALKEY_8_0.zset },
    stream: StreamRules { stream_usage: StreamUsage::Trees, rax_len: 32, ..VALKEY_8_0.stream },
    db: DbRules { table: DbTable::Hashtable, slot_len: 96, slot_expires_len: 96, ..VALKEY_8_0.db },
    ..VALKEY_8_0
};

const VALKEY_8_1_8: Rules = Rules { since: (8, 1, 8), head: Head::Valkey8_1, ..VALKEY_8_1 };

const VALKEY_9: Rules = Rules {
    name: "valkey-9.1",
    since: (9, 0, 0),
    head: Head::Valkey9,
    set_entries: Entries::Buckets { table_len: 80 },
    hash: HashRules {
        entries: Entries::Buckets { table_len: 88 },
        expire_index: true,
        ..VALKEY_8_1_8.hash
    },
    zset: ZsetRules {
        entries: Entries::Buckets { table_len: 80 },
        node: ZsetNode::Inside { base: 17 },
        skiplist_len: 0,
        header_len: 528,
        ..VALKEY_8_1_8.zset
    },
    ..VALKEY_8_1_8
};
