//! `offkey.keys`: a row for every key.

use std::collections::HashSet;
use std::ops::ControlFlow;

use arrow_schema::{ArrowError, SchemaRef};
use offkey_analysis::{Input, KeyFacts, KeysEnd, Options};
use offkey_rdb::ObjectType;
use offkey_render::columns::{Column, KeyRows};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::Failure;
use crate::stream::{Batches, Send_, Stream};
use crate::{options, paths, report};

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
    retry: bool,
}

/// Reads every key of files: a ``Stream`` of one row a key, in the order of the file.
///
/// ``columns`` chooses from file, db, key, type, encoding, bytes, memory_usage,
/// serialized_bytes, num_of_elem, expire_at_ms, idle_seconds, freq, slot and prefix (that of
/// ``prefix_depth`` levels, or of all if the key has fewer). ``types``, ``dbs``, ``min_bytes``
/// and ``starts_with`` choose keys. A file that cannot be read to its end or is damaged ends the
/// stream with an error after the last good key of all files, unless ``errors="report"``;
/// ``Stream.error`` then tells it. With ``retry`` what may pass, such as a lost connection, ends
/// the stream with an error at once, whatever ``errors`` says.
#[pyfunction]
#[pyo3(signature = (paths, *, columns = None, types = None, dbs = None, min_bytes = 0,
    starts_with = None, prefix_depth = 1, errors = "raise", retry = false, **keywords))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn keys(
    py: Python<'_>,
    paths: &Bound<'_, PyAny>,
    columns: Option<&Bound<'_, PyAny>>,
    types: Option<&Bound<'_, PyAny>>,
    dbs: Option<&Bound<'_, PyAny>>,
    min_bytes: u64,
    starts_with: Option<&Bound<'_, PyAny>>,
    prefix_depth: usize,
    errors: &str,
    retry: bool,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Stream> {
    let columns = match columns {
        Some(names) => one_or_several("columns", names)?
            .iter()
            .map(|name: &String| column_named(name))
            .collect::<PyResult<_>>()?,
        None => Column::ALL.iter().map(|(column, ..)| *column).collect(),
    };
    let filter = Filter {
        types: types.map(types_named).transpose()?,
        dbs: match dbs {
            Some(dbs) => Some(one_or_several("dbs", dbs)?.into_iter().collect()),
            None => None,
        },
        min_bytes,
        starts_with: starts_with.map(name_of_key).transpose()?.unwrap_or_default(),
    };
    Ok(Stream::new(Keys {
        inputs: paths::inputs(py, paths, keywords)?,
        options: options::from_keywords(keywords)?,
        columns,
        filter,
        prefix_depth,
        raises: report::raises(errors)?,
        retry,
    }))
}

/// A value or the values of any iterable. Text is one value, not its letters.
fn one_or_several<'py, T>(argument: &str, given: &Bound<'py, PyAny>) -> PyResult<Vec<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let named = |error: PyErr| options::named(given.py(), argument, error);
    if let Ok(one) = given.extract::<T>() {
        return Ok(vec![one]);
    }
    let each = |value: PyResult<Bound<'py, PyAny>>| value?.extract().map_err(Into::into);
    given.try_iter().map_err(named)?.map(each).collect::<PyResult<_>>().map_err(named)
}

/// The types of keys that are wanted. A name that no type has would only lose rows.
fn types_named(given: &Bound<'_, PyAny>) -> PyResult<HashSet<String>> {
    let names: Vec<String> = one_or_several("types", given)?;
    let is_one = |name: &str| [None, Some(0)].iter().any(|v| ObjectType::named(name, *v).is_some());
    match names.iter().find(|name| !is_one(name)) {
        Some(name) => Err(PyValueError::new_err(format!(
            "a type is string, list, set, zset, hash, stream, array or the nine characters of a \
             module's type; found {name:?}"
        ))),
        None => Ok(names.into_iter().collect()),
    }
}

/// The beginning of a key's name, in bytes or as text.
fn name_of_key(given: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    match given.extract::<String>() {
        Ok(text) => Ok(text.into_bytes()),
        Err(_) => given.extract().map_err(|e: PyErr| options::named(given.py(), "starts_with", e)),
    }
}

impl Batches for Keys {
    fn schema(&self) -> SchemaRef {
        Column::schema(&self.columns)
    }

    fn read(&self, send: &mut Send_<'_>) -> Result<Option<Failure>, ArrowError> {
        let mut rows = Rows::new(self);
        let mut first_failure = None;
        for input in self.inputs.iter().flat_map(|input| input.clone().files()) {
            rows.rows.set_file(input.name());
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
                if self.retry && input.error_may_pass {
                    return Ok(Failure::of(input, damaged));
                }
                first_failure = first_failure.or_else(|| Failure::of(input, damaged));
            }
        }
        // What was read before a failure is still handed out.
        let _ = rows.flush(send)?;
        Ok(first_failure)
    }

    fn raises(&self, failure: &Failure) -> bool {
        self.raises || self.retry && failure.may_pass
    }
}

/// Rows gathered for the next batch.
struct Rows<'k> {
    filter: &'k Filter,
    rows: KeyRows,
    /// Types met, with whether they are wanted.
    types: Vec<(ObjectType, bool)>,
}

impl<'k> Rows<'k> {
    fn new(keys: &'k Keys) -> Self {
        let rows = KeyRows::new(&keys.columns, &keys.options, keys.prefix_depth);
        Self { filter: &keys.filter, rows, types: Vec::new() }
    }

    fn take(
        &mut self,
        facts: &KeyFacts<'_>,
        send: &mut Send_<'_>,
    ) -> Result<ControlFlow<()>, ArrowError> {
        let is_wanted = self.wants_type(facts.object_type) && self.filter.takes(facts);
        if is_wanted && self.rows.push(facts) {
            return self.flush(send);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn wants_type(&mut self, object_type: ObjectType) -> bool {
        if let Some((_, is_wanted)) = self.types.iter().find(|(known, _)| *known == object_type) {
            return *is_wanted;
        }
        let wanted = self.filter.types.as_ref();
        let is_wanted = wanted.is_none_or(|types| types.contains(&object_type.to_string()));
        self.types.push((object_type, is_wanted));
        is_wanted
    }

    fn flush(&mut self, send: &mut Send_<'_>) -> Result<ControlFlow<()>, ArrowError> {
        Ok(self.rows.finish()?.map_or(ControlFlow::Continue(()), send))
    }
}

fn column_named(name: &str) -> PyResult<Column> {
    Column::named(name).ok_or_else(|| {
        let names = Column::ALL.map(|(_, name, _)| name).join(", ");
        PyValueError::new_err(format!("a column is one of {names}; found {name:?}"))
    })
}
