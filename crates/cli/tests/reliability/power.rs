//! Power cuts: what a disk may have kept when the machine went out holds every task that was
//! acknowledged, and every end that was seen.
//!
//! A library before libc's notes all that the service does to its database's files, and the test
//! notes what it was answered. From that it makes disks as a cut at a random moment may leave
//! them: all that was synced, and of the rest some writes, in part even.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use offkey_testkit::Rng;
use serde_json::Value;

use crate::fleet::{Choice, Fleet, Process};
use crate::library;

/// Notes operations on files with this name in theirs in `$NOTES`: a line with kind, file, offset
/// and length, then the bytes. The shared memory beside a database is made anew after a crash.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *ours(const char *path) {
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    return strncmp(name, "tasks.sqlite", 12) || strstr(name, "-shm") ? NULL : name;
}

static const char *file(int fd, char *link) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(self, link, 511);
    if (len < 0) return NULL;
    link[len] = 0;
    return ours(link);
}

static void note(char kind, const char *name, long long at, size_t len, const void *bytes) {
    static int notes = -1;
    if (notes < 0) notes = open(getenv("NOTES"), O_WRONLY | O_APPEND | O_CLOEXEC);
    char head[256];
    int head_len = snprintf(head, sizeof head, "%c %s %lld %zu\n", kind, name, at, len);
    struct iovec parts[2] = {{head, head_len}, {(void *)bytes, len}};
    if (writev(notes, parts, 2) != (ssize_t)(head_len + len)) abort();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define NOTED(name, args, fd, noted) \
    char link[512]; \
    const char *name_of = file(fd, link); \
    if (!name_of) return REAL(name) args; \
    pthread_mutex_lock(&lock); \
    __typeof__(REAL(name) args) done = REAL(name) args; \
    if (done >= 0) noted; \
    pthread_mutex_unlock(&lock); \
    return done;

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
    NOTED(pwrite, (fd, bytes, len, at), fd, note('w', name_of, at, done, bytes))
}
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
    NOTED(pwrite64, (fd, bytes, len, at), fd, note('w', name_of, at, done, bytes))
}
int ftruncate(int fd, off_t len) {
    NOTED(ftruncate, (fd, len), fd, note('t', name_of, len, 0, ""))
}
int ftruncate64(int fd, off64_t len) {
    NOTED(ftruncate64, (fd, len), fd, note('t', name_of, len, 0, ""))
}
int fsync(int fd) {
    NOTED(fsync, (fd), fd, note('s', name_of, 0, 0, ""))
}
int fdatasync(int fd) {
    NOTED(fdatasync, (fd), fd, note('s', name_of, 0, 0, ""))
}
int unlink(const char *path) {
    const char *name = ours(path);
    pthread_mutex_lock(&lock);
    int done = REAL(unlink)(path);
    if (name && done == 0) note('u', name, 0, 0, "");
    pthread_mutex_unlock(&lock);
    return done;
}
"#;

/// Looks into databases whose paths it reads: what is broken, what is halfway, and the tasks.
const LOOK: &str = r#"
import json, sqlite3, sys
for path in sys.stdin:
    try:
        database = sqlite3.connect(path.strip())
        found = {
            "check": database.execute("PRAGMA integrity_check").fetchone()[0],
            "halfway": database.execute(
                "SELECT COUNT(*) FROM tasks WHERE (state IN ('waiting', 'running')) <> "
                "EXISTS (SELECT 1 FROM parts WHERE task_id = id) "
                "OR (state = 'success') <> (report IS NOT NULL)").fetchone()[0],
            "tasks": dict(database.execute("SELECT id, state FROM tasks")),
        }
        database.close()
    except sqlite3.DatabaseError as error:
        found = {"check": str(error), "halfway": 0, "tasks": {}}
    print(json.dumps(found), flush=True)
"#;

const SECTOR: usize = 512;

/// Disks that are made; OFFKEY_CUTS for more.
fn cuts() -> usize {
    std::env::var("OFFKEY_CUTS").map_or(60, |text| text.parse().unwrap())
}

/// Something that was done to a file, or seen by the client.
enum Note {
    Write { file: String, at: usize, bytes: Vec<u8> },
    Truncate { file: String, len: usize },
    Sync { file: String },
    Unlink { file: String },
    Acknowledged { id: String },
    Ended { id: String },
}

