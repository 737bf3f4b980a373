//! What differs between server versions, one row a version.
//!
//! A row states what changed since the row before it; the rest is inherited. The struct
//! sizes are those of 64 bit builds. Every row but 5.0.0, 6.0.0 and 8.2.0 (read in the
//! sources) was held against a real server, see docs/MEMORY.md.

use offkey_rdb::Packed;

use super::rules::{
    DbRules, DbTable, Entries, FieldForm, HashRules, Head, ListRules, Presize, Rules, SdsUsage,
    StreamRules, StreamUsage, ZsetNode, ZsetRules,
};
use super::sds::SdsLimits;

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
