//! Naming patterns: of which node and time a file is, by its name.
//!
//! ```text
//! {instance}/{node}/{time}.rdb                 sessions/sessions-0/20260101030000.rdb.gz
//! redis_{ip}_{port}_{slots}_{time}.rdb         redis_10.0.0.1_6379_0-5460_20260101030000.rdb
//! ```

use regex_lite::Regex;

use super::without_end;
use crate::config::{Instance, Node, Standing};

/// Names in braces, and what they stand for.
const FIELDS: [(&str, &str); 6] = [
    ("instance", "[^/]+"),
    ("node", "[^/]+"),
    ("ip", "[^/_]+"),
    ("port", "[0-9]{1,5}"),
    ("slots", "[^/]+"),
    ("time", "[0-9][0-9TZ:.-]{12,29}"),
];

/// A naming pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Regex);

/// What a name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Id of the node.
    pub(crate) node_id: String,
    /// Its digits, `yyyyMMddHHmmss` and perhaps milliseconds.
    pub(crate) time: Option<String>,
}

impl Pattern {
    /// Reads a pattern, which ends in `.rdb`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text
            .strip_suffix(".rdb")
            .ok_or_else(|| format!("a pattern ends in .rdb, found {text:?}"))?;
        let mut regex = "^".to_owned();
        while let Some((before, field)) = rest.split_once('{') {
            let (name, after) = field.split_once('}').ok_or("a { without its }")?;
            let (_, class) = FIELDS
                .into_iter()
                .find(|(field, _)| *field == name)
                .ok_or_else(|| format!("a pattern knows no {{{name}}}"))?;
            regex += &format!("{}(?P<{name}>{class})", regex_lite::escape(before));
            rest = after;
        }
        regex += &format!("{}$", regex_lite::escape(rest));
        Regex::new(&regex).map(Self).map_err(|error| format!("pattern {text:?}: {error}"))
    }

    /// What `name` says of a backup of `instance`, or why it is none.
    pub(crate) fn read(&self, name: &str, instance: &Instance) -> Result<Named, String> {
        let stem = without_end(name).ok_or("it does not end in .rdb, compressed or not")?;
        let fields = self.0.captures(stem).ok_or("it does not match the pattern")?;
        let field = |name| fields.name(name).map(|found| found.as_str());
        if let Some(named) = field("instance")
            && named != instance.name
            && named != instance.id.to_string()
        {
            return Err(format!("it is of another instance: {named:?}"));
        }
        let time = field("time").map(digits).transpose()?;
        let node = node(instance, field("node"), field("ip"), field("port"))?;
        Ok(Named { node_id: node.id.clone(), time })
    }
}

fn digits(time: &str) -> Result<String, String> {
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    match digits.len() {
        14 | 17 => Ok(digits),
        _ => Err(format!("its time is not of the form 20260101030000: {time:?}")),
    }
}

fn node<'i>(
    instance: &'i Instance,
    named: Option<&str>,
    ip: Option<&str>,
    port: Option<&str>,
) -> Result<&'i Node, String> {
    let is_it = |node: &&Node| {
        named.is_none_or(|named| node.id == named || node.name == named)
            && ip.is_none_or(|ip| node.ip == ip || node.ip.replace(':', "-") == ip)
            && port.is_none_or(|port| node.port.to_string() == port)
    };
    let mut found: Vec<&Node> = instance.nodes.iter().filter(is_it).collect();
    if found.len() > 1 {
        // Where a node has taken the address of one that is gone, it is the one that is meant.
        found.retain(|node| *node.standing() != Standing::Gone);
    }
    match found.as_slice() {
        [node] => Ok(node),
        [] => Err("it is of no node of the instance".to_owned()),
        [..] => Err("it may be of several nodes of the instance".to_owned()),
    }
}
