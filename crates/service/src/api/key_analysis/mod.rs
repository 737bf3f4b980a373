//! The operations of the offline key analysis, one verb a file.

mod chosen;
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

/// An address where it is one of IPv6.
fn ipv6(node_ip: &str) -> String {
    match node_ip.contains(':') {
        true => node_ip.to_owned(),
        false => String::new(),
    }
}
