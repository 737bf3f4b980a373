//! The process in which a part is analysed, so that the worst file costs one attempt of one task.
//!
//! The worker starts it, writes the job to its stdin and reads progress and end from its stdout
//! (`frame`). It takes limits upon itself before it reads a byte of a backup, and ends when its
//! stdin does: with the worker, however that dies.

use std::ffi::OsString;
use std::io::{self, Read, Stdin, Stdout, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use offkey_analysis::Cancelled;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::frame::{self, Kind};
use super::job::{Done, Job, perform};
use super::{Progress, Step};
use crate::settings::TaskLimits;
use crate::store::{Store, StoreError};

/// How often the process says how far it is: what is known of it once it has crashed.
const TOLD_EVERY: Duration = Duration::from_millis(20);

/// Last bytes of its stderr that are kept.
const STDERR_LEN_MAX: u64 = 4096;

/// Files it may have open.
const FILES_MAX: u64 = 64;

/// Where analyses run.
#[derive(Debug, Clone, Default)]
pub enum Isolation {
    /// On a thread of this process, which a bad file can take down.
    #[default]
    None,
    /// In a process of its own: this program with the argument `child`, which calls [`child`],
    /// with these variables and no others.
    Process(PathBuf, Vec<(OsString, OsString)>),
}

/// Why [`child`] could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It is not a worker that has started it.
    #[error("only the service starts this: {0}")]
    Job(io::Error),
    /// Limits could not be set.
    #[error("limit {name}: {error}")]
    Limit {
        /// Which one.
        name: &'static str,
        /// Why.
        error: io::Error,
    },
    /// The worker does not listen any more.
    #[error("worker is gone: {0}")]
    Gone(io::Error),
}

/// The first thing that is written to the process.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    job: Job,
    memory_bytes: u64,
    cpu_seconds: u64,
}

/// What the analysis and its worker tell each other.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The analysis is no longer wanted.
    stop: AtomicBool,
    bytes_read: AtomicU64,
    pub(super) bytes_total: AtomicU64,
    key_count: AtomicU64,
    /// What the report calls the backup that is read, if it is one.
    file: OnceLock<String>,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Ended {
    Done(Done),
    /// The process ended on its way: how, and what it said last.
    Died(String),
    /// There is no process, which is no fault of what it was to read.
    Unstarted(String),
    /// A result of an earlier part could not be had.
    Store(StoreError),
    /// It is not there any more, and nor is the task.
    Lost,
}

/// Results of earlier parts that go with a job.
#[derive(Debug, Clone)]
pub(super) struct Earlier {
    pub(super) store: Store,
    pub(super) task_id: Uuid,
    pub(super) parts: Vec<(Step, i64)>,
}

/// Analyses in a process of its own, or here.
///
/// Dropping the future ends the analysis.
pub(super) async fn run(
    isolation: &Isolation,
    limits: &TaskLimits,
    job: Job,
    earlier: Earlier,
    watch: &Arc<Watch>,
) -> Ended {
    let result = match isolation {
        Isolation::None => here(job, &earlier, watch).await,
        Isolation::Process(program, environment) => {
            let memory_bytes = u64::from(limits.memory_mb) << 20;
            let cpu_seconds = u64::from(limits.cpu_seconds);
            let order = Order { job, memory_bytes, cpu_seconds };
            in_process((program, environment), &order, &earlier, watch).await
        }
    };
    result.unwrap_or_else(|ended| ended)
}

async fn here(job: Job, earlier: &Earlier, watch: &Arc<Watch>) -> Result<Ended, Ended> {
    /// Tells the thread that nobody waits for it.
    struct Unwanted(Arc<Watch>);
    impl Drop for Unwanted {
        fn drop(&mut self) {
            self.0.stop.store(true, Ordering::Relaxed);
        }
    }
    let mut blobs = Vec::new();
    for at in 0..earlier.parts.len() {
        blobs.push(earlier.load(at).await?);
    }
    let _unwanted = Unwanted(Arc::clone(watch));
    let watch = Arc::clone(watch);
    let done = spawn_blocking(move || {
        let mut blobs = blobs.into_iter();
        let mut next = || blobs.next().ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        perform(&job, &mut next, &*watch)
    });
    match done.await {
        Ok(Ok(done)) => Ok(Ended::Done(done)),
        Ok(Err(Cancelled)) => Ok(Ended::Lost),
        Err(panic) => Ok(Ended::Died(panic.to_string())),
    }
}

