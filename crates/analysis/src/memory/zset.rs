//! Sorted sets (`t_zset.c`): a packed blob of members and scores, or a skip list together
//! with a table.

use offkey_rdb::{Packed, Part, Str, Weight, Weights};

use super::model::Model;
use super::object::ObjectCost;
use super::packed::Repacked;
use super::rules::ZsetNode;
use super::score::{ScoreText, integer_score};
use super::skiplist::Nodes;
use super::table::Table;
use super::{Cost, Encoding, LEN_MAX};

/// `sizeof(zset)`: two pointers.
const ZSET_LEN: u64 = 16;

/// Sizes a sorted set while its parts pass.
#[derive(Debug)]
pub(crate) struct ZsetSizer {
    count: u64,
    form: Form,
    /// Members as strings of their own.
    strings: Cost,
    /// Mean bytes of the skip list's nodes.
    nodes: Nodes,
    /// Members and scores as a blob.
    blob: Repacked,
    longest: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Members one by one; whether there are too many for a blob.
    Members { many: bool },
    /// A blob; whether it is in the server's form.
    Packed { len: u64, same_form: bool },
}

impl ZsetSizer {
    pub(crate) fn new(model: &Model) -> Self {
        Self {
            count: 0,
            form: Form::Members { many: false },
            strings: Cost::default(),
            nodes: Nodes::default(),
            blob: Repacked::new(model.rules.packed),
            longest: 0,
        }
    }

    pub(crate) fn part(&mut self, model: &Model, part: &Part<'_>) {
        let count_max = model.config.zset_max_listpack_entries;
        match part {
            Part::Member(item) => self.member(model, item),
            Part::Count(claimed) => self.form = Form::Members { many: *claimed > count_max },
            Part::Packed { kind, len, .. } => {
                let same_form = *kind == model.rules.packed;
                self.form = Form::Packed { len: (*len).min(LEN_MAX), same_form };
            }
            Part::Rows(rows) => self.count += rows,
            Part::Score(score) => self.score(model, *score),
            Part::ScoreText(score) if self.is_rebuilt() => self.blob.push(score),
            _ => {}
        }
    }

    /// Takes a member and its score.
    #[inline]
    pub(crate) fn scored(&mut self, model: &Model, member: &Str<'_>, score: f64) {
        self.member(model, member);
        self.score(model, score);
    }

    #[inline]
    fn score(&mut self, model: &Model, score: f64) {
        if self.form == (Form::Members { many: false }) {
            let rules = &model.rules.zset;
            match integer_score(score).filter(|_| rules.integer_scores) {
                Some(integer) => self.blob.push_int(integer),
                None => {
                    let text = ScoreText::new(score, rules.shortest_scores);
                    self.blob.push(&Str::from_bytes(text.as_bytes()));
                }
            }
        }
    }

    /// Whether the members of the blob at hand, which states so many members and scores,
    /// matter one by one: not if it stays as it is.
    pub(crate) fn wants_items(&self, model: &Model, stated: Option<u64>) -> bool {
        let few = stated.is_some_and(|n| n / 2 <= model.config.zset_max_listpack_entries);
        !few || !matches!(self.form, Form::Packed { same_form: true, .. })
    }

    /// Whether the blob is built again from its items.
    #[inline]
    fn is_rebuilt(&self) -> bool {
        match self.form {
            Form::Members { many } => !many,
            Form::Packed { same_form, .. } => !same_form,
        }
    }

    #[inline]
    fn member(&mut self, model: &Model, item: &Str<'_>) {
        self.count += 1;
        let len = item.len.min(LEN_MAX);
        if self.is_rebuilt() {
            self.longest = self.longest.max(len);
            self.blob.push(item);
        }
        self.outside(model, len);
    }

    /// What the members to come weigh, if nothing else of them matters.
    pub(crate) fn weights<'m>(&self, model: &'m Model) -> Option<Weights<'m>> {
        let is_plain = self.form == Form::Members { many: true };
        is_plain.then_some(Weights { first: model.member_weights(), value: &[] })
    }

    /// Takes members by their [`ZsetSizer::weights`].
    pub(crate) fn weighed(&mut self, model: &Model, count: u64, sum: Weight) {
        self.count += count;
        match model.rules.zset.node {
            ZsetNode::Apart => {
                self.strings += Cost::of(sum);
                self.nodes.add(model.skiplist_node(0).times(count));
            }
            ZsetNode::Inside { .. } => self.nodes.add(Nodes::of(sum)),
        }
    }

    /// Adds a member of this length as a node of a skip list.
    #[inline]
    fn outside(&mut self, model: &Model, len: u64) {
        self.nodes.add(model.skiplist_node(len));
        if model.rules.zset.node == ZsetNode::Apart {
            self.strings += model.sds(len);
        }
    }

    pub(crate) fn finish(&mut self, model: &Model, object: ObjectCost) -> (Encoding, u64, Cost) {
        let config = &model.config;
        let few = self.count <= config.zset_max_listpack_entries;
        let blob_len = match self.form {
            Form::Members { many } => {
                let packed = !many && few && self.longest <= config.zset_max_listpack_value;
                packed.then_some(self.blob.len())
            }
            Form::Packed { len, same_form: true, .. } => few.then_some(len),
            Form::Packed { same_form: false, .. } => few.then_some(self.blob.len()),
        };
        let Some(len) = blob_len else {
            return (Encoding::Skiplist, self.count, self.skiplist(model, object));
        };
        let encoding = match model.rules.packed {
            Packed::Listpack => Encoding::Listpack,
            Packed::Ziplist | Packed::Zipmap | Packed::Intset => Encoding::Ziplist,
        };
        let blob = match self.form {
            Form::Packed { len: old_len, .. } => model.converted_blob(old_len, len),
            Form::Members { .. } => model.blob(len),
        };
        (encoding, self.count, object.head + object.object + blob)
    }

    fn skiplist(&self, model: &Model, object: ObjectCost) -> Cost {
        let rules = &model.rules.zset;
        let mut table = Table::empty(rules.entries);
        if rules.presize {
            table = Table::sized(rules.entries, self.count);
        } else {
            table.insert_many(self.count);
        }
        let (table_cost, per_entry) = model.table(&table, rules.entries, 0, self.count);
        let nodes = Cost::same(self.nodes.bytes());

        let header = model.usable(rules.header_len);
        let skiplist = match rules.skiplist_len {
            // The header is part of the struct, which is counted by its length.
            0 => Cost { bytes: header, usage: rules.header_len },
            len if rules.skiplist_rounded => Cost::same(model.usable(len) + header),
            len => Cost { bytes: model.usable(len) + header, usage: len + header },
        };
        let mut fixed = table_cost + skiplist;
        if !rules.fixed_counted {
            fixed.usage = table_cost.usage.saturating_sub(model.rules.dict_len);
        }
        fixed += object.object + Cost { bytes: model.usable(ZSET_LEN), usage: ZSET_LEN };
        let elements = self.strings + per_entry + nodes;
        object.head + model.averaged(fixed, elements, self.count)
    }
}
