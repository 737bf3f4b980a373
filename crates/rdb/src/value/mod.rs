//! Values: from a type byte to the parts that are pushed.

mod array;
mod backward;
mod hash;
mod list;
mod module;
mod packed_items;
mod stream;
mod stream_node;
mod unique;
mod weights;
mod zset;

use std::collections::BTreeMap;

pub(crate) use backward::is_right;
pub(crate) use module::skip_ops;
pub(crate) use packed_items::{Columns, check_items};
pub(crate) use unique::{Unique, WINDOW_LEN};
pub use weights::{Weight, Weights};

use crate::block::Blocks;
use crate::entry::{Packed, Part, Visit};
use crate::error::{Error, ErrorKind};
use crate::input::Input;
use crate::length::string_at_hand;
use crate::types::{ModuleId, RdbType};
use packed_items::Items;

/// Buffers and tables that live as long as the file and are used by every value.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// Expanded form of a compressed blob.
    pub(crate) scratch: Vec<u8>,
    /// Id of a stream's node.
    stream_id: Vec<u8>,
    /// Finds an element that stands twice in a blob.
    pub(crate) unique: Unique,
    /// Field count of each hash template of the file.
    pub(crate) templates: BTreeMap<u64, u64>,
}

/// One value on its way from the input to a visitor.
pub(crate) struct Value<'r, B, V> {
    pub(crate) input: &'r mut Input<B>,
    pub(crate) workspace: &'r mut Workspace,
    pub(crate) visitor: &'r mut V,
    /// Type of the module whose value this is, once that was read.
    pub(crate) module: Option<ModuleId>,
}

