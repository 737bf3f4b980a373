//! A disk that fails: writes and syncs of the database's files end with an error.
//!
//! A library before libc's has them fail; the disk of this machine is well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::fleet::{Choice, Client, Fleet, Process};

/// Fails calls on the database's files while `$FAULT.<call>` is there, with the number in it as
/// error; a number that is negative counts for one call.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd, const char *call) {
    char path[512], link[512], name[64];
    const char *base = getenv("FAULT");
    if (!base) return 0;
    snprintf(path, sizeof path, "%s.%s", base, call);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    int number = 0, found = fscanf(file, "%d", &number);
    fclose(file);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(name, link, sizeof link - 1);
    if (found != 1 || len < 0) return 0;
    link[len] = 0;
    if (!strstr(link, "tasks.sqlite")) return 0;
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
"#;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// The library, where a compiler can make it.
fn shim(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    fs::write(&source, SHIM).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    let Ok(output) = cc.output() else {
        eprintln!("no cc: a failing disk is not tested");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(library)
}

struct Faulty {
    fleet: Fleet,
    library: PathBuf,
}

impl Faulty {
    fn new(instances: usize) -> Option<Self> {
        let mut fleet = Fleet::new(None, instances);
        fleet.lease_seconds = 1;
        let library = shim(fleet.folder.path())?;
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

    /// Has the call fail from now on, or once if the number is negative.
    fn fail(&self, call: &str, number: i32) {
        let (path, new) = (self.switch(call), self.fleet.folder.path().join("new"));
        fs::write(&new, number.to_string()).unwrap();
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

fn health_becomes(server: &Process, expected: u16) {
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
        faulty.fail(call, number);
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
            faulty.fail(["sync", "write"][instance % 2], -EIO);
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
