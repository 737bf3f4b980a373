//! Sets (`t_set.c`): an intset, from 7.2 on a small listpack, otherwise a table of strings.

use offkey_rdb::{Packed, Part, Str, Weight, Weights};

use super::model::Model;
use super::object::ObjectCost;
use super::packed::Repacked;
use super::table::Table;
use super::{Cost, Encoding, LEN_MAX};

/// `sizeof(intset)` without its members.
const INTSET_HEADER_LEN: u64 = 8;

/// Sizes a set while its parts pass.
#[derive(Debug)]
pub(crate) struct SetSizer {
    count: u64,
    form: Form,
    /// Members as strings of their own.
    strings: Cost,
    /// Members as a listpack.
    blob: Repacked,
    longest: u64,
    /// Integers before the first other member.
    leading_ints: u64,
    int_min: i64,
    int_max: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Members one by one, so many by the file's word.
    Members { claimed: u64 },
    /// A listpack.
    Listpack { len: u64 },
    /// An intset.
    Intset { width: u64, count: u64 },
}

impl Default for SetSizer {
    fn default() -> Self {
        Self {
            count: 0,
            form: Form::Members { claimed: 0 },
            strings: Cost::default(),
            blob: Repacked::new(Packed::Listpack),
            longest: 0,
            leading_ints: 0,
            int_min: 0,
            int_max: 0,
        }
    }
}

impl SetSizer {
    pub(crate) fn begin(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn part(&mut self, model: &Model, part: &Part<'_>) {
        match part {
            Part::Member(item) => self.member(model, item),
            Part::Count(claimed) => self.form = Form::Members { claimed: *claimed },
            Part::Packed { kind: Packed::Listpack, len, .. } => {
                self.form = Form::Listpack { len: (*len).min(LEN_MAX) };
            }
            Part::Rows(rows) => self.count += rows,
            Part::Intset { width, count } => {
                self.form = Form::Intset { width: u64::from(*width), count: *count };
            }
            _ => {}
        }
    }

    /// Whether the members of the blob at hand, which states so many, matter one by one: not
    /// if it stays as it is.
    pub(crate) fn wants_items(&self, model: &Model, stated: Option<u64>) -> bool {
        let few = stated.is_some_and(|count| count <= model.config.set_max_listpack_entries);
        !(few && model.rules.set_listpack)
    }

    /// What the members to come weigh, if nothing else of them matters.
    pub(crate) fn weights<'m>(&self, model: &'m Model) -> Option<Weights<'m>> {
        let is_plain =
            matches!(self.form, Form::Members { claimed } if claimed > packed_count_max(model));
        is_plain.then_some(Weights { first: model.sds_weights(), value: &[] })
    }

    /// Takes members by their [`SetSizer::weights`].
    pub(crate) fn weighed(&mut self, count: u64, sum: Weight) {
        self.count += count;
        self.strings += Cost::of(sum);
    }

    #[inline]
    pub(crate) fn member(&mut self, model: &Model, item: &Str<'_>) {
        self.count += 1;
        let len = item.len.min(LEN_MAX);
        match self.form {
            Form::Intset { .. } => {}
            Form::Members { claimed } if claimed > packed_count_max(model) => {
                self.strings += model.sds(len);
            }
            Form::Listpack { .. } | Form::Members { .. } => {
                self.strings += model.sds(len);
                if model.rules.set_listpack {
                    self.longest = self.longest.max(len);
                    self.blob.push(item);
                }
                if self.leading_ints + 1 == self.count
                    && len <= 20
                    && let Some(int) = item.to_int()
                {
                    self.leading_ints += 1;
                    self.int_min = self.int_min.min(int);
                    self.int_max = self.int_max.max(int);
                }
            }
        }
    }

    pub(crate) fn finish(&mut self, model: &Model, object: ObjectCost) -> (Encoding, u64, Cost) {
        let config = &model.config;
        match self.form {
            Form::Intset { width, count } => {
                self.count = count.min(LEN_MAX);
                if count <= config.set_max_intset_entries {
                    return self.intset(model, object, width);
                }
                self.strings = model.sds(int_text_len(width)).times(count);
            }
            Form::Listpack { len } if self.is_listpack(model) => {
                return self.packed(model, object, Encoding::Listpack, len);
            }
            Form::Members { claimed } if claimed > packed_count_max(model) => {}
            Form::Listpack { .. } | Form::Members { .. } => {
                if self.leading_ints == self.count {
                    return self.intset(model, object, intset_width(self.int_min, self.int_max));
                }
                if self.is_listpack(model) && self.longest <= config.set_max_listpack_value {
                    return self.packed(model, object, Encoding::Listpack, self.blob.len());
                }
            }
        }
        self.table(model, object)
    }

    fn is_listpack(&self, model: &Model) -> bool {
        model.rules.set_listpack && self.count <= model.config.set_max_listpack_entries
    }

    fn intset(&self, model: &Model, object: ObjectCost, width: u64) -> (Encoding, u64, Cost) {
        let len = INTSET_HEADER_LEN + width.saturating_mul(self.count.min(LEN_MAX));
        self.packed(model, object, Encoding::Intset, len)
    }

    fn packed(
        &self,
        model: &Model,
        object: ObjectCost,
        encoding: Encoding,
        len: u64,
    ) -> (Encoding, u64, Cost) {
        (encoding, self.count, object.head + object.object + model.blob(len))
    }

    /// `setTypeConvert`; up to 7.0 a set that began as an intset gets a table for its integers
    /// first and is then made larger, from 7.2 on (`setTypeConvertAndExpand`) at once.
    fn table(&self, model: &Model, object: ObjectCost) -> (Encoding, u64, Cost) {
        let entries = model.rules.set_entries;
        let began_as_intset = matches!(self.form, Form::Members { claimed }
            if claimed <= packed_count_max(model) && self.leading_ints > 0);
        let table = if began_as_intset && !model.rules.set_listpack {
            let mut table = Table::empty(entries);
            table.expand(self.leading_ints);
            table.insert_many(self.leading_ints);
            table.expand(self.count);
            table.insert_many(self.count - self.leading_ints);
            table
        } else {
            Table::sized(entries, self.count)
        };
        let (fixed, per_entry) =
            model.table(&table, entries, model.rules.dict_meta_len, self.count);
        let cost = model.averaged(object.object + fixed, self.strings + per_entry, self.count);
        (Encoding::Hashtable, self.count, object.head + cost)
    }
}

/// Members up to which a set read one by one begins packed (`rdbLoadObject`).
fn packed_count_max(model: &Model) -> u64 {
    let config = &model.config;
    if model.rules.set_listpack {
        config.set_max_intset_entries.max(config.set_max_listpack_entries)
    } else {
        config.set_max_intset_entries
    }
}

/// Bytes of a member of an intset with these extremes (`_intsetValueEncoding`).
fn intset_width(min: i64, max: i64) -> u64 {
    if i16::try_from(min).is_ok() && i16::try_from(max).is_ok() {
        2
    } else if i32::try_from(min).is_ok() && i32::try_from(max).is_ok() {
        4
    } else {
        8
    }
}

/// Usual length of a member as text where an intset over the limit becomes a table: its
/// members are not read one by one.
fn int_text_len(width: u64) -> u64 {
    match width {
        2 => 5,
        4 => 10,
        _ => 19,
    }
}
