//! Locks: one holder at a time, released with the holder's process at the latest.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};
use thiserror::Error;

/// Held as long as it lives. Children do not inherit it.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock on `path`; `busy` is called first if that may take time.
    pub(crate) fn take(path: &Path, busy: impl FnOnce()) -> Result<Self, LockError> {
        let file = File::options()
            .create(true)
            .append(true)
            // Whoever can open it can hold it.
            .mode(0o600)
            .open(path)
            .map_err(failed(path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                busy();
                retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
                    .map_err(|errno| failed(path)(errno.into()))?;
            }
            Err(errno) => return Err(failed(path)(errno.into())),
        }
        Ok(Self { _file: file })
    }

    /// Whether somebody holds the lock on `path`.
    pub(crate) fn is_taken(path: &Path) -> Result<bool, LockError> {
        let file = File::open(path).map_err(failed(path))?;
        // Shared, so that two who ask do not see each other.
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(errno) => Err(failed(path)(errno.into())),
        }
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> LockError + use<> {
    let path = path.to_owned();
    move |source| LockError { path, source }
}

/// A lock that cannot be taken.
#[derive(Debug, Error)]
#[error("cannot lock {path}")]
pub(crate) struct LockError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}