async fn in_process(
    (program, environment): (&Path, &[(OsString, OsString)]),
    order: &Order,
    earlier: &Earlier,
    watch: &Watch,
) -> Result<Ended, Ended> {
    let failed = |error: io::Error| Ended::Died(format!("{}: {error}", program.display()));
    let mut child = Command::new(program)
        .arg("child")
        // Of the service's environment nothing else concerns it.
        .env_clear()
        .envs(environment.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Ended::Unstarted(format!("{}: {error}", program.display())))?;
    let no_pipe = || failed(io::ErrorKind::BrokenPipe.into());
    let mut stdin = child.stdin.take().ok_or_else(no_pipe)?;
    let mut stdout = child.stdout.take().ok_or_else(no_pipe)?;
    let mut stderr = child.stderr.take().ok_or_else(no_pipe)?;
    let said = async {
        let mut last = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(len @ 1..) = stderr.read(&mut piece).await {
            last.extend_from_slice(piece.get(..len).unwrap_or_default());
            let max = usize::try_from(STDERR_LEN_MAX).unwrap_or(usize::MAX);
            last.drain(..last.len().saturating_sub(max));
        }
        last
    };
    let written = async {
        match write_all(&mut stdin, order, earlier).await {
            // It would wait for its input for ever, and so would we for its end.
            Err(Some(ended)) => Err(ended),
            // What the process says, or how it ended, tells more than a broken pipe.
            Ok(()) | Err(None) => Ok(()),
        }
    };
    let read = async { Ok(read_end(&mut stdout, watch).await) };
    let ((), done, said) = tokio::try_join!(written, read, async { Ok(said.await) })?;
    // Only now, since the process ends with it.
    drop(stdin);
    let status = child.wait().await.map_err(failed)?;
    match done {
        Ok(done) if status.success() => Ok(Ended::Done(done)),
        Ok(_) | Err(_) => Ok(Ended::Died(how(status, &said))),
    }
}

/// Writes the job and what goes with it; an error without a reason is one of the pipe.
async fn write_all(
    stdin: &mut ChildStdin,
    order: &Order,
    earlier: &Earlier,
) -> Result<(), Option<Ended>> {
    let order = serde_json::to_vec(order).map_err(|error| Some(Ended::Died(error.to_string())))?;
    write_frame(stdin, Kind::Job, &order).await.map_err(|_| None)?;
    for at in 0..earlier.parts.len() {
        let blob = earlier.load(at).await.map_err(Some)?;
        write_frame(stdin, Kind::Blob, &blob).await.map_err(|_| None)?;
    }
    Ok(())
}

async fn write_frame(stdin: &mut ChildStdin, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    stdin.write_all(&frame::head(kind, bytes.len())).await?;
    stdin.write_all(bytes).await?;
    stdin.flush().await
}

/// Follows the process to its end.
async fn read_end(stdout: &mut ChildStdout, watch: &Watch) -> io::Result<Done> {
    let mut end = None;
    loop {
        let mut head = [0; 9];
        stdout.read_exact(&mut head).await?;
        let (kind, len) = frame::parse_head(head)?;
        let mut bytes = Vec::new();
        stdout.take(len).read_to_end(&mut bytes).await?;
        if u64::try_from(bytes.len()).ok() != Some(len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match (kind, end.take()) {
            (Kind::Progress, _) => watch.told(&bytes),
            (Kind::End, _) => end = Some(serde_json::from_slice(&bytes)?),
            (Kind::Body, Some(end)) => return Ok(Done { end, body: bytes }),
            (Kind::Job | Kind::Blob | Kind::Body, _) => {
                return Err(io::Error::other("frame out of turn"));
            }
        }
    }
}

/// How a process ended, with the last line it wrote.
fn how(status: ExitStatus, stderr: &[u8]) -> String {
    let how = match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit status {code}"),
        (None, None) => status.to_string(),
    };
    let text = String::from_utf8_lossy(stderr);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match lines.find(|line| !line.starts_with("note:") && !line.starts_with("thread ")) {
        Some(line) => format!("{how}: {line}"),
        None => how,
    }
}

