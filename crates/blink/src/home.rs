//! A directory for as long as one of ours needs it: locked by who made it and by the server in it, known as
//! ours by where it is, whose it is and what it is called. What nobody holds any more is of the dead, and
//! goes at the next run.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, test_kill_process};
use thiserror::Error;

/// What directories of runs are called.
const PREFIX: &str = "run-";

/// In each of them: locked by the living.
const LOCK: &str = "lock";

/// Beside a long one: the link by which it is called.
const LINK: &str = "d";

/// A Unix socket's path has at most 107 bytes; below a home the longest is `mysql/run/init.sock`.
const LONGEST: usize = 107 - "/mysql/run/init.sock".len();

/// How often one that is being removed or dies is looked at again.
const POLL: Duration = Duration::from_millis(5);

/// How long a killed server may take to give its memory back.
const DEATH: Duration = Duration::from_secs(20);

/// A locked directory. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    held: Vec<Held>,
}

impl Home {
    /// A new one in `base`; where its path is too long for a socket, it is called by a link in
    /// `short`.
    pub(crate) fn new(base: &Path, short: &Path) -> Result<Self, HomeError> {
        let error = |path: &Path| {
            let path = path.to_owned();
            move |source| HomeError { path, source }
        };
        let held = Held::new(base).map_err(error(base))?;
        if held.path.as_os_str().len() <= LONGEST {
            let path = held.path.clone();
            return Ok(Self {
                path,
                held: vec![held],
            });
        }
        let beside = Held::new(short).map_err(error(short))?;
        let path = beside.path.join(LINK);
        symlink(&held.path, &path).map_err(error(&path))?;
        Ok(Self {
            path,
            held: vec![held, beside],
        })
    }

    /// What to call it: short enough for a socket in it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Does `start` while the programs that it starts get the lock as well: what is left of them when we
    /// are killed still holds it.
    pub(crate) fn lend<T>(&self, start: impl FnOnce() -> T) -> T {
        for held in &self.held {
            // Without it the next run may find the directory a moment too early.
            let _ = fcntl_setfd(&held.lock, FdFlags::empty());
        }
        let result = start();
        for held in &self.held {
            let _ = fcntl_setfd(&held.lock, FdFlags::CLOEXEC);
        }
        result
    }
}

/// A directory and its lock.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    lock: File,
}

impl Held {
    fn new(base: &Path) -> io::Result<Self> {
        loop {
            let path = base.join(format!("{PREFIX}{}", random()?));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // Until it is locked, another run may take it for one of the dead: then a new one.
            if let Some(lock) = lock(&path)? {
                let mut file = &lock;
                file.write_all(std::process::id().to_string().as_bytes())?;
                return Ok(Self { path, lock });
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What cannot be removed now the next run finds.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn random() -> io::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte % 32)]);
    Ok(bytes.into_iter().map(letter).collect())
}

/// The lock of the directory `path`; `None` if somebody has it, or it is gone.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let name = path.join(LOCK);
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(&name);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    // Somebody may have removed it before we had it.
    let same = |found: fs::Metadata| file.metadata().is_ok_and(|own| own.ino() == found.ino());
    Ok(fs::symlink_metadata(&name).is_ok_and(same).then_some(file))
}

/// Removes what the dead left in `base`, a directory of ours alone. `patient`: waits for servers whose
/// run was killed and that are dying.
pub(crate) fn sweep(base: &Path, patient: bool) {
    for path in homes(base) {
        let deadline = Instant::now() + DEATH;
        loop {
            match lock(&path) {
                Ok(Some(_lock)) => {
                    let _ = fs::remove_dir_all(&path);
                    break;
                }
                Ok(None) if patient && is_orphaned(&path) && Instant::now() < deadline => {
                    sleep(POLL);
                }
                Ok(None) | Err(_) => break,
            }
        }
    }
}

/// The directories of runs in `base`, of the living and the dead.
pub(crate) fn homes(base: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
            named && entry.file_type().is_ok_and(|kind| kind.is_dir())
        })
        .map(|entry| entry.path())
        .collect()
}

/// Whether somebody holds the lock of the directory `path`, and whoever made it is no more.
fn is_orphaned(path: &Path) -> bool {
    let Ok(text) = fs::read_to_string(path.join(LOCK)) else {
        return false;
    };
    let maker = text.trim().parse().ok().and_then(Pid::from_raw);
    maker.is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

/// There is no directory for a server.
#[derive(Debug, Error)]
#[error("cannot make a directory for a server in {path}", path = path.display())]
pub(crate) struct HomeError {
    /// Where.
    path: PathBuf,
    /// Why.
    source: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_lives_as_long_as_it_is_held() {
        let base = tempfile::tempdir().unwrap();
        let home = Home::new(base.path(), base.path()).unwrap();
        sweep(base.path(), true);
        assert!(home.path().is_dir());
        drop(home);
        assert!(homes(base.path()).is_empty());
    }

    #[test]
    fn home_too_deep_for_a_socket_is_called_by_a_link() {
        let (base, short) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let deep = base.path().join("d".repeat(150));
        fs::create_dir(&deep).unwrap();
        let home = Home::new(&deep, short.path()).unwrap();
        assert!(home.path().starts_with(short.path()));
        let socket = home.path().join("mysql.sock");
        std::os::unix::net::UnixListener::bind(socket).unwrap();
        assert!(homes(&deep)[0].join("mysql.sock").exists());
        drop(home);
        assert!(homes(&deep).is_empty() && homes(short.path()).is_empty());
    }

    #[test]
    fn sweep_removes_what_nobody_holds_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let dead = base.path().join("run-dead");
        fs::create_dir_all(dead.join("data")).unwrap();
        let half = base.path().join("run-half");
        fs::create_dir(&half).unwrap();
        fs::write(half.join(LOCK), "1").unwrap();
        fs::create_dir(base.path().join("other")).unwrap();
        fs::write(base.path().join("run-file"), "").unwrap();
        sweep(base.path(), false);
        let mut left: Vec<_> = fs::read_dir(base.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["other", "run-file"]);
    }

    #[test]
    fn new_where_there_is_nothing_has_its_exact_text() {
        let error = Home::new(Path::new("/nowhere"), Path::new("/tmp")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot make a directory for a server in /nowhere"
        );
    }
}
