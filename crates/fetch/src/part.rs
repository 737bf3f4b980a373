//! Temporary files of backups on their way. Each is locked for as long as its process lives, so
//! that what a dead one has left can be told from what another one is writing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use tempfile::{Builder, NamedTempFile};

const PREFIX: &str = ".offkey-";
const SUFFIX: &str = ".part";

/// Age from which a file is nobody's any more where the system has no locks.
const UNLOCKED_FOR: Duration = Duration::from_secs(24 * 3600);

/// Makes a locked temporary file in `folder`, which vanishes with its value.
///
/// # Errors
/// It cannot be made.
pub fn part_file(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let file = Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder)?;
        match file.as_file().try_lock() {
            // Before it was locked, somebody may have taken it for one that is left over.
            Ok(()) if file.as_file().metadata()?.nlink() == 0 => {}
            Err(TryLockError::WouldBlock) => {}
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// Removes what processes that died have left in `folder`, and answers how many files.
pub fn remove_left_parts(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let parts = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
    });
    parts.filter(|part| remove_if_left(&part.path()).is_ok_and(|removed| removed)).count()
}

fn remove_if_left(path: &Path) -> io::Result<bool> {
    // Some systems lock only what is open for writing.
    let file = OpenOptions::new().write(true).open(path)?;
    let is_left = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => is_old(&file)?,
    };
    if is_left {
        std::fs::remove_file(path)?;
    }
    Ok(is_left)
}

fn is_old(file: &File) -> io::Result<bool> {
    let written_at = file.metadata()?.modified()?;
    Ok(written_at.elapsed().is_ok_and(|age| age > UNLOCKED_FOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_nobody_holds_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let held = part_file(folder.path()).unwrap();
        let left = part_file(folder.path()).unwrap().into_temp_path();
        let other = folder.path().join(".offkey-x.rdb");
        std::fs::write(&other, "").unwrap();
        assert_eq!(remove_left_parts(folder.path()), 1);
        assert!(!left.exists() && held.path().exists() && other.exists());
        drop(held);
        assert_eq!(remove_left_parts(folder.path()), 0);
    }

    #[test]
    fn file_that_is_being_made_is_never_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let sweeper = scope.spawn(|| {
                let mut removed = 0;
                for _ in 0..3000 {
                    removed += remove_left_parts(folder.path());
                }
                removed
            });
            let mut made = 0;
            while !sweeper.is_finished() {
                let part = part_file(folder.path()).unwrap();
                assert!(part.path().exists());
                made += 1;
            }
            eprintln!("{made} files made, {} taken on the way", sweeper.join().unwrap());
        });
    }
}
