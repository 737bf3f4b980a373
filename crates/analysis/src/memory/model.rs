//! A server whose memory is modelled: version, allocator, limits; made once per input.

use offkey_rdb::Weight;

use super::Cost;
use super::alloc::Allocator;
use super::object::{KeyHead, ObjectCost};
use super::profile::Profile;
use super::rules::{FieldForm, Rules, ZsetNode};
use super::sds::embedded_len;
use super::skiplist::Nodes;
use super::template::Templates;

/// Settings of the server that change how values are held. `Default` is what all versions
/// ship with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `hash-max-listpack-entries`, formerly `hash-max-ziplist-entries`.
    pub hash_max_listpack_entries: u64,
    /// `hash-max-listpack-value`.
    pub hash_max_listpack_value: u64,
    /// `set-max-intset-entries`.
    pub set_max_intset_entries: u64,
    /// `set-max-listpack-entries` (7.2 on).
    pub set_max_listpack_entries: u64,
    /// `set-max-listpack-value` (7.2 on).
    pub set_max_listpack_value: u64,
    /// `zset-max-listpack-entries`.
    pub zset_max_listpack_entries: u64,
    /// `zset-max-listpack-value`.
    pub zset_max_listpack_value: u64,
    /// `list-max-listpack-size`: entries of a node, or -1 to -5 for 4 to 64 KiB.
    pub list_max_listpack_size: i64,
    /// `list-compress-depth`: nodes at either end that stay uncompressed, 0 for all.
    pub list_compress_depth: u64,
    /// `cluster-enabled`, which costs two pointers a key in Redis 7.0 and 7.2.
    pub cluster: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            list_max_listpack_size: -2,
            list_compress_depth: 0,
            cluster: false,
        }
    }
}

/// Lengths whose allocation is looked up.
const TABLE_LEN: u64 = 1 << 10;

/// Lengths of names whose costs are looked up.
const OBJECTS_LEN: u64 = 256;

/// A server whose memory is modelled.
#[derive(Debug)]
pub struct Model {
    /// Template hashes' shares of their templates (Redis 8.10), filled by a first pass.
    pub templates: Templates,
    pub(crate) rules: &'static Rules,
    pub(crate) config: Config,
    pub(super) allocator: Allocator,
    /// Allocation of a request by its length.
    short: Vec<u16>,
    /// Allocation of a string by its length, and what `MEMORY USAGE` counts of it.
    sds: Vec<Weight>,
    /// The same of a hash's field, where that is no such string.
    fields: Vec<Weight>,
    /// Costs of a key by the length of its name, without and with an expiry.
    objects: Vec<[ObjectCost; 2]>,
    /// Mean allocation of a skip list's node by the length of its member, or one for all.
    skiplist_nodes: Vec<Nodes>,
    /// The same as weights, where the length matters.
    members: Vec<Weight>,
}

impl Model {
    /// A server of this version, allocator and configuration.
    pub fn new(profile: Profile, allocator: Allocator, config: Config) -> Self {
        let rules = profile.rules;
        let nodes_len = match rules.zset.node {
            ZsetNode::Apart => 1,
            ZsetNode::Inside { .. } => TABLE_LEN,
        };
        let mut model = Self {
            templates: Templates::new(allocator),
            rules,
            config,
            allocator,
            short: Vec::new(),
            sds: Vec::new(),
            fields: Vec::new(),
            objects: Vec::new(),
            skiplist_nodes: Vec::new(),
            members: Vec::new(),
        };
        let short = (0..TABLE_LEN).map_while(|len| u16::try_from(allocator.usable(len)).ok());
        model.short = short.collect();
        model.sds = (0..TABLE_LEN).map(|len| model.sds_of(len).weight()).collect();
        if rules.hash.field == FieldForm::Mstr {
            model.fields =
                (0..TABLE_LEN).map(|len| model.hash_field(len, false).weight()).collect();
        }
        model.objects = (0..OBJECTS_LEN).map(|len| model.objects_of(len)).collect();
        model.skiplist_nodes = (0..nodes_len).map(|len| model.skiplist_node(len)).collect();
        if let ZsetNode::Inside { .. } = rules.zset.node {
            model.members = model.skiplist_nodes.iter().map_while(|mean| mean.weight()).collect();
        }
        model
    }

    /// Bytes the allocator hands out for `len`.
    #[inline]
    pub(crate) fn usable(&self, len: u64) -> u64 {
        match usize::try_from(len).ok().and_then(|len| self.short.get(len)) {
            Some(usable) => u64::from(*usable),
            None => self.allocator.usable(len),
        }
    }

    /// Costs of a key whose name has `len` bytes, without and with an expiry.
    fn objects_of(&self, len: u64) -> [ObjectCost; 2] {
        let key = KeyHead { len, ..KeyHead::default() };
        [false, true].map(|expires| self.object_of(&KeyHead { expires, ..key }))
    }

    /// Costs of a key whose value lies outside its object.
    #[inline]
    pub(crate) fn object(&self, key: &KeyHead) -> ObjectCost {
        let row = usize::try_from(key.len).ok().and_then(|len| self.objects.get(len));
        match row {
            Some([_, with_expiry]) if key.meta_class_count == 0 && key.expires => *with_expiry,
            Some([without, _]) if key.meta_class_count == 0 => *without,
            _ => self.object_of(key),
        }
    }

    /// Bytes left of a block for `from` bytes that was shrunk to `len`.
    pub(crate) fn shrunk(&self, from: u64, len: u64) -> u64 {
        self.allocator.shrunk(from, len)
    }

    /// A string of its own, `len` bytes long.
    #[inline]
    pub(crate) fn sds(&self, len: u64) -> Cost {
        match usize::try_from(len).ok().and_then(|len| self.sds.get(len)) {
            Some(weight) => Cost::of(*weight),
            None => self.sds_of(len),
        }
    }

    /// What strings of their own weigh.
    pub(crate) fn sds_weights(&self) -> &[Weight] {
        &self.sds
    }

    /// What fields of hashes weigh that are kept apart from their values.
    pub(crate) fn field_weights(&self) -> &[Weight] {
        if self.fields.is_empty() { &self.sds } else { &self.fields }
    }

    /// What members of sorted sets weigh: as strings of their own, or as nodes.
    pub(crate) fn member_weights(&self) -> &[Weight] {
        if self.members.is_empty() { &self.sds } else { &self.members }
    }

    /// Allocation of a string of its own.
    pub(crate) fn usable_sds(&self, len: u64) -> u64 {
        self.sds(len).bytes
    }

    /// Mean allocation of a skip list's node whose member has `len` bytes.
    pub(crate) fn skiplist_node(&self, len: u64) -> Nodes {
        let (row, base) = match self.rules.zset.node {
            ZsetNode::Apart => (0, 24),
            ZsetNode::Inside { base } => (len, base + embedded_len(len)),
        };
        match usize::try_from(row).ok().and_then(|row| self.skiplist_nodes.get(row)) {
            Some(mean) => *mean,
            None => Nodes::one(self.allocator, base),
        }
    }

    /// Bytes of a packed node's limit (`quicklistNodeNegFillLimit`, `SIZE_SAFETY_LIMIT`) and
    /// the number of entries it may hold.
    pub(crate) fn list_node_limits(&self) -> (u64, u64) {
        const SIZE_SAFETY_LIMIT: u64 = 8 << 10;
        match self.config.list_max_listpack_size {
            size @ 0.. => (SIZE_SAFETY_LIMIT, size.unsigned_abs()),
            size => (4096 << (size.unsigned_abs().min(5) - 1), u64::MAX),
        }
    }
}
