//! Reports as text: for programs and spreadsheets, made up for people. All names are hostile here.
#![warn(missing_docs)]

mod csv;
pub mod figure;
mod html;
mod instance;
mod json;
mod jsonl;
pub mod name;
pub mod web;

pub use self::csv::csv;
pub use self::html::{html, html_by_instance};
pub use self::instance::{Instance, Node, Totals};
pub use self::json::json;
pub use self::jsonl::key_line;
