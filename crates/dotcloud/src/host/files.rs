//! File operations whose errors name the path: durable replacement, copies that keep modes and
//! times, removal. Follows no symbolic link.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use thiserror::Error;
use walkdir::WalkDir;

use crate::host::account::Account;
use crate::host::beneath::{self, Directory, Found, Walk};

/// A file operation failed.
#[derive(Debug, Error)]
#[error("cannot {action} {path}")]
pub(crate) struct FileError {
    pub(crate) action: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

/// For `map_err`: what was attempted on which path.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError {
        action,
        path,
        source,
    }
}

/// So many random bytes, in hexadecimal.
pub(crate) fn random<const BYTES: usize>() -> Result<String, FileError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; BYTES];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(failed("read", path))?;
    Ok(hook::hexadecimal(&bytes))
}

/// Replaces the content of `path` so that a reader, or a crash, sees the old or the new one whole.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    durable::replace(path, content, mode).map_err(failed("write", path))
}

/// Makes `path` durable after an entry in it was added, renamed or removed.
pub(crate) fn sync_directory(path: &Path) -> Result<(), FileError> {
    durable::sync_directory(path).map_err(failed("sync", path))
}

/// The directory `path` and its missing parents, with `mode`.
pub(crate) fn create_directory(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(failed("create", path))
}

/// A new directory that belongs to `account` alone.
pub(crate) fn create_private(path: &Path, account: &Account) -> Result<(), FileError> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    Directory::open(parent(path))
        .and_then(|parent| parent.make(name, account))
        .map_err(failed("create", path))
}

/// `None` where nothing is; a link is itself, not what it points to.
pub(crate) fn look(path: &Path) -> Result<Option<Metadata>, FileError> {
    durable::metadata_if_there(path).map_err(failed("look at", path))
}

/// Whether the two lead to one file or directory.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|found| (found.dev(), found.ino())).ok();
    identity(one).is_some() && identity(one) == identity(other)
}

/// Removes whatever is at `path`, if anything, however deep.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    match Directory::open(parent(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        parent => parent
            .and_then(|parent| parent.remove(name))
            .map_err(failed("remove", path)),
    }
}

/// Copies the regular file `from` to `to`, which appears whole or not at all.
pub(crate) fn copy_file(from: &Path, metadata: &Metadata, to: &Path) -> Result<(), FileError> {
    let source = File::open(from).map_err(failed("read", from))?;
    let copy = || -> io::Result<()> {
        let mut target = durable::Pending::begin(to, 0o600, ".new-")?;
        beneath::copy_content(&source, target.file(), &AtomicBool::new(false))?;
        finish(target.file(), metadata)?;
        target.place_unsynced()
    };
    copy().map_err(failed("write", to))
}

/// Where a copy of a tree goes to.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Of a container; ours.
    pub(crate) root: &'a Path,
    /// The new directory, which takes the place of whatever is there.
    pub(crate) below: &'a Path,
    pub(crate) account: &'a Account,
}

/// Copies the tree `from`, of ours, to `to`, until `stop` is set.
pub(crate) fn copy_tree(from: &Path, to: Target<'_>, stop: &AtomicBool) -> Result<(), FileError> {
    let whole = to.root.join(to.below);
    let source = Directory::open(from).map_err(failed("read", from))?;
    let account = to.account;
    let begin = || -> io::Result<Directory> {
        let root = Directory::open(to.root)?;
        root.remove(to.below)?;
        root.make(to.below, account)?;
        root.directory(to.below)
    };
    let target = begin().map_err(failed("create", &whole))?;
    let mut directories = Vec::new();
    for entry in Walk::new(&source, from)? {
        let Found { path, metadata } = entry?;
        let copy = || -> io::Result<()> {
            beneath::check(stop)?;
            if metadata.is_dir() {
                return target.make(&path, account);
            }
            if metadata.is_symlink() {
                let leads = Directory::target(&source.look(&path)?)?;
                return target.link(leads, &path, account);
            }
            let (old, new) = (source.read(&path)?, target.create(&path)?);
            beneath::copy_content(&old, &new, stop)?;
            beneath::own(&new, account)?;
            finish(&new, &metadata)
        };
        copy().map_err(failed("copy", &from.join(&path)))?;
        if metadata.is_dir() {
            directories.push((path, metadata));
        }
    }
    // Last, deepest first: a read-only directory could not be filled.
    for (path, metadata) in directories.iter().rev() {
        target
            .directory(path)
            .and_then(|directory| finish(&directory.into_file(), metadata))
            .map_err(failed("copy", &from.join(path)))?;
    }
    Ok(())
}

