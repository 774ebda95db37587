//! Standard output as the place where the result goes: nothing else is written to it then.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::output::{OutputError, Target, same_file};
use crate::progress::StopSignal;

/// As much goes into a pipe at once that is said to have room (`PIPE_BUF`).
const PIECE: usize = 4096;

/// Standard output. Waiting for whoever reads it ends with a signal.
pub(crate) struct StandardOutput {
    file: File,
    stop: StopSignal,
    /// Reading may be slow, or stop.
    may_wait: bool,
    pub(crate) written: u64,
}

impl StandardOutput {
    /// `input` must not be the file that it leads to.
    pub(crate) fn new(input: &Metadata, stop: StopSignal) -> Result<Self, OutputError> {
        let path = || Target::StandardOutput.path().to_path_buf();
        let file = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        let opened = file.and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|source| {
            let path = path();
            OutputError::Create { path, source }
        })?;
        if metadata.is_file() && same_file(&metadata, input) {
            return Err(OutputError::IsInput { path: path() });
        }
        Ok(Self {
            file,
            stop,
            may_wait: !metadata.is_file(),
            written: 0,
        })
    }

    fn wait(&self) -> io::Result<()> {
        let timeout = Timespec::try_from(Duration::from_millis(100)).ok();
        loop {
            if self.stop.received().is_some() {
                return Err(io::Error::other("stopped by a signal"));
            }
            let mut polled = [PollFd::new(&self.file, PollFlags::OUT)];
            match poll(&mut polled, timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Write for &mut StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut piece = bytes;
        if self.may_wait {
            self.wait()?;
            piece = &bytes[..bytes.len().min(PIECE)];
        }
        let written = self.file.write(piece)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
