//! Reports as text: for programs and spreadsheets, made up for people. All names are hostile here.
#![warn(missing_docs)]

mod csv;
pub mod figure;
mod json;
mod jsonl;
pub mod name;

pub use self::csv::csv;
pub use self::json::json;
pub use self::jsonl::key_line;
