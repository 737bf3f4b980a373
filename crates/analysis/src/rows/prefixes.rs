//! Prefixes of rows: summed, then cut to those that lead.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use offkey_rdb::ObjectType;

use super::{PrefixDetail, RowError};
use crate::aggregate::leading::{Leading, RankBy};
use crate::aggregate::prefixes::{Branch, Counts, Prefix, Rule};
use crate::{Options, PrefixNode};

/// What makes a prefix one and the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) object_type: ObjectType,
    pub(super) text: Box<[u8]>,
    /// A [`PrefixDetail`] in JSON, where `text` is only the beginning.
    pub(super) detail: Option<Box<str>>,
}

/// What the prefixes of rows are gathered in.
#[derive(Debug)]
pub(super) enum Prefixes {
    /// Any row may add to a prefix of any other.
    Sums { sums: HashMap<Identity, Counts>, memory: usize, memory_max: usize },
    /// Each row is all there is of its prefix.
    Whole(Lists),
}

impl Prefixes {
    /// Bytes that an entry of the table of sums takes beside its texts.
    const ENTRY_LEN: usize = 2 * (size_of::<Identity>() + size_of::<Counts>());

    pub(super) fn sums(memory_max: usize) -> Self {
        Self::Sums { sums: HashMap::new(), memory: 0, memory_max }
    }

    pub(super) fn whole(options: &Options) -> Self {
        Self::Whole(Lists::new(options))
    }

    pub(super) fn add(&mut self, identity: Identity, counts: Counts) -> Result<(), RowError> {
        match self {
            Self::Whole(lists) => lists.offer(&identity, counts),
            Self::Sums { sums, memory, memory_max } => {
                let detail_len = identity.detail.as_deref().map_or(0, str::len);
                let len = identity.text.len() + detail_len + Self::ENTRY_LEN;
                match sums.entry(identity) {
                    Entry::Occupied(mut known) => known.get_mut().add(counts),
                    Entry::Vacant(room) => {
                        room.insert(counts);
                        *memory += len;
                    }
                }
                if *memory > *memory_max {
                    return Err(RowError::Memory { count: sums.len(), memory_max: *memory_max });
                }
            }
        }
        Ok(())
    }

    pub(super) fn into_lists(self, options: &Options) -> Lists {
        match self {
            Self::Whole(lists) => lists,
            Self::Sums { sums, .. } => {
                let mut lists = Lists::new(options);
                sums.iter().for_each(|(identity, counts)| lists.offer(identity, *counts));
                lists
            }
        }
    }
}

/// A prefix, and what tells it from others that begin alike.
type Known = (Prefix, Option<Box<str>>);

/// The prefixes that lead.
#[derive(Debug)]
pub(super) struct Lists {
    limit: usize,
    /// Of each type by number, by bytes, by bytes without an expiry.
    types: BTreeMap<ObjectType, [Leading<Known>; 3]>,
    /// Of all types by bytes: those of the tree, and one more that tells where it ends.
    greatest: Leading<Known>,
}

impl Lists {
    fn new(options: &Options) -> Self {
        let greatest = Leading::new(PrefixNode::COUNT_MAX + 1, RankBy::Bytes);
        Self { limit: options.prefixes, types: BTreeMap::new(), greatest }
    }

    fn offer(&mut self, identity: &Identity, counts: Counts) {
        let Identity { object_type, text, detail } = identity;
        let known = || {
            let whole = detail.as_deref().and_then(detail_of);
            let text_len = whole.map_or(text.len() as u64, |whole| whole.prefix_len);
            let text = text.to_vec();
            (Prefix { object_type: *object_type, text, text_len, counts }, detail.clone())
        };
        let limit = self.limit;
        let new =
            || [RankBy::KeyCount, RankBy::Bytes, RankBy::Bytes].map(|by| Leading::new(limit, by));
        let lists = self.types.entry(*object_type).or_insert_with(new);
        let [by_number, by_bytes, without_expiry] = lists;
        let Counts { key_count, bytes, lasting_count, lasting_bytes } = counts;
        by_number.offer(key_count, bytes, known);
        by_bytes.offer(key_count, bytes, known);
        if lasting_count > 0 {
            without_expiry.offer(lasting_count, lasting_bytes, known);
        }
        self.greatest.offer(key_count, bytes, known);
    }

