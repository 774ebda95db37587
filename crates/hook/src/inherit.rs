//! A text for the program we become: it never touches the disk, and is gone once it is read.

use std::io::{self, PipeReader, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::pipe::fcntl_setpipe_size;

/// A pipe that holds a text, inherited by every program started from now on, and across `exec`.
#[derive(Debug)]
pub struct Inherited(PipeReader);

impl Inherited {
    /// Puts `text` into a new pipe. Fails if it is longer than the system lets a pipe hold.
    pub fn new(text: &[u8]) -> io::Result<Self> {
        let (reader, mut writer) = io::pipe()?;
        // Nobody reads yet: a full pipe must fail, not block.
        ioctl_fionbio(&writer, true)?;
        // Where it cannot be made larger, its usual size may do.
        let _ = fcntl_setpipe_size(&writer, text.len().max(4096));
        writer.write_all(text)?;
        fcntl_setfd(&reader, FdFlags::empty())?;
        Ok(Self(reader))
    }

    /// The file's name for the program that inherits it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn inherited_text_is_read_by_its_path_and_then_gone() {
        let text = "it's\n".repeat(40_000);
        let inherited = Inherited::new(text.as_bytes()).unwrap();
        let read = || {
            let output = Command::new("/bin/cat").arg(inherited.path()).output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        assert_eq!(read(), text);
        assert_eq!(read(), "");
    }

    #[test]
    fn inherited_text_longer_than_a_pipe_fails() {
        let error = Inherited::new(&vec![b'x'; 256 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
