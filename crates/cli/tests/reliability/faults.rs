//! A disk that fails: reads, writes and syncs of the database's files and reads of backups end
//! with an error.
//!
//! A library before libc's has them fail; the disk of this machine is well.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::fleet::{Choice, Client, Fleet, Process};
use crate::library;

/// Fails calls on files while `$FAULT.<call>` is there: those in whose names is the word in it,
/// with the number before the word as error. A number that is negative counts for one call.
///
/// Processes that are started have the same library, whatever their environment is to be.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd, const char *call) {
    char path[512], link[512], name[64], word[64];
    const char *base = getenv("FAULT");
    if (!base) return 0;
    snprintf(path, sizeof path, "%s.%s", base, call);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    int number = 0, found = fscanf(file, "%d %63s", &number, word);
    fclose(file);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(name, link, sizeof link - 1);
    if (found != 2 || len < 0) return 0;
    link[len] = 0;
    if (!strstr(link, word)) return 0;
    if (number < 0 && unlink(path) != 0) return 0;
    errno = abs(number);
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
int fsync(int fd) { return fails(fd, "sync") ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails(fd, "sync") ? -1 : REAL(fdatasync)(fd); }
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
    return fails(fd, "write") ? -1 : REAL(pwrite)(fd, bytes, len, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
    return fails(fd, "write") ? -1 : REAL(pwrite64)(fd, bytes, len, at);
}
ssize_t read(int fd, void *bytes, size_t len) {
    return fails(fd, "read") ? -1 : REAL(read)(fd, bytes, len);
}
ssize_t pread(int fd, void *bytes, size_t len, off_t at) {
    return fails(fd, "read") ? -1 : REAL(pread)(fd, bytes, len, at);
}
ssize_t pread64(int fd, void *bytes, size_t len, off64_t at) {
    return fails(fd, "read") ? -1 : REAL(pread64)(fd, bytes, len, at);
}
int posix_spawnp(pid_t *pid, const char *program, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const args[], char *const env[]) {
    char preload[512], fault[512];
    char *both[] = {preload, fault, NULL};
    (void)env;
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", getenv("LD_PRELOAD"));
    snprintf(fault, sizeof fault, "FAULT=%s", getenv("FAULT"));
    return REAL(posix_spawnp)(pid, program, actions, attributes, args, both);
}
"#;

/// What the names of the database's files have in common.
const DATABASE: &str = "tasks.sqlite";

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

struct Faulty {
    fleet: Fleet,
    library: PathBuf,
}

impl Faulty {
    fn new(instances: usize) -> Option<Self> {
        let mut fleet = Fleet::new(None, instances);
        fleet.lease_seconds = 1;
        let library = library::make(fleet.folder.path(), SHIM)?;
        Some(Self { fleet, library })
    }

    fn serve(&self, workers: usize) -> Process {
        let mut offkey = Command::new(env!("CARGO_BIN_EXE_offkey"));
        offkey.arg("serve").arg("--config").arg(self.fleet.config("server", workers));
        offkey
            .env("LD_PRELOAD", &self.library)
            .env("FAULT", self.fleet.folder.path().join("fault"));
        Process::spawn(offkey, "listening").expect("the service starts")
    }

    /// Where the fault of a call is switched.
    fn switch(&self, call: &str) -> PathBuf {
        self.fleet.folder.path().join(format!("fault.{call}"))
    }

