//! A backup of live nodes, as it is stored; its files lie in the folders of the nodes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::{Instance, Node, Role, Standing};
use crate::live::Replicas;

/// Who asked for a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Manual,
    Auto,
    /// An analysis, which reads it.
    Analysis,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Backuping,
    Succeed,
    Failed,
}

/// The file of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) node_id: String,
    pub(crate) file_name: String,
}

/// A backup: one file of each node that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) project_id: String,
    pub(crate) instance_id: Uuid,
    pub(crate) remark: String,
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) files: Vec<File>,
    pub(crate) created_at_ms: i64,
    pub(crate) updated_at_ms: i64,
    pub(crate) attempt: i64,
    /// How many attempts met a fault that may pass.
    pub(crate) faults: i64,
    pub(crate) error: Option<String>,
    /// Whether it stays when the analysis that it was taken for has ended.
    pub(crate) keep: bool,
    /// Bytes that have come, while it is taken.
    pub(crate) bytes: i64,
    /// The same in hundredths of a percent.
    pub(crate) progress: i64,
}

impl Record {
    /// A backup of `nodes` that is to be taken; its id follows from the instance and the
    /// time, as do the ids of its files in the folders.
    pub(crate) fn new(
        instance: &Instance,
        nodes: &[&Node],
        kind: Kind,
        remark: String,
        now_ms: i64,
    ) -> Self {
        let time = stamp(now_ms);
        let files = nodes.iter().map(|node| File {
            node_id: node.id.clone(),
            file_name: format!(
                "redis_{}_{}_{}_{time}.rdb",
                plain(&node.ip),
                node.port,
                node.slots()
            ),
        });
        Self {
            id: id_of_time(instance.id, &time),
            project_id: instance.project.clone(),
            instance_id: instance.id,
            remark,
            kind,
            state: State::Waiting,
            files: files.collect(),
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            attempt: 0,
            faults: 0,
            error: None,
            keep: true,
            bytes: 0,
            progress: 0,
        }
    }

    /// A backup that came as one file of `node`; its id is that of the file.
    pub(crate) fn uploaded(
        instance: &Instance,
        node: &Node,
        file_name: String,
        remark: String,
        now_ms: i64,
    ) -> Self {
        Self {
            id: super::id_of_file(instance, node, file_name.as_ref()),
            state: State::Succeed,
            files: vec![File { node_id: node.id.clone(), file_name }],
            ..Self::new(instance, &[], Kind::Manual, remark, now_ms)
        }
    }
}

/// One node of each group, as the instance wants them.
///
/// # Errors
/// Nobody knows all groups, or one of them has no node that can be used: a backup without it
/// would not be of the instance.
pub(crate) fn nodes_of_groups(instance: &Instance) -> Result<Vec<&Node>, String> {
    if let Some(why) = instance.trouble() {
        return Err(why.to_owned());
    }
    let replicas = instance.live.as_ref().map(|live| live.replicas).unwrap_or_default();
    let pick = |(group, nodes): (&str, Vec<_>)| {
        let of_role = |role| {
            let is_one = |node: &&&Node| node.role == role && *node.standing() == Standing::Active;
            nodes.iter().find(is_one).copied()
        };
        let (master, slave) = (of_role(Role::Master), of_role(Role::Slave));
        let picked = match replicas {
            Replicas::Allow => master.or(slave),
            Replicas::Prefer => slave.or(master),
            Replicas::Require => slave,
        };
        picked.ok_or_else(|| {
            let whys = nodes.iter().filter_map(|node| match node.standing() {
                Standing::Active | Standing::Gone => None,
                Standing::Inactive(why) => Some(why.as_str()),
            });
            let whys: Vec<_> = whys.collect();
            format!("{group} has no node that can be used: {}", whys.join("; "))
        })
    };
    let picked = instance.groups().into_iter().map(pick).collect::<Result<Vec<_>, _>>()?;
    if picked.is_empty() { Err("no node is known".to_owned()) } else { Ok(picked) }
}

/// The id of the backup that was taken at a time, which is part of its files' names.
pub(crate) fn id_of_time(instance_id: Uuid, time: &str) -> Uuid {
    Uuid::new_v5(&instance_id, format!("taken at {time}").as_bytes())
}

/// The id of the backup that is due at a time.
pub(crate) fn id_of_due(instance: &Instance, due_ms: i64) -> Uuid {
    id_of_time(instance.id, &stamp(due_ms))
}

/// The time in a name of the form `redis_<ip>_<port>_<slots>_<time>.rdb`.
pub(crate) fn time_of_name(name: &str) -> Option<&str> {
    let rest = super::without_end(name.strip_prefix("redis_")?)?;
    let mut parts = rest.rsplitn(4, '_');
    let (time, slots, port, ip) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_named = !slots.is_empty() && !ip.is_empty() && is_number(port);
    (is_named && time.len() >= 14 && is_number(time)).then_some(time)
}

/// `yyyyMMddHHmmss` and milliseconds, in UTC.
fn stamp(now_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{}{:03}", time.strftime("%Y%m%d%H%M%S"), now_ms.rem_euclid(1000))
}

/// An address as part of a file's name.
fn plain(ip: &str) -> String {
    ip.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}

impl Kind {
    const ALL: [Self; 3] = [Self::Manual, Self::Auto, Self::Analysis];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Auto => "auto",
            Self::Analysis => "analysis",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl State {
    const ALL: [Self; 4] = [Self::Waiting, Self::Backuping, Self::Succeed, Self::Failed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Backuping => "backuping",
            Self::Succeed => "succeed",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_read_from_names_of_the_usual_form() {
        for (name, time) in [
            ("redis_10.0.0.1_6379_0-5460_20260101000000.rdb", Some("20260101000000")),
            ("redis_fd00--1_6379_all_20260101000000123.rdb", Some("20260101000000123")),
            ("redis_10.0.0.1_6379_all_20260101000000.rdb.zst", Some("20260101000000")),
            ("redis_10.0.0.1_6379_all_2026.rdb", None),
            ("redis_10.0.0.1_x_all_20260101000000.rdb", None),
            ("redis__1_all_20260101000000.rdb", None),
            ("dump.rdb", None),
        ] {
            assert_eq!(time_of_name(name), time, "{name}");
        }
        assert_eq!(stamp(1_767_225_600_007), "20260101000000007");
    }
}
