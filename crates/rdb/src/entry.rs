//! What a file is made of: entries, and inside a key the parts of its value.

use crate::error::Damage;
use crate::types::{Flavor, ModuleId, ObjectType, RdbType};
use crate::value::{Weight, Weights};

/// The first bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Numbering of types and opcodes, from the magic.
    pub flavor: Flavor,
    /// RDB version: 1 to 15 for Redis, 80 for Valkey.
    pub version: u16,
}

/// One record of a file, in the order of the file.
///
/// Byte slices borrow the reader's buffer and last until its next call.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A named fact about the server, such as `redis-ver`; long values are cut to
    /// [`crate::Limits::AUX_LEN_MAX`] bytes.
    Aux {
        /// Name of the field.
        name: &'a [u8],
        /// Its value, integers as decimal text.
        value: &'a [u8],
    },
    /// The keys that follow belong to this database.
    SelectDb(u64),
    /// Hint of the sizes of the database's tables; counts include expired keys.
    ResizeDb {
        /// Keys in the database.
        key_count: u64,
        /// Keys with an expiry.
        expire_count: u64,
    },
    /// Sizes of one cluster slot's tables (Redis 7.4 on, cluster mode).
    SlotInfo {
        /// The slot as the file says it, unchecked.
        slot: u64,
        /// Keys in the slot.
        key_count: u64,
        /// Keys with an expiry.
        expire_count: u64,
    },
    /// A function library; `len` is the length of its code in bytes.
    Function {
        /// Bytes of code.
        len: u64,
    },
    /// Data a module keeps beside the keys; `len` is its length in the file.
    ModuleAux {
        /// The module's type.
        module: ModuleId,
        /// Bytes in the file.
        len: u64,
    },
    /// Field names shared by template hashes (Redis 8.10); read the names with
    /// [`crate::Reader::value`] as [`Part::Field`].
    HashTemplate {
        /// Number by which hashes refer to it.
        id: u64,
        /// Number of fields.
        field_count: u64,
    },
    /// A slot migration in progress (Valkey 9), passed over.
    SlotImport,
    /// A key; its name is [`crate::Reader::key`], its value [`crate::Reader::value`].
    Key(Key),
    /// The end of the file was reached and everything was read.
    End(Checksum),
}

/// What stands before a key's value; its name is [`crate::Reader::key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Database number, as last selected; 0 before any selection.
    pub db: u64,
    /// Length of the name in bytes; more than [`crate::Reader::key`] holds if it was cut.
    pub key_len: u64,
    /// How the value is written.
    pub rdb_type: RdbType,
    /// Expiry in milliseconds since 1970.
    pub expire_at_ms: Option<i64>,
    /// Seconds since the last access, where the server kept LRU data.
    pub idle_seconds: Option<u64>,
    /// Logarithmic access counter, where the server kept LFU data.
    pub freq: Option<u8>,
    /// Slot of the last [`Entry::SlotInfo`], where there was one.
    pub slot: Option<u64>,
    /// Metadata classes attached to the key (Redis 8.6 on).
    pub meta_class_count: u64,
    /// Offset of the record's first byte in the file.
    pub at: u64,
}

/// A key with a plain string value, as [`crate::Reader::strings_at_hand`] finds it.
#[derive(Debug, Clone, Copy)]
pub struct StringKey<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The name with what follows it in the file, for copies of one length.
    pub padded: &'a [u8; 64],
    /// Expiry in milliseconds since 1970.
    pub expire_at_ms: Option<i64>,
    /// Its value.
    pub value: Str<'a>,
    /// Whether the value is compressed, and still to be checked.
    pub is_compressed: bool,
    /// Bytes of the value in the file.
    pub serialized_len: u64,
}

/// How a value's reading ended, framing intact.
#[derive(Debug)]
pub struct ValueEnd {
    /// What `TYPE` answers for the key; a module's type is known only once it was read.
    pub object_type: ObjectType,
    /// Bytes of the value in the file, without type byte, key name and what precedes them.
    pub serialized_len: u64,
    /// The first damage found inside the value, if any.
    pub damage: Option<Damage>,
    /// Its place among the values of the file, by which [`crate::Checker::check`] tells
    /// it.
    pub number: u64,
}

/// What the last eight bytes of the file said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// The file's checksum equals that of its bytes.
    Right,
    /// It does not.
    Wrong {
        /// As written in the file.
        stored: u64,
        /// As computed.
        computed: u64,
    },
    /// The server had `rdbchecksum no`: the field is zero.
    Disabled,
    /// The version has no checksum (RDB 1 to 4).
    Absent,
    /// The reader was told not to compute it.
    Skipped,
}

/// A string inside a value: its length, and its content as far as it is short.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Str<'a> {
    /// Length in bytes of the string as the server holds it.
    pub len: u64,
    /// The content.
    pub text: Text<'a>,
}