    /// Has the call on files of this name fail from now on, or once if the number is negative.
    fn fail(&self, call: &str, number: i32, name: &str) {
        let (path, new) = (self.switch(call), self.fleet.folder.path().join("new"));
        fs::write(&new, format!("{number} {name}")).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Kills the server and has another one end every acknowledged task.
    fn settle(&self, server: Process, acknowledged: &[(usize, String)]) {
        server.kill();
        let (server, client) = (self.serve(2), self.fleet.client());
        for (instance, id) in acknowledged {
            let ended = client.wait(&server.addr, *instance, id, &["success", "failed"]);
            assert_eq!(ended["status"], "success", "{ended}\n{}", server.log());
        }
    }
}

/// Waits until `/healthz` of the service has this status.
pub(crate) fn health_becomes(server: &Process, expected: u16) {
    let start = Instant::now();
    while !Client::health(&server.addr).is_ok_and(|(status, _)| status == expected) {
        assert!(start.elapsed() < Duration::from_secs(30), "not {expected}: {}", server.log());
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn disk_that_fails_refuses_tasks_until_it_works_again() {
    let Some(faulty) = Faulty::new(40) else { return };
    let client = faulty.fleet.client();
    let server = faulty.serve(1);
    let mut acknowledged = Vec::new();
    let mut instances = 0..faulty.fleet.instances;
    for (call, number) in [("sync", EIO), ("write", EIO), ("write", ENOSPC)] {
        health_becomes(&server, 200);
        for instance in instances.by_ref().take(3) {
            let created = client.create(&server.addr, instance, &Choice::All).unwrap();
            let id = created.task_id();
            acknowledged.push((instance, id.unwrap_or_else(|| panic!("{}", server.log()))));
        }
        faulty.fail(call, number, DATABASE);
        for instance in instances.by_ref().take(3) {
            let refused = client.create(&server.addr, instance, &Choice::All).unwrap();
            assert_eq!(refused.status, 503, "{call} {number}: {refused:?}");
            assert_eq!(refused.retry_after.as_deref(), Some("5"), "{refused:?}");
        }
        health_becomes(&server, 503);
        // What does not write is answered.
        let (instance, id) = &acknowledged[0];
        let shown = client.show(&server.addr, *instance, id).unwrap();
        assert_eq!(shown.status, 200, "{shown:?}");
        fs::remove_file(faulty.switch(call)).unwrap();
    }
    health_becomes(&server, 200);
    let last = client.run(&server.addr, faulty.fleet.instances - 1, &Choice::All);
    assert_eq!(last["status"], "success", "{last}");
    faulty.settle(server, &acknowledged);
}

#[test]
fn single_failing_calls_lose_no_task_that_was_acknowledged() {
    let Some(faulty) = Faulty::new(120) else { return };
    let (server, client) = (faulty.serve(2), faulty.fleet.client());
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for instance in 0..faulty.fleet.instances {
        // It meets whoever comes next: a creation, a claim, a result, a checkpoint.
        if instance % 3 == 0 {
            faulty.fail(["sync", "write", "read"][instance / 3 % 3], -EIO, DATABASE);
        }
        sleep(Duration::from_millis(u64::try_from(instance % 7).unwrap()));
        let answer = client.create(&server.addr, instance, &Choice::One("small.rdb")).unwrap();
        match answer.task_id() {
            Some(id) => acknowledged.push((instance, id)),
            None => {
                assert_eq!(answer.status, 503, "{answer:?}\n{}", server.log());
                refused += 1;
            }
        }
    }
    eprintln!("{} tasks acknowledged, {refused} refused", acknowledged.len());
    assert!(acknowledged.len() > 20 && refused > 0);
    faulty.settle(server, &acknowledged);
}

#[test]
fn database_that_cannot_be_read_answers_again_once_it_can() {
    let Some(faulty) = Faulty::new(60) else { return };
    let (server, client) = (faulty.serve(2), faulty.fleet.client());
    let mut acknowledged = Vec::new();
    let mut instances = 0..faulty.fleet.instances;
    for _ in 0..3 {
        faulty.fail("read", EIO, DATABASE);
        let mut refused = 0;
        for instance in instances.by_ref().take(15) {
            let answer = client.create(&server.addr, instance, &Choice::All).unwrap();
            match answer.task_id() {
                // What it needs may be in its memory.
                Some(id) => acknowledged.push((instance, id)),
                None => {
                    assert_eq!(answer.status, 503, "{answer:?}\n{}", server.log());
                    assert_eq!(answer.retry_after.as_deref(), Some("5"), "{answer:?}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0, "{}", server.log());
        fs::remove_file(faulty.switch("read")).unwrap();
        health_becomes(&server, 200);
        let instance = instances.next().unwrap();
        let created = client.create(&server.addr, instance, &Choice::All).unwrap();
        let id = created.task_id();
        acknowledged.push((instance, id.unwrap_or_else(|| panic!("{created:?}"))));
    }
    faulty.settle(server, &acknowledged);
}

#[test]
fn backup_that_cannot_be_read_is_tried_again_and_then_fails_with_the_reason() {
    let Some(faulty) = Faulty::new(2) else { return };
    faulty.fleet.add_large();
    let (server, client) = (faulty.serve(2), faulty.fleet.client());
    let choices = [Choice::One("small.rdb"), Choice::One("large.rdb")];
    faulty.fail("read", EIO, "large.rdb");
    let tasks: Vec<String> = (0..2)
        .map(|instance| {
            let created = client.create(&server.addr, instance, &choices[instance]).unwrap();
            created.task_id().unwrap_or_else(|| panic!("{created:?}"))
        })
        .collect();
    // Another backup is not concerned.
    let ended = client.wait(&server.addr, 0, &tasks[0], &["success", "failed"]);
    assert_eq!(ended["status"], "success", "{ended}");
    let start = Instant::now();
    while !server.logged(&["part is tried again", "large.rdb", "Input/output error"]) {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", server.log());
        sleep(Duration::from_millis(20));
    }
    if std::env::var("OFFKEY_FAULTS").is_ok_and(|text| text == "full") {
        // After 1, 4, 16 and 64 s.
        let ended = client.wait(&server.addr, 1, &tasks[1], &["success", "failed"]);
        assert_eq!(ended["status"], "failed", "{ended}");
        let error = ended["error_msg"].as_str().unwrap();
        assert!(error.contains("large.rdb") && error.contains("Input/output error"), "{error}");
        fs::remove_file(faulty.switch("read")).unwrap();
        let again = client.run(&server.addr, 1, &choices[1]);
        assert_eq!(again["status"], "success", "{again}");
    } else {
        fs::remove_file(faulty.switch("read")).unwrap();
        let ended = client.wait(&server.addr, 1, &tasks[1], &["success", "failed"]);
        assert_eq!(ended["status"], "success", "{ended}");
    }
}
