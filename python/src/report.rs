//! `offkey.Report`, and the analysis that makes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use offkey_analysis::Cancelled;
use offkey_render::Instance;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{Failure, failed};
use crate::{options, paths};

/// Time between two looks for Ctrl-C.
const SIGNALS_EVERY: Duration = Duration::from_millis(100);

/// What the keys of one or more files cost. It equals what ``offkey analyze`` says of them.
#[derive(Debug)]
#[pyclass(frozen, module = "offkey")]
pub(crate) struct Report(pub(crate) offkey_analysis::Report);

#[pymethods]
impl Report {
    /// The report as JSON, as ``offkey analyze --format json`` writes it.
    #[pyo3(signature = (*, indent = false))]
    fn to_json(&self, py: Python<'_>, indent: bool) -> PyResult<String> {
        let json = py.detach(|| offkey_render::json(&self.0, indent)).map_err(failed)?;
        String::from_utf8(json).map_err(failed)
    }

    /// The report as one page of HTML that needs no other file. It shows ``instances`` too,
    /// as ``offkey.fleet.by_instance`` gives them.
    #[pyo3(signature = (*, instances = None))]
    fn to_html(&self, py: Python<'_>, instances: Option<&Bound<'_, PyAny>>) -> PyResult<String> {
        let instances = instances.map(|instances| of_python(py, instances)).transpose()?;
        let html = py.detach(|| match &instances {
            Some(instances) => offkey_render::html_by_instance(&self.0, instances),
            None => offkey_render::html(&self.0),
        });
        let html = html.map_err(failed)?;
        String::from_utf8(html).map_err(failed)
    }

    /// The report as a dictionary, with the names of its JSON.
    fn to_dict(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let json = self.to_json(py, false)?;
        Ok(py.import("json")?.call_method1("loads", (json,))?.unbind())
    }

    /// Keys counted; damaged ones are not.
    #[getter]
    fn total_num(&self) -> u64 {
        self.0.total_num
    }

    /// Their memory in bytes.
    #[getter]
    fn total_bytes(&self) -> u64 {
        self.0.total_bytes
    }

    /// True only if every file was read to its end and nothing was damaged.
    #[getter]
    fn complete(&self) -> bool {
        self.0.complete
    }

    /// What is wrong with the files: an ``offkey.Error`` for each that is not complete.
    #[getter]
    fn failures(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        (self.failed_inputs()).map(|failure| Ok(failure.object(py, None)?.unbind())).collect()
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, (String,))> {
        let from_json = py.import("offkey._native")?.getattr("report_from_json")?;
        Ok((from_json.unbind(), (self.to_json(py, false)?,)))
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn __repr__(&self) -> String {
        let Self(report) = self;
        let state = if report.complete { "complete" } else { "incomplete" };
        format!(
            "<offkey.Report of {} files: {} keys, {} bytes, {state}>",
            report.inputs.len(),
            report.total_num,
            report.total_bytes
        )
    }
}

impl Report {
    fn failed_inputs(&self) -> impl Iterator<Item = Failure> {
        self.0.inputs.iter().filter_map(|input| Failure::of(input, &self.0.damaged))
    }
}

fn of_python(py: Python<'_>, instances: &Bound<'_, PyAny>) -> PyResult<Vec<Instance>> {
    let json: String = py.import("json")?.call_method1("dumps", (instances,))?.extract()?;
    let instances = serde_json::from_str(&json);
    instances.map_err(|e| PyValueError::new_err(format!("no list of instances: {e}")))
}

/// Whether what is wrong with a file is an exception.
pub(crate) fn raises(errors: &str) -> PyResult<bool> {
    match errors {
        "raise" => Ok(true),
        "report" => Ok(false),
        _ => Err(PyValueError::new_err(format!(
            "errors is \"raise\" or \"report\", found {errors:?}"
        ))),
    }
}

/// Stops an analysis when it is set.
#[derive(Debug, Default)]
struct Stop(AtomicBool);

impl offkey_analysis::Progress for Stop {
    fn advanced(&self, _: u64, _: u64) -> Result<(), Cancelled> {
        if self.0.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}

/// Runs an analysis on another thread while this one waits for it or for Ctrl-C.
fn interruptible(
    py: Python<'_>,
    work: impl FnOnce(&Stop) -> Result<offkey_analysis::Report, Cancelled> + Send,
) -> PyResult<offkey_analysis::Report> {
    let stop = Stop::default();
    let (done, wait) = mpsc::channel();
    let outcome = py.detach(move || {
        thread::scope(|scope| {
            scope.spawn(|| {
                // Nobody waits any more only after Ctrl-C.
                let _ = done.send(work(&stop));
            });
            loop {
                match wait.recv_timeout(SIGNALS_EVERY) {
                    Ok(report) => return Ok(report),
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(failed("the analysis ended without a report"));
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                }
                if let Err(error) = Python::attach(|py| py.check_signals()) {
                    stop.0.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        })
    });
    outcome?.map_err(failed)
}

/// Analyses files into one report.
///
/// ``paths`` is a path or several: files, plain or compressed, and folders of them. What is
/// wrong with a file raises ``offkey.Error``, whose ``report`` has what could be counted; with
/// ``errors="report"`` it stands in the report alone (``complete``, ``failures``). The other
/// keyword arguments are those of the module's description.
#[pyfunction]
#[pyo3(signature = (paths, *, errors = "raise", **keywords))]
pub(crate) fn analyze(
    py: Python<'_>,
    paths: &Bound<'_, PyAny>,
    errors: &str,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Report> {
    let raises = raises(errors)?;
    let inputs = paths::inputs(py, paths, keywords)?;
    let options = options::from_keywords(keywords)?;
    let report =
        Report(interruptible(py, |stop| offkey_analysis::analyze(&inputs, &options, stop))?);
    let first = report.failed_inputs().next();
    match first.filter(|_| raises) {
        Some(failure) => Err(failure.error(py, Some(Py::new(py, report)?.into_any()))),
        None => Ok(report),
    }
}

/// Reads a report back from its JSON.
#[pyfunction]
pub(crate) fn report_from_json(json: &str) -> PyResult<Report> {
    let report = serde_json::from_str(json);
    report.map(Report).map_err(|e| PyValueError::new_err(format!("no report: {e}")))
}
