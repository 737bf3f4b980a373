//! The reader: magic, opcodes, one entry after another.
//!
//! ```text
//! REDIS<4 digits> | VALKEY<3 digits>
//! (<opcode> <its data>)* (<type byte> <key> <value>)* ...
//! 0xff <8 bytes of checksum, from RDB 5 on>
//! ```

mod key_head;
mod strings;

use std::io::Read;

use crate::block::{Blocks, Inline, ReadAhead};
use crate::entry::{Checksum, Entry, Header, Key, Skip, ValueEnd, Visit};
use crate::error::{Context, Error, ErrorKind};
use crate::in_turns::{Helper, ReadAt};
use crate::input::Input;
use crate::limits::{Limits, Options};
use crate::types::{Flavor, ModuleId, ObjectType, RdbType, opcode};
use crate::unchecked::Unchecked;
use crate::value::{Value, Workspace, skip_ops};

/// First RDB version that ends with a checksum.
const CHECKSUM_SINCE: u16 = 5;
const CHECKSUM_LEN: usize = 8;
/// Length of the magic and the version.
const HEADER_LEN: usize = 9;

/// Reads a file's entries in their order.
///
/// `B` is where the bytes come from: read in this thread ([`Reader::new`]), in another one ahead of
/// it ([`Reader::read_ahead`]) or in both ([`Reader::in_turns`]).
#[derive(Debug)]
pub struct Reader<B> {
    input: Input<B>,
    options: Options,
    header: Header,
    db: u64,
    slot: Option<u64>,
    /// Name of the last key, and room for the value of an aux field.
    key: Vec<u8>,
    aux: Vec<u8>,
    workspace: Workspace,
    pending: Pending,
}

/// What has been announced and not been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Entry,
    Value(RdbType),
    Template {
        field_count: u64,
    },
    /// The end, or an error after which nothing can be read.
    Nothing,
}

/// What stands before a key and belongs to it.
#[derive(Debug, Clone, Copy, Default)]
struct Attributes {
    at: Option<u64>,
    expire_at_ms: Option<i64>,
    idle_seconds: Option<u64>,
    freq: Option<u8>,
    meta_class_count: u64,
}

impl<R: Read> Reader<Inline<R>> {
    /// Reads the header; bytes are read in blocks, so `source` needs no buffer of its own.
    ///
    /// # Errors
    /// Those of `source`, and a header that is no RDB header or of an unknown version.
    pub fn new(source: R, options: Options) -> Result<Self, Error> {
        Self::start(Inline::new(source, options.checksum), options)
    }
}

impl Reader<ReadAhead> {
    /// Like [`Reader::new`], with reading and checksum in a thread of their own.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub fn read_ahead(source: impl Read + Send + 'static, options: Options) -> Result<Self, Error> {
        Self::start(ReadAhead::start(source, options.checksum), options)
    }

    /// Like [`Reader::new`], with some of the reading and its checksum done by another thread
    /// while that has nothing else to do: see [`Helper::read_ahead`].
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub fn in_turns(
        source: impl ReadAt + 'static,
        options: Options,
    ) -> Result<(Self, Helper), Error> {
        let (blocks, helper) = ReadAhead::in_turns(source, options.checksum);
        Ok((Self::start(blocks, options)?, helper))
    }
}

impl<B: Blocks> Reader<B> {
    fn start(blocks: B, options: Options) -> Result<Self, Error> {
        let mut input = Input::new(blocks);
        let header = header(&mut input, options)?;
        Ok(Self {
            input,
            options,
            header,
            db: 0,
            slot: None,
            key: Vec::new(),
            aux: Vec::new(),
            workspace: Workspace::default(),
            pending: Pending::Entry,
        })
    }

    /// Magic and version of the file.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Bytes of the file read so far.
    pub fn at(&self) -> u64 {
        self.input.at()
    }