#[test]
fn power_cut_loses_no_task_that_was_acknowledged_and_no_end_that_was_seen() {
    let mut fleet = Fleet::new(None, 60);
    fleet.lease_seconds = 1;
    let folder = fleet.folder.path().to_owned();
    let Some(library) = library::make(&folder, SOURCE) else { return };
    let notes = folder.join("notes");
    fs::write(&notes, "").unwrap();
    work(&fleet, &library, &notes);
    let notes = read(&fs::read(&notes).unwrap());
    let first = notes.iter().position(|note| matches!(note, Note::Acknowledged { .. })).unwrap();
    let checkpoints = notes
        .iter()
        .filter(|note| matches!(note, Note::Sync { file } if !file.ends_with("-wal")))
        .count();
    assert!(checkpoints > 0, "nothing of the log was moved into the database");

    let mut look = Look::start();
    let mut rng = Rng::new(8);
    let (mut lost_by_liar, mut torn) = (0, 0);
    for cut in 0..cuts() {
        let mut at = first + 1 + rng.below(notes.len() - first);
        if cut % 2 == 0 {
            // Just after the client had its answer.
            at = answered_before(&notes, at) + 1;
        }
        let data = folder.join(format!("cut{cut}"));
        let disk = disk(&notes[..at], &mut rng, true);
        torn += usize::from(disk.is_torn);
        disk.write(&data);
        let found = look.at(&data);
        let name = format!("cut {cut} after {at} of {} operations", notes.len());
        assert_eq!(found["check"], "ok", "{name}");
        assert_eq!(found["halfway"], 0, "{name}: {found}");
        let missing = missing(&notes[..at], &found);
        assert!(missing.is_empty(), "{name}: {missing:?} of {found}");
        if cut % 20 == 0 {
            goes_on(&fleet, &format!("cut{cut}"), &notes[..at]);
        }
        // A disk that says it has synced, and has not, does lose some: or this test sees nothing.
        let lie = folder.join("lie");
        self::disk(&notes[..at], &mut rng, false).write(&lie);
        let found = look.at(&lie);
        let is_lost = found["check"] != "ok" || !self::missing(&notes[..at], &found).is_empty();
        lost_by_liar += usize::from(is_lost);
        fs::remove_dir_all(&lie).unwrap();
        fs::remove_dir_all(&data).unwrap();
    }
    eprintln!(
        "{} cuts in {} operations, {torn} with a torn write; nothing lost; without syncs {} \
         would have lost something",
        cuts(),
        notes.len(),
        lost_by_liar
    );
    assert!(lost_by_liar > cuts() / 4, "{lost_by_liar}");
    assert!(torn > 0);
}

/// Runs tasks, and has the service end in both ways on the way.
fn work(fleet: &Fleet, library: &Path, notes: &Path) {
    let client = fleet.client();
    let mut mine = OpenOptions::new().append(true).open(notes).unwrap();
    let mut note = |kind: char, id: &str| mine.write_all(format!("{kind} {id} 0 0\n").as_bytes());
    let start = || {
        let mut offkey = Command::new(env!("CARGO_BIN_EXE_offkey"));
        offkey.arg("serve").arg("--config").arg(fleet.config("server", 2));
        offkey.env("LD_PRELOAD", library).env("NOTES", notes);
        Process::spawn(offkey, "listening").unwrap()
    };
    let mut server = start();
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for instance in 0..fleet.instances {
        let choice = [Choice::One("small.rdb"), Choice::All][instance % 2];
        let created = client.create(&server.addr, instance, &choice).unwrap();
        let id = created.task_id().unwrap_or_else(|| panic!("{created:?}"));
        note('a', &id).unwrap();
        open.insert(id, instance);
        open.retain(|id, instance| {
            let shown = client.show(&server.addr, *instance, id).unwrap().json();
            let is_open = shown["status"] != "success";
            if !is_open {
                note('e', id).unwrap();
            }
            is_open
        });
        match instance {
            20 => server.end(),
            40 => {
                server.signal("TERM");
                assert!(server.ends_within(Duration::from_secs(30)), "{}", server.log());
            }
            _ => continue,
        }
        server = start();
    }
    for (id, instance) in &open {
        let ended = client.wait(&server.addr, *instance, id, &["success", "failed"]);
        assert_eq!(ended["status"], "success", "{ended}");
        note('e', id).unwrap();
    }
}

/// Starts the service on what a cut has left, and has it end every acknowledged task.
fn goes_on(fleet: &Fleet, name: &str, notes: &[Note]) {
    let (server, client) = (fleet.serve(name, 2), fleet.client());
    let ids = notes.iter().filter_map(|note| match note {
        Note::Acknowledged { id } => Some(id),
        _ => None,
    });
    // They were created in the order of their instances.
    for (instance, id) in ids.enumerate() {
        let ended = client.wait_beside(&[&server], &server.addr, instance, id, &["success"]);
        assert!(ended["finished_at"].is_string(), "{ended}");
    }
}

/// Which tasks a client knows of, and the database does not, or not of their end.
fn missing<'n>(notes: &'n [Note], found: &Value) -> Vec<&'n str> {
    notes
        .iter()
        .filter_map(|note| match note {
            Note::Acknowledged { id } => found["tasks"][id].is_null().then_some(id.as_str()),
            Note::Ended { id } => (found["tasks"][id] != "success").then_some(id.as_str()),
            _ => None,
        })
        .collect()
}

