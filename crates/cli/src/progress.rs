//! The progress bar on stderr.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use offkey_analysis::{Cancelled, Progress};

/// Shows how far the reading is; draws only where stderr is a terminal.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(files: &[PathBuf], quiet: bool) -> Self {
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        // Of a folder or a pipe nobody knows how much is in it.
        let len = |file| std::fs::metadata(file).ok().filter(|m| m.is_file()).map(|m| m.len());
        let total: Option<u64> = files.iter().map(len).sum();
        let template = match total {
            Some(_) => "{bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {msg} {eta} left",
            None => "{spinner} {bytes} {binary_bytes_per_sec} {msg}",
        };
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn advanced(&self, bytes_read: u64, key_count: u64) -> Result<(), Cancelled> {
        if !self.0.is_hidden() {
            self.0.set_message(format!("{key_count} keys"));
            // Where prefixes need a second pass, there is twice as much to read.
            if let Some(total) = self.0.length().filter(|total| bytes_read > *total) {
                self.0.set_length(2 * total.max(1));
            }
            self.0.set_position(bytes_read);
        }
        Ok(())
    }
}