    /// Takes the prefixes of a type out: by number, by bytes, by bytes without an expiry.
    pub(super) fn take(&mut self, object_type: ObjectType) -> [Vec<Prefix>; 3] {
        let sorted = |list: Leading<Known>| {
            list.into_sorted().into_iter().map(|(prefix, _)| prefix).collect()
        };
        let lists = self.types.remove(&object_type);
        lists.map_or([const { Vec::new() }; 3], |lists| lists.map(sorted))
    }

    /// Every prefix in some list, once.
    pub(super) fn into_all(self) -> Vec<Known> {
        let lists = self.types.into_values().flatten().chain([self.greatest]);
        let mut all: Vec<Known> = lists.flat_map(Leading::into_sorted).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The tree that [`crate::aggregate::prefixes::Prefixes::branches`] makes of a table.
    pub(super) fn branches(self, options: &Options) -> Vec<Branch> {
        let rule = Rule::new(&options.separators, options.fold_digits);
        let greatest = self.greatest.into_sorted();
        let least = greatest.get(PrefixNode::COUNT_MAX).map_or(0, |(p, _)| p.counts.bytes);
        let mut chosen: Vec<(Prefix, Position)> = (greatest.into_iter())
            .filter(|(prefix, _)| prefix.counts.bytes > least)
            .map(|(prefix, detail)| {
                let position = Position::new(&prefix, detail.as_deref(), &rule);
                (prefix, position)
            })
            .collect();
        chosen.sort_by(|(a, a_at), (b, b_at)| {
            (b.counts.bytes.cmp(&a.counts.bytes))
                .then_with(|| a_at.depth.cmp(&b_at.depth))
                .then_with(|| a.cmp(b))
        });
        let own_places = chosen.iter().enumerate().map(|(place, (_, at))| (&at.own, place));
        let places: HashMap<&Id, usize> = own_places.collect();
        (chosen.iter())
            .map(|(prefix, position)| Branch {
                object_type: prefix.object_type,
                parent: position.parent.as_ref().and_then(|parent| places.get(parent)).copied(),
                segment: position.segment.clone(),
                segment_len: position.segment_len,
                counts: prefix.counts,
            })
            .collect()
    }
}

/// What a prefix is found by: type, length, and text or, of a long one, digest.
type Id = (ObjectType, u64, Vec<u8>);

/// Where in the tree a prefix stands.
struct Position {
    own: Id,
    parent: Option<Id>,
    depth: usize,
    segment: Vec<u8>,
    segment_len: u64,
}

impl Position {
    fn new(prefix: &Prefix, detail: Option<&str>, rule: &Rule) -> Self {
        match detail.and_then(detail_of) {
            Some(detail) => Self::of_long(prefix, &detail),
            None => Self::of_text(prefix, rule),
        }
    }

    fn of_text(prefix: &Prefix, rule: &Rule) -> Self {
        let Prefix { object_type, text, text_len, .. } = prefix;
        let (mut depth, mut parent_len) = (0, 0);
        rule.cut(text, &mut Vec::new(), |shorter, _| {
            if shorter.len() < text.len() {
                (depth, parent_len) = (depth + 1, shorter.len());
            }
            true
        });
        let (parent, segment) = text.split_at_checked(parent_len).unwrap_or((&[], text));
        Self {
            own: (*object_type, *text_len, text.clone()),
            parent: (depth > 0).then(|| (*object_type, parent.len() as u64, parent.to_vec())),
            depth,
            segment: segment.get(..Branch::SEGMENT_LEN_MAX).unwrap_or(segment).to_vec(),
            segment_len: segment.len() as u64,
        }
    }

    fn of_long(prefix: &Prefix, detail: &PrefixDetail<'_>) -> Self {
        let Prefix { object_type, text, text_len, .. } = prefix;
        let short = usize::try_from(detail.parent_len).ok().and_then(|len| text.get(..len));
        let parent = short.unwrap_or(detail.parent_digest.as_bytes()).to_vec();
        Self {
            own: (*object_type, *text_len, detail.digest.as_bytes().to_vec()),
            parent: (detail.depth > 0).then_some((*object_type, detail.parent_len, parent)),
            depth: detail.depth,
            segment: BASE64.decode(detail.segment.as_bytes()).unwrap_or_default(),
            segment_len: detail.segment_len,
        }
    }
}

fn detail_of(json: &str) -> Option<PrefixDetail<'_>> {
    serde_json::from_str(json).ok()
}
