//! Paths as Python gives them: files, folders, objects of a store, URLs.

use std::env;
use std::path::{Path, PathBuf};

use offkey_analysis::Input;
use offkey_fetch::{Error, ErrorKind, ObjectUrl, Places};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Keyword arguments that are about stores.
const KEYWORDS: [&str; 3] = ["endpoint", "region", "path_style"];

/// One path, or several in a list or any other iterable.
pub(crate) fn inputs(
    py: Python<'_>,
    paths: &Bound<'_, PyAny>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<Input>> {
    let places = places(keywords)?;
    let paths: Vec<PathBuf> = match paths.extract() {
        Ok(path) => vec![path],
        Err(_) => paths.try_iter()?.map(|path| path?.extract()).collect::<PyResult<_>>()?,
    };
    if paths.is_empty() {
        return Err(PyValueError::new_err("no path is given"));
    }
    let inputs = py.detach(|| paths.iter().map(|path| of(path, &places)).collect::<Vec<_>>());
    Ok(inputs.into_iter().collect::<PyResult<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Names the objects of a store below a key, such as `s3://bucket/key/`.
#[pyfunction]
#[pyo3(signature = (url, **keywords))]
pub(crate) fn objects(
    py: Python<'_>,
    url: &str,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<String>> {
    let places = places(keywords)?;
    py.detach(|| places.objects(url)).map_err(failed)
}

/// Whether a keyword argument is about stores.
pub(crate) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

fn places(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Places> {
    let given = |name: &str| match keywords {
        Some(keywords) => Ok(keywords.get_item(name)?.filter(|value| !value.is_none())),
        None => Ok::<_, PyErr>(None),
    };
    let text = |name: &str, variable: &str| match given(name)? {
        Some(value) => Ok::<_, PyErr>(Some(value.extract::<String>()?)),
        None => Ok(env::var(variable).ok()),
    };
    let [endpoint, region, path_style] = KEYWORDS;
    Ok(Places {
        endpoint: text(endpoint, "AWS_ENDPOINT_URL")?,
        region: text(region, "AWS_REGION")?,
        path_style: given(path_style)?.map_or(Ok(false), |value| value.extract())?,
        env: |name| env::var(name).ok(),
    })
}

fn of(path: &Path, places: &Places) -> PyResult<Vec<Input>> {
    match path.to_str().filter(|text| ObjectUrl::is_one(text)) {
        Some(url) => places.inputs(url).map_err(failed),
        None if path.as_os_str() == "-" => {
            Err(PyValueError::new_err("standard input is not read; name a file"))
        }
        None => match path.to_str().and_then(|text| text.split_once("://")) {
            Some((scheme, _)) if is_foreign(scheme) && !path.exists() => {
                Err(PyValueError::new_err(format!(
                    "{scheme}:// is not read; a path, s3://, obs://, http:// or https:// expected"
                )))
            }
            _ => Ok(vec![Input::Path(path.to_path_buf())]),
        },
    }
}

/// Whether this is a URL's scheme, not the beginning of a file's name.
fn is_foreign(scheme: &str) -> bool {
    !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn failed(error: Error) -> PyErr {
    match error.kind() {
        ErrorKind::Local => PyValueError::new_err(error.to_string()),
        ErrorKind::Unreachable
        | ErrorKind::TimedOut
        | ErrorKind::Refused
        | ErrorKind::NotReady
        | ErrorKind::Protocol
        | ErrorKind::NotAllowed
        | ErrorKind::NotFound
        | ErrorKind::Changed
        | ErrorKind::Stopped => PyOSError::new_err(error.to_string()),
    }
}