/// Content of a [`Str`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Text<'a> {
    /// Written as an integer; the string is its decimal form.
    Int(i64),
    /// The bytes of a string of at most [`Str::SHORT_LEN_MAX`] bytes.
    Short(&'a [u8]),
    /// A longer string, passed by.
    Long,
}

impl<'a> Str<'a> {
    /// Longest string whose bytes are handed out.
    pub const SHORT_LEN_MAX: u64 = 64;

    /// A string whose bytes are at hand.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        let len = bytes.len() as u64;
        let text = if len <= Self::SHORT_LEN_MAX { Text::Short(bytes) } else { Text::Long };
        Self { len, text }
    }

    /// A string that was passed by.
    pub(crate) fn long(len: u64) -> Self {
        Self { len, text: Text::Long }
    }

    /// A string written as an integer.
    pub fn from_int(value: i64) -> Self {
        Self { len: decimal_len(value), text: Text::Int(value) }
    }

    /// The integer whose decimal form is exactly this string, as `string2ll` finds it.
    pub fn to_int(&self) -> Option<i64> {
        match self.text {
            Text::Int(value) => Some(value),
            Text::Short(bytes) => parse_int(bytes),
            Text::Long => None,
        }
    }
}

/// Length of the decimal form of `value`.
#[inline]
pub fn decimal_len(value: i64) -> u64 {
    /// The least numbers of one digit, of two and so on.
    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated when compiled, where nothing else will do"
    )]
    static LEAST: [u64; 20] = {
        let mut least = [0; 20];
        let (mut digits, mut power) = (1, 10);
        while digits < least.len() {
            least[digits] = power;
            digits += 1;
            if digits < least.len() {
                power *= 10;
            }
        }
        least
    };
    let magnitude = value.unsigned_abs();
    let bits = 64 - (magnitude | 1).leading_zeros();
    // The logarithm of two is 0.30103, and 1233/4096 never off by a digit up to 64 bits.
    let least_digits = u64::from((bits * 1233) >> 12);
    let is_more = usize::try_from(least_digits).ok().and_then(|digits| LEAST.get(digits));
    let digits = least_digits + u64::from(is_more.is_some_and(|least| magnitude >= *least));
    digits + u64::from(value < 0)
}

/// Parses a canonical decimal integer: no plus sign, no leading zeros, no "-0".
pub fn parse_int(text: &[u8]) -> Option<i64> {
    // Most strings are told apart by their first byte.
    let digits = match text {
        [b'0'] => return Some(0),
        [b'-', digits @ ..] => digits,
        digits => digits,
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) || text.len() > 20 {
        return None;
    }
    // Below zero, where there is one integer more.
    let below = digits.iter().try_fold(0i64, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_sub(i64::from(digit))
    })?;
    if digits.len() < text.len() { Some(below) } else { below.checked_neg() }
}

/// The kinds of packed blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packed {
    /// Listpack (`listpack.c`).
    Listpack,
    /// Ziplist (`ziplist.c`), to Redis 6.2.
    Ziplist,
    /// Zipmap (`zipmap.c`), to Redis 2.4.
    Zipmap,
    /// Intset (`intset.c`).
    Intset,
}

