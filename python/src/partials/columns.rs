//! Rows out of Arrow batches, in whatever of Arrow's forms an engine hands them back.

use std::borrow::Cow;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use offkey_analysis::rows::{Row, RowKind};
use offkey_rdb::ObjectType;

/// Where the columns stand in a schema.
#[derive(Debug)]
pub(super) struct Columns {
    input: usize,
    kind: usize,
    object_type: usize,
    name: usize,
    at: usize,
    num: usize,
    bytes: usize,
    no_expiry_num: usize,
    no_expiry_bytes: usize,
    detail: usize,
}

impl Columns {
    pub(super) fn of(schema: &Schema) -> Result<Self, String> {
        let place = |name: &str| {
            schema.index_of(name).map_err(|_| format!("the rows have no column {name:?}"))
        };
        Ok(Self {
            input: place("input")?,
            kind: place("kind")?,
            object_type: place("type")?,
            name: place("name")?,
            at: place("place")?,
            num: place("num")?,
            bytes: place("bytes")?,
            no_expiry_num: place("no_expiry_num")?,
            no_expiry_bytes: place("no_expiry_bytes")?,
            detail: place("detail")?,
        })
    }

    /// Hands out every row of a batch.
    pub(super) fn rows(
        &self,
        batch: &RecordBatch,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let column = |at: usize| batch.column(at);
        for row in 0..batch.num_rows() {
            let kind = text(column(self.kind), row)?.unwrap_or_default();
            let kind = RowKind::named(kind).ok_or_else(|| format!("a row of kind {kind:?}"))?;
            let at = number(column(self.at), row)?;
            let (object_type, at) = match text(column(self.object_type), row)? {
                Some(name) => (Some(object_type(name, at)?), None),
                None => (None, at),
            };
            each(Row {
                kind,
                input: count(column(self.input), row)?,
                object_type,
                name: name(column(self.name), row)?.map(Cow::Borrowed),
                at,
                num: count(column(self.num), row)?,
                bytes: count(column(self.bytes), row)?,
                no_expiry_num: count(column(self.no_expiry_num), row)?,
                no_expiry_bytes: count(column(self.no_expiry_bytes), row)?,
                detail: text(column(self.detail), row)?.map(Cow::Borrowed),
            })?;
        }
        Ok(())
    }
}

fn object_type(name: &str, at: Option<i64>) -> Result<ObjectType, String> {
    let version = at.map(i64::cast_unsigned);
    ObjectType::named(name, version).ok_or_else(|| format!("a row of type {name:?}"))
}

fn text(array: &ArrayRef, row: usize) -> Result<Option<&str>, String> {
    if array.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        DataType::Null => return Ok(None),
        other => return Err(format!("a column of strings expected, found {other}")),
    }))
}

fn name(array: &ArrayRef, row: usize) -> Result<Option<&[u8]>, String> {
    if array.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::Null => return Ok(None),
        other => return Err(format!("a column of bytes expected, found {other}")),
    }))
}

fn number(array: &ArrayRef, row: usize) -> Result<Option<i64>, String> {
    if array.is_null(row) {
        return Ok(None);
    }
    match array.data_type() {
        DataType::Int64 => Ok(Some(array.as_primitive::<Int64Type>().value(row))),
        DataType::Null => Ok(None),
        other => Err(format!("a column of 64-bit integers expected, found {other}")),
    }
}

/// A number that is none below zero; nothing counts as zero.
fn count(array: &ArrayRef, row: usize) -> Result<u64, String> {
    let number = number(array, row)?.unwrap_or(0);
    u64::try_from(number).map_err(|_| format!("a number of at least 0 expected, found {number}"))
}
