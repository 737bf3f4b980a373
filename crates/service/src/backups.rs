//! Backups: the `.rdb` files in a node's folder.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use uuid::Uuid;

use crate::config::{Instance, Node};

/// One backup file of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backup {
    /// Derived from instance, node and file name, so it stays when the content changes.
    pub(crate) id: Uuid,
    pub(crate) node_id: String,
    pub(crate) file_name: String,
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    /// When the file was last written, in milliseconds since 1970.
    pub(crate) written_at_ms: i64,
}

/// Lists the backups of `node`, the newest first.
///
/// Reads the folder, so call it where blocking is allowed.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn list(instance: &Instance, node: &Node) -> std::io::Result<Vec<Backup>> {
    let mut backups = Vec::new();
    for entry in std::fs::read_dir(&node.backups)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        // Redis writes temp-<pid>.rdb and renames it when it is whole.
        let name_bytes = name.as_bytes();
        if !name_bytes.ends_with(b".rdb") || name_bytes.starts_with(b"temp-") {
            continue;
        }
        // A file may vanish between the listing and here.
        let Ok(metadata) = path.metadata() else { continue };
        if !metadata.is_file() {
            continue;
        }
        let id = Uuid::new_v5(&instance.id, &[node.id.as_bytes(), b"/", name_bytes].concat());
        let age = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        backups.push(Backup {
            id,
            node_id: node.id.clone(),
            file_name: name.to_string_lossy().into_owned(),
            len: metadata.len(),
            written_at_ms: i64::try_from(age.as_millis()).unwrap_or(i64::MAX),
            path,
        });
    }
    backups.sort_by(|a, b| {
        b.written_at_ms.cmp(&a.written_at_ms).then_with(|| a.file_name.cmp(&b.file_name))
    });
    Ok(backups)
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
