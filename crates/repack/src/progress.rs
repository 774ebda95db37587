//! The input as it is read: a bar on a terminal, and the place where a signal stops the work.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The signal that asked us to stop, if one came.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopSignal(Arc<AtomicUsize>);

impl StopSignal {
    /// From now on TERM and INT are noted instead of ending the process, so that the
    /// temporary file can be removed first. HUP is left alone: `nohup` may have made it ignored.
    pub(crate) fn catch() -> io::Result<Self> {
        let this = Self::default();
        for signal in [SIGTERM, SIGINT] {
            let number = usize::try_from(signal).unwrap_or_default();
            flag::register_usize(signal, Arc::clone(&this.0), number)?;
        }
        Ok(this)
    }

    pub(crate) fn received(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
    }
}

/// Draws on stderr, and only if that is a terminal.
pub(crate) fn bar(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{bar:32} {percent:>3} %  {decimal_bytes} of {decimal_total_bytes}  {eta} left",
        ),
        None => (
            ProgressBar::no_length(),
            "{spinner} {decimal_bytes}  {elapsed}",
        ),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A file that shows how much of it was read, and fails to read once a signal came.
pub(crate) struct Watched {
    file: File,
    bar: ProgressBar,
    stop: StopSignal,
}

impl Watched {
    pub(crate) fn new(file: File, length: u64, stop: StopSignal) -> Self {
        let bar = bar(Some(length));
        Self { file, bar, stop }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.received().is_some() {
            return Err(io::Error::other("stopped by a signal"));
        }
        let read = self.file.read(buffer)?;
        self.bar.inc(read as u64);
        Ok(read)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
