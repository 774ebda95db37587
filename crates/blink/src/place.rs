//! Where the directories of servers are: in memory where there is room, else on the disk; always below a
//! directory that is ours alone.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use hook::{Environment, MemoryLimit};
use rustix::fs::statvfs;
use rustix::process::geteuid;
use thiserror::Error;

use crate::home::{self, Home, HomeError};

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";

/// The room that a server's directory is to have: a fresh one takes a tenth, and tests fill it.
const ROOM: u64 = 512 << 20;

/// Directories of ours, for what is in memory, on the disk, and has to have a short path.
#[derive(Debug)]
pub(crate) struct Places {
    memory: Option<PathBuf>,
    disk: PathBuf,
    short: PathBuf,
}

impl Places {
    /// Finds or makes them. `directory`: where to have everything, instead.
    pub(crate) fn find(
        environment: &Environment,
        directory: Option<&Path>,
    ) -> Result<Self, PlaceError> {
        let temporary = environment.get("TMPDIR").map(PathBuf::from);
        let temporary = temporary.filter(|path| path.is_absolute());
        let disk = match directory.map(Path::to_owned).or(temporary) {
            Some(path) => private(&std::path::absolute(&path).unwrap_or(path))?,
            None => private(Path::new("/tmp"))?,
        };
        let memory = private(Path::new(MEMORY)).ok();
        let short = memory.clone().or_else(|| private(Path::new("/tmp")).ok());
        Ok(Self {
            short: short.unwrap_or_else(|| disk.clone()),
            memory: memory.filter(|_| directory.is_none()),
            disk,
        })
    }

    /// A directory for one of `servers` servers, which need not outlive the machine unless they are
    /// `durable`.
    pub(crate) fn home(&self, servers: usize, durable: bool) -> Result<Home, HomeError> {
        let wanted = ROOM.saturating_mul(servers as u64);
        let memory = self.memory.as_deref();
        let memory = memory.filter(|path| !durable && has_room(path, wanted));
        Home::new(memory.unwrap_or(&self.disk), &self.short)
    }

    /// On the disk, for what is to be kept for other runs where there is no home directory.
    pub(crate) fn disk(&self) -> &Path {
        &self.disk
    }

    /// Removes what the dead left, and waits for the dying if `patient`.
    pub(crate) fn sweep(&self, patient: bool) {
        for base in self.bases() {
            home::sweep(base, patient);
        }
    }

    /// All of them, each once.
    pub(crate) fn bases(&self) -> Vec<&Path> {
        let all = [Some(&self.disk), self.memory.as_ref(), Some(&self.short)];
        let mut bases: Vec<&Path> = all.into_iter().flatten().map(PathBuf::as_path).collect();
        bases.sort_unstable();
        bases.dedup();
        bases
    }
}

/// Whether `path` has room for `wanted` bytes that are in memory, which the cgroup may limit.
fn has_room(path: &Path, wanted: u64) -> bool {
    let free = statvfs(path).map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize));
    let memory = MemoryLimit::find(Path::new("/")).map_or(0, |limit| limit.bytes);
    free >= wanted && memory >= wanted.saturating_mul(2)
}

/// The directory in `base` that is ours alone, made if it is not there.
fn private(base: &Path) -> Result<PathBuf, PlaceError> {
    let user = geteuid().as_raw();
    let path = base.join(format!("blink-{user}"));
    let make = |source| PlaceError::Make {
        path: path.clone(),
        source,
    };
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(make(error)),
        Ok(()) | Err(_) => {}
    }
    let found = fs::symlink_metadata(&path).map_err(make)?;
    if found.is_dir() && found.uid() == user && found.mode().trailing_zeros() >= 6 {
        Ok(path)
    } else {
        Err(PlaceError::Foreign { path })
    }
}

/// There is no directory for what belongs to nobody else.
#[derive(Debug, Error)]
pub(crate) enum PlaceError {
    /// It cannot be made.
    #[error("cannot make {path}", path = path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else made it, or may look into it.
    #[error("{path} is not a directory of ours alone", path = path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn private_is_ours_alone_or_refused() {
        let base = tempfile::tempdir().unwrap();
        let path = private(base.path()).unwrap();
        assert_eq!(private(base.path()).unwrap(), path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let error = private(base.path()).unwrap_err();
        let text = format!("{} is not a directory of ours alone", path.display());
        assert_eq!(error.to_string(), text);
        fs::remove_dir(&path).unwrap();
        symlink("/tmp", &path).unwrap();
        assert_eq!(private(base.path()).unwrap_err().to_string(), text);
        let error = private(Path::new("/nowhere")).unwrap_err().to_string();
        let user = geteuid().as_raw();
        assert_eq!(error, format!("cannot make /nowhere/blink-{user}"));
    }

    #[test]
    fn find_a_directory_of_the_callers_has_everything() {
        let base = tempfile::tempdir().unwrap();
        let environment = Environment::from_iter([("TMPDIR", "/nowhere")]);
        let places = Places::find(&environment, Some(base.path())).unwrap();
        let home = places.home(1, false).unwrap();
        assert!(home.path().starts_with(base.path()));
    }
}