    /// Name of the last key, at most [`Limits::KEY_LEN_MAX`] bytes of it.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Reads the next entry; a value that was not asked for is skipped.
    ///
    /// # Errors
    /// Damage of the file's framing, a limit, a failure of the source, and any call after
    /// [`Entry::End`] or an error.
    pub fn next_entry(&mut self) -> Result<Entry<'_>, Error> {
        if let Some(key) = self.key_at_hand() {
            return Ok(Entry::Key(key));
        }
        match self.pending {
            Pending::Entry => {}
            Pending::Value(_) | Pending::Template { .. } => {
                self.value(&mut Skip)?;
            }
            Pending::Nothing => {
                return Err(Error::corrupt(self.at(), "nothing can be read after the end"));
            }
        }
        self.pending = Pending::Nothing;
        let entry = self.step()?;
        self.pending = match entry {
            Some(Entry::Key(key)) => Pending::Value(key.rdb_type),
            Some(Entry::HashTemplate { field_count, .. }) => Pending::Template { field_count },
            Some(Entry::End(_)) => Pending::Nothing,
            _ => Pending::Entry,
        };
        Ok(entry.unwrap_or(Entry::Aux { name: &self.key, value: &self.aux }))
    }

    /// Reads the value of the key, or the fields of the template, that was just announced.
    ///
    /// # Errors
    /// Damage that hides the value's end, a limit, or a failure of the source. Damage
    /// inside the value is no error but [`ValueEnd::damage`].
    pub fn value(&mut self, visitor: &mut impl Visit) -> Result<ValueEnd, Error> {
        let mut end = self.value_unchecked(visitor)?;
        self.input.check_late();
        if let Some(late) = self.input.take_late_of(end.number) {
            end.damage.get_or_insert(late);
        }
        Ok(end)
    }

    /// Like [`Reader::value`], with some of it still to be checked: strings and blobs that are
    /// passed by. [`Reader::swap_unchecked`] hands them out.
    ///
    /// # Errors
    /// As [`Reader::value`].
    #[inline]
    pub fn value_unchecked(&mut self, visitor: &mut impl Visit) -> Result<ValueEnd, Error> {
        let pending = std::mem::replace(&mut self.pending, Pending::Nothing);
        let start = self.input.at();
        let Self { input, workspace, .. } = self;
        let mut value = Value { input, workspace, visitor, module: None };
        let read = match pending {
            Pending::Value(rdb_type) => value
                .read(rdb_type)
                .map_err(|error| error.within(|| Context::new(self.db, &self.key, rdb_type))),
            Pending::Template { field_count } => value.template(field_count),
            Pending::Entry | Pending::Nothing => {
                Err(Error::corrupt(start, "a value is asked for where none is"))
            }
        };
        let module = value.module;
        read?;
        let object_type = match (pending, module) {
            (_, Some(id)) => ObjectType::Module(id),
            (Pending::Value(rdb_type), None) => rdb_type.object_type(),
            (Pending::Template { .. } | Pending::Entry | Pending::Nothing, None) => {
                ObjectType::Hash
            }
        };
        self.pending = Pending::Entry;
        let serialized_len = self.input.at() - start;
        let (number, damage) = self.input.end_value();
        Ok(ValueEnd { object_type, serialized_len, damage, number })
    }

    /// Puts what is still to be checked of the values read by [`Reader::value_unchecked`] in
    /// the place of `empty`. Damage found while a value was read comes before that found so.
    pub fn swap_unchecked(&mut self, empty: &mut Unchecked) {
        self.input.swap_unchecked(empty);
    }

    /// Whether what waits to be checked has become so much that it should be.
    #[inline]
    pub fn has_much_unchecked(&self) -> bool {
        self.input.has_much_unchecked()
    }

    /// Counts the bytes after [`Entry::End`]; the first of them go to `head`, as many as it
    /// has room for.
    ///
    /// # Errors
    /// Those of the source.
    pub fn bytes_after_end(&mut self, head: &mut Vec<u8>) -> Result<u64, Error> {
        let start = self.input.at();
        head.clear();
        head.extend(self.input.peek_some(64)?.iter().take(64));
        loop {
            let at_hand = self.input.peek_some(1)?.len();
            if at_hand == 0 {
                return Ok(self.input.at() - start);
            }
            self.input.consume(at_hand);
        }
    }

    /// Reads opcodes up to one that is an entry; `None` is an aux field, which stands in
    /// the buffers.
    fn step(&mut self) -> Result<Option<Entry<'static>>, Error> {
        let mut attributes = Attributes::default();
        loop {
            let at = self.input.at();
            let byte = self.input.u8()?;
            match byte {
                opcode::EXPIRETIME_MS => {
                    attributes.expire_at_ms = Some(i64::from_le_bytes(self.input.array()?));
                }
                opcode::EXPIRETIME => {
                    let seconds = i32::from_le_bytes(self.input.array()?);
                    attributes.expire_at_ms = Some(i64::from(seconds) * 1000);
                }
                opcode::IDLE => attributes.idle_seconds = Some(self.input.count()?),
                opcode::FREQ => attributes.freq = Some(self.input.u8()?),
                opcode::KEY_META_OR_SLOT_IMPORT => match self.header.flavor {
                    Flavor::Redis => attributes.meta_class_count = self.key_meta()?,
                    Flavor::Valkey => return self.slot_import().map(Some),
                },
                opcode::AUX => return self.aux_or_slot_info(),
                opcode::EOF if attributes.at.is_some() => {
                    return Err(Error::corrupt(at, "a key expected after its expiry, not the end"));
                }
                opcode::HASH_TEMPLATE if self.header.flavor == Flavor::Redis => {
                    return self.hash_template().map(Some);
                }
                opcode::SLOT_INFO..=opcode::SELECTDB | opcode::EOF => {
                    return self.section(byte).map(Some);
                }
                _ => return self.key_entry(byte, at, attributes).map(Some),
            }
            attributes.at.get_or_insert(at);
        }
    }

    /// Reads what follows an opcode that belongs to no key.
    fn section(&mut self, byte: u8) -> Result<Entry<'static>, Error> {
        match byte {
            opcode::EOF => self.end(),
            opcode::SELECTDB => {
                self.db = self.input.count()?;
                self.slot = None;
                Ok(Entry::SelectDb(self.db))
            }
            opcode::RESIZEDB => Ok(Entry::ResizeDb {
                key_count: self.input.count()?,
                expire_count: self.input.count()?,
            }),
            opcode::SLOT_INFO => {
                let slot = self.input.count()?;
                self.slot = Some(slot);
                Ok(Entry::SlotInfo {
                    slot,
                    key_count: self.input.count()?,
                    expire_count: self.input.count()?,
                })
            }
            opcode::FUNCTION2 => self.function(),
            opcode::FUNCTION_PRE_GA => {
                self.input.str()?;
                self.input.str()?;
                if self.input.count()? != 0 {
                    self.input.str()?;
                }
                Ok(Entry::Function { len: self.input.str()?.len })
            }
            opcode::MODULE_AUX => {
                let start = self.input.at();
                let module = ModuleId(self.input.count()?);
                // When it was written (before or after the keys) is a marked datum as well.
                skip_ops(&mut self.input)?;
                Ok(Entry::ModuleAux { module, len: self.input.at() - start })
            }
            other => Err(Error::corrupt(self.at(), format!("opcode {other} belongs to a key"))),
        }
    }

    /// Reads an aux field; Valkey tells the sizes of a slot's tables in one.
    fn aux_or_slot_info(&mut self) -> Result<Option<Entry<'static>>, Error> {
        self.input.string_into(&mut self.key, Limits::AUX_LEN_MAX)?;
        self.input.string_into(&mut self.aux, Limits::AUX_LEN_MAX)?;
        // A damaged aux value concerns no key; its text is then what could be read.
        self.input.forget_damage();
        if self.key != b"slot-info" {
            return Ok(None);
        }
        let text = str::from_utf8(&self.aux).unwrap_or_default();
        let mut numbers = text.split(',').map_while(|number| number.parse().ok());
        let (Some(slot), Some(key_count), Some(expire_count)) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return Ok(None);
        };
        self.slot = Some(slot);
        Ok(Some(Entry::SlotInfo { slot, key_count, expire_count }))
    }

    /// Reads a function library, which begins with a line that names engine and library.
    fn function(&mut self) -> Result<Entry<'static>, Error> {
        const BEGIN: &[u8] = b"#!";
        let at = self.input.at();
        let len = self.input.string_into(&mut self.aux, BEGIN.len())?;
        self.input.forget_damage();
        if self.aux != BEGIN {
            return Err(Error::corrupt(at, "the code of a function library begins with #!"));
        }
        Ok(Entry::Function { len })
    }

    /// Passes over the metadata of the next key; answers the number of its classes.
    fn key_meta(&mut self) -> Result<u64, Error> {
        let class_count = self.input.count()?;
        for _ in 0..class_count {
            self.input.array::<4>()?;
            skip_ops(&mut self.input)?;
        }
        Ok(class_count)
    }

    /// Passes over a slot import's job name and slot ranges.
    fn slot_import(&mut self) -> Result<Entry<'static>, Error> {
        self.input.str()?;
        for _ in 0..self.input.count()? {
            self.input.count()?;
            self.input.count()?;
        }
        Ok(Entry::SlotImport)
    }

    fn hash_template(&mut self) -> Result<Entry<'static>, Error> {
        let at = self.input.at();
        let id = self.input.count()?;
        let field_count = self.input.count()?;
        let templates = &mut self.workspace.templates;
        if templates.len() >= Limits::TEMPLATES_MAX && !templates.contains_key(&id) {
            return Err(Error::new(
                ErrorKind::Limit,
                at,
                format!("more than {} hash templates", Limits::TEMPLATES_MAX),
            ));
        }
        templates.insert(id, field_count);
        Ok(Entry::HashTemplate { id, field_count })
    }

    fn key_entry(
        &mut self,
        byte: u8,
        at: u64,
        attributes: Attributes,
    ) -> Result<Entry<'static>, Error> {
        let Header { flavor, version } = self.header;
        let Some(rdb_type) = RdbType::from_byte(byte, flavor) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                at,
                format!("type or opcode {byte} is not known in {flavor} RDB version {version}"),
            ));
        };
        let key_len = self.input.string_into(&mut self.key, Limits::KEY_LEN_MAX)?;
        Ok(Entry::Key(Key {
            db: self.db,
            key_len,
            rdb_type,
            expire_at_ms: attributes.expire_at_ms,
            idle_seconds: attributes.idle_seconds,
            freq: attributes.freq,
            slot: self.slot,
            meta_class_count: attributes.meta_class_count,
            at: attributes.at.unwrap_or(at),
        }))
    }

    /// Reads the checksum, if the version has one.
    fn end(&mut self) -> Result<Entry<'static>, Error> {
        let Header { flavor, version } = self.header;
        let is_before = flavor == Flavor::Redis && version < CHECKSUM_SINCE;
        // Where as many bytes as a checksum has follow, they are held to be one: a single wrong
        // bit in the version must not do away with it.
        if is_before && self.input.peek_some(CHECKSUM_LEN + 1)?.len() != CHECKSUM_LEN {
            return Ok(Entry::End(Checksum::Absent));
        }
        let computed = self.input.crc();
        let stored = u64::from_le_bytes(self.input.array()?);
        Ok(Entry::End(match (stored, self.options.checksum) {
            (0, _) => Checksum::Disabled,
            (_, false) => Checksum::Skipped,
            (_, true) if stored == computed => Checksum::Right,
            (_, true) => Checksum::Wrong { stored, computed },
        }))
    }
}

