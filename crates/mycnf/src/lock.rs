//! The data directory's lock: whoever may write the data directory holds it, first a hook, then,
//! through the inherited descriptor, the server or initialiser it starts.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use thiserror::Error;

/// How often a held lock is tried again.
const POLL: Duration = Duration::from_millis(20);

/// The held lock. Dropping it gives it up, unless a child inherited it.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes the lock at `path`, or says who still has it after `patience`. The descriptor is
    /// inherited by every program started from now on, and across `exec`: an orphaned server still
    /// holds it.
    pub fn acquire(path: &Path, patience: Duration) -> Result<Self, LockError> {
        let error = |source| LockError::Open {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(error)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(error(source)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(POLL),
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    file.read_to_string(&mut holder).map_err(error)?;
                    return Err(LockError::Held {
                        path: path.to_owned(),
                        holder: holder.trim().to_owned(),
                    });
                }
            }
        }
        // An exec keeps the process id, so this stays true when the hook becomes the server. Always of
        // the same length: to truncate a file waits for the filesystem's journal on a busy disk.
        let holder = format!("{:<11}\n", std::process::id());
        file.write_all_at(holder.as_bytes(), 0).map_err(error)?;
        fcntl_setfd(&file, FdFlags::empty()).map_err(|errno| error(io::Error::from(errno)))?;
        Ok(Self { _file: file })
    }
}

/// The data directory cannot be had for ourselves.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error("process {holder} is using the data directory (it holds {path})", path = path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process id of the holder, or of the hook that started it.
        holder: String,
    },
    /// The lock file itself is the problem.
    #[error("cannot lock {path}", path = path.display())]
    Open {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
