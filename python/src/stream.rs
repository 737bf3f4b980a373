//! `offkey.Stream`: batches read by a thread of their own, as far ahead as two batches.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, thread};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::arrow_c;
use crate::errors::{Failure, failed};

/// Takes batches; breaks when nobody wants more.
pub(crate) type Send_<'s> = dyn FnMut(RecordBatch) -> ControlFlow<()> + 's;

/// What makes batches, anew each time it is asked.
pub(crate) trait Batches: Send + Sync {
    fn schema(&self) -> SchemaRef;

    /// Reads all there is; answers what is wrong with the files.
    fn read(&self, send: &mut Send_<'_>) -> Result<Option<Failure>, ArrowError>;

    /// Whether what is wrong with a file ends the stream with an error.
    fn raises(&self, failure: &Failure) -> bool;
}

/// Rows of files as an Arrow stream, for whatever reads ``__arrow_c_stream__``:
/// ``pyarrow.table(stream)``, ``polars.DataFrame(stream)``, ``pandas.DataFrame.from_arrow``,
/// ``duckdb.sql("FROM stream")``. Each consumer reads the files anew, without the GIL.
#[pyclass(frozen, module = "offkey")]
pub(crate) struct Stream {
    batches: Arc<dyn Batches>,
    failure: Arc<Mutex<Option<Failure>>>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("schema", &self.batches.schema()).finish_non_exhaustive()
    }
}

impl Stream {
    pub(crate) fn new(batches: impl Batches + 'static) -> Self {
        Self { batches: Arc::new(batches), failure: Arc::default() }
    }
}

#[pymethods]
impl Stream {
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The interface lets a producer answer with its own schema.
        let _ = requested_schema;
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let (batches, failure) = (Arc::clone(&self.batches), Arc::clone(&self.failure));
        arrow_c::export(py, Box::new(Reading { batches, failure, ahead: None }))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.batches.schema().as_ref()).map_err(failed)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// What the last consumer found to be wrong with a file, as an ``offkey.Error``.
    #[getter]
    fn error(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failure.map(|failure| Ok(failure.object(py, None)?.unbind())).transpose()
    }

    /// Names of the columns.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.batches.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __repr__(&self) -> String {
        format!("<offkey.Stream of {}>", self.column_names().join(", "))
    }
}

/// One consumer's reading.
struct Reading {
    batches: Arc<dyn Batches>,
    failure: Arc<Mutex<Option<Failure>>>,
    /// None before the first batch is asked for.
    ahead: Option<Receiver<Message>>,
}

enum Message {
    Batch(RecordBatch),
    Failed(ArrowError),
    /// Nothing follows. Without it the thread died.
    End,
}

impl Reading {
    /// Batches that wait to be taken.
    const AHEAD: usize = 2;

    fn start(&self) -> Result<Receiver<Message>, ArrowError> {
        let (to, from) = sync_channel(Self::AHEAD);
        let (batches, kept) = (Arc::clone(&self.batches), Arc::clone(&self.failure));
        let read = move || {
            let outcome = batches.read(&mut |batch| match to.send(Message::Batch(batch)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
            let last = match outcome {
                Ok(None) => Message::End,
                Ok(Some(failure)) => {
                    let message = failure.message.clone();
                    let raises = batches.raises(&failure);
                    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                    match raises {
                        true => Message::Failed(ArrowError::from_external_error(message.into())),
                        false => Message::End,
                    }
                }
                Err(error) => Message::Failed(error),
            };
            // A consumer that has gone needs no end.
            let _ = to.send(last);
        };
        thread::Builder::new()
            .name("offkey".to_owned())
            .spawn(read)
            .map_err(|e| ArrowError::IoError(format!("no thread to read with: {e}"), e))?;
        Ok(from)
    }
}

impl Iterator for Reading {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let ahead = match self.ahead.take() {
            Some(ahead) => ahead,
            None => match self.start() {
                Ok(ahead) => ahead,
                Err(error) => return Some(Err(error)),
            },
        };
        let message = ahead.recv();
        self.ahead = Some(ahead);
        match message {
            Ok(Message::Batch(batch)) => Some(Ok(batch)),
            Ok(Message::Failed(error)) => Some(Err(error)),
            Ok(Message::End) => None,
            Err(_) => {
                let died = "the thread that reads ended before the file did";
                Some(Err(ArrowError::ExternalError(died.into())))
            }
        }
    }
}

impl RecordBatchReader for Reading {
    fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }
}
