//! The items of a packed blob, and what each of them means to the value.

use std::collections::BTreeMap;

use crate::entry::{Packed, Part, Visit};
use crate::error::PackedError;
use crate::length::Walk;
use crate::packed::{Common, Entries, Item, intset, listpack, ziplist, zipmap};
use crate::source::{Fault, Source};
use crate::unchecked::Blob;
use crate::value::Unique;
use crate::value::hash::FIELD_EXPIRE_MAX_MS;

const MEMBER_AGAIN: &str = "this member stands in the blob before";
const FIELD_AGAIN: &str = "this field stands in the blob before";

/// What the entries of a blob are, in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Elements of a list, which may be alike.
    Element,
    /// Members of a set.
    Member,
    /// Member and score.
    MemberScore,
    /// Field and value.
    FieldValue,
    /// Field, value and expiry in milliseconds since 1970, 0 for none.
    FieldValueExpire,
    /// The number of a template, then its values.
    Template,
}

impl Columns {
    fn width(self) -> u8 {
        match self {
            Columns::Element | Columns::Member | Columns::Template => 1,
            Columns::MemberScore | Columns::FieldValue => 2,
            Columns::FieldValueExpire => 3,
        }
    }

    /// Has `unique` look for members or fields that stand twice in the blob that begins.
    ///
    /// An entry has at least two bytes, in a zipmap a pair three. A blob of others than it
    /// states is damaged in any case.
    pub(crate) fn begin(self, unique: &mut Unique, blob: &impl Source, stated: Option<u64>) {
        if self != Columns::Element {
            let width = u64::from(self.width());
            let rows_max = blob.left() / (width + 1);
            unique.begin(stated.map_or(rows_max, |entries| rows_max.min(entries / width)));
        }
    }

    /// Whether an entry means the same whatever those before it were.
    fn is_plain(self) -> bool {
        !matches!(self, Columns::FieldValueExpire | Columns::Template)
    }

    /// Rows of a blob of so many entries, if a look at its entries tells nothing more than
    /// whether it is right.
    pub(super) fn rows_of(self, entries: u64) -> Option<u64> {
        let width = u64::from(self.width());
        (self.is_plain() && entries > 0 && entries.is_multiple_of(width)).then_some(entries / width)
    }
}

/// Walks a blob and pushes its items.
pub(super) struct Items<'v, V> {
    visitor: &'v mut V,
    kind: Packed,
    columns: Columns,
    unique: &'v mut Unique,
    templates: &'v BTreeMap<u64, u64>,
    /// Expiry of the field before.
    expire_before: u64,
    /// Whether the visitor wants the items of the blob at hand.
    is_wanted: bool,
    /// Column of the next entry.
    column: u8,
    /// Whole rows so far, of all blobs.
    row_count: u64,
    /// Values the template has, once its number was read.
    values_expected: Option<u64>,
}

impl<'v, V: Visit> Items<'v, V> {
    pub(super) fn new(
        visitor: &'v mut V,
        kind: Packed,
        columns: Columns,
        unique: &'v mut Unique,
        templates: &'v BTreeMap<u64, u64>,
    ) -> Self {
        Self {
            visitor,
            kind,
            columns,
            unique,
            templates,
            expire_before: 0,
            is_wanted: true,
            column: 0,
            row_count: 0,
            values_expected: None,
        }
    }

    /// Rows (elements, members, pairs) so far.
    pub(super) fn count(&self) -> u64 {
        self.row_count
    }

