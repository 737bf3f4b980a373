//! A live server as an input of the analysis, which reads while the data arrives.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use offkey_analysis::{InputInfo, Open, Opened};
use tempfile::NamedTempFile;

use super::payload::Payload;
use super::{Access, Address, Connection, replica};
use crate::gate::Pass;
use crate::part::part_file;
use crate::{Error, ErrorKind, Gate, Networks};

/// How a backup is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taking {
    /// Most bytes in a second, to leave the network to others; as fast as it goes if `None`.
    pub bytes_per_second: Option<u64>,
    /// Refuses a server that says it is no replica.
    pub require_replica: bool,
}

/// How much of a server's data has come so far.
#[derive(Debug, Default)]
pub struct Meter {
    taken: AtomicU64,
    /// 0 while nobody has said.
    len: AtomicU64,
}

impl Meter {
    /// Bytes that have come.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Bytes that are to come in all; most servers do not say.
    #[must_use]
    pub fn whole(&self) -> Option<u64> {
        Some(self.len.load(Ordering::Relaxed)).filter(|len| *len > 0)
    }
}

/// A server whose data is read as a replica reads it, once.
///
/// With [`LiveNode::keep_in`] the data is stored as well: in a temporary file until
/// [`LiveNode::persist`] gives it a name, and that file serves a second reading.
#[derive(Debug)]
pub struct LiveNode {
    address: Address,
    access: Access,
    taking: Taking,
    gate: Arc<Gate>,
    networks: Option<Networks>,
    meter: Arc<Meter>,
    folder: Option<PathBuf>,
    /// All of the data, once it is there.
    kept: Arc<Mutex<Option<NamedTempFile>>>,
}

impl LiveNode {
    /// The server at `address`, which is not contacted before it is opened.
    #[must_use]
    pub fn new(address: Address, access: Access, taking: Taking, gate: Arc<Gate>) -> Self {
        let (meter, kept) = (Arc::default(), Arc::default());
        Self { address, access, taking, gate, networks: None, meter, folder: None, kept }
    }

    /// Makes sure that the address lies in `networks`: for one that another server named.
    #[must_use]
    pub fn within(self, networks: Networks) -> Self {
        Self { networks: Some(networks), ..self }
    }

    /// Counts on `meter`.
    #[must_use]
    pub fn metered(self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self }
    }

    /// Stores the data too, in a temporary file in `folder`.
    #[must_use]
    pub fn keep_in(self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..self }
    }

    /// Connects, logs in and closes: whether the server is there and lets us in.
    ///
    /// # Errors
    /// It is not, or does not.
    pub fn greet(&self) -> Result<(), Error> {
        let stop = Arc::default();
        Connection::open(&self.address, &self.access, self.networks.as_ref(), &stop).map(|_| ())
    }

    /// Gives the stored data, which is safe on the disk, its name, if the analysis has read
    /// it to its end and found its checksum right: `checked` is what it said. Without this
    /// call the file vanishes with the node.
    ///
    /// # Errors
    /// The data is not whole or not sound, or the file cannot be renamed.
    pub fn persist(&self, target: &Path, checked: &InputInfo) -> Result<(), Error> {
        let failed = |why: String| {
            Error::new(ErrorKind::Local, format!("{}: not stored: {why}", target.display()))
        };
        if let Some(error) = &checked.error {
            return Err(failed(error.clone()));
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let kept = kept.ok_or_else(|| failed("the data is not whole".to_owned()))?;
        kept.persist(target).map_err(|error| failed(error.error.to_string()))?;
        // The new name is safe once its folder is.
        let folder = target.parent().filter(|folder| *folder != Path::new(""));
        std::fs::File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(|error| failed(error.to_string()))
    }

    fn start(&self, stop: &Arc<AtomicBool>) -> Result<(Payload, Pass), Error> {
        let host = self.address.resolve()?.first().map(std::net::SocketAddr::ip);
        let stopped = || Error::new(ErrorKind::Stopped, format!("{}: stopped", self.address));
        let pass = host.and_then(|host| self.gate.enter(host, stop)).ok_or_else(stopped)?;
        let networks = self.networks.as_ref();
        let connection = Connection::open(&self.address, &self.access, networks, stop)?;
        Ok((replica::take(connection, &self.taking)?, pass))
    }
}

impl Open for LiveNode {
    fn name(&self) -> String {
        let scheme = if self.access.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://{}", self.address)
    }

    fn open(&self, stop: &Arc<AtomicBool>) -> io::Result<Opened> {
        if let Some(kept) = &*self.kept.lock().unwrap_or_else(PoisonError::into_inner) {
            let file = kept.reopen()?;
            let len = file.metadata()?.len();
            return Ok(Opened { reader: Box::new(file), len: Some(len) });
        }
        let file = match &self.folder {
            None => None,
            Some(folder) => Some(part_file(folder).map_err(|error| unwritable(folder, &error))?),
        };
        let (payload, pass) = self.start(stop)?;
        let len = payload.len();
        self.meter.len.store(len.unwrap_or(0), Ordering::Relaxed);
        self.meter.taken.store(0, Ordering::Relaxed);
        let (kept, meter) = (Arc::clone(&self.kept), Arc::clone(&self.meter));
        let (pass, name) = (Some(pass), self.address.to_string());
        let reader = Reading { payload, file, kept, meter, pass, name };
        Ok(Opened { reader: Box::new(reader), len })
    }

    fn can_open_again(&self) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// The data on its way, and into a file where it is kept.
struct Reading {
    payload: Payload,
    file: Option<NamedTempFile>,
    kept: Arc<Mutex<Option<NamedTempFile>>>,
    meter: Arc<Meter>,
    pass: Option<Pass>,
    name: String,
}

impl Read for Reading {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.payload.read(buf)?;
        let failed = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: cannot be stored: {error}", self.name))
        };
        if len > 0 {
            self.meter.taken.fetch_add(u64::try_from(len).unwrap_or(0), Ordering::Relaxed);
            if let Some(file) = &mut self.file {
                file.write_all(buf.get(..len).unwrap_or_default()).map_err(failed)?;
            }
        } else if !buf.is_empty() {
            self.pass = None;
            if let Some(file) = self.file.take() {
                file.as_file().sync_all().map_err(failed)?;
                *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
            }
        }
        Ok(len)
    }
}

fn unwritable(folder: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write in {}: {error}", folder.display()))
}
