//! What Ctrl-C leaves behind: no half-written file.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;

/// Removes a file if the process is told to end while this lives.
#[derive(Debug)]
pub(crate) struct RemoveOnSignal {
    signals: Handle,
}

impl RemoveOnSignal {
    /// Waits for SIGINT, SIGTERM and SIGHUP on a thread of its own; they still end the process.
    pub(crate) fn new(path: PathBuf) -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let handle = signals.handle();
        thread::spawn(move || {
            for signal in signals.forever() {
                // The process ends either way, and nobody reads an error any more.
                let _ = fs::remove_file(&path);
                let _ = emulate_default_handler(signal);
            }
        });
        Ok(Self { signals: handle })
    }
}

impl Drop for RemoveOnSignal {
    fn drop(&mut self) {
        self.signals.close();
    }
}
