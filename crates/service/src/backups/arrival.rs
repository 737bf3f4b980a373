//! A backup that arrives piece by piece: stored and read through at the same time, so that
//! what is wrong with it shows at once.
//!
//! ```text
//! push -> channel -> Tee -> offkey_analysis::keys
//!                     +---> temporary file -> persist: its name
//! ```

use std::io::{self, Read, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use offkey_analysis::{Input, KeysEnd, Open, Opened, Options, keys};
use tempfile::NamedTempFile;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinHandle, spawn_blocking};

/// Pieces that wait for the disk and the reader.
const PIECES_MAX: usize = 8;

/// A backup on its way. Dropped, nothing of it is left.
#[derive(Debug)]
pub(crate) struct Arrival {
    pieces: Option<Sender<Bytes>>,
    reading: JoinHandle<Result<Arrived, Refused>>,
}

/// A backup that is there, sound and on the disk, under a temporary name.
#[derive(Debug)]
pub(crate) struct Arrived {
    file: NamedTempFile,
    pub(crate) len: u64,
    pub(crate) key_count: u64,
    /// Keys whose values are damaged; an analysis lists them.
    pub(crate) damaged_count: u64,
}

/// Why a backup is not taken in.
#[derive(Debug)]
pub(crate) enum Refused {
    /// What is wrong with it, and where.
    Bad(String),
    /// It cannot be stored.
    Local(String),
}

impl Arrival {
    /// Waits for the first piece of a backup that is to lie in `folder`; messages call it `name`.
    pub(crate) fn start(folder: PathBuf, name: String) -> Self {
        let (sender, pieces) = channel(PIECES_MAX);
        let reading = spawn_blocking(move || read(&folder, name, pieces));
        Self { pieces: Some(sender), reading }
    }

    /// Takes the next piece; false once the backup is known to be bad, as [`Self::is_bad`] tells.
    pub(crate) async fn push(&mut self, piece: Bytes) -> bool {
        match &self.pieces {
            Some(pieces) => pieces.send(piece).await.is_ok(),
            None => false,
        }
    }

    /// Waits until the backup is known to be bad, whether pieces come or not.
    pub(crate) async fn is_bad(&mut self) -> Refused {
        match (&mut self.reading).await {
            Ok(Err(refused)) => refused,
            Ok(Ok(_)) => Refused::Local("read to an end that has not come".to_owned()),
            Err(panic) => Refused::Local(panic.to_string()),
        }
    }

    /// What is there after the last piece.
    pub(crate) async fn end(mut self) -> Result<Arrived, Refused> {
        self.pieces = None;
        self.reading.await.map_err(|panic| Refused::Local(panic.to_string()))?
    }
}

impl Arrived {
    /// Gives the backup its name, which nothing else may have; blocking.
    pub(crate) fn persist(self, target: &Path) -> io::Result<()> {
        self.file.persist_noclobber(target).map_err(|error| error.error)?;
        // The new name is safe once its folder is.
        std::fs::File::open(target.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn read(folder: &Path, name: String, pieces: Receiver<Bytes>) -> Result<Arrived, Refused> {
    let local = |error: io::Error| Refused::Local(format!("{}: {error}", folder.display()));
    let file = offkey_fetch::part_file(folder).map_err(local)?;
    let tee =
        Tee(Arc::new(Mutex::new(Pieces { pieces, now: Bytes::new(), file: Some(file), len: 0 })));
    let unwritable = Arc::new(AtomicBool::new(false));
    let pipe = Pipe { name, tee: tee.clone(), unwritable: Arc::clone(&unwritable) };
    let ends =
        keys(Input::Open(Arc::new(pipe)), &Options::default(), &mut |_| ControlFlow::Continue(()));
    let Some(KeysEnd { input, .. }) = ends.into_iter().next() else {
        return Err(Refused::Bad("nothing was read".to_owned()));
    };
    if let Some(error) = input.error {
        return Err(match unwritable.load(Ordering::Relaxed) {
            true => Refused::Local(error),
            false => Refused::Bad(error),
        });
    }
    // What follows the end of a compressed file is part of the file all the same.
    io::copy(&mut tee.clone(), &mut io::sink()).map_err(local)?;
    // The thread that read ahead may still be about to end.
    let (file, len) = {
        let mut pieces = tee.0.lock().unwrap_or_else(PoisonError::into_inner);
        (pieces.file.take(), pieces.len)
    };
    let file = file.ok_or_else(|| Refused::Local("its file is gone".to_owned()))?;
    file.as_file().sync_all().map_err(local)?;
    Ok(Arrived { file, len, key_count: input.num, damaged_count: input.damaged_num })
}

/// The pieces as an input.
#[derive(Debug)]
struct Pipe {
    name: String,
    tee: Tee,
    unwritable: Arc<AtomicBool>,
}

impl Open for Pipe {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn open(&self, _: &Arc<AtomicBool>) -> io::Result<Opened> {
        let reader = Told { tee: self.tee.clone(), unwritable: Arc::clone(&self.unwritable) };
        Ok(Opened { reader: Box::new(reader), len: None })
    }

    fn can_open_again(&self) -> bool {
        false
    }
}

/// Remembers that it was the disk that failed.
struct Told {
    tee: Tee,
    unwritable: Arc<AtomicBool>,
}

impl Read for Told {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.tee.read(buf).inspect_err(|_| self.unwritable.store(true, Ordering::Relaxed))
    }
}

/// Writes what is read; the only error is that it cannot.
#[derive(Debug, Clone)]
struct Tee(Arc<Mutex<Pieces>>);

#[derive(Debug)]
struct Pieces {
    pieces: Receiver<Bytes>,
    now: Bytes,
    /// Until all is there.
    file: Option<NamedTempFile>,
    len: u64,
}

impl Read for Tee {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Pieces { pieces, now, file, len } =
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while now.is_empty() {
            let Some(piece) = pieces.blocking_recv() else { return Ok(0) };
            if let Some(file) = file {
                file.write_all(&piece)?;
            }
            *len += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            *now = piece;
        }
        let part = now.split_to(buf.len().min(now.len()));
        buf.get_mut(..part.len()).unwrap_or_default().copy_from_slice(&part);
        Ok(part.len())
    }
}
