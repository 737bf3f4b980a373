//! Paths as Python gives them.

use std::path::PathBuf;

use offkey_analysis::Input;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// One path, or several in a list or any other iterable.
pub(crate) fn inputs(paths: &Bound<'_, PyAny>) -> PyResult<Vec<Input>> {
    if let Ok(input) = input(paths) {
        return Ok(vec![input]);
    }
    paths.try_iter()?.map(|path| input(&path?)).collect()
}

/// A string or an `os.PathLike`.
pub(crate) fn input(path: &Bound<'_, PyAny>) -> PyResult<Input> {
    let path: PathBuf = path.extract()?;
    if path.as_os_str() == "-" {
        return Err(PyValueError::new_err("standard input is not read; name a file"));
    }
    Ok(Input::Path(path))
}
