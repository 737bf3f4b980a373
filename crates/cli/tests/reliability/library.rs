//! Libraries that come before libc's in a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles one into the folder, where a compiler can make it.
pub(crate) fn make(folder: &Path, source: &str) -> Option<PathBuf> {
    let (path, library) = (folder.join("shim.c"), folder.join("shim.so"));
    fs::write(&path, source).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&path).arg("-ldl");
    let Ok(output) = cc.output() else {
        eprintln!("no cc: a failing disk is not tested");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(library)
}
