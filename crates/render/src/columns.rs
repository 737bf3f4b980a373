//! Keys as Arrow columns, a batch of rows at a time.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use offkey_analysis::{KeyFacts, Options, PrefixRule};
use offkey_rdb::ObjectType;

/// What is told of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The input it is in, text.
    File,
    /// Database.
    Db,
    /// Name, binary.
    Key,
    /// What `TYPE` answers, text.
    Type,
    /// What `OBJECT ENCODING` answers once loaded, text.
    Encoding,
    /// Memory the key takes, in bytes.
    Bytes,
    /// What `MEMORY USAGE key SAMPLES 0` would say; null for module values.
    MemoryUsage,
    /// Length of the value in the file in bytes.
    SerializedBytes,
    /// Elements; for strings the length in bytes.
    NumOfElem,
    /// Expiry in milliseconds since 1970; null for none.
    ExpireAtMs,
    /// Seconds since the last access; null where the file does not have it.
    IdleSeconds,
    /// Access counter; null where the file does not have it.
    Freq,
    /// Cluster slot; null where the file does not tell slots.
    Slot,
    /// Prefix of the depth asked for, binary; null where the name has no separator.
    Prefix,
}

impl Column {
    /// Every column, its name and its type; all may be null.
    pub const ALL: [(Self, &'static str, DataType); 14] = [
        (Self::File, "file", DataType::Utf8),
        (Self::Db, "db", DataType::Int64),
        (Self::Key, "key", DataType::Binary),
        (Self::Type, "type", DataType::Utf8),
        (Self::Encoding, "encoding", DataType::Utf8),
        (Self::Bytes, "bytes", DataType::Int64),
        (Self::MemoryUsage, "memory_usage", DataType::Int64),
        (Self::SerializedBytes, "serialized_bytes", DataType::Int64),
        (Self::NumOfElem, "num_of_elem", DataType::Int64),
        (Self::ExpireAtMs, "expire_at_ms", DataType::Int64),
        (Self::IdleSeconds, "idle_seconds", DataType::Int64),
        (Self::Freq, "freq", DataType::Int64),
        (Self::Slot, "slot", DataType::Int64),
        (Self::Prefix, "prefix", DataType::Binary),
    ];

    /// The column of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(_, own, _)| *own == name);
        found.map(|(column, ..)| column)
    }

    /// The schema of rows of these columns.
    #[must_use]
    pub fn schema(columns: &[Self]) -> SchemaRef {
        let field = |column: &Self| {
            let (_, name, data_type) = Self::ALL.into_iter().find(|(own, ..)| own == column)?;
            Some(Field::new(name, data_type, true))
        };
        Arc::new(Schema::new(columns.iter().filter_map(field).collect::<Vec<_>>()))
    }

    fn builder(self) -> Builder {
        match self {
            Self::File | Self::Type | Self::Encoding => Builder::Text(StringBuilder::new()),
            Self::Key | Self::Prefix => Builder::Name(BinaryBuilder::new()),
            Self::Db
            | Self::Bytes
            | Self::MemoryUsage
            | Self::SerializedBytes
            | Self::NumOfElem
            | Self::ExpireAtMs
            | Self::IdleSeconds
            | Self::Freq
            | Self::Slot => Builder::Number(Int64Builder::new()),
        }
    }

    fn number(self, facts: &KeyFacts<'_>) -> Option<i64> {
        let number = match self {
            Self::Db => Some(facts.db),
            Self::Bytes => Some(facts.bytes),
            Self::MemoryUsage => facts.memory_usage,
            Self::SerializedBytes => Some(facts.serialized_bytes),
            Self::NumOfElem => Some(facts.num_of_elem),
            Self::IdleSeconds => facts.idle_seconds,
            Self::Freq => facts.freq.map(u64::from),
            Self::Slot => facts.slot,
            Self::ExpireAtMs => return facts.expire_at_ms,
            Self::File | Self::Key | Self::Type | Self::Encoding | Self::Prefix => None,
        };
        number.map(|number| i64::try_from(number).unwrap_or(i64::MAX))
    }
}

#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Name(BinaryBuilder),
    Number(Int64Builder),
}

/// Rows gathered for the next batch.
#[derive(Debug)]
pub struct KeyRows {
    schema: SchemaRef,
    builders: Vec<(Column, Builder)>,
    row_count: usize,
    /// Bytes of names.
    len: usize,
    file: String,
    prefix: PrefixRule,
    prefix_depth: usize,
    /// Types met, with their names.
    types: Vec<(ObjectType, String)>,
}

impl KeyRows {
    const ROWS_MAX: usize = 16 << 10;
    const LEN_MAX: usize = 8 << 20;

    /// No rows yet, of these columns; `prefix` is that of `prefix_depth` levels, by the
    /// separators of the options.
    #[must_use]
    pub fn new(columns: &[Column], options: &Options, prefix_depth: usize) -> Self {
        Self {
            schema: Column::schema(columns),
            builders: columns.iter().map(|column| (*column, column.builder())).collect(),
            row_count: 0,
            len: 0,
            file: String::new(),
            prefix: PrefixRule::new(options),
            prefix_depth,
            types: Vec::new(),
        }
    }

    /// The input of the rows that follow.
    pub fn set_file(&mut self, file: String) {
        self.file = file;
    }

    /// Adds the row of a key; `true` once there are enough for a batch.
    #[must_use = "rows gather in memory until they are finished"]
    pub fn push(&mut self, facts: &KeyFacts<'_>) -> bool {
        let type_name = type_name(&mut self.types, facts.object_type);
        for (column, builder) in &mut self.builders {
            match builder {
                Builder::Text(texts) => texts.append_value(match column {
                    Column::File => &self.file,
                    Column::Type => type_name,
                    _ => facts.encoding.name(),
                }),
                Builder::Name(names) => match column {
                    Column::Key => names.append_value(facts.key),
                    _ => names.append_option(self.prefix.prefix(facts.key, self.prefix_depth)),
                },
                Builder::Number(numbers) => numbers.append_option(column.number(facts)),
            }
        }
        self.row_count += 1;
        self.len += 2 * facts.key.len() + self.file.len();
        self.row_count >= Self::ROWS_MAX || self.len >= Self::LEN_MAX
    }

    /// The rows so far as a batch, none where there are none.
    ///
    /// # Errors
    /// None that is known of: the columns are as long as each other.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.row_count == 0 {
            return Ok(None);
        }
        let arrays = self.builders.iter_mut().map(|(_, builder)| -> ArrayRef {
            match builder {
                Builder::Text(texts) => Arc::new(texts.finish()),
                Builder::Name(names) => Arc::new(names.finish()),
                Builder::Number(numbers) => Arc::new(numbers.finish()),
            }
        });
        // Rows of no columns count too.
        let options = RecordBatchOptions::new().with_row_count(Some(self.row_count));
        let schema = Arc::clone(&self.schema);
        let batch = RecordBatch::try_new_with_options(schema, arrays.collect(), &options)?;
        (self.row_count, self.len) = (0, 0);
        Ok(Some(batch))
    }
}

/// The name of a type, made once.
fn type_name(types: &mut Vec<(ObjectType, String)>, object_type: ObjectType) -> &str {
    let known = types.iter().position(|(known, _)| *known == object_type);
    let at = known.unwrap_or_else(|| {
        types.push((object_type, object_type.to_string()));
        types.len() - 1
    });
    types.get(at).map_or("", |(_, name)| name)
}
