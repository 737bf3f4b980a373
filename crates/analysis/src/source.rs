//! Inputs: files, folders, standard input and what others open, compressed or not; and what
//! else a file may be that is no RDB.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use offkey_rdb::ReadAt;

/// Linux' `O_NONBLOCK`: opening a pipe nobody writes to must not wait.
const O_NONBLOCK: i32 = 0o4000;

/// Bytes looked at to tell what an input is.
const HEAD_LEN: usize = 64;

/// Once this much has come out of a compressed input, its ratio is looked at.
const RATIO_CHECKED_FROM: u64 = 256 << 20;

/// Highest ratio a compressed input may have: several times that of any real backup.
const RATIO_MAX: u64 = 2000;

/// Most that may come out of a compressed input: more memory than a server has.
const EXPANDED_LEN_MAX: u64 = 64 << 40;

/// Why an input cannot be read as an RDB file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("cannot open: {0}")]
    Open(io::Error),
    #[error("cannot read: {0}")]
    Read(io::Error),
    #[error("not a regular file; pipe it in and name it -")]
    NotRegular,
    #[error("the folder holds no .rdb file")]
    EmptyFolder,
    #[error("{0}")]
    Foreign(String),
    #[error("file changed while it was read: {before} bytes when opened, {after} now")]
    Changed { before: u64, after: u64 },
}

impl SourceError {
    /// Whether another attempt may fare better.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Open(error) | Self::Read(error) => may_pass(error),
            Self::Changed { .. } => true,
            Self::NotRegular | Self::EmptyFolder | Self::Foreign(_) => false,
        }
    }
}

/// Whether an I/O error is one of a connection, a device or a moment, not of the bytes.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    /// Input/output error (POSIX).
    const EIO: i32 = 5;
    error.raw_os_error() == Some(EIO)
        || matches!(
            error.kind(),
            Kind::ConnectionRefused
                | Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::NotConnected
                | Kind::BrokenPipe
                | Kind::HostUnreachable
                | Kind::NetworkUnreachable
                | Kind::NetworkDown
                | Kind::TimedOut
                | Kind::StaleNetworkFileHandle
                | Kind::ResourceBusy
        )
}

/// Bytes that come from elsewhere than a file, such as a live server or an object store.
pub trait Open: fmt::Debug + Send + Sync {
    /// What messages and the report call it.
    fn name(&self) -> String;

    /// Starts reading at the first byte. Once `stop` is set nobody wants the bytes: a read
    /// that waits should give up.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    fn open(&self, stop: &Arc<AtomicBool>) -> io::Result<Opened>;

    /// Whether another [`Open::open`] would now give the same bytes.
    fn can_open_again(&self) -> bool;
}

/// What [`Open::open`] answers.
pub struct Opened {
    /// The bytes. To end before the last of them is an error, not an end.
    pub reader: Box<dyn Read + Send>,
    /// How many they are, where that is known.
    pub len: Option<u64>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("len", &self.len).finish_non_exhaustive()
    }
}

/// An input to read.
#[derive(Debug, Clone)]
pub enum Input {
    /// A file, a folder of files, or `-` for standard input.
    Path(PathBuf),
    /// Bytes from elsewhere.
    Open(Arc<dyn Open>),
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for Input {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl Input {
    /// The files that reading it reads: those of a folder, else itself. Of a folder that
    /// cannot be read the reading says why.
    pub fn files(self) -> Vec<Self> {
        self.clone().expand().unwrap_or_else(|_| vec![self])
    }

    /// Whether it can be read a second time.
    pub(crate) fn can_read_again(&self) -> bool {
        match self {
            Self::Path(path) => path.as_os_str() != "-",
            Self::Open(open) => open.can_open_again(),
        }
    }

    /// The name as people see it: no control character gets through.
    pub fn name(&self) -> String {
        let shown =
            |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
        match self {
            Self::Path(path) => path.to_string_lossy().chars().map(shown).collect(),
            Self::Open(open) => open.name().chars().map(shown).collect(),
        }
    }

    /// Replaces a folder by the RDB files in it: the base file of a multi-part AOF, else
    /// every `.rdb` file, compressed or not, in the order of names.
    pub(crate) fn expand(self) -> Result<Vec<Self>, SourceError> {
        match self {
            Self::Path(path) if path.is_dir() => expand(&path),
            input => Ok(vec![input]),
        }
    }
}

fn expand(path: &Path) -> Result<Vec<Input>, SourceError> {
    let entries = std::fs::read_dir(path).map_err(SourceError::Open)?;
    let mut names: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    names.sort();
    let ends_with = |name: &Path, ends: &[&str]| {
        let name = name.to_string_lossy();
        ends.iter().any(|end| name.ends_with(end))
    };
    if let Some(manifest) = names.iter().find(|name| ends_with(name, &[".manifest"])) {
        let mut text = String::new();
        let file = File::open(manifest).map_err(SourceError::Open)?;
        file.take(1 << 20).read_to_string(&mut text).map_err(SourceError::Read)?;
        let base = manifest_base(&text).ok_or_else(|| {
            SourceError::Foreign("the folder's AOF manifest names no base file".to_owned())
        })?;
        return Ok(vec![Input::Path(path.join(base))]);
    }
    let ends = [".rdb", ".rdb.gz", ".rdb.zst", ".rdb.lz4", ".rdb.xz"];
    let inputs: Vec<Input> =
        names.into_iter().filter(|name| ends_with(name, &ends)).map(Input::Path).collect();
    if inputs.is_empty() { Err(SourceError::EmptyFolder) } else { Ok(inputs) }
}

/// Name of the base file in an AOF manifest (`aof.c`, lines `file NAME seq N type b`); a
/// name that leads out of the folder is no name.
fn manifest_base(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let name = words.by_ref().skip_while(|word| *word != "file").nth(1)?;
        let is_base = words.skip_while(|word| *word != "type").nth(1) == Some("b");
        (is_base && !name.contains('/') && name != "..").then_some(name)
    })
}

