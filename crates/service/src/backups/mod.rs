//! Backups: the `.rdb` files in a node's folder, compressed or not, and how new ones come there.
//!
//! A file whose name has the form `redis_<ip>_<port>_<slots>_<time>.rdb` belongs to the backup
//! that was taken at that time, with those of the same time of other nodes; any other file is
//! a backup of its own.

pub(crate) mod arrival;
mod due;
mod host;
mod pattern;
mod progress;
pub(crate) mod record;
mod retain;
mod schedule;
mod source;
mod taker;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use offkey_fetch::remove_left_parts;
use uuid::Uuid;

pub(crate) use self::pattern::Pattern;
pub(crate) use self::schedule::Schedule;
pub(crate) use self::source::Remote;
pub use self::source::{Seen, Source};
pub(crate) use self::taker::Taker;
use crate::config::{Instance, Node};
use crate::store::Store;

/// Why there is no backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) why: String,
    /// Whether another attempt may fare better.
    pub(crate) may_pass: bool,
}

/// One backup file of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backup {
    /// Derived from the time in its name, or from instance, node and file name, so it stays
    /// when the content changes.
    pub(crate) id: Uuid,
    pub(crate) node_id: String,
    pub(crate) file_name: String,
    pub(crate) place: Place,
    pub(crate) len: u64,
    /// When the file was last written, in milliseconds since 1970.
    pub(crate) written_at_ms: i64,
}

/// Where a backup lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file in the folder of its node.
    Folder(PathBuf),
    /// A file in a source, which is not written.
    Source(PathBuf),
    /// An object in a source.
    Object(Arc<Remote>),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self { why, may_pass: false }
    }
}

impl From<&str> for Failure {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

/// Lists the backups of `node`, the newest first.
///
/// Reads folders and asks object stores, so call it where blocking is allowed.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn list(instance: &Instance, node: &Node) -> std::io::Result<Vec<Backup>> {
    let mut backups = in_folder(instance, node)?;
    for source in &instance.sources {
        backups.extend(source.backups(instance).into_iter().filter(|b| b.node_id == node.id));
    }
    backups.sort_by(|a, b| {
        b.written_at_ms.cmp(&a.written_at_ms).then_with(|| a.file_name.cmp(&b.file_name))
    });
    Ok(backups)
}

/// The newest backup of all that these nodes have, and its node; of equally new ones the first
/// in the order of the nodes. Blocking.
///
/// # Errors
/// A folder cannot be read.
pub(crate) fn newest<'n>(
    instance: &Instance,
    nodes: &[&'n Node],
) -> std::io::Result<Option<(&'n Node, Backup)>> {
    let mut newest: Option<(&Node, Backup)> = None;
    for node in nodes {
        let Some(backup) = list(instance, node)?.into_iter().next() else { continue };
        if newest.as_ref().is_none_or(|(_, other)| other.written_at_ms < backup.written_at_ms) {
            newest = Some((node, backup));
        }
    }
    Ok(newest)
}

/// The backups in the folder of `node`.
pub(crate) fn in_folder(instance: &Instance, node: &Node) -> std::io::Result<Vec<Backup>> {
    let mut backups = Vec::new();
    for entry in std::fs::read_dir(&node.backups)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        if !is_backup(name.as_bytes()) {
            continue;
        }
        // A file may vanish between the listing and here.
        let Ok(metadata) = path.metadata() else { continue };
        if !metadata.is_file() {
            continue;
        }
        let id = id_of_file(instance, node, name);
        let age = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        backups.push(Backup {
            id,
            node_id: node.id.clone(),
            file_name: name.to_string_lossy().into_owned(),
            len: metadata.len(),
            written_at_ms: i64::try_from(age.as_millis()).unwrap_or(i64::MAX),
            place: Place::Folder(path),
        });
    }
    Ok(backups)
}

/// Endings of backups, compressed or not.
const ENDS: [&str; 5] = [".rdb", ".rdb.gz", ".rdb.zst", ".rdb.lz4", ".rdb.xz"];

/// The name without its ending, if it is one of a backup.
pub(crate) fn without_end(name: &str) -> Option<&str> {
    ENDS.iter().find_map(|end| name.strip_suffix(end))
}

/// Whether a file in a node's folder is a backup by its name.
fn is_backup(name: &[u8]) -> bool {
    // Redis writes temp-<pid>.rdb and renames it when it is whole.
    ENDS.iter().any(|end| name.ends_with(end.as_bytes())) && !name.starts_with(b"temp-")
}

/// The id of the backup that a file in a node's folder is, or belongs to.
pub(crate) fn id_of_file(instance: &Instance, node: &Node, name: &OsStr) -> Uuid {
    match name.to_str().and_then(record::time_of_name) {
        Some(time) => record::id_of_time(instance.id, time),
        None => Uuid::new_v5(&instance.id, &[node.id.as_bytes(), b"/", name.as_bytes()].concat()),
    }
}

/// Backups of all nodes, the newest first; a folder that cannot be read has none.
pub(crate) fn of_instance(instance: &Instance) -> Vec<Backup> {
    let mut found = Vec::new();
    for node in &instance.nodes {
        match list(instance, node) {
            Ok(backups) => found.extend(backups),
            Err(error) => {
                tracing::error!(node_id = node.id, %error, "folder of backups cannot be read");
            }
        }
    }
    found.sort_by_key(|backup| std::cmp::Reverse(backup.written_at_ms));
    found
}

/// The backup of `node` with this id.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn find(instance: &Instance, node: &Node, id: Uuid) -> std::io::Result<Option<Backup>> {
    Ok(list(instance, node)?.into_iter().find(|backup| backup.id == id))
}

/// Whether a backup can be read: it was taken, or it is none that anybody takes.
///
/// # Errors
/// It could not be taken, it is still on its way, or the database does not say.
pub(crate) async fn taken(store: &Store, id: Uuid) -> Result<(), Failure> {
    let record = store
        .backup(id)
        .await
        .map_err(|error| Failure { may_pass: error.may_pass(), why: error.to_string() })?;
    let Some(record) = record else { return Ok(()) };
    match record.state {
        record::State::Succeed => Ok(()),
        record::State::Failed => {
            Err(record.error.unwrap_or_else(|| "backup failed".to_owned()).into())
        }
        record::State::Waiting | record::State::Backuping => {
            Err(Failure { why: format!("backup is still on its way: {id}"), may_pass: true })
        }
    }
}

/// Removes what processes that died left of backups on their way to `instances`; blocking.
pub(crate) fn remove_unfinished(instances: &[Arc<Instance>]) {
    for node in instances.iter().flat_map(|instance| &instance.nodes) {
        let count = remove_left_parts(&node.backups);
        if count > 0 {
            let folder = node.backups.display();
            tracing::info!(%folder, count, "unfinished backups of dead processes removed");
        }
    }
}
