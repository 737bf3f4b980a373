//! The operations of the offline key analysis, one verb a file.

mod create;
mod delete;
mod list;
mod nodes;
mod report;
mod show;

pub(crate) use self::create::create;
pub(crate) use self::delete::delete;
pub(crate) use self::list::list;
pub(crate) use self::nodes::nodes;
pub(crate) use self::report::report;
pub(crate) use self::show::show;
