//! Hashes (`t_hash.c`): a packed blob of fields and values, a `listpackEx` where fields
//! expire (Redis 7.4 on), otherwise a table. Template hashes are in `template.rs`.

use offkey_rdb::{Packed, Part, RdbType, Str, Weight, Weights};

use super::hash_expire::ExpireIndex;
use super::model::Model;
use super::object::ObjectCost;
use super::packed::Repacked;
use super::rules::{Entries, FieldForm, Presize};
use super::sds::{embedded_len, embedded_sds8_len};
use super::table::Table;
use super::{Cost, Encoding, LEN_MAX};

/// Most bytes of a field and a value in one entry (`EMBED_VALUE_MAX_ALLOC_SIZE`).
const ENTRY_LEN_MAX: u64 = 128;

/// Sizes a hash while its parts pass.
#[derive(Debug)]
pub(crate) struct HashSizer {
    count: u64,
    form: Form,
    /// Whether the file's type has room for the fields' expiry.
    may_expire: bool,
    field_len: u64,
    /// Length of the last value while its field's expiry may still follow.
    open_value_len: Option<u64>,
    /// Fields and values as a table holds them.
    pairs: Cost,
    /// Fields, values and expiries as a blob.
    blob: Repacked,
    /// Place of the first pair with a field or value too long for a blob.
    first_long: Option<u64>,
    expires: ExpireIndex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Pairs one by one; whether there are too many for a blob.
    Pairs { many: bool },
    /// A blob; whether it is in the server's form.
    Packed { len: u64, kind: Packed, same_form: bool },
}

impl HashSizer {
    pub(crate) fn new(model: &Model) -> Self {
        Self {
            count: 0,
            form: Form::Pairs { many: false },
            may_expire: false,
            field_len: 0,
            open_value_len: None,
            pairs: Cost::default(),
            blob: Repacked::new(model.rules.packed),
            first_long: None,
            expires: ExpireIndex::default(),
        }
    }

    pub(crate) fn begin(&mut self, model: &Model, rdb_type: RdbType) {
        let mut expires = std::mem::take(&mut self.expires);
        expires.clear();
        *self = Self { expires, ..Self::new(model) };
        self.may_expire = matches!(
            rdb_type,
            RdbType::HashMetadataPreGa
                | RdbType::HashListpackExPreGa
                | RdbType::HashMetadata
                | RdbType::HashListpackEx
                | RdbType::ValkeyHash2
        );
    }

    pub(crate) fn part(&mut self, model: &Model, part: &Part<'_>) {
        match part {
            Part::Field(item) => self.field(model, item),
            Part::FieldExpire(at_ms) => {
                self.expires.add(*at_ms, model.rules.hash.expire_index);
                self.end_pair(model, Some(*at_ms));
            }
            Part::Value(item) => self.value(model, item),
            Part::Rows(rows) => self.count += rows,
            Part::Count(claimed) => {
                self.form = Form::Pairs { many: *claimed > model.config.hash_max_listpack_entries };
            }
            Part::Packed { kind, len, .. } => {
                let same_form = *kind == model.rules.packed
                    && (!self.may_expire || model.rules.hash.listpack_ex_len > 0);
                self.form = Form::Packed { len: (*len).min(LEN_MAX), kind: *kind, same_form };
            }
            _ => {}
        }
    }

    /// Whether the fields of the blob at hand, which states so many fields and values, matter
    /// one by one: not if it stays as it is.
    pub(crate) fn wants_items(&self, model: &Model, stated: Option<u64>) -> bool {
        let few = stated.is_some_and(|n| n / 2 <= model.config.hash_max_listpack_entries);
        self.may_expire || !few || !matches!(self.form, Form::Packed { same_form: true, .. })
    }

    /// Takes a field and its value.
    #[inline]
    pub(crate) fn pair(&mut self, model: &Model, field: &Str<'_>, value: &Str<'_>) {
        if self.may_expire {
            self.field(model, field);
            return self.value(model, value);
        }
        let (field_len, value_len) = (field.len.min(LEN_MAX), value.len.min(LEN_MAX));
        if self.is_rebuilt() {
            self.note_long(model, field_len.max(value_len));
            self.blob.push(field);
            self.blob.push(value);
        }
        self.count += 1;
        self.pairs += model.hash_pair(field_len, value_len, false);
    }

