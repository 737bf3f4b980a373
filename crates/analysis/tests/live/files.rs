//! Files of the repository, and which server reads which.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::told::{Name, Told};

/// Files that a server without their modules, or of another version than the one that was
/// being made, refuses.
const REFUSED: [&str; 4] = ["-modules", "-falkordb", "-keymeta", "-functions"];

/// Streams with ids of idempotent producers, which Redis drops on loading when they are a
/// hundred seconds old.
const PRODUCED: [&[u8]; 3] = [b"stream:producers", b"stream:idmp", b"stream:idmp2"];

/// Leaves out what a server dropped because its time had come since the file was written:
/// the ids of such streams, and fields of hashes.
pub(crate) fn leave_out_dropped(model: &mut BTreeMap<Name, Told>, real: &mut BTreeMap<Name, Told>) {
    let has_fewer = |name, count| real.get(name).is_none_or(|key: &Told| key.count < count);
    let dropped: Vec<Name> = model
        .iter()
        .filter(|(name, key)| {
            PRODUCED.contains(&&name.1[..])
                || (key.object_type == "hash" && has_fewer(*name, key.count))
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in dropped {
        model.remove(&name);
        real.remove(&name);
    }
}

/// Files in which old servers left their data; the large ones too if `all`.
pub(crate) fn files(all: bool) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["testdata", "testdata/memory", "../shared/rdb"];
    let folders = if all { &folders[..] } else { &folders[..2] };
    let entries = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder))).flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".rdb") && !REFUSED.iter().any(|word| name.contains(word))
    });
    files.sort();
    files
}

/// Whether a server that writes files beginning like `written` reads `file`.
pub(crate) fn is_read_by(written: &[u8], file: &[u8]) -> bool {
    let is_redis = |file: &[u8]| file.starts_with(b"REDIS");
    // After version 11 Redis and Valkey went apart.
    let newest = if is_redis(written) == is_redis(file) { number(&written[5..9]) } else { 11 };
    let is_known = number(&file[5..9]) <= newest && (is_redis(file) || !is_redis(written));
    // Types of modules that became part of Redis do not change the file's version.
    is_known && redis_version(file) <= redis_version(written).or(redis_version(file))
}

/// The numbers of the version of Redis that wrote a file, if it says so.
fn redis_version(file: &[u8]) -> Option<Vec<u32>> {
    const NAME: &[u8] = b"redis-ver";
    let start = file[..64.min(file.len())].windows(NAME.len()).position(|w| w == NAME)?;
    let text = &file[start + NAME.len()..];
    let text = &text[1..=usize::from(text[0])];
    Some(text.split(|b| *b == b'.').map(number).collect())
}

/// The digits in these bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|b| b.is_ascii_digit()).fold(0, |sum, b| sum * 10 + u32::from(b - b'0'))
}
