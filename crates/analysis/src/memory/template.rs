//! Template hashes (Redis 8.10): hashes that share their field names and hold only values, as
//! a listpack that begins with the template's number, or as an array.
//!
//! `MEMORY USAGE` counts for each of them its share of the template: the template's memory
//! divided by the keys that use it. That number is known only when the whole file was read,
//! so a first pass has to count them, see [`Templates`]. The real memory of a template belongs
//! to no key: it is a line of its own beside the databases.

use std::collections::BTreeMap;

use offkey_rdb::{Packed, Part, RdbType, Visit};

use super::alloc::Allocator;
use super::model::Model;
use super::object::ObjectCost;
use super::packed::listpack_entry_len;
use super::sds::SdsLimits;
use super::{Cost, Encoding, LEN_MAX};

/// What a template takes beside its field names.
const TEMPLATE_LEN: u64 = 80;

/// The templates of a file and how many keys use each.
///
/// At each [`offkey_rdb::Entry::HashTemplate`] the template's names are visited with what
/// [`Templates::define`] returns. In a first pass over the file `Templates` itself visits all
/// values, which counts the keys; without that pass templates cost their keys nothing in
/// `memory_usage`.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    allocator: Allocator,
    by_id: BTreeMap<u64, Template>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Template {
    /// A pointer and a string for each field.
    len: u64,
    keys: u64,
    /// The template's number in the server that loads it.
    loaded_id: u64,
}

impl Templates {
    /// Most templates that are told apart.
    const COUNT_MAX: usize = 1 << 16;

    pub(crate) fn new(allocator: Allocator) -> Self {
        Self { allocator, ..Self::default() }
    }

    /// Begins the template `id`; the visitor returned takes its field names.
    #[must_use]
    pub fn define(&mut self, id: u64) -> impl Visit {
        let loaded_id = self.by_id.len() as u64;
        if self.by_id.len() < Self::COUNT_MAX {
            self.by_id.insert(id, Template { loaded_id, ..Template::default() });
        }
        TemplateFields { allocator: self.allocator, template: self.by_id.get_mut(&id) }
    }

    /// Whether the file has any.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Memory of all templates.
    pub(crate) fn bytes(&self) -> u64 {
        self.by_id.values().map(Template::bytes).fold(0, u64::saturating_add)
    }

    /// What one key that uses the template is charged for it.
    fn share(&self, id: u64) -> u64 {
        let template = self.by_id.get(&id).copied().unwrap_or_default();
        template.bytes().checked_div(template.keys).unwrap_or(0)
    }
}

impl Template {
    fn bytes(&self) -> u64 {
        TEMPLATE_LEN + self.len
    }
}

/// Counts the keys of each template.
impl Visit for Templates {
    fn part(&mut self, part: Part<'_>) {
        if let Part::Template { id } = part
            && let Some(template) = self.by_id.get_mut(&id)
        {
            template.keys += 1;
        }
    }
}

/// Adds up a template's field names.
struct TemplateFields<'a> {
    allocator: Allocator,
    template: Option<&'a mut Template>,
}

impl Visit for TemplateFields<'_> {
    fn part(&mut self, part: Part<'_>) {
        if let (Part::Field(field), Some(template)) = (part, &mut self.template) {
            let len = SdsLimits::Allocation.alloc_len(field.len.min(LEN_MAX));
            template.len = template.len.saturating_add(8 + self.allocator.usable(len));
        }
    }
}

/// Sizes a template hash while its parts pass.
#[derive(Debug, Default)]
pub(crate) struct TemplateSizer {
    id: u64,
    count: u64,
    is_listpack: bool,
    blob_len: u64,
    values: Cost,
}

impl TemplateSizer {
    pub(crate) fn begin(&mut self, rdb_type: RdbType) {
        let is_listpack = rdb_type == RdbType::HashTemplateListpack;
        *self = Self { is_listpack, ..Self::default() };
    }

    pub(crate) fn part(&mut self, model: &Model, part: &Part<'_>) {
        match part {
            Part::Template { id } => self.id = *id,
            Part::Packed { kind: Packed::Listpack, len, .. } => self.blob_len = (*len).min(LEN_MAX),
            Part::Value(value) => {
                self.count += 1;
                if !self.is_listpack {
                    self.values += model.sds(value.len.min(LEN_MAX));
                }
            }
            _ => {}
        }
    }

    pub(crate) fn finish(&mut self, model: &Model, object: ObjectCost) -> (Encoding, u64, Cost) {
        let share = Cost { bytes: 0, usage: model.templates.share(self.id) };
        let start = object.head + object.object + share;
        if self.is_listpack {
            // The server numbers templates anew.
            let loaded_id = model.templates.by_id.get(&self.id).map_or(0, |t| t.loaded_id);
            let id_len = |id: u64| listpack_entry_len(i64::try_from(id).ok(), 0);
            let values_len = self.blob_len.saturating_sub(id_len(self.id));
            let blob = model.blob(values_len + id_len(loaded_id));
            return (Encoding::TemplateListpack, self.count, start + blob);
        }
        let array = 16 + 8 * self.count.min(LEN_MAX);
        let array = Cost { bytes: model.usable(array), usage: array };
        (Encoding::TemplateArray, self.count, start + array + self.values)
    }
}