    /// What the pairs to come weigh, if nothing else of them matters.
    pub(crate) fn weights<'m>(&self, model: &'m Model) -> Option<Weights<'m>> {
        let are_apart = match model.rules.hash.field {
            FieldForm::Sds | FieldForm::Mstr => true,
            FieldForm::Entry | FieldForm::ValkeyEntry => false,
        };
        let is_plain = are_apart && !self.may_expire && !self.is_rebuilt();
        let weights = Weights { first: model.field_weights(), value: model.sds_weights() };
        is_plain.then_some(weights)
    }

    /// Takes pairs by their [`HashSizer::weights`].
    pub(crate) fn weighed(&mut self, count: u64, sum: Weight) {
        self.count += count;
        self.pairs += Cost::of(sum);
    }

    fn field(&mut self, model: &Model, item: &Str<'_>) {
        self.end_pair(model, None);
        self.field_len = item.len.min(LEN_MAX);
        if self.is_rebuilt() {
            self.note_long(model, self.field_len);
            self.blob.push(item);
        }
    }

    fn value(&mut self, model: &Model, item: &Str<'_>) {
        let len = item.len.min(LEN_MAX);
        if self.is_rebuilt() {
            self.note_long(model, len);
            self.blob.push(item);
        }
        self.count += 1;
        self.open_value_len = Some(len);
        if !self.may_expire {
            self.end_pair(model, None);
        }
    }

    /// Completes the last pair once it is known whether its field expires.
    fn end_pair(&mut self, model: &Model, expire_at_ms: Option<u64>) {
        let Some(value_len) = self.open_value_len.take() else { return };
        if self.is_rebuilt() && self.may_expire && model.rules.hash.listpack_ex_len > 0 {
            self.blob.push_int(expire_at_ms.map_or(0, |at_ms| i64::try_from(at_ms).unwrap_or(0)));
        }
        let expires = expire_at_ms.is_some() && model.rules.hash.field_may_expire();
        self.pairs += model.hash_pair(self.field_len, value_len, expires);
    }

    fn note_long(&mut self, model: &Model, len: u64) {
        if len > model.config.hash_max_listpack_value {
            self.first_long.get_or_insert(self.count);
        }
    }

    /// Whether the blob is built again from its items.
    #[inline]
    fn is_rebuilt(&self) -> bool {
        match self.form {
            Form::Pairs { many } => !many && self.first_long.is_none(),
            Form::Packed { same_form, .. } => !same_form,
        }
    }

    pub(crate) fn finish(&mut self, model: &Model, object: ObjectCost) -> (Encoding, u64, Cost) {
        self.end_pair(model, None);
        match self.blob_len(model) {
            Some(len) if self.may_expire && model.rules.hash.listpack_ex_len > 0 => {
                let mut meta = model.counted_struct(model.rules.hash.listpack_ex_len);
                let blob = model.blob(len);
                // `MEMORY USAGE` counts the struct as allocated, then not at all rounded.
                meta.usage = if model.tracks_allocations() {
                    model.rules.hash.listpack_ex_len
                } else {
                    meta.bytes
                };
                let index = Cost { bytes: model.expiring_hash(), usage: 0 };
                let cost = object.head + object.object + meta + blob + index;
                (Encoding::ListpackEx, self.count, cost)
            }
            Some(len) => {
                let encoding = match model.rules.packed {
                    Packed::Listpack => Encoding::Listpack,
                    Packed::Ziplist | Packed::Zipmap | Packed::Intset => Encoding::Ziplist,
                };
                let blob = match self.form {
                    Form::Packed { len: old_len, kind: Packed::Ziplist, .. } => {
                        model.converted_blob(old_len, len)
                    }
                    Form::Packed { .. } | Form::Pairs { .. } => model.blob(len),
                };
                (encoding, self.count, object.head + object.object + blob)
            }
            None => (Encoding::Hashtable, self.count, self.table(model, object)),
        }
    }

    /// Length of the blob the server ends up with, or `None` for a table.
    fn blob_len(&self, model: &Model) -> Option<u64> {
        // Valkey keeps hashes whose fields may expire as tables.
        if self.may_expire && model.rules.hash.expire_index {
            return None;
        }
        let few = self.count <= model.config.hash_max_listpack_entries;
        match self.form {
            Form::Pairs { many } => {
                (!many && few && self.first_long.is_none()).then_some(self.blob.len())
            }
            Form::Packed { len, same_form: true, .. } => few.then_some(len),
            // Of converted blobs only zipmaps are held against the limit of lengths.
            Form::Packed { kind: Packed::Zipmap, .. } => {
                (few && self.first_long.is_none()).then_some(self.blob.len())
            }
            Form::Packed { .. } => few.then_some(self.blob.len()),
        }
    }

    fn table(&self, model: &Model, object: ObjectCost) -> Cost {
        let rules = &model.rules.hash;
        let table = self.fill(model);
        let has_expires = self.may_expire && rules.expire_meta_len > 0;
        let expire_meta_len = if has_expires { rules.expire_meta_len } else { 0 };
        let meta_len = model.rules.dict_meta_len + expire_meta_len;
        let (mut fixed, per_entry) = model.table(&table, rules.entries, meta_len, self.count);
        if rules.expire_index {
            fixed += Cost::same(self.expires.valkey_index_len(model));
        } else if has_expires {
            fixed.bytes += model.expiring_hash() + model.expiring_fields(self.expires.count());
        }
        let cost = model.averaged(object.object + fixed, self.pairs + per_entry, self.count);
        object.head + cost
    }

    /// The table as the load leaves it (`rdbLoadObject`, `hashTypeConvert`).
    fn fill(&self, model: &Model) -> Table {
        let entries = model.rules.hash.entries;
        let presize = model.rules.hash.presize;
        let mut table = Table::empty(entries);
        let is_valkey_table = matches!(entries, Entries::Buckets { .. });
        let many = match self.form {
            Form::Pairs { many } => many,
            Form::Packed { .. } => false,
        };
        match (self.first_long, presize) {
            // Too many for a blob from the start. Redis does not size tables for fields
            // with expiry.
            _ if many => {
                if presize != Presize::Never && (!self.may_expire || is_valkey_table) {
                    return Table::sized(entries, self.count);
                }
                table.insert_many(self.count);
            }
            (Some(_), _) if self.may_expire && model.rules.hash.expire_index => {
                return Table::sized(entries, self.count);
            }
            (_, Presize::Never) | (None, Presize::Left) => table.insert_many(self.count),
            // A blob that became too large as a whole.
            (None, Presize::LeftAndPacked | Presize::All) => {
                return Table::sized(entries, self.count);
            }
            (Some(packed), Presize::Left) => {
                let left = self.count.saturating_sub(packed + 1);
                table.insert_many(packed + 1);
                if left > 4 {
                    table.expand(left);
                }
                table.insert_many(left);
            }
            (Some(packed), Presize::LeftAndPacked | Presize::All) => {
                let left = self.count.saturating_sub(packed + 1);
                table.expand(packed);
                table.insert_many(packed);
                // With expiries the long pair is added after the table was made larger.
                let before = if self.may_expire { 0 } else { 1 };
                table.insert_many(before);
                if presize == Presize::All {
                    table.expand(self.count);
                } else if left > 4 {
                    table.expand(left);
                }
                table.insert_many(left + 1 - before);
            }
        }
        table
    }
}