/// Gives `new` the mode and the time that `metadata` tells.
fn finish(new: &File, metadata: &Metadata) -> io::Result<()> {
    // Nobody becomes somebody else by what was pushed.
    new.set_permissions(Permissions::from_mode(metadata.mode() & 0o777))?;
    new.set_modified(metadata.modified()?)
}

/// The same for a directory of ours that nothing is added to any more.
pub(crate) fn finish_directory(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    File::open(path)
        .and_then(|directory| finish(&directory, metadata))
        .map_err(failed("copy", path))
}

/// Makes the new directory `to` a copy of the tree `from`, of our own, that shares its files.
/// Appears whole or not at all.
pub(crate) fn link_tree(from: &Path, to: &Path) -> Result<(), FileError> {
    let directory = parent(to);
    let new = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(directory)
        .map_err(failed("write in", directory))?;
    let mut directories = Vec::new();
    for entry in WalkDir::new(from).min_depth(1) {
        let entry = entry.map_err(|error| walk_error(from, error))?;
        let source = entry.path();
        let target = new.path().join(source.strip_prefix(from).unwrap_or(source));
        let metadata = entry.metadata().map_err(|error| walk_error(from, error))?;
        if metadata.is_dir() {
            fs::create_dir(&target).map_err(failed("copy", source))?;
            directories.push((target, metadata));
        } else if fs::hard_link(source, &target).is_err() {
            // Not on every file system.
            copy_entry(source, &metadata, &target)?;
        }
    }
    for (path, metadata) in directories.iter().rev() {
        finish_directory(path, metadata)?;
    }
    durable::rename_unsynced(new.path(), to).map_err(failed("write", to))?;
    // It is not there any more.
    let _ = new.keep();
    Ok(())
}

/// Copies one link or regular file.
fn copy_entry(from: &Path, metadata: &Metadata, to: &Path) -> Result<(), FileError> {
    if !metadata.is_symlink() {
        return copy_file(from, metadata, to);
    }
    fs::read_link(from)
        .and_then(|target| symlink(target, to))
        .map_err(failed("copy", from))
}

/// The path and cause of a failed walk below `root`.
pub(crate) fn walk_error(root: &Path, error: walkdir::Error) -> FileError {
    let path = error.path().unwrap_or(root).to_owned();
    let source = error
        .into_io_error()
        .unwrap_or_else(|| io::Error::other("the directory contains itself"));
    failed("read", &path)(source)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        None => Path::new("/"),
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_error_text_has_action_and_path() {
        let error = failed("write", Path::new("/x/state.json"))(io::Error::other("full"));
        assert_eq!(error.to_string(), "cannot write /x/state.json");
    }

    #[test]
    fn replace_existing_file_leaves_no_other_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn copy_tree_modes_times_and_links_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("from");
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::write(from.join("sub/run"), "x").unwrap();
        fs::set_permissions(from.join("sub/run"), Permissions::from_mode(0o751)).unwrap();
        fs::set_permissions(from.join("sub"), Permissions::from_mode(0o555)).unwrap();
        symlink("sub/run", from.join("link")).unwrap();
        File::open(from.join("sub"))
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        let holes = File::create(from.join("holes")).unwrap();
        holes.set_len(3 << 30).unwrap();
        let to = directory.path().join("to");
        // Whoever made it before.
        symlink("/etc", &to).unwrap();
        let target = Target {
            root: directory.path(),
            below: Path::new("to"),
            account: &Account::current(),
        };
        copy_tree(&from, target, &AtomicBool::new(false)).unwrap();
        let holes = to.join("holes").metadata().unwrap();
        assert_eq!((holes.len(), holes.blocks()), (3 << 30, 0));
        let time = to.join("sub").metadata().unwrap().modified().unwrap();
        assert_eq!(time, std::time::UNIX_EPOCH);
        let stopped = copy_tree(&from, target, &AtomicBool::new(true)).unwrap_err();
        assert_eq!(stopped.source.raw_os_error(), Some(125));
        copy_tree(&from, target, &AtomicBool::new(false)).unwrap();
        let copied = to.join("sub/run").metadata().unwrap();
        assert_eq!(copied.mode() & 0o7777, 0o751);
        let original = from.join("sub/run").metadata().unwrap();
        assert_eq!(copied.modified().unwrap(), original.modified().unwrap());
        assert_eq!(to.join("sub").metadata().unwrap().mode() & 0o777, 0o555);
        assert_eq!(
            fs::read_link(to.join("link")).unwrap(),
            Path::new("sub/run")
        );
        remove(&from).unwrap();
        remove(&to).unwrap();
        assert!(look(&to).unwrap().is_none());
    }
}
