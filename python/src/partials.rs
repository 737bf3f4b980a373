//! `offkey.summarise`, `offkey.merge` and `offkey.reduce`: summaries as rows that an engine
//! can group and sum. docs/FLEET.md has the columns.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder};
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use offkey_analysis::rows::{self, Merge, Row, RowKind};
use offkey_analysis::{Input, Options};
use offkey_rdb::ObjectType;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::Failure;
use crate::report::Report;
use crate::stream::{Batches, Send_, Stream};
use crate::{arrow_c, options, paths};

mod columns;

use columns::Columns;

/// Memory for the sums of prefixes in [`merge`] unless `memory_limit` says otherwise.
const MERGE_MEMORY: usize = 1 << 30;

struct Summaries {
    inputs: Vec<Input>,
    options: Options,
    number: u64,
    per_file: bool,
    retry: bool,
}

/// Reads files into the parts of a report: a ``Stream`` of rows that an engine can sum.
///
/// Files are numbered from ``number`` on. Rows of the kinds type, prefix, expiry, idle, size,
/// num_of_elem, freq, db and slot may be grouped by everything but num, bytes, no_expiry_num and
/// no_expiry_bytes, and those summed; with ``per_file=False`` they name no file, so that they can be summed over all
/// files. What is wrong with a file stands in its row of kind input; with ``retry`` what may pass,
/// such as a lost connection, ends the stream with an error instead.
#[pyfunction]
#[pyo3(signature = (paths, *, number = 0, per_file = true, retry = false, **keywords))]
pub(crate) fn summarise(
    py: Python<'_>,
    paths: &Bound<'_, PyAny>,
    number: u64,
    per_file: bool,
    retry: bool,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Stream> {
    let inputs = paths::inputs(py, paths, keywords)?;
    let options = options::from_keywords(keywords)?;
    if options.fold_digits && options.separators.iter().any(u8::is_ascii_digit) {
        return Err(PyValueError::new_err(
            "a digit that separates cannot be told once digits are folded: give fold_digits=False",
        ));
    }
    Ok(Stream::new(Summaries { inputs, options, number, per_file, retry }))
}

/// Makes the report of partials: one stream or several, in the order of their files.
///
/// They may be summed or not. ``memory_limit`` bounds the memory for their prefixes (1 GiB unless
/// given); what does not fit is an error, never a wrong report. Give the options that
/// ``summarise`` was given.
#[pyfunction]
#[pyo3(signature = (partials, **keywords))]
pub(crate) fn merge(
    py: Python<'_>,
    partials: &Bound<'_, PyAny>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Report> {
    let options = options::from_keywords(keywords)?;
    let is_limited =
        keywords.is_some_and(|keywords| keywords.contains("memory_limit").is_ok_and(|is| is));
    let memory_max = if is_limited { options.prefix_memory } else { MERGE_MEMORY };
    let mut merge = Merge::new(&options, memory_max);
    let mut number = 0;
    if partials.hasattr("__arrow_c_stream__")? {
        add_all(py, partials, &mut merge, number)?;
    } else {
        for partial in partials.try_iter()? {
            number = add_all(py, &partial?, &mut merge, number)?;
        }
    }
    Ok(Report(py.detach(|| merge.report())))
}

/// Cuts partials to few rows: the largest keys, the leading prefixes, sums of the rest.
///
/// For the parts of a table that an engine has summed: no row of a prefix may stand in another
/// part.
#[pyfunction]
#[pyo3(signature = (partials, **keywords))]
pub(crate) fn reduce(
    py: Python<'_>,
    partials: &Bound<'_, PyAny>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Stream> {
    let options = options::from_keywords(keywords)?;
    let mut merge = Merge::of_sums(&options);
    add_all(py, partials, &mut merge, 0)?;
    let batches = py.detach(|| {
        let mut builder = BatchBuilder::new(true);
        let mut batches = Vec::new();
        let mut outcome = Ok(());
        let _ = merge.rows(&mut |row| match builder.push(row, None) {
            Ok(batch) => {
                batches.extend(batch);
                ControlFlow::Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        });
        outcome?;
        batches.extend(builder.finish()?);
        Ok::<_, ArrowError>(batches)
    });
    let batches = batches.map_err(|e| PyValueError::new_err(e.to_string()))?;
    Ok(Stream::new(Ready(batches)))
}

/// Adds a stream of rows, its inputs numbered from `number` on; answers the number that the
/// next stream's inputs begin with.
fn add_all(
    py: Python<'_>,
    partial: &Bound<'_, PyAny>,
    merge: &mut Merge,
    number: u64,
) -> PyResult<u64> {
    let reader = arrow_c::import(partial)?;
    let added = py.detach(|| {
        let columns = Columns::of(&reader.schema())?;
        let mut next = number;
        for batch in reader {
            let batch = batch.map_err(|e| e.to_string())?;
            columns.rows(&batch, &mut |row| {
                let input = row.input.saturating_add(number);
                next = next.max(input.saturating_add(1));
                merge.add(&Row { input, ..row }).map_err(|e| e.to_string())
            })?;
        }
        Ok::<_, String>(next)
    });
    added.map_err(PyValueError::new_err)
}

impl Batches for Summaries {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn read(&self, send: &mut Send_<'_>) -> Result<Option<Failure>, ArrowError> {
        let mut builder = BatchBuilder::new(self.per_file);
        let mut number = self.number;
        for input in self.inputs.iter().flat_map(|input| input.clone().files()) {
            let file = input.name();
            let mut outcome = Ok(ControlFlow::Continue(()));
            let infos = rows::summarise(input, &self.options, number, &mut |row| {
                outcome = builder.push(row, Some(&file)).map(|batch| match batch {
                    Some(batch) => send(batch),
                    None => ControlFlow::Continue(()),
                });
                if matches!(outcome, Ok(ControlFlow::Continue(()))) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            if outcome?.is_break() {
                return Ok(None);
            }
            if let Some(info) = infos.iter().find(|info| self.retry && info.error_may_pass) {
                return Ok(Failure::of(info, &[]));
            }
            number += infos.len() as u64;
        }
        if let Some(batch) = builder.finish()? {
            let _ = send(batch);
        }
        // What else is wrong with a file stands in its row.
        Ok(None)
    }

    fn raises(&self, _: &Failure) -> bool {
        true
    }
}

/// Batches made already.
struct Ready(Vec<RecordBatch>);

impl Batches for Ready {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn read(&self, send: &mut Send_<'_>) -> Result<Option<Failure>, ArrowError> {
        let _ = self.0.iter().cloned().try_for_each(send);
        Ok(None)
    }

    fn raises(&self, _: &Failure) -> bool {
        false
    }
}

fn schema() -> SchemaRef {
    let field = |(name, data_type): (&str, DataType)| Field::new(name, data_type, true);
    let fields = [
        ("input", DataType::Int64),
        ("file", DataType::Utf8),
        ("kind", DataType::Utf8),
        ("type", DataType::Utf8),
        ("name", DataType::Binary),
        ("place", DataType::Int64),
        ("num", DataType::Int64),
        ("bytes", DataType::Int64),
        ("no_expiry_num", DataType::Int64),
        ("no_expiry_bytes", DataType::Int64),
        ("detail", DataType::Utf8),
    ];
    Arc::new(Schema::new(fields.map(field).to_vec()))
}

/// Rows gathered for the next batch.
struct BatchBuilder {
    /// Whether rows that are sums name their file.
    per_file: bool,
    row_count: usize,
    len: usize,
    input: Int64Builder,
    file: StringBuilder,
    kind: StringBuilder,
    object_type: StringBuilder,
    name: BinaryBuilder,
    at: Int64Builder,
    num: Int64Builder,
    bytes: Int64Builder,
    no_expiry_num: Int64Builder,
    no_expiry_bytes: Int64Builder,
    detail: StringBuilder,
}

impl BatchBuilder {
    const ROWS_MAX: usize = 16 << 10;
    const LEN_MAX: usize = 8 << 20;

    fn new(per_file: bool) -> Self {
        Self {
            per_file,
            row_count: 0,
            len: 0,
            input: Int64Builder::new(),
            file: StringBuilder::new(),
            kind: StringBuilder::new(),
            object_type: StringBuilder::new(),
            name: BinaryBuilder::new(),
            at: Int64Builder::new(),
            num: Int64Builder::new(),
            bytes: Int64Builder::new(),
            no_expiry_num: Int64Builder::new(),
            no_expiry_bytes: Int64Builder::new(),
            detail: StringBuilder::new(),
        }
    }

    fn push(
        &mut self,
        row: &Row<'_>,
        file: Option<&str>,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        let is_of_file = self.per_file || !row.kind.is_sum();
        let file = file.filter(|_| is_of_file);
        let object_type = row.object_type.map(|object_type| object_type.to_string());
        // Module types of one name differ by the version of their encoding.
        let at = match row.object_type {
            Some(ObjectType::Module(id)) => i64::try_from(id.encoding_version()).ok(),
            _ => row.at,
        };
        self.input.append_option(i64::try_from(row.input).ok().filter(|_| is_of_file));
        self.file.append_option(file);
        self.kind.append_value(row.kind.name());
        self.object_type.append_option(object_type.as_deref());
        self.name.append_option(row.name.as_deref());
        self.at.append_option(at);
        self.num.append_value(i64::try_from(row.num).unwrap_or(i64::MAX));
        self.bytes.append_value(i64::try_from(row.bytes).unwrap_or(i64::MAX));
        let is_prefix = row.kind == RowKind::Prefix;
        let no_expiry_num = i64::try_from(row.no_expiry_num).unwrap_or(i64::MAX);
        let has_num = is_prefix || row.kind == RowKind::Db;
        self.no_expiry_num.append_option(has_num.then_some(no_expiry_num));
        let no_expiry_bytes = i64::try_from(row.no_expiry_bytes).unwrap_or(i64::MAX);
        self.no_expiry_bytes.append_option(is_prefix.then_some(no_expiry_bytes));
        self.detail.append_option(row.detail.as_deref());
        self.row_count += 1;
        self.len += file.map_or(0, str::len)
            + row.name.as_deref().map_or(0, <[u8]>::len)
            + row.detail.as_deref().map_or(0, str::len);
        if self.row_count >= Self::ROWS_MAX || self.len >= Self::LEN_MAX {
            return self.finish();
        }
        Ok(None)
    }

    fn finish(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.row_count == 0 {
            return Ok(None);
        }
        (self.row_count, self.len) = (0, 0);
        let batch = RecordBatch::try_new(
            schema(),
            vec![
                Arc::new(self.input.finish()),
                Arc::new(self.file.finish()),
                Arc::new(self.kind.finish()),
                Arc::new(self.object_type.finish()),
                Arc::new(self.name.finish()),
                Arc::new(self.at.finish()),
                Arc::new(self.num.finish()),
                Arc::new(self.bytes.finish()),
                Arc::new(self.no_expiry_num.finish()),
                Arc::new(self.no_expiry_bytes.finish()),
                Arc::new(self.detail.finish()),
            ],
        )?;
        Ok(Some(batch))
    }
}