    /// Pushes one entry as what its column says.
    #[inline]
    fn item(&mut self, item: Item<'_>) -> Result<(), &'static str> {
        match (self.columns, self.column) {
            (Columns::Element, _) => self.push(|| Part::Member(item.to_str())),
            (Columns::Member, _) | (Columns::MemberScore, 0) => {
                member(self.unique, item)?;
                self.push(|| Part::Member(item.to_str()));
            }
            (Columns::MemberScore, _) => {
                check_score(item)?;
                self.push(|| Part::ScoreText(item.to_str()));
            }
            (Columns::FieldValue | Columns::FieldValueExpire, 0) => {
                field(self.unique, item)?;
                self.push(|| Part::Field(item.to_str()));
            }
            (Columns::FieldValue, _) | (Columns::FieldValueExpire, 1) => {
                self.push(|| Part::Value(item.to_str()));
            }
            (Columns::FieldValueExpire, _) => match self.expire(item)? {
                0 => {}
                at_ms => self.push(|| Part::FieldExpire(at_ms)),
            },
            (Columns::Template, _) => match self.values_expected {
                Some(_) => self.push(|| Part::Value(item.to_str())),
                None => return self.template(item),
            },
        }
        self.column += 1;
        if self.column == self.columns.width() {
            self.column = 0;
            self.row_count += 1;
        }
        Ok(())
    }

    /// Walks a listpack or ziplist.
    fn items_of<S: Source>(&mut self, kind: Packed, source: &mut S) -> Result<u64, Fault> {
        if self.is_wanted || !self.columns.is_plain() {
            return walk(kind, source, |item: Item<'_>| self.item(item));
        }
        let count = check_items(kind, source, self.columns, self.unique)?;
        let width = self.columns.width();
        self.row_count += count / u64::from(width);
        self.column = u8::try_from(count % u64::from(width)).unwrap_or_default();
        Ok(count)
    }

    #[inline]
    fn push<'a>(&mut self, part: impl FnOnce() -> Part<'a>) {
        if self.is_wanted {
            self.visitor.part(part());
        }
    }

    /// Takes the expiry of a field; 0 is none. Fields stand in the order of their expiry,
    /// those without at the end.
    fn expire(&mut self, item: Item<'_>) -> Result<u64, &'static str> {
        let at_ms = match item {
            Item::Int(at_ms) => u64::try_from(at_ms).map_err(|_| "an expiry cannot be negative")?,
            Item::Short(_) | Item::Long(_) => return Err("an expiry must be an integer"),
        };
        let rank = if at_ms == 0 { u64::MAX } else { at_ms };
        if at_ms > FIELD_EXPIRE_MAX_MS {
            return Err("a field's expiry is out of range");
        }
        if rank < self.expire_before {
            return Err("fields are not in the order of their expiry");
        }
        self.expire_before = rank;
        Ok(at_ms)
    }

    /// Takes the first entry of a template hash.
    fn template(&mut self, item: Item<'_>) -> Result<(), &'static str> {
        let id = item.to_int().and_then(|id| u64::try_from(id).ok());
        let id = id.ok_or("a template's number expected")?;
        self.values_expected = Some(*self.templates.get(&id).ok_or("no such template")?);
        self.visitor.part(Part::Template { id });
        Ok(())
    }

    /// Checks that the last row of a blob is whole.
    fn finish(&mut self, kind: &str, entry_count: u64) -> Result<(), PackedError> {
        if self.column != 0 {
            return Err(PackedError::new(
                0,
                format!("{kind} of {entry_count} entries does not hold whole rows"),
            ));
        }
        match self.values_expected {
            Some(expected) if expected != self.row_count => Err(PackedError::new(
                0,
                format!("template has {expected} fields, the hash {} values", self.row_count),
            )),
            _ => Ok(()),
        }
    }
}

/// Walks a listpack or ziplist; answers its entries.
fn walk<S: Source>(kind: Packed, source: &mut S, each: impl Entries) -> Result<u64, Fault> {
    match kind {
        Packed::Ziplist => ziplist::walk(source, each),
        _ => listpack::walk(source, each),
    }
}

/// Walks a listpack or ziplist whose items nobody wants: of a value nothing matters but its end.
/// Answers its entries.
pub(crate) fn check_items<S: Source>(
    kind: Packed,
    source: &mut S,
    columns: Columns,
    unique: &mut Unique,
) -> Result<u64, Fault> {
    match columns {
        Columns::Element | Columns::FieldValueExpire | Columns::Template => {
            walk(kind, source, |_: Item<'_>| Ok(()))
        }
        Columns::Member => walk(kind, source, Distinct { unique, again: MEMBER_AGAIN }),
        Columns::MemberScore => {
            let first = Distinct { unique, again: MEMBER_AGAIN };
            walk(kind, source, InTurn { first, second: Scores, turn: false })
        }
        Columns::FieldValue => {
            let first = Distinct { unique, again: FIELD_AGAIN };
            walk(kind, source, InTurn { first, second: Values, turn: false })
        }
    }
}

/// Entries of two kinds in turn.
struct InTurn<A, B> {
    first: A,
    second: B,
    /// Whether the next entry is of the second kind.
    turn: bool,
}

impl<A: Entries, B: Entries> Entries for InTurn<A, B> {
    #[inline]
    fn item(&mut self, item: Item<'_>) -> Result<(), &'static str> {
        self.turn = !self.turn;
        if self.turn { self.first.item(item) } else { self.second.item(item) }
    }

    #[inline]
    fn common(&mut self, entry: &impl Common) -> Result<(), &'static str> {
        self.turn = !self.turn;
        if self.turn { self.first.common(entry) } else { self.second.common(entry) }
    }
}

/// Members or fields, of which none may stand twice.
struct Distinct<'u> {
    unique: &'u mut Unique,
    /// What is said of one that does.
    again: &'static str,
}

impl Entries for Distinct<'_> {
    #[inline]
    fn item(&mut self, item: Item<'_>) -> Result<(), &'static str> {
        if self.unique.insert_item(item) { Ok(()) } else { Err(self.again) }
    }

    #[inline]
    fn common(&mut self, entry: &impl Common) -> Result<(), &'static str> {
        match entry.short_text() {
            Some((window, len)) if self.unique.insert_in(window, len) => Ok(()),
            Some(_) => Err(self.again),
            None => self.item(entry.item()),
        }
    }
}

/// Values of fields, which may be what they like.
struct Values;

impl Entries for Values {
    #[inline]
    fn item(&mut self, _: Item<'_>) -> Result<(), &'static str> {
        Ok(())
    }

    #[inline]
    fn common(&mut self, _: &impl Common) -> Result<(), &'static str> {
        Ok(())
    }
}

/// Scores.
struct Scores;

impl Entries for Scores {
    #[inline]
    fn item(&mut self, item: Item<'_>) -> Result<(), &'static str> {
        check_score(item)
    }

    #[inline]
    fn common(&mut self, entry: &impl Common) -> Result<(), &'static str> {
        if entry.is_int() { Ok(()) } else { check_score(entry.item()) }
    }
}

/// Refuses a member that stands twice.
#[inline]
fn member(unique: &mut Unique, item: Item<'_>) -> Result<(), &'static str> {
    if unique.insert_item(item) { Ok(()) } else { Err(MEMBER_AGAIN) }
}

/// Refuses a field that stands twice.
#[inline]
fn field(unique: &mut Unique, item: Item<'_>) -> Result<(), &'static str> {
    if unique.insert_item(item) { Ok(()) } else { Err(FIELD_AGAIN) }
}

/// Refuses a score that no sorted set can have.
#[inline]
pub(super) fn check_score(score: Item<'_>) -> Result<(), &'static str> {
    match score {
        Item::Int(_) => Ok(()),
        // The server reads a packed score with `strtod`, which takes what is no number for 0.
        Item::Short([b'-' | b'+', rest @ ..]) if is_nan(rest) => Err("a score cannot be NaN"),
        Item::Short(text) if is_nan(text) => Err("a score cannot be NaN"),
        Item::Short(_) | Item::Long(_) => Ok(()),
    }
}

/// Whether `strtod` reads this as NaN.
#[inline]
fn is_nan(text: &[u8]) -> bool {
    text.first_chunk::<3>().is_some_and(|first| first.eq_ignore_ascii_case(b"nan"))
}

impl<V: Visit> Walk for Items<'_, V> {
    fn begin(&mut self, len: u64, compressed_len: Option<u64>) {
        self.visitor.part(Part::Packed { kind: self.kind, len, compressed_len });
    }

    fn put_off(&mut self, head: &[u8]) -> Option<Blob> {
        let kind = self.kind;
        let stated = match kind {
            Packed::Listpack => listpack::stated_in(head)?,
            Packed::Ziplist => ziplist::stated_in(head)?,
            Packed::Zipmap | Packed::Intset => return None,
        };
        let rows = self.columns.rows_of(stated)?;
        if self.visitor.wants_items(Some(stated)) {
            return None;
        }
        self.row_count += rows;
        self.visitor.part(Part::Rows(rows));
        Some(Blob { kind, expanded_len: None, columns: self.columns, stated })
    }

    fn walk<S: Source>(&mut self, source: &mut S) -> Result<(), Fault> {
        let rows_before = self.row_count;
        let stated = match self.kind {
            Packed::Listpack => listpack::stated(source)?,
            Packed::Ziplist => ziplist::stated(source)?,
            Packed::Zipmap | Packed::Intset => None,
        };
        self.is_wanted = self.visitor.wants_items(stated);
        self.columns.begin(self.unique, source, stated);
        let (kind, entry_count) = match self.kind {
            Packed::Listpack => ("listpack", self.items_of(self.kind, source)?),
            Packed::Ziplist => ("ziplist", self.items_of(self.kind, source)?),
            Packed::Zipmap => ("zipmap", zipmap::walk(source, |item| self.item(item))?),
            Packed::Intset => {
                let (width, count) = intset::walk(source)?;
                self.visitor.part(Part::Intset { width, count });
                self.row_count += count;
                return Ok(());
            }
        };
        self.finish(kind, entry_count)?;
        if !self.is_wanted {
            self.visitor.part(Part::Rows(self.row_count - rows_before));
        }
        Ok(())
    }
}