/// A piece of a value, pushed to a [`Visit`] in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part<'a> {
    /// The value of a string key.
    String(Str<'a>),
    /// Elements announced by a value written one by one; a claim of the file, to be used
    /// as a number only.
    Count(u64),
    /// A packed blob begins, its items follow as [`Part::Member`], [`Part::Field`] and so on.
    /// For list types every blob is a quicklist node.
    Packed {
        /// Kind of blob.
        kind: Packed,
        /// Length of the blob in bytes, uncompressed.
        len: u64,
        /// Length of its LZF form, if the file holds it compressed.
        compressed_len: Option<u64>,
    },
    /// Elements, members or fields of the packed blob whose items were not wanted.
    Rows(u64),
    /// Width of an intset's members in bytes (2, 4 or 8) and their number; its members
    /// are not pushed one by one.
    Intset {
        /// Bytes of a member.
        width: u8,
        /// Members.
        count: u64,
    },
    /// A quicklist node that is one element too big to be packed.
    PlainNode {
        /// Length of the element in bytes.
        len: u64,
        /// Length of its LZF form, if the file holds it compressed.
        compressed_len: Option<u64>,
    },
    /// An element of a list, member of a set or of a sorted set.
    Member(Str<'a>),
    /// The score of the member before it, where it is written as a double.
    Score(f64),
    /// The score of the member before it, where it is an entry of a packed blob.
    ScoreText(Str<'a>),
    /// A field of a hash, or of a template.
    Field(Str<'a>),
    /// The value of the field before it; in template hashes it comes without a field.
    Value(Str<'a>),
    /// Expiry of the field whose value came just before, in milliseconds since 1970;
    /// not pushed for a field without.
    FieldExpire(u64),
    /// The template that a template hash refers to, before its values.
    Template {
        /// Its number.
        id: u64,
    },
    /// A node of a stream: its first id and its listpack, whose entries are not pushed.
    StreamNode {
        /// Key in the radix tree: milliseconds and sequence, big endian.
        id: [u8; 16],
        /// Bytes of the listpack, uncompressed.
        len: u64,
        /// Entries alive in it.
        count: u64,
    },
    /// A stream's own fields, after its nodes.
    StreamMeta {
        /// Entries, as the file says.
        length: u64,
        /// Consumer groups that follow, a claim of the file.
        group_count: u64,
    },
    /// A consumer group begins.
    Group {
        /// Its name.
        name: Str<'a>,
    },
    /// An entry of the group's pending list.
    Pending {
        /// Id of the entry.
        id: [u8; 16],
        /// Last delivery in milliseconds since 1970.
        delivered_at_ms: u64,
    },
    /// A consumer of the group begins.
    Consumer {
        /// Its name.
        name: Str<'a>,
    },
    /// An entry of the consumer's own pending list, also in the group's.
    ConsumerPending {
        /// Id of the entry.
        id: [u8; 16],
    },
    /// An idempotent producer of a stream (Redis 8.6 on).
    Producer {
        /// Its id.
        name: Str<'a>,
    },
    /// A message id remembered for the producer before it.
    ProducedId(Str<'a>),
    /// A module value begins.
    Module(ModuleId),
    /// An unsigned or signed integer of a module value, as its bits.
    ModuleInt(u64),
    /// A float or double of a module value.
    ModuleFloat(f64),
    /// A string of a module value.
    ModuleString(Str<'a>),
    /// A value of an array at its index.
    ArrayValue {
        /// Index in the array.
        index: u64,
        /// `None` where the value is held in the slot itself (integer, float or tiny
        /// string); otherwise the string it points to.
        string: Option<Str<'a>>,
    },
}

/// Receives the parts of one value.
pub trait Visit {
    /// Takes the next part.
    fn part(&mut self, part: Part<'_>);

    /// Takes a [`Part::Member`] of a set.
    #[inline]
    fn member(&mut self, member: Str<'_>) {
        self.part(Part::Member(member));
    }

    /// Takes a [`Part::Member`] of a sorted set and its [`Part::Score`].
    #[inline]
    fn scored(&mut self, member: Str<'_>, score: f64) {
        self.part(Part::Member(member));
        self.part(Part::Score(score));
    }

    /// Takes a [`Part::Field`] of a hash and its [`Part::Value`].
    #[inline]
    fn pair(&mut self, field: Str<'_>, value: Str<'_>) {
        self.part(Part::Field(field));
        self.part(Part::Value(value));
    }

    /// Tells, after [`Part::Count`], what the members, fields and values that follow weigh, if
    /// nothing else of them matters; nothing if they are wanted one by one. Those that stand in
    /// their usual form may then be told by [`Visit::weighed`], while others are handed out.
    fn weights(&self) -> Option<Weights<'_>> {
        None
    }

    /// Takes so many rows (members, or fields with their values), and what they weigh together.
    ///
    /// Told only where there are [`Visit::weights`]; sorted sets' members come without scores.
    fn weighed(&mut self, _row_count: u64, _sum: Weight) {}

    /// Tells, after [`Part::Packed`], whether the blob's items are wanted one by one. If
    /// not, the blob is checked all the same and [`Part::Rows`] tells how many there were.
    ///
    /// `stated` is how many entries (two for a pair) the blob says it has, if it says so: a
    /// blob that has others is damaged.
    fn wants_items(&self, _stated: Option<u64>) -> bool {
        true
    }
}

/// Lets every part pass: how a value is skipped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Skip;

impl Visit for Skip {
    fn part(&mut self, _: Part<'_>) {}

    fn member(&mut self, _: Str<'_>) {}

    fn scored(&mut self, _: Str<'_>, _: f64) {}

    fn pair(&mut self, _: Str<'_>, _: Str<'_>) {}

    fn weights(&self) -> Option<Weights<'_>> {
        /// Longer strings are passed one by one.
        static NOTHING: [Weight; 256] = [[0; 2]; 256];
        Some(Weights { first: &NOTHING, value: &NOTHING })
    }

    fn wants_items(&self, _: Option<u64>) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_canonical() {
        let ints = ["0", "7", "-1", "10", "9223372036854775807", "-9223372036854775808"];
        for text in ints {
            assert_eq!(parse_int(text.as_bytes()), text.parse().ok(), "{text}");
            assert_eq!(decimal_len(text.parse().unwrap()), text.len() as u64);
        }
        for text in ["", "-", "-0", "+1", "01", "007", "1 ", " 1", "1e5", "9223372036854775808"] {
            assert_eq!(parse_int(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn decimals_are_as_long_as_they_are_printed() {
        let powers_of_ten = (0..19).map(|power| 10i64.pow(power));
        for around in powers_of_ten.chain((0..63).map(|power| 1 << power)) {
            for value in around - 1..=around.saturating_add(1) {
                for value in [value, -value] {
                    assert_eq!(decimal_len(value), value.to_string().len() as u64, "{value}");
                }
            }
        }
    }
}
