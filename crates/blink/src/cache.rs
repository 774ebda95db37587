//! What is kept from run to run: releases, unpacked; seeds; tarballs that were fetched. Shared by all runs
//! of a user, used read-only; made by one at a time, complete or not there at all.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hook::Environment;
use mycnf::Layout;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::geteuid;
use thiserror::Error;

use crate::place::Places;

/// What is unfinished and ours.
pub(crate) const MAKING: &str = ".making-";

/// Held by whoever adds to the cache.
const MAKER: &str = "making.lock";

/// Held by all that use the cache; by whoever removes from it, alone.
const USERS: &str = "using.lock";

/// The cache of a user.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
    /// Held as long as we use it.
    using: File,
}

impl Cache {
    /// `chosen`, else `$XDG_CACHE_HOME/blink`, else `~/.cache/blink`; where that cannot be, a directory of
    /// ours alone below `TMPDIR`.
    pub(crate) fn open(
        environment: &Environment,
        chosen: Option<&Path>,
        places: &Places,
    ) -> Result<Self, CacheError> {
        if let Some(chosen) = chosen {
            return Self::at(std::path::absolute(chosen).unwrap_or_else(|_| chosen.to_owned()));
        }
        let absolute = |name| {
            let path = environment.get(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let usual = absolute("XDG_CACHE_HOME")
            .or_else(|| Some(absolute("HOME")?.join(".cache")))
            .map(|path| path.join("blink"));
        match usual.map(Self::at) {
            // Not what another user filled, whose HOME we have: programs are run from there.
            Some(Ok(cache)) if cache.is_ours() => Ok(cache),
            // A home directory that is read-only, or not there.
            Some(Ok(_) | Err(_)) | None => Self::at(places.disk().join("cache")),
        }
    }

    /// Whether nobody else may put anything there.
    fn is_ours(&self) -> bool {
        fs::metadata(&self.root)
            .is_ok_and(|found| found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0)
    }

    fn at(root: PathBuf) -> Result<Self, CacheError> {
        let error = |source| CacheError::Open {
            path: root.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .map_err(error)?;
        let using = lock_file(&root.join(USERS)).map_err(error)?;
        using.lock_shared().map_err(error)?;
        Ok(Self { root, using })
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Releases are where builder has them.
    pub(crate) fn layout(&self) -> Layout {
        Layout::new(&self.root)
    }

    /// The subdirectory `name`, made if it is not there.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, CacheError> {
        let path = self.root.join(name);
        match DirBuilder::new().recursive(true).mode(0o700).create(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(CacheError::Write { path, source }),
        }
    }

    /// Waits until nobody else adds to the cache. What is started meanwhile holds the lock too, and does so
    /// beyond our end: an initialiser that goes on. Removes what was left unfinished.
    pub(crate) fn make(&self) -> Result<Maker, CacheError> {
        let path = self.root.join(MAKER);
        let error = |source| CacheError::Open {
            path: path.clone(),
            source,
        };
        let file = lock_file(&path).map_err(error)?;
        file.lock().map_err(error)?;
        fcntl_setfd(&file, FdFlags::empty()).map_err(|errno| error(errno.into()))?;
        for name in ["seeds", "saved"] {
            remove_unfinished(&self.root.join(name)).map_err(error)?;
        }
        Ok(Maker { _lock: file })
    }

    /// Alone: nobody else uses the cache.
    pub(crate) fn alone(&self) -> Result<(), CacheError> {
        let path = self.root.clone();
        // A lock of ours becomes the other kind.
        match self.using.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(CacheError::Used { path }),
            Err(TryLockError::Error(source)) => Err(CacheError::Open { path, source }),
        }
    }
}

/// Whoever adds to the cache.
#[derive(Debug)]
pub(crate) struct Maker {
    _lock: File,
}

/// Gives the finished directory `made` its name `path`, instead of what had it.
pub(crate) fn put_in_place(made: &Path, path: &Path) -> Result<(), CacheError> {
    let put = || -> io::Result<()> {
        let mut old = None;
        if path.exists() {
            let parent = path.parent().unwrap_or(path);
            let going = tempfile::Builder::new().prefix(MAKING).tempdir_in(parent)?;
            durable::rename_unsynced(path, going.path().join("old"))?;
            old = Some(going);
        }
        durable::place_directory(made, path)?;
        drop(old);
        Ok(())
    };
    put().map_err(|source| CacheError::Write {
        path: path.to_owned(),
        source,
    })
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(MAKING) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// The cache cannot be used.
#[derive(Debug, Error)]
pub(crate) enum CacheError {
    /// It, or one of its locks.
    #[error("cannot open the cache {path}", path = path.display())]
    Open {
        /// The cache or the lock.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in it.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others use what was to be removed.
    #[error("others are using the cache {path}", path = path.display())]
    Used {
        /// The cache.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn places(dir: &Path) -> Places {
        let environment = Environment::from_iter([("TMPDIR", dir)]);
        Places::find(&environment, None).unwrap()
    }

    #[test]
    fn open_follows_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        let home = dir.path().join("home");
        let open = |pairs: &[(&str, &Path)]| {
            let environment: Environment = pairs.iter().copied().collect();
            Cache::open(&environment, None, &places).unwrap().root
        };
        assert_eq!(open(&[("HOME", &home)]), home.join(".cache/blink"));
        let cache = dir.path().join("c");
        let both = [("HOME", &*home), ("XDG_CACHE_HOME", &cache)];
        assert_eq!(open(&both), cache.join("blink"));
        let private = places.disk().join("cache");
        assert_eq!(open(&[]), private);
        let theirs = dir.path().join("theirs");
        fs::create_dir_all(theirs.join(".cache/blink")).unwrap();
        let open_to_all = fs::Permissions::from_mode(0o777);
        fs::set_permissions(theirs.join(".cache/blink"), open_to_all).unwrap();
        assert_eq!(open(&[("HOME", &theirs)]), private);
        // Not even root writes there.
        assert_eq!(open(&[("HOME", Path::new("/proc"))]), private);
    }

    #[test]
    fn alone_while_another_uses_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let one = Cache::at(dir.path().join("c")).unwrap();
        one.alone().unwrap();
        let one = Cache::at(dir.path().join("c2")).unwrap();
        let _other = Cache::at(dir.path().join("c2")).unwrap();
        let text = format!("others are using the cache {}/c2", dir.path().display());
        assert_eq!(one.alone().unwrap_err().to_string(), text);
    }

    #[test]
    fn make_removes_what_was_left_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().to_owned()).unwrap();
        let seeds = cache.directory("seeds").unwrap();
        fs::create_dir_all(seeds.join(".making-x/data")).unwrap();
        fs::create_dir(seeds.join("kept")).unwrap();
        let _maker = cache.make().unwrap();
        assert_eq!(fs::read_dir(&seeds).unwrap().count(), 1);
    }

    #[test]
    fn put_in_place_replaces_what_has_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let (made, path) = (dir.path().join(".making-1"), dir.path().join("base"));
        for content in ["old", "new"] {
            fs::create_dir(&made).unwrap();
            fs::write(made.join("f"), content).unwrap();
            put_in_place(&made, &path).unwrap();
        }
        assert_eq!(fs::read_to_string(path.join("f")).unwrap(), "new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn at_a_file_has_its_exact_text() {
        let error = Cache::at("/dev/null/blink".into()).unwrap_err();
        assert_eq!(error.to_string(), "cannot open the cache /dev/null/blink");
    }
}