fn answered_before(notes: &[Note], at: usize) -> usize {
    let answered = |note: &Note| matches!(note, Note::Acknowledged { .. } | Note::Ended { .. });
    notes[..at].iter().rposition(answered).unwrap()
}

fn read(mut rest: &[u8]) -> Vec<Note> {
    let mut notes = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        let head = std::str::from_utf8(&rest[..end]).unwrap();
        let words: Vec<&str> = head.split(' ').collect();
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        let name = words[1].to_owned();
        let bytes = rest[end + 1..end + 1 + number(3)].to_vec();
        rest = &rest[end + 1 + number(3)..];
        notes.push(match words[0] {
            "w" => Note::Write { file: name, at: number(2), bytes },
            "t" => Note::Truncate { file: name, len: number(2) },
            "s" => Note::Sync { file: name },
            "u" => Note::Unlink { file: name },
            "a" => Note::Acknowledged { id: name },
            "e" => Note::Ended { id: name },
            kind => panic!("{kind}"),
        });
    }
    notes
}

/// What is on a disk.
#[derive(Default)]
struct Disk {
    files: HashMap<String, Vec<u8>>,
    is_torn: bool,
}

/// The disk after a cut that followed `notes`.
fn disk(notes: &[Note], rng: &mut Rng, keeps_syncs: bool) -> Disk {
    let mut disk = Disk::default();
    let mut pending: HashMap<&str, Vec<&Note>> = HashMap::new();
    let mut unlinked: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for note in notes {
        match note {
            Note::Write { file, .. } | Note::Truncate { file, .. } => {
                unlinked.remove(file.as_str());
                pending.entry(file).or_default().push(note);
            }
            Note::Sync { file } if keeps_syncs => {
                // What was done to names before goes with it, as file systems with a log do it.
                unlinked.clear();
                for note in pending.remove(file.as_str()).unwrap_or_default() {
                    disk.apply(note, usize::MAX);
                }
            }
            Note::Unlink { file } => {
                pending.remove(file.as_str());
                unlinked.extend(disk.files.remove(file).map(|image| (file.as_str(), image)));
            }
            Note::Sync { .. } | Note::Acknowledged { .. } | Note::Ended { .. } => {}
        }
    }
    for (name, image) in unlinked {
        // Its name may be there still.
        if rng.one_in(2) {
            disk.files.insert(name.to_owned(), image);
        }
    }
    let mut names: Vec<&str> = pending.keys().copied().collect();
    names.sort_unstable();
    for name in names {
        let kept: Vec<&&Note> = pending[name].iter().filter(|_| rng.one_in(2)).collect();
        for (number, note) in kept.iter().enumerate() {
            let is_last = number + 1 == kept.len();
            let sectors = match (is_last && rng.one_in(2), note) {
                (true, Note::Write { bytes, .. }) => {
                    disk.is_torn = true;
                    rng.below(bytes.len().div_ceil(SECTOR).max(1))
                }
                _ => usize::MAX,
            };
            disk.apply(note, sectors);
        }
    }
    disk
}

impl Disk {
    /// Does what was noted, of a write only so many sectors.
    fn apply(&mut self, note: &Note, sectors: usize) {
        match note {
            Note::Write { file, at, bytes } => {
                let bytes = &bytes[..bytes.len().min(sectors.saturating_mul(SECTOR))];
                let image = self.files.entry(file.clone()).or_default();
                image.resize(image.len().max(at + bytes.len()), 0);
                image[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Note::Truncate { file, len } => {
                self.files.entry(file.clone()).or_default().resize(*len, 0);
            }
            Note::Sync { .. }
            | Note::Unlink { .. }
            | Note::Acknowledged { .. }
            | Note::Ended { .. } => {}
        }
    }

    fn write(&self, data: &Path) {
        fs::create_dir(data).unwrap();
        for (name, bytes) in &self.files {
            fs::write(data.join(name), bytes).unwrap();
        }
    }
}

/// A program that looks into databases.
struct Look {
    python: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Look {
    fn start() -> Self {
        let mut python = Command::new("python3")
            .args(["-c", LOOK])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = python.stdin.take().unwrap();
        let output = BufReader::new(python.stdout.take().unwrap());
        Self { python, input, output }
    }

    /// Looks into a copy, as looking may change a database that a cut has left.
    fn at(&mut self, data: &Path) -> Value {
        let copy: PathBuf = data.with_extension("copy");
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(data).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        writeln!(self.input, "{}", copy.join("tasks.sqlite").display()).unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        fs::remove_dir_all(&copy).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}