/// How far an input has been read, and whether it should go on; shared with the thread
/// that reads.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Bytes read of the input as it is stored.
    pub(crate) bytes_read: AtomicU64,
    /// Set to make the next read fail.
    pub(crate) stop: Arc<AtomicBool>,
}

fn cancelled() -> io::Error {
    io::Error::other("cancelled")
}

struct Metered<R> {
    source: R,
    meter: Arc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.meter.stop.load(Ordering::Relaxed) {
            return Err(cancelled());
        }
        let len = self.source.read(buf)?;
        self.meter.bytes_read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

/// A file from some byte on, as it is stored.
pub(crate) struct StoredFile {
    file: File,
    start: u64,
    meter: Arc<Meter>,
}

impl ReadAt for StoredFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.meter.stop.load(Ordering::Relaxed) {
            return Err(cancelled());
        }
        let offset = self.start.saturating_add(offset);
        let len = self.file.read_at(buf, offset)?;
        if len > 0 {
            // What was read twice, or not in order, counts once.
            let end = offset.saturating_add(len as u64);
            self.meter.bytes_read.fetch_max(end, Ordering::Relaxed);
        }
        Ok(len)
    }
}

/// Refuses what comes out of a decompressor beyond any ratio a backup can have.
struct Expanded<R> {
    source: R,
    /// Name of the compression.
    name: &'static str,
    len: u64,
    meter: Arc<Meter>,
}

impl<R: Read> Read for Expanded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", self.name));
        let len = self.source.read(buf).map_err(named)?;
        self.len += len as u64;
        let read = self.meter.bytes_read.load(Ordering::Relaxed);
        if self.len > RATIO_CHECKED_FROM && self.len / RATIO_MAX > read {
            return Err(io::Error::other(format!(
                "{read} compressed bytes expand to {}, more than {RATIO_MAX} times as much; if \
                 that is so, decompress the file first",
                self.len
            )));
        }
        if self.len > EXPANDED_LEN_MAX {
            return Err(io::Error::other(format!(
                "the file expands to more than {EXPANDED_LEN_MAX} bytes"
            )));
        }
        Ok(len)
    }
}

/// An input that is open and begins like an RDB file.
pub(crate) struct Source {
    pub(crate) reader: Box<dyn Read + Send>,
    /// Length of the input as it is stored, where it is known.
    pub(crate) len: Option<u64>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) is_compressed: bool,
    /// What a reader of the report should know.
    pub(crate) notes: Vec<String>,
    /// The mark that ends a replication stream.
    pub(crate) end_mark: Option<Vec<u8>>,
    watched: Option<(File, u64, (i64, i64))>,
    /// Bytes of a replication header before the file.
    start: u64,
}

