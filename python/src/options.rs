//! Keyword arguments into the options of an analysis.

use std::time::{SystemTime, UNIX_EPOCH};

use offkey_analysis::memory::Config;
use offkey_analysis::{Options, SizeKind};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::paths;

/// What is asked for with `keywords`; their names and meanings are the command line's.
pub(crate) fn from_keywords(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Options> {
    let mut options = Options { now_ms: now_ms(), ..Options::default() };
    for (name, value) in keywords.into_iter().flatten() {
        if value.is_none() {
            continue;
        }
        let name = name.extract::<String>()?;
        set(&mut options, &name, &value).map_err(|error| named(value.py(), &name, error))?;
    }
    Ok(options)
}

fn set(options: &mut Options, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "top" => options.top = value.extract()?,
        "prefixes" => options.prefixes = value.extract()?,
        "separators" => options.separators = separators(value.extract()?)?,
        "fold_digits" => options.fold_digits = value.extract()?,
        "checksum" => options.checksum = value.extract()?,
        "profile" => options.profile = Some(parsed(&value.extract::<String>()?)?),
        "allocator" => options.allocator = parsed(&value.extract::<String>()?)?,
        "size" => options.size = size(&value.extract::<String>()?)?,
        "force" => options.force = value.extract()?,
        "threads" => options.threads = Some(value.extract()?),
        "memory_limit" => options.prefix_memory = memory(value.extract()?)?,
        "now_ms" => options.now_ms = value.extract()?,
        "config" => options.config = config(value.cast()?)?,
        name if paths::is_keyword(name) => {}
        _ => return Err(PyTypeError::new_err("an unexpected keyword argument")),
    }
    Ok(())
}

/// The same error, of a value that does not fit, with the name of its argument.
pub(crate) fn named(py: Python<'_>, argument: &str, error: PyErr) -> PyErr {
    let text = format!("{argument}: {}", error.value(py));
    if error.is_instance_of::<PyTypeError>(py) {
        PyTypeError::new_err(text)
    } else if error.is_instance_of::<PyOverflowError>(py) {
        PyValueError::new_err(text)
    } else {
        error
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> PyResult<T> {
    text.parse().map_err(|e: T::Err| PyValueError::new_err(e.to_string()))
}

fn separators(text: String) -> PyResult<Vec<u8>> {
    match text.chars().find(|c| !c.is_ascii()) {
        Some(c) => Err(PyValueError::new_err(format!(
            "a separator must be an ASCII character, found {c:?}"
        ))),
        None => Ok(text.into_bytes()),
    }
}

fn size(text: &str) -> PyResult<SizeKind> {
    match text {
        "bytes" => Ok(SizeKind::Bytes),
        "memory-usage" => Ok(SizeKind::MemoryUsage),
        "serialized" => Ok(SizeKind::Serialized),
        _ => Err(PyValueError::new_err(format!(
            "size is \"bytes\", \"memory-usage\" or \"serialized\", found {text:?}"
        ))),
    }
}

fn memory(bytes: usize) -> PyResult<usize> {
    if bytes < 1 << 20 {
        return Err(PyValueError::new_err(format!(
            "memory_limit is at least 1048576 bytes, found {bytes}"
        )));
    }
    Ok(bytes)
}

fn config(settings: &Bound<'_, PyDict>) -> PyResult<Config> {
    let mut config = Config::default();
    for (name, value) in settings {
        let Config {
            hash_max_listpack_entries,
            hash_max_listpack_value,
            set_max_intset_entries,
            set_max_listpack_entries,
            set_max_listpack_value,
            zset_max_listpack_entries,
            zset_max_listpack_value,
            list_max_listpack_size,
            list_compress_depth,
            cluster,
        } = &mut config;
        let number = match name.extract::<String>()?.replace('-', "_").as_str() {
            "hash_max_listpack_entries" => hash_max_listpack_entries,
            "hash_max_listpack_value" => hash_max_listpack_value,
            "set_max_intset_entries" => set_max_intset_entries,
            "set_max_listpack_entries" => set_max_listpack_entries,
            "set_max_listpack_value" => set_max_listpack_value,
            "zset_max_listpack_entries" => zset_max_listpack_entries,
            "zset_max_listpack_value" => zset_max_listpack_value,
            "list_compress_depth" => list_compress_depth,
            "list_max_listpack_size" => {
                *list_max_listpack_size = value.extract()?;
                continue;
            }
            "cluster_enabled" => {
                *cluster = value.extract()?;
                continue;
            }
            name => {
                return Err(PyValueError::new_err(format!(
                    "a setting that is not known: {name:?}"
                )));
            }
        };
        *number = value.extract()?;
    }
    Ok(config)
}
