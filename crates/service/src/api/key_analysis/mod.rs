//! The operations of the offline key analysis, one verb a file.

mod chosen;
mod create;
mod delete;
mod events;
mod list;
mod nodes;
pub(crate) mod report;
mod show;

pub(crate) use self::create::create;
pub(crate) use self::delete::delete;
pub(crate) use self::events::events;
pub(crate) use self::list::list;
pub(crate) use self::nodes::nodes;
pub(crate) use self::show::show;

/// An address where it is one of IPv6.
fn ipv6(node_ip: &str) -> String {
    match node_ip.contains(':') {
        true => node_ip.to_owned(),
        false => String::new(),
    }
}
