//! Paths as Python gives them: files, folders, objects of a store, URLs.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offkey_analysis::{Input, Open, Opened};
use offkey_fetch::{Bucket, Object, ObjectOptions, ObjectUrl, Secret, Store};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// How a file of a folder, or an object, has to end to be read.
const ENDS: [&str; 5] = [".rdb", ".rdb.gz", ".rdb.zst", ".rdb.lz4", ".rdb.xz"];

/// One path, or several in a list or any other iterable.
pub(crate) fn inputs(
    py: Python<'_>,
    paths: &Bound<'_, PyAny>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<Input>> {
    let places = Places::new(keywords)?;
    let paths: Vec<PathBuf> = match paths.extract() {
        Ok(path) => vec![path],
        Err(_) => paths.try_iter()?.map(|path| path?.extract()).collect::<PyResult<_>>()?,
    };
    let inputs = py.detach(|| paths.iter().map(|path| places.inputs(path)).collect::<Vec<_>>());
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
    let places = Places::new(keywords)?;
    py.detach(|| places.objects(url))
}

/// Where object stores are.
struct Places {
    endpoint: Option<String>,
    region: Option<String>,
    path_style: bool,
}

impl Places {
    /// Keyword arguments that are about stores.
    pub(crate) const KEYWORDS: [&str; 3] = ["endpoint", "region", "path_style"];

    fn new(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let given = |name: &str| match keywords {
            Some(keywords) => Ok(keywords.get_item(name)?.filter(|value| !value.is_none())),
            None => Ok::<_, PyErr>(None),
        };
        let text = |name: &str, variable: &str| match given(name)? {
            Some(value) => Ok::<_, PyErr>(Some(value.extract::<String>()?)),
            None => Ok(env::var(variable).ok()),
        };
        let [endpoint, region, path_style] = Self::KEYWORDS;
        Ok(Self {
            endpoint: text(endpoint, "AWS_ENDPOINT_URL")?,
            region: text(region, "AWS_REGION")?,
            path_style: match given(path_style)? {
                Some(value) => value.extract()?,
                None => false,
            },
        })
    }

    fn inputs(&self, path: &Path) -> PyResult<Vec<Input>> {
        let options = ObjectOptions::default();
        let Some(url) = path.to_str().filter(|text| ObjectUrl::is_one(text)) else {
            if path.as_os_str() == "-" {
                return Err(PyValueError::new_err("standard input is not read; name a file"));
            }
            return Ok(vec![Input::Path(path.to_path_buf())]);
        };
        let open = |object: Object| Input::Open(Arc::new(object));
        match parsed(url)? {
            ObjectUrl::Http(url) => Ok(vec![open(Object::at_url(&url, options).map_err(failed)?)]),
            ObjectUrl::Object { obs, bucket, key } => {
                let bucket = self.bucket(obs, &bucket, options)?;
                if !key.ends_with('/') {
                    return Ok(vec![open(bucket.object(&key))]);
                }
                let listed = match bucket.list(&key) {
                    Ok(listed) => listed,
                    Err(error) => return Ok(vec![Unusable::input(url, error.to_string())]),
                };
                let listed = listed.iter().filter(|object| is_rdb(&object.key));
                let inputs: Vec<Input> =
                    listed.map(|object| open(bucket.object(&object.key))).collect();
                if inputs.is_empty() {
                    let error = "no .rdb file lies there".to_owned();
                    return Ok(vec![Unusable::input(url, error)]);
                }
                Ok(inputs)
            }
        }
    }

    fn objects(&self, url: &str) -> PyResult<Vec<String>> {
        let ObjectUrl::Object { obs, bucket: name, key } = parsed(url)? else {
            return Err(PyValueError::new_err("a URL of HTTP has nothing below it"));
        };
        let scheme = if obs { "obs" } else { "s3" };
        let listed = self.bucket(obs, &name, ObjectOptions::default())?.list(&key);
        let listed = listed.map_err(|e| PyOSError::new_err(format!("{url}: {e}")))?;
        let listed = listed.iter().filter(|object| is_rdb(&object.key));
        Ok(listed.map(|object| format!("{scheme}://{name}/{}", object.key)).collect())
    }

    fn bucket(&self, obs: bool, name: &str, options: ObjectOptions) -> PyResult<Bucket> {
        let names = match obs {
            true => ["OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"],
            false => ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
        };
        let [key, secret, token] = names.map(|name| env::var(name).ok());
        let region = self.region.as_deref();
        let endpoint = match (&self.endpoint, region, obs) {
            (Some(endpoint), _, _) => endpoint.clone(),
            (None, Some(region), true) => format!("https://obs.{region}.myhuaweicloud.com"),
            (None, None, true) => {
                return Err(PyValueError::new_err("obs:// needs a region or an endpoint"));
            }
            (None, region, false) => {
                format!("https://s3.{}.amazonaws.com", region.unwrap_or("us-east-1"))
            }
        };
        let store = Store {
            endpoint,
            region: region.unwrap_or("us-east-1").to_owned(),
            path_style: self.path_style,
            keys: key.zip(secret.map(Secret::new)),
            token: token.map(Secret::new),
        };
        Bucket::new(name, obs, &store, options).map_err(failed)
    }
}

/// Whether a keyword argument is about stores.
pub(crate) fn is_keyword(name: &str) -> bool {
    Places::KEYWORDS.contains(&name)
}

fn is_rdb(key: &str) -> bool {
    ENDS.iter().any(|end| key.ends_with(end))
}

fn parsed(url: &str) -> PyResult<ObjectUrl> {
    url.parse().map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// An input that is known to be unusable, told as any other that cannot be read.
#[derive(Debug)]
struct Unusable {
    name: String,
    error: String,
}

impl Unusable {
    fn input(name: &str, error: String) -> Input {
        Input::Open(Arc::new(Self { name: name.to_owned(), error }))
    }
}

impl Open for Unusable {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn open(&self, _: &Arc<AtomicBool>) -> io::Result<Opened> {
        Err(io::Error::other(self.error.clone()))
    }

    fn can_open_again(&self) -> bool {
        true
    }
}
