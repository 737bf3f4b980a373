//! Arrow streams in and out of Python by the Arrow C interface. Other crates of offkey have
//! no `unsafe`; this one has it here only.

use arrow_array::RecordBatchReader;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

/// Name of a capsule that holds a stream, as the Arrow PyCapsule interface has it.
const STREAM: &std::ffi::CStr = c"arrow_array_stream";

/// Wraps a reader for whoever asks for `__arrow_c_stream__`.
///
/// The capsule owns the stream until a consumer moves it out, which sets its `release` to
/// null; what is left then drops to nothing.
pub(crate) fn export<'py>(
    py: Python<'py>,
    reader: Box<dyn RecordBatchReader + Send>,
) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(reader), STREAM)
}

/// Takes the stream of an object that has `__arrow_c_stream__`, such as a table of pyarrow or
/// a frame of polars.
pub(crate) fn import(object: &Bound<'_, PyAny>) -> PyResult<RecordBatchStreamReader> {
    let method = object.getattr("__arrow_c_stream__").map_err(|_| {
        PyTypeError::new_err(format!(
            "an object with __arrow_c_stream__ expected, found {}",
            object.get_type()
        ))
    })?;
    let capsule = method.call0()?.cast_into::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(STREAM))?;
    #[expect(unsafe_code, reason = "the Arrow C interface hands over a raw pointer")]
    // SAFETY: a capsule of this name holds an initialised `ArrowArrayStream`, says the
    // interface, and `capsule` keeps it alive during the call. `from_raw` moves the stream
    // out and leaves a released one, so that the capsule's destructor releases nothing. The
    // interpreter is attached, so that no other thread moves it at the same time.
    let reader = unsafe { RecordBatchStreamReader::from_raw(pointer.cast().as_ptr()) };
    reader.map_err(|e| PyValueError::new_err(format!("the Arrow stream cannot be read: {e}")))
}
