//! Where a report goes: stdout, or a file that appears under its name only when it is whole.

use std::fs::{self, File, Permissions};
use std::io::{self, StdoutLock, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use crate::interrupt::RemoveOnSignal;

/// A destination that must be [`Output::finish`]ed; a file dropped before that leaves nothing.
#[derive(Debug)]
pub(crate) struct Output {
    sink: Sink,
    /// Its name in messages.
    name: String,
}

#[derive(Debug)]
enum Sink {
    Stdout(StdoutLock<'static>),
    /// Written beside `target` and renamed to it.
    File {
        temporary: NamedTempFile,
        target: PathBuf,
        on_signal: RemoveOnSignal,
    },
    /// A pipe or device, such as `/dev/stderr`, which cannot be replaced.
    Device(File),
}

impl Output {
    /// Opens `path`, or stdout for none and for `-`; found out before hours of reading.
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            let sink = Sink::Stdout(io::stdout().lock());
            return Ok(Self { sink, name: "stdout".to_owned() });
        };
        let name = path.display().to_string();
        let sink = open_file(path).with_context(|| format!("cannot write {path:?}"))?;
        Ok(Self { sink, name })
    }

    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self.sink, Sink::Stdout(_))
    }

    /// Writes `bytes`; `false` if stdout was closed by its reader, who wants no more.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<bool> {
        let is_stdout = self.is_stdout();
        let result = match &mut self.sink {
            Sink::Stdout(stdout) => stdout.write_all(bytes).and_then(|()| stdout.flush()),
            Sink::File { temporary, .. } => temporary.write_all(bytes),
            Sink::Device(file) => file.write_all(bytes),
        };
        match result {
            Err(error) if is_stdout && error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            result => {
                result.with_context(|| format!("cannot write {:?}", self.name))?;
                Ok(true)
            }
        }
    }

    /// Makes what was written durable and gives it its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self.sink {
            Sink::Stdout(_) | Sink::Device(_) => Ok(()),
            Sink::File { temporary, target, on_signal } => {
                persist(temporary, &target)
                    .with_context(|| format!("cannot write {:?}", self.name))?;
                drop(on_signal);
                Ok(())
            }
        }
    }
}

fn open_file(path: &Path) -> io::Result<Sink> {
    // The file behind a symbolic link is replaced, not the link.
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    if fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
        return Ok(Sink::Device(File::options().write(true).open(&target)?));
    }
    let temporary = tempfile::Builder::new()
        .prefix(".offkey-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(0o666)) // Less the umask, as for any new file.
        .tempfile_in(folder(&target))?;
    let on_signal = RemoveOnSignal::new(temporary.path().to_owned())?;
    Ok(Sink::File { temporary, target, on_signal })
}

fn persist(temporary: NamedTempFile, target: &Path) -> io::Result<()> {
    temporary.as_file().sync_all()?;
    temporary.persist(target).map_err(|error| error.error)?;
    // The new name is durable once its folder is.
    File::open(folder(target))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_appears_only_when_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let mut output = Output::open(Some(&path)).unwrap();
        assert!(output.write(b"{}").unwrap());
        assert!(!path.exists());
        output.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn unfinished_file_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "old").unwrap();
        let mut output = Output::open(Some(&path)).unwrap();
        assert!(output.write(b"half").unwrap());
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn link_is_kept_and_its_file_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut output = Output::open(Some(&link)).unwrap();
        assert!(output.write(b"new").unwrap());
        output.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    #[test]
    fn full_device_is_an_error() {
        let mut output = Output::open(Some(Path::new("/dev/full"))).unwrap();
        let error = format!("{:#}", output.write(b"x").unwrap_err());
        assert!(error.starts_with("cannot write \"/dev/full\": No space left"), "{error}");
    }
}
