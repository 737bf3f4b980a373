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
        let lens = files.iter().map(|file| std::fs::metadata(file).map_or(0, |m| m.len()));
        let bar = ProgressBar::with_draw_target(Some(lens.sum()), target);
        let template = "{bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {msg} {eta} left";
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
            self.0.set_position(bytes_read);
        }
        Ok(())
    }
}