impl Earlier {
    async fn load(&self, at: usize) -> Result<Vec<u8>, Ended> {
        let Some((step, number)) = self.parts.get(at) else { return Err(Ended::Lost) };
        let result = self.store.result(self.task_id, *step, *number).await;
        result.map_err(Ended::Store)?.ok_or(Ended::Lost)
    }
}

impl Watch {
    pub(super) fn progress(&self) -> Progress {
        let bytes_read = self.bytes_read.load(Ordering::Relaxed);
        let mut bytes_total = self.bytes_total.load(Ordering::Relaxed);
        if bytes_read > bytes_total {
            // Where prefixes need a second pass, there is twice as much to read.
            bytes_total = bytes_total.saturating_mul(2);
        }
        Progress { bytes_read, bytes_total, key_count: self.key_count.load(Ordering::Relaxed) }
    }

    pub(super) fn file(&self) -> Option<&str> {
        self.file.get().map(String::as_str)
    }

    /// Notes which backup is read.
    pub(super) fn reads(&self, file: &str) {
        // An attempt has one.
        let _ = self.file.set(file.to_owned());
    }

    /// Takes over a frame of progress.
    fn told(&self, bytes: &[u8]) {
        let mut numbers = bytes.as_chunks().0.iter().map(|number| u64::from_le_bytes(*number));
        for own in [&self.bytes_read, &self.key_count] {
            own.store(numbers.next().unwrap_or_default(), Ordering::Relaxed);
        }
    }
}

impl offkey_analysis::Progress for Watch {
    fn advanced(&self, bytes_read: u64, key_count: u64) -> Result<(), Cancelled> {
        self.bytes_read.store(bytes_read, Ordering::Relaxed);
        self.key_count.store(key_count, Ordering::Relaxed);
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Cancelled),
            false => Ok(()),
        }
    }
}

/// The process's own part: takes a job from `stdin` and answers on `stdout`.
///
/// # Errors
/// It was not started by a worker, or the worker is gone.
pub fn child(mut stdin: Stdin, stdout: Stdout) -> Result<(), ChildError> {
    let order = frame::read(&mut stdin, Kind::Job).map_err(ChildError::Job)?;
    let order: Order =
        serde_json::from_slice(&order).map_err(|error| ChildError::Job(error.into()))?;
    limit(&order)?;
    let told = Told { out: Mutex::new((stdout, Instant::now())) };
    let mut left = order.job.blobs;
    let mut rest = Some(stdin);
    if left == 0 {
        rest.take().map(end_with);
    }
    let mut next = || {
        let stdin = rest.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
        let blob = frame::read(stdin, Kind::Blob)?;
        left -= 1;
        if left == 0 {
            rest.take().map(end_with);
        }
        Ok(blob)
    };
    // Nobody cancels but by ending the process.
    let Ok(done) = perform(&order.job, &mut next, &told) else { return Ok(()) };
    told.end(&done).map_err(ChildError::Gone)
}