impl Source {
    /// Opens an input and finds out what it is.
    pub(crate) fn open(input: &Input) -> Result<Self, SourceError> {
        let meter = Arc::new(Meter::default());
        let path = match input {
            Input::Path(path) if path.as_os_str() == "-" => {
                let source = Metered { source: io::stdin(), meter: Arc::clone(&meter) };
                return Self::sniff(source, meter, None, None);
            }
            Input::Path(path) => path,
            Input::Open(open) => {
                let Opened { reader, len } = open.open(&meter.stop).map_err(SourceError::Open)?;
                let source = Metered { source: reader, meter: Arc::clone(&meter) };
                return Self::sniff(source, meter, len, None);
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(path)
            .map_err(SourceError::Open)?;
        let metadata = file.metadata().map_err(SourceError::Open)?;
        if !metadata.is_file() {
            return Err(SourceError::NotRegular);
        }
        let len = metadata.len();
        let handle = file.try_clone().map_err(SourceError::Open)?;
        let watched = Some((handle, len, (metadata.mtime(), metadata.mtime_nsec())));
        let source = Metered { source: file, meter: Arc::clone(&meter) };
        // Files of /proc say 0 and hold more; their length is then not known.
        Self::sniff(source, meter, Some(len).filter(|len| *len > 0), watched)
    }

    fn sniff(
        mut source: impl Read + Send + 'static,
        meter: Arc<Meter>,
        len: Option<u64>,
        watched: Option<(File, u64, (i64, i64))>,
    ) -> Result<Self, SourceError> {
        let mut head = read_head(&mut source)?;
        let mut notes = Vec::new();
        let mut is_compressed = false;
        let mut reader: Box<dyn Read + Send> = Box::new(Cursor::new(head.clone()).chain(source));
        if let Some((name, expand)) = decompressor(&head) {
            let expanded = expand(reader).map_err(SourceError::Read)?;
            let mut expanded =
                Expanded { source: expanded, name, len: 0, meter: Arc::clone(&meter) };
            head = read_head(&mut expanded)?;
            notes.push(format!("read through {name}"));
            is_compressed = true;
            reader = Box::new(Cursor::new(head.clone()).chain(expanded));
        }
        let (mut end_mark, mut start) = (None, 0);
        if let Some((header_len, mark)) = replication_header(&head) {
            io::copy(&mut reader.by_ref().take(header_len), &mut io::sink())
                .map_err(SourceError::Read)?;
            head.drain(..usize::try_from(header_len).unwrap_or(head.len()).min(head.len()));
            notes.push(format!(
                "a replication header of {header_len} bytes was skipped; offsets count from its end"
            ));
            (end_mark, start) = (mark, header_len);
        }
        match foreign(&head) {
            Some(what) => Err(SourceError::Foreign(what)),
            None => Ok(Self { reader, len, meter, is_compressed, notes, end_mark, watched, start }),
        }
    }

    /// The file, if it is one that holds the data as they are: it can be read from any place.
    pub(crate) fn stored_file(&self) -> Option<StoredFile> {
        let (file, ..) = self.watched.as_ref().filter(|_| !self.is_compressed)?;
        let (start, meter) = (self.start, Arc::clone(&self.meter));
        Some(StoredFile { file: file.try_clone().ok()?, start, meter })
    }

    /// What tells, after reading, whether the file stayed as it was.
    pub(crate) fn watch(&mut self) -> Watch {
        Watch(self.watched.take())
    }
}

/// Tells whether a file stayed as it was when it was opened.
pub(crate) struct Watch(Option<(File, u64, (i64, i64))>);

impl Watch {
    /// # Errors
    /// [`SourceError::Changed`] if its length or time of change is another.
    pub(crate) fn check(&self) -> Result<(), SourceError> {
        let Some((file, before, mtime)) = &self.0 else { return Ok(()) };
        let metadata = file.metadata().map_err(SourceError::Read)?;
        if metadata.len() != *before || (metadata.mtime(), metadata.mtime_nsec()) != *mtime {
            return Err(SourceError::Changed { before: *before, after: metadata.len() });
        }
        Ok(())
    }
}

fn read_head(source: &mut impl Read) -> Result<Vec<u8>, SourceError> {
    let mut head = Vec::new();
    source.by_ref().take(HEAD_LEN as u64).read_to_end(&mut head).map_err(SourceError::Read)?;
    Ok(head)
}

type Expand = fn(Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>>;

/// The decompressor for an input that begins like this.
fn decompressor(head: &[u8]) -> Option<(&'static str, Expand)> {
    let (name, expand): (_, Expand) = match head {
        [0x1f, 0x8b, ..] => ("gzip", |r| Ok(Box::new(MultiGzDecoder::new(r)))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            ("zstd", |r| Ok(Box::new(zstd::stream::read::Decoder::new(r)?)))
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            ("xz", |r| Ok(Box::new(liblzma::read::XzDecoder::new_multi_decoder(r))))
        }
        [0x04, 0x22, 0x4d, 0x18, ..] => {
            ("lz4", |r| Ok(Box::new(lz4_flex::frame::FrameDecoder::new(r))))
        }
        _ => return None,
    };
    Some((name, expand))
}

/// Length of the header a master puts before the file it sends a replica (`$<len>` or
/// `$EOF:<mark>` and a line end), and the mark that then ends it.
fn replication_header(head: &[u8]) -> Option<(u64, Option<Vec<u8>>)> {
    let rest = head.strip_prefix(b"$")?;
    let line_len = rest.iter().position(|byte| *byte == b'\n')?;
    let line = rest.get(..line_len)?.trim_ascii_end();
    let mark = match line.strip_prefix(b"EOF:") {
        Some(mark) => Some(mark.to_vec()),
        None if line.iter().all(u8::is_ascii_digit) => None,
        None => return None,
    };
    Some((line_len as u64 + 2, mark))
}

/// Names a format that is not RDB by the bytes it begins with.
fn foreign(head: &[u8]) -> Option<String> {
    let known: &[(&[u8], &str)] = &[
        (b"PK\x03\x04", "this is a zip archive; unpack it first"),
        (b"BZh", "this is compressed by bzip2; decompress it first"),
        (b"\x78\x01", "this is a zlib stream; decompress it first"),
        (b"\x78\x9c", "this is a zlib stream; decompress it first"),
        (b"\x78\xda", "this is a zlib stream; decompress it first"),
        (b"Salted__", "this is encrypted by openssl; decrypt it first"),
        (b"age-encryption.org", "this is encrypted by age; decrypt it first"),
        (b"-----BEGIN PGP", "this is a PGP message; decrypt it first"),
        (b"\x85\x01", "this is a PGP message; decrypt it first"),
        (b"\x7fELF", "this is an ELF program, not an RDB file"),
        (b"<", "this is HTML or XML, such as the error reply of an object store, not an RDB file"),
        (b"{", "this is JSON, not an RDB file"),
        (b"version https://git-lfs", "this is a Git LFS pointer; fetch the file it stands for"),
        (b"VCS", "this is Valkey's compressed envelope, which is not supported"),
        (b"\n", "this begins with line ends, as a replication stream does before its payload"),
    ];
    if let Some((_, what)) = known.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some((*what).to_owned());
    }
    match head {
        [b'*', b'0'..=b'9', ..] => Some(
            "this is an append-only file without an RDB preamble; analyse an RDB file instead"
                .to_owned(),
        ),
        _ if head.starts_with(b"file ") => {
            let base = std::str::from_utf8(head).ok().and_then(manifest_base);
            let base = base.map_or_else(String::new, |base| format!(" ({base})"));
            Some(format!("this is an AOF manifest; name its base file{base} or its folder"))
        }
        _ if head.len() == HEAD_LEN && head.iter().all(|byte| *byte == 0) => {
            Some("this begins with zeros only: a sparse file or a failed copy".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_file_count_once_and_none_behind_its_end() {
        // Any file will do.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let bytes = std::fs::read(&path).unwrap();
        let meter = Arc::new(Meter::default());
        let file = File::open(&path).unwrap();
        let stored = StoredFile { file, start: 4, meter: Arc::clone(&meter) };
        let read = || meter.bytes_read.load(Ordering::Relaxed);
        let mut buf = vec![0; bytes.len()];
        assert_eq!(stored.read_at(&mut buf, 1 << 20).unwrap(), 0);
        assert_eq!(read(), 0);
        for _ in 0..2 {
            assert_eq!(stored.read_at(&mut buf[..9], 20).unwrap(), 9);
            assert_eq!((&buf[..9], read()), (&bytes[24..33], 33));
        }
        assert_eq!(stored.read_at(&mut buf, 0).unwrap(), bytes.len() - 4);
        assert_eq!(read(), bytes.len() as u64);
        meter.stop.store(true, Ordering::Relaxed);
        assert_eq!(stored.read_at(&mut buf, 0).unwrap_err().to_string(), "cancelled");
    }

    #[test]
    fn base_of_a_manifest_stays_in_its_folder() {
        let text = "file a.aof.2.incr.aof seq 2 type i\nfile a.aof.1.base.rdb seq 1 type b\n";
        assert_eq!(manifest_base(text), Some("a.aof.1.base.rdb"));
        assert_eq!(manifest_base("file ../../etc/passwd seq 1 type b\n"), None);
        assert_eq!(manifest_base("file x seq 1 type h\n"), None);
    }

    #[test]
    fn replication_headers() {
        assert_eq!(replication_header(b"$123\r\nREDIS0009"), Some((6, None)));
        assert_eq!(replication_header(b"$EOF:abc\r\nREDIS"), Some((10, Some(b"abc".to_vec()))));
        assert_eq!(replication_header(b"$abc\r\n"), None);
        assert_eq!(replication_header(b"REDIS0009"), None);
    }

    #[test]
    fn control_characters_of_a_path_are_escaped() {
        let input = Input::Path(PathBuf::from("a\nb\x1b[1m.rdb"));
        assert_eq!(input.name(), "a\\nb\\u{1b}[1m.rdb");
    }
}
