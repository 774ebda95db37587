//! Whoever started us: when that process is gone, however it ended, so are we.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{PidfdFlags, getppid, pidfd_open};

/// The process that started us.
#[derive(Debug)]
pub(crate) struct Parent {
    // None: there is none to be seen from here, or the kernel is from before 5.3.
    process: Option<OwnedFd>,
    was_gone: bool,
}

impl Parent {
    /// Looks who it is. Whoever is gone by then was never seen: see `--until-eof`.
    pub(crate) fn find() -> Self {
        let parent = getppid();
        let process = parent.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Self {
            process,
            // Its number may be another's by now.
            was_gone: getppid() != parent,
        }
    }

    /// Whether it was gone before it could be watched.
    pub(crate) fn was_gone(&self) -> bool {
        self.was_gone
    }

    /// Becomes readable when it ends.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(AsFd::as_fd)
    }
}
