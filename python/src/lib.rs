//! `offkey` for Python: reports as objects, keys and summaries as Arrow streams.

mod arrow_c;
mod errors;
mod keys;
mod options;
mod partials;
mod paths;
mod report;
mod stream;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<report::Report>()?;
    module.add_class::<stream::Stream>()?;
    module.add_function(wrap_pyfunction!(report::analyze, module)?)?;
    module.add_function(wrap_pyfunction!(report::report_from_json, module)?)?;
    module.add_function(wrap_pyfunction!(paths::objects, module)?)?;
    module.add_function(wrap_pyfunction!(keys::keys, module)?)?;
    module.add_function(wrap_pyfunction!(partials::summarise, module)?)?;
    module.add_function(wrap_pyfunction!(partials::merge, module)?)?;
    module.add_function(wrap_pyfunction!(partials::reduce, module)?)?;
    Ok(())
}
