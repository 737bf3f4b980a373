//! Reports as text: for programs and spreadsheets, made up for people. All names are hostile here.
#![warn(missing_docs)]

#[cfg(feature = "arrow")]
pub mod columns;
mod csv;
pub mod figure;
mod html;
mod instance;
mod json;
mod jsonl;
mod mask;
pub mod name;
#[cfg(feature = "parquet")]
mod parquet;
mod short;
mod table;
pub mod web;

pub use self::csv::{KeysCsv, csv};
pub use self::html::{html, html_by_instance};
pub use self::instance::{Instance, Node, Totals};
pub use self::json::json;
pub use self::jsonl::{key_line, report_lines};
pub use self::mask::Mask;
#[cfg(feature = "parquet")]
pub use self::parquet::{KeysParquet, parquet};
pub use self::short::shorten_names;
