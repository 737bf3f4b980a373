//! `offkey.keys`: a row for every key.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use offkey_analysis::{Input, KeyFacts, KeysEnd, Options, PrefixRule};
use offkey_rdb::ObjectType;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::Failure;
use crate::stream::{Batches, Send_, Stream};
use crate::{options, paths, report};

/// What is told of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    File,
    Db,
    Key,
    Type,
    Encoding,
    Bytes,
    MemoryUsage,
    SerializedBytes,
    NumOfElem,
    ExpireAtMs,
    IdleSeconds,
    Freq,
    Slot,
    Prefix,
}

impl Column {
    const ALL: [(Self, &'static str, DataType); 14] = [
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

    fn named(name: &str) -> PyResult<Self> {
        let found = Self::ALL.iter().find(|(_, own, _)| *own == name);
        found.map(|(column, ..)| *column).ok_or_else(|| {
            let names = Self::ALL.map(|(_, name, _)| name).join(", ");
            PyValueError::new_err(format!("a column is one of {names}; found {name:?}"))
        })
    }
}

/// Which keys are wanted.
#[derive(Debug)]
struct Filter {
    types: Option<HashSet<String>>,
    dbs: Option<HashSet<u64>>,
    min_bytes: u64,
    starts_with: Vec<u8>,
}

impl Filter {
    /// Everything but the type.
    fn takes(&self, facts: &KeyFacts<'_>) -> bool {
        facts.bytes >= self.min_bytes
            && facts.key.starts_with(&self.starts_with)
            && self.dbs.as_ref().is_none_or(|dbs| dbs.contains(&facts.db))
    }
}

struct Keys {
    inputs: Vec<Input>,
    options: Options,
    columns: Vec<Column>,
    filter: Filter,
    prefix_depth: usize,
    raises: bool,
}

/// Reads every key of files: a ``Stream`` of one row a key, in the order of the file.
///
/// ``columns`` chooses from file, db, key, type, encoding, bytes, memory_usage,
/// serialized_bytes, num_of_elem, expire_at_ms, idle_seconds, freq, slot and prefix (that of
/// ``prefix_depth`` levels, or of all if the key has fewer). ``types``, ``dbs``, ``min_bytes``
/// and ``starts_with`` choose keys. A file that cannot be read to its end or is damaged ends the
/// stream with an error after its last good key, unless ``errors="report"``; ``Stream.error``
/// then tells it.
#[pyfunction]
#[pyo3(signature = (paths, *, columns = None, types = None, dbs = None, min_bytes = 0,
    starts_with = None, prefix_depth = 1, errors = "raise", **keywords))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn keys(
    py: Python<'_>,
    paths: &Bound<'_, PyAny>,
    columns: Option<&Bound<'_, PyAny>>,
    types: Option<&Bound<'_, PyAny>>,
    dbs: Option<&Bound<'_, PyAny>>,
    min_bytes: u64,
    starts_with: Option<Vec<u8>>,
    prefix_depth: usize,
    errors: &str,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Stream> {
    let columns = match columns {
        Some(names) => {
            let name =
                |name: PyResult<Bound<'_, PyAny>>| Column::named(&name?.extract::<String>()?);
            names.try_iter()?.map(name).collect::<PyResult<_>>()?
        }
        None => Column::ALL.iter().map(|(column, ..)| *column).collect(),
    };
    let types: Option<PyResult<HashSet<String>>> =
        types.map(|types| types.try_iter()?.map(|name| name?.extract::<String>()).collect());
    let dbs: Option<PyResult<HashSet<u64>>> =
        dbs.map(|dbs| dbs.try_iter()?.map(|db| db?.extract::<u64>()).collect());
    let starts_with = starts_with.unwrap_or_default();
    Ok(Stream::new(Keys {
        inputs: paths::inputs(py, paths, keywords)?,
        options: options::from_keywords(keywords)?,
        columns,
        filter: Filter { types: types.transpose()?, dbs: dbs.transpose()?, min_bytes, starts_with },
        prefix_depth,
        raises: report::raises(errors)?,
    }))
}

impl Batches for Keys {
    fn schema(&self) -> SchemaRef {
        let field = |column: &Column| {
            let (_, name, data_type) = Column::ALL.into_iter().find(|(c, ..)| c == column)?;
            Some(Field::new(name, data_type, true))
        };
        Arc::new(Schema::new(self.columns.iter().filter_map(field).collect::<Vec<_>>()))
    }

    fn read(&self, send: &mut Send_<'_>) -> Result<Option<Failure>, ArrowError> {
        let mut rows = Rows::new(self);
        let mut first_failure = None;
        for input in self.inputs.iter().flat_map(|input| input.clone().files()) {
            rows.file = input.name();
            let mut outcome = Ok(ControlFlow::Continue(()));
            let ends = offkey_analysis::keys(input, &self.options, &mut |facts| {
                outcome = rows.take(facts, send);
                if matches!(outcome, Ok(ControlFlow::Continue(()))) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            if outcome?.is_break() {
                return Ok(None);
            }
            for KeysEnd { input, damaged } in &ends {
                first_failure = first_failure.or_else(|| Failure::of(input, damaged));
            }
        }
        // What was read before a failure is still handed out.
        let _ = rows.flush(send)?;
        Ok(first_failure)
    }

    fn raises(&self) -> bool {
        self.raises
    }
}

enum Builder {
    Text(StringBuilder),
    Name(BinaryBuilder),
    Number(Int64Builder),
}

/// Rows gathered for the next batch.
struct Rows<'k> {
    keys: &'k Keys,
    schema: SchemaRef,
    builders: Vec<(Column, Builder)>,
    row_count: usize,
    /// Bytes of names.
    len: usize,
    file: String,
    prefix: PrefixRule,
    /// Types met, with their names and whether they are wanted.
    types: Vec<(ObjectType, String, bool)>,
}

impl<'k> Rows<'k> {
    const ROWS_MAX: usize = 16 << 10;
    const LEN_MAX: usize = 8 << 20;

    fn new(keys: &'k Keys) -> Self {
        let builder = |column: &Column| {
            let builder = match column {
                Column::File | Column::Type | Column::Encoding => {
                    Builder::Text(StringBuilder::new())
                }
                Column::Key | Column::Prefix => Builder::Name(BinaryBuilder::new()),
                Column::Db
                | Column::Bytes
                | Column::MemoryUsage
                | Column::SerializedBytes
                | Column::NumOfElem
                | Column::ExpireAtMs
                | Column::IdleSeconds
                | Column::Freq
                | Column::Slot => Builder::Number(Int64Builder::new()),
            };
            (*column, builder)
        };
        Self {
            keys,
            schema: keys.schema(),
            builders: keys.columns.iter().map(builder).collect(),
            row_count: 0,
            len: 0,
            file: String::new(),
            prefix: PrefixRule::new(&keys.options),
            types: Vec::new(),
        }
    }

    fn take(
        &mut self,
        facts: &KeyFacts<'_>,
        send: &mut Send_<'_>,
    ) -> Result<ControlFlow<()>, ArrowError> {
        let type_at = self.type_at(facts.object_type);
        let Some((_, type_name, true)) = self.types.get(type_at) else {
            return Ok(ControlFlow::Continue(()));
        };
        if !self.keys.filter.takes(facts) {
            return Ok(ControlFlow::Continue(()));
        }
        for (column, builder) in &mut self.builders {
            match builder {
                Builder::Text(texts) => texts.append_value(match column {
                    Column::File => &self.file,
                    Column::Type => type_name,
                    _ => facts.encoding.name(),
                }),
                Builder::Name(names) => match column {
                    Column::Key => names.append_value(facts.key),
                    _ => names.append_option(self.prefix.prefix(facts.key, self.keys.prefix_depth)),
                },
                Builder::Number(numbers) => numbers.append_option(number(*column, facts)),
            }
        }
        self.row_count += 1;
        self.len += 2 * facts.key.len() + self.file.len();
        if self.row_count >= Self::ROWS_MAX || self.len >= Self::LEN_MAX {
            return self.flush(send);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn type_at(&mut self, object_type: ObjectType) -> usize {
        let known = self.types.iter().position(|(known, ..)| *known == object_type);
        known.unwrap_or_else(|| {
            let name = object_type.to_string();
            let is_wanted =
                self.keys.filter.types.as_ref().is_none_or(|types| types.contains(&name));
            self.types.push((object_type, name, is_wanted));
            self.types.len() - 1
        })
    }

    fn flush(&mut self, send: &mut Send_<'_>) -> Result<ControlFlow<()>, ArrowError> {
        if self.row_count == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        let arrays = self.builders.iter_mut().map(|(_, builder)| -> ArrayRef {
            match builder {
                Builder::Text(texts) => Arc::new(texts.finish()),
                Builder::Name(names) => Arc::new(names.finish()),
                Builder::Number(numbers) => Arc::new(numbers.finish()),
            }
        });
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(self.row_count));
        let batch = RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            arrays.collect(),
            &options,
        )?;
        (self.row_count, self.len) = (0, 0);
        Ok(send(batch))
    }
}

fn number(column: Column, facts: &KeyFacts<'_>) -> Option<i64> {
    let number = match column {
        Column::Db => Some(facts.db),
        Column::Bytes => Some(facts.bytes),
        Column::MemoryUsage => facts.memory_usage,
        Column::SerializedBytes => Some(facts.serialized_bytes),
        Column::NumOfElem => Some(facts.num_of_elem),
        Column::IdleSeconds => facts.idle_seconds,
        Column::Freq => facts.freq.map(u64::from),
        Column::Slot => facts.slot,
        Column::ExpireAtMs => return facts.expire_at_ms,
        Column::File | Column::Key | Column::Type | Column::Encoding | Column::Prefix => None,
    };
    number.map(|number| i64::try_from(number).unwrap_or(i64::MAX))
}
