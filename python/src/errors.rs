//! What went wrong with a file, as an exception of `offkey`.

use offkey_analysis::{DamagedKey, InputInfo};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// Why a file is not complete.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// Whether another attempt may fare better.
    pub(crate) may_pass: bool,
    file: String,
    offset: Option<u64>,
    db: Option<u64>,
    key: Option<Vec<u8>>,
}

impl Failure {
    /// What is wrong with an input, if anything: why reading stopped, else its first damaged
    /// key.
    pub(crate) fn of(input: &InputInfo, damaged: &[DamagedKey]) -> Option<Self> {
        let file = input.file.clone();
        if let Some(error) = &input.error {
            let stopped = input.stopped.as_ref();
            let key = stopped.and_then(|stopped| stopped.key.clone());
            return Some(Self {
                message: error.clone(),
                may_pass: input.error_may_pass,
                file,
                offset: stopped.map(|stopped| stopped.offset),
                db: key.as_ref().map(|(db, _)| *db),
                key: key.map(|(_, key)| key),
            });
        }
        if input.damaged_num == 0 {
            return None;
        }
        let Some(first) = damaged.iter().find(|damaged| damaged.file == input.file) else {
            let message = format!("{file}: {} damaged keys", input.damaged_num);
            return Some(Self {
                message,
                may_pass: false,
                file,
                offset: None,
                db: None,
                key: None,
            });
        };
        let DamagedKey { db, key, r#type, offset, reason, .. } = first;
        let more = match input.damaged_num {
            1 => String::new(),
            count => format!(" (and {} more damaged keys)", count - 1),
        };
        let message = format!(
            "{file}: corrupt value at byte {offset}: db {db}, key {key:?}, {type}: {reason}{more}"
        );
        let key = Some(key.clone().into_bytes());
        let (offset, db) = (Some(*offset), Some(*db));
        Some(Self { message, may_pass: false, file, offset, db, key })
    }

    /// The same as an `offkey.Error`.
    pub(crate) fn error(&self, py: Python<'_>, report: Option<Py<PyAny>>) -> PyErr {
        match self.object(py, report) {
            Ok(error) => PyErr::from_value(error),
            Err(error) => error,
        }
    }

    pub(crate) fn object<'py>(
        &self,
        py: Python<'py>,
        report: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let class = py.import("offkey._errors")?.getattr("Error")?;
        let fields = PyDict::new(py);
        fields.set_item("file", &self.file)?;
        fields.set_item("offset", self.offset)?;
        fields.set_item("db", self.db)?;
        fields.set_item("key", self.key.as_deref().map(|key| PyBytes::new(py, key)))?;
        fields.set_item("report", report)?;
        class.call((&self.message,), Some(&fields))
    }
}

/// A message that is about no file.
pub(crate) fn failed(error: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
