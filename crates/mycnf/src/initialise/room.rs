//! Whether there is any room for a database. Refuses only what no server could do with.

use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, statvfs};
use thiserror::Error;

use crate::size::shown_size;

/// Less than any server's database takes by default (MySQL 5.6's and MariaDB's 110M), and more than a
/// seed does before its holes are filled (14M).
const LEAST: u64 = 32 << 20;

/// More than any server takes for a fresh database and its first start: with less, the disk may be full
/// just when the accounts are made.
const PLENTY: u64 = 512 << 20;

/// Whether the disk below `dir` may be full before a first start is complete.
#[must_use]
pub fn is_scarce(dir: &Path) -> bool {
    let free = statvfs(dir).ok().as_ref().and_then(free);
    free.is_some_and(|free| free < PLENTY)
}

/// Looks before a server does: one that finds the disk full while it makes its first files may wait
/// for room, for ever and without a word (MariaDB's Aria).
pub(super) fn check(dir: &Path) -> Result<(), RoomError> {
    let path = dir.to_owned();
    match statvfs(dir).ok().as_ref().and_then(free) {
        Some(free) if free < LEAST => Err(RoomError { path, free }),
        // What cannot be looked at is told when something is to be made in it.
        Some(_) | None => Ok(()),
    }
}

/// For us. `None` on a filesystem that does not count its blocks.
fn free(found: &StatVfs) -> Option<u64> {
    (found.f_blocks > 0).then(|| found.f_bavail.saturating_mul(found.f_frsize))
}

/// There is no room for a database.
#[derive(Debug, Error)]
#[error("{path} has {free} of room, and a fresh database needs at least {least}", path = path.display(), free = shown_size(*free), least = shown_size(LEAST))]
pub struct RoomError {
    /// The directory.
    pub path: PathBuf,
    /// Bytes.
    pub free: u64,
}