impl super::rules::HashRules {
    /// Whether fields can expire at all.
    fn field_may_expire(&self) -> bool {
        self.expire_index || self.listpack_ex_len > 0
    }
}

impl Model {
    /// A field outside its entry, which is where older servers keep all of them.
    #[inline]
    pub(super) fn hash_field(&self, field_len: u64, expires: bool) -> Cost {
        if self.rules.hash.field != FieldForm::Mstr {
            return self.sds(field_len);
        }
        // `mstr.h` pads `mstrhdr8` to the three bytes of `mstrhdr16`.
        let header = match field_len {
            0..0x20 => 1,
            0x20..0x1_0000 => 3,
            _ => 9,
        };
        // Expiry and metadata flags stand before the string.
        let meta = if expires { 16 + 2 } else { 0 };
        Cost::same(self.usable(meta + header + field_len + 1))
    }

    /// A field and its value in a table.
    #[inline]
    fn hash_pair(&self, field_len: u64, value_len: u64, expires: bool) -> Cost {
        match self.rules.hash.field {
            FieldForm::Sds | FieldForm::Mstr => {
                self.hash_field(field_len, expires) + self.sds(value_len)
            }
            FieldForm::Entry => {
                let expire = if expires { 16 } else { 0 };
                let together = field_in_entry(field_len, expires) + expire + value_len + 4;
                if together <= ENTRY_LEN_MAX {
                    return Cost { bytes: self.usable(together), usage: together };
                }
                let entry = embedded_sds8_len(field_len) + expire + 8;
                Cost { bytes: self.usable(entry), usage: entry } + self.sds(value_len)
            }
            FieldForm::ValkeyEntry => {
                let expire = if expires { 8 } else { 0 };
                let together = field_in_entry(field_len, expires) + expire + value_len + 4;
                if together <= ENTRY_LEN_MAX {
                    return Cost::same(self.usable(together));
                }
                let entry = 8 + embedded_sds8_len(field_len) + expire;
                Cost::same(self.usable(entry)) + self.sds(value_len)
            }
        }
    }
}

/// A field inside an entry: one that expires needs a header with flags.
fn field_in_entry(field_len: u64, expires: bool) -> u64 {
    if expires { embedded_sds8_len(field_len) } else { embedded_len(field_len) }
}