/// Takes limits upon this process.
fn limit(order: &Order) -> Result<(), ChildError> {
    // Where memory runs out, this process goes first. Not everywhere can it say so.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let limits = [
        ("core", Resource::Core, 0),
        ("file size", Resource::Fsize, 0),
        ("files", Resource::Nofile, FILES_MAX),
        ("memory", Resource::As, order.memory_bytes),
        ("CPU time", Resource::Cpu, order.cpu_seconds),
    ];
    for (name, resource, limit) in limits {
        // 0 stands for none where it would make no sense.
        let is_wanted = limit > 0 || matches!(resource, Resource::Core | Resource::Fsize);
        let limit = is_wanted.then_some(limit);
        setrlimit(resource, Rlimit { current: limit, maximum: limit })
            .map_err(|error| ChildError::Limit { name, error: error.into() })?;
    }
    Ok(())
}

/// Ends this process once nothing can come from `stdin` any more.
#[expect(clippy::exit, reason = "whoever waits for the rest of the process is gone")]
fn end_with(mut stdin: Stdin) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while let Ok(1..) = stdin.read(&mut [0; 64]) {}
        std::process::exit(3)
    })
}

/// Tells the worker how far the analysis is.
struct Told {
    out: Mutex<(Stdout, Instant)>,
}

impl Told {
    fn end(&self, done: &Done) -> io::Result<()> {
        let (out, _) = &mut *self.out.lock().unwrap_or_else(PoisonError::into_inner);
        frame::write(out, Kind::End, &serde_json::to_vec(&done.end)?)?;
        frame::write(out, Kind::Body, &done.body)?;
        out.flush()
    }
}

impl offkey_analysis::Progress for Told {
    fn advanced(&self, bytes_read: u64, key_count: u64) -> Result<(), Cancelled> {
        let (out, last) = &mut *self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= TOLD_EVERY {
            *last = Instant::now();
            let numbers = [bytes_read.to_le_bytes(), key_count.to_le_bytes()].concat();
            // That nobody listens shows soon enough.
            let _ = frame::write(out, Kind::Progress, &numbers);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::settings::AnalysisConfig;
    use crate::store::tests::with_each;

    #[tokio::test]
    async fn process_that_cannot_be_started_is_no_death() {
        with_each(|store| async move {
            let isolation = Isolation::Process(PathBuf::from("/nowhere/offkey"), vec![]);
            let settings = AnalysisConfig::default();
            let job = Job { step: Step::Whole, inputs: vec![], settings, now_ms: 0, blobs: 0 };
            let earlier = Earlier { store, task_id: Uuid::nil(), parts: vec![] };
            let limits = TaskLimits::default();
            let ended = run(&isolation, &limits, job, earlier, &Arc::default()).await;
            assert!(
                matches!(&ended, Ended::Unstarted(why) if why.contains("nowhere")),
                "{ended:?}"
            );
        })
        .await;
    }

    #[tokio::test]
    async fn process_without_its_input_is_not_waited_for() {
        with_each(|store| async move {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("waits");
            std::fs::write(&program, "#!/bin/sh\nexec cat >/dev/null\n").unwrap();
            std::fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
            let settings = AnalysisConfig::default();
            let job = Job { step: Step::Join, inputs: vec![], settings, now_ms: 0, blobs: 1 };
            let earlier = Earlier { store, task_id: Uuid::nil(), parts: vec![(Step::Count, 0)] };
            let (isolation, limits) = (Isolation::Process(program, vec![]), TaskLimits::default());
            let watch = Arc::default();
            let ended = run(&isolation, &limits, job, earlier, &watch);
            let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
            assert!(matches!(ended, Ok(Ended::Lost)), "{ended:?}");
        })
        .await;
    }

    #[test]
    fn end_of_a_process_is_told_with_its_own_words() {
        let aborted = ExitStatus::from_raw(6);
        let said = b"\nmemory allocation of 99 bytes failed\nnote: run with RUST_BACKTRACE=1\n";
        assert_eq!(how(aborted, said), "signal 6: memory allocation of 99 bytes failed");
        let said = b"thread 'main' (7) panicked at src/x.rs:1:1:\nno such thing\nnote: x\n";
        assert_eq!(how(ExitStatus::from_raw(101 << 8), said), "exit status 101: no such thing");
        assert_eq!(how(ExitStatus::from_raw(9), b""), "signal 9");
    }
}