impl<B: Blocks, V: Visit> Value<'_, B, V> {
    /// Reads a value of `rdb_type` to its end.
    ///
    /// Damage inside it is noted in the input; an error means that its end is not known.
    pub(crate) fn read(&mut self, rdb_type: RdbType) -> Result<(), Error> {
        let at = self.input.at();
        match rdb_type {
            RdbType::String => {
                let string = self.input.str()?;
                self.visitor.part(Part::String(string));
                return Ok(());
            }
            RdbType::List => self.elements()?,
            RdbType::Set => self.members()?,
            RdbType::ListZiplist => self.blob(Packed::Ziplist, Columns::Element)?,
            RdbType::ListQuicklist => self.quicklist()?,
            RdbType::ListQuicklist2 => self.quicklist_2()?,
            RdbType::SetIntset => self.blob(Packed::Intset, Columns::Member)?,
            RdbType::SetListpack => self.blob(Packed::Listpack, Columns::Member)?,
            RdbType::Zset => self.zset_text()?,
            RdbType::Zset2 => self.zset_binary()?,
            RdbType::ZsetZiplist => self.blob(Packed::Ziplist, Columns::MemberScore)?,
            RdbType::ZsetListpack => self.blob(Packed::Listpack, Columns::MemberScore)?,
            RdbType::Hash => self.hash()?,
            RdbType::HashZipmap => self.blob(Packed::Zipmap, Columns::FieldValue)?,
            RdbType::HashZiplist => self.blob(Packed::Ziplist, Columns::FieldValue)?,
            RdbType::HashListpack => self.blob(Packed::Listpack, Columns::FieldValue)?,
            RdbType::HashMetadataPreGa => self.hash_absolute_expire()?,
            RdbType::HashListpackExPreGa => {
                self.blob(Packed::Listpack, Columns::FieldValueExpire)?;
            }
            RdbType::HashMetadata => self.hash_relative_expire()?,
            RdbType::HashListpackEx => {
                self.input.array::<8>()?;
                self.blob(Packed::Listpack, Columns::FieldValueExpire)?;
            }
            RdbType::ValkeyHash2 => self.valkey_hash_2()?,
            RdbType::HashTemplateListpack => self.blob(Packed::Listpack, Columns::Template)?,
            RdbType::HashTemplateArray => self.template_array()?,
            RdbType::StreamListpacks
            | RdbType::StreamListpacks2
            | RdbType::StreamListpacks3
            | RdbType::StreamListpacks4
            | RdbType::StreamListpacks5 => {
                // An empty stream is a stream.
                return self.stream(rdb_type);
            }
            RdbType::Array => self.array()?,
            RdbType::Module2 => return self.module(),
            RdbType::ModulePreGa => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    at,
                    "a module value of before Redis 4.0 carries no length and cannot be skipped",
                ));
            }
        };
        Ok(())
    }

    /// Reads the field names of a hash template.
    pub(crate) fn template(&mut self, field_count: u64) -> Result<(), Error> {
        for _ in 0..field_count {
            let field = self.input.str()?;
            self.visitor.part(Part::Field(field));
        }
        Ok(())
    }

    /// Reads one blob that is the whole value.
    fn blob(&mut self, kind: Packed, columns: Columns) -> Result<(), Error> {
        let at = self.input.at();
        let Workspace { scratch, unique, templates, .. } = &mut *self.workspace;
        let mut items = Items::new(self.visitor, kind, columns, unique, templates);
        self.input.blob(scratch, &mut items)?;
        let count = items.count();
        self.refuse_empty(at, count);
        Ok(())
    }

    /// A list of before quicklists, element by element.
    fn elements(&mut self) -> Result<(), Error> {
        for _ in 0..self.row_count()? {
            let element = self.input.str()?;
            self.visitor.part(Part::Member(element));
        }
        Ok(())
    }

    /// A set, member by member.
    fn members(&mut self) -> Result<(), Error> {
        self.rows(Self::members_at_hand, Self::member)
    }

    /// Reads rows one by one: `at_hand` those at hand in their usual form, of which it answers the
    /// number, and `one` any other.
    #[inline(always)]
    fn rows(
        &mut self,
        at_hand: impl Fn(&mut Self, u64) -> u64,
        one: impl Fn(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut left = self.row_count()?;
        while left > 0 {
            match at_hand(self, left) {
                0 => {
                    one(self)?;
                    left -= 1;
                }
                count => left -= count,
            }
        }
        Ok(())
    }

    /// Reads members up to the first that is not at hand, is of an uncommon form or was there
    /// before; answers how many.
    fn members_at_hand(&mut self, count_max: u64) -> u64 {
        if let Some(count) = self.weigh_at_hand(count_max, |rest, _| Some(([0; 2], rest))) {
            return count;
        }
        let count_max = count_max.min(WITH_TEXTS);
        let bytes = self.input.rest();
        let (mut rest, mut count) = (bytes, 0);
        while count < count_max {
            let Some((member, after)) = string_at_hand(rest) else { break };
            if !insert_at_hand(&mut self.workspace.unique, rest) {
                break;
            }
            self.visitor.member(member);
            rest = after;
            count += 1;
        }
        let len = bytes.len() - rest.len();
        self.input.consume(len);
        count
    }

    /// Reads and pushes one member of a set or sorted set.
    fn member(&mut self) -> Result<(), Error> {
        let at = self.input.at();
        let member = self.input.str()?;
        let is_new = self.workspace.unique.insert(&member);
        self.visitor.part(Part::Member(member));
        if !is_new {
            self.input.note_damage(at, "this member stands in the value before");
        }
        Ok(())
    }

    /// Reads how many rows (elements, members, fields) follow one by one.
    fn row_count(&mut self) -> Result<u64, Error> {
        let at = self.input.at();
        let count = self.input.value_count()?;
        self.workspace.unique.begin(count);
        self.refuse_empty(at, count);
        self.visitor.part(Part::Count(count));
        Ok(count)
    }

    /// Notes an empty collection: no server writes one, and one that loads it drops it.
    fn refuse_empty(&mut self, at: u64, count: u64) {
        if count == 0 && !self.input.is_damaged() {
            self.input.note_damage(at, "no elements, and a server drops an empty key on load");
        }
    }
}

/// Rows handed out before it is asked again whether they are wanted one by one: one of them may be
/// the one that decides.
const WITH_TEXTS: u64 = 16;

/// Notes the string that `bytes` begins with; false if it stood there before.
///
/// Always inlined: it is most of what its callers do for a string.
#[inline(always)]
fn insert_at_hand(unique: &mut Unique, bytes: &[u8]) -> bool {
    if unique.is_full() {
        return true;
    }
    match bytes {
        [len, text @ ..] if usize::from(*len) <= WINDOW_LEN => match text.first_chunk() {
            Some(window) => unique.insert_in(window, usize::from(*len)),
            None => insert_any(unique, bytes),
        },
        _ => insert_any(unique, bytes),
    }
}

#[inline(never)]
fn insert_any(unique: &mut Unique, bytes: &[u8]) -> bool {
    string_at_hand(bytes).is_none_or(|(string, _)| unique.insert(&string))
}