/// Reads magic and version.
fn header<B: Blocks>(input: &mut Input<B>, options: Options) -> Result<Header, Error> {
    let bytes = input.peek_some(HEADER_LEN)?;
    let head = bytes.get(..HEADER_LEN).unwrap_or(bytes);
    if head.is_empty() {
        return Err(Error::new(ErrorKind::Truncated, 0, "the file is empty"));
    }
    let (flavor, digits) = match head {
        [b'R', b'E', b'D', b'I', b'S', digits @ ..] => (Flavor::Redis, digits),
        [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => (Flavor::Valkey, digits),
        _ if b"REDIS".starts_with(head) || b"VALKEY".starts_with(head) => {
            return Err(input.truncated(HEADER_LEN as u64));
        }
        _ => {
            let found = crate::error::Quoted(head);
            let reason = format!("an RDB file begins with REDIS or VALKEY, this with {found}");
            return Err(Error::new(ErrorKind::Unsupported, 0, reason));
        }
    };
    if head.len() < HEADER_LEN {
        return Err(input.truncated(HEADER_LEN as u64));
    }
    let version = str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse::<u16>().ok());
    let Some(version) = version else {
        let found = crate::error::Quoted(digits);
        return Err(Error::corrupt(0, format!("RDB version expected as digits, found {found}")));
    };
    let known = match flavor {
        Flavor::Redis => (1..=Limits::REDIS_VERSION_MAX).contains(&version),
        Flavor::Valkey => version == Limits::VALKEY_VERSION,
    };
    let tried = options.force && version > 0;
    if !(known || tried) {
        let reason = format!(
            "{flavor} RDB version {version} is not known, only redis 1 to {} and valkey {}; \
             --force tries it",
            Limits::REDIS_VERSION_MAX,
            Limits::VALKEY_VERSION
        );
        return Err(Error::new(ErrorKind::Unsupported, 0, reason));
    }
    input.consume(HEADER_LEN);
    Ok(Header { flavor, version })
}
