//! File operations whose errors name the path: durable replacement, copies that keep modes and
//! times, removal. Follows no symbolic link.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use thiserror::Error;
use walkdir::WalkDir;

use crate::account::Account;

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

/// Replaces the content of `path` so that a reader, or a crash, sees the old or the new one whole.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let directory = parent(path);
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(directory)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(failed("write", path))
}

/// Makes `path` durable after an entry in it was added, renamed or removed.
pub(crate) fn sync_directory(path: &Path) -> Result<(), FileError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("sync", path))
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
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .and_then(|()| account.own(path))
        .map_err(failed("create", path))
}

/// `None` where nothing is; a link is itself, not what it points to.
pub(crate) fn look(path: &Path) -> Result<Option<Metadata>, FileError> {
    match path.symlink_metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("look at", path)(source)),
    }
}

/// Removes whatever is at `path`, if anything.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    match look(path)? {
        None => Ok(()),
        Some(metadata) if metadata.is_dir() => remove_tree(path),
        Some(_) => fs::remove_file(path).map_err(failed("remove", path)),
    }
}

fn remove_tree(path: &Path) -> Result<(), FileError> {
    let Err(first) = fs::remove_dir_all(path) else {
        return Ok(());
    };
    if first.kind() != io::ErrorKind::PermissionDenied {
        return Err(failed("remove", path)(first));
    }
    // A directory without write permission keeps its entries from an ordinary user.
    for entry in WalkDir::new(path) {
        let Ok(entry) = entry else { continue };
        if entry.file_type().is_dir() {
            let _ = fs::set_permissions(entry.path(), Permissions::from_mode(0o700));
        }
    }
    fs::remove_dir_all(path).map_err(failed("remove", path))
}

/// Copies the regular file `from` to `to`, which appears whole or not at all.
pub(crate) fn copy_file(
    from: &Path,
    metadata: &Metadata,
    to: &Path,
    account: Option<&Account>,
) -> Result<(), FileError> {
    let mut source = File::open(from).map_err(failed("read", from))?;
    let mut copy = || -> io::Result<()> {
        let mut target = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(parent(to))?;
        io::copy(&mut source, target.as_file_mut())?;
        if let Some(account) = account {
            account.own(target.path())?;
        }
        let file = target.as_file();
        file.set_permissions(Permissions::from_mode(metadata.mode() & 0o7777))?;
        file.set_modified(metadata.modified()?)?;
        target.persist(to)?;
        Ok(())
    };
    copy().map_err(failed("write", to))
}

/// Copies the tree `from` to the new directory `to`, for `account`.
pub(crate) fn copy_tree(from: &Path, to: &Path, account: &Account) -> Result<(), FileError> {
    create_private(to, account)?;
    let mut directories = Vec::new();
    for entry in WalkDir::new(from).min_depth(1) {
        let entry = entry.map_err(|error| walk_error(from, error))?;
        let source = entry.path();
        let target = to.join(source.strip_prefix(from).unwrap_or(source));
        let metadata = entry.metadata().map_err(|error| walk_error(from, error))?;
        if metadata.is_dir() {
            create_private(&target, account)?;
            directories.push((target, metadata));
        } else {
            copy_entry(source, &metadata, &target, Some(account))?;
        }
    }
    // Last, deepest first: a read-only directory could not be filled.
    for (path, metadata) in directories.iter().rev() {
        let mode = Permissions::from_mode(metadata.mode() & 0o7777);
        fs::set_permissions(path, mode).map_err(failed("copy", path))?;
    }
    Ok(())
}

/// Makes the new directory `to` a copy of the tree `from`, of our own, that shares its files.
/// Appears whole or not at all.
pub(crate) fn link_tree(from: &Path, to: &Path) -> Result<(), FileError> {
    let directory = parent(to);
    let new = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(directory)
        .map_err(failed("write in", directory))?;
    for entry in WalkDir::new(from).min_depth(1) {
        let entry = entry.map_err(|error| walk_error(from, error))?;
        let source = entry.path();
        let target = new.path().join(source.strip_prefix(from).unwrap_or(source));
        let metadata = entry.metadata().map_err(|error| walk_error(from, error))?;
        if metadata.is_dir() {
            let mode = Permissions::from_mode(metadata.mode() & 0o7777);
            fs::create_dir(&target)
                .and_then(|()| fs::set_permissions(&target, mode))
                .map_err(failed("copy", source))?;
        } else if fs::hard_link(source, &target).is_err() {
            // Not on every file system.
            copy_entry(source, &metadata, &target, None)?;
        }
    }
    fs::rename(new.path(), to).map_err(failed("write", to))?;
    // It is not there any more.
    let _ = new.keep();
    Ok(())
}

/// Copies one link or regular file.
fn copy_entry(
    from: &Path,
    metadata: &Metadata,
    to: &Path,
    account: Option<&Account>,
) -> Result<(), FileError> {
    if !metadata.is_symlink() {
        return copy_file(from, metadata, to, account);
    }
    let point = || {
        symlink(fs::read_link(from)?, to)?;
        account.map_or(Ok(()), |account| account.own(to))
    };
    point().map_err(failed("copy", from))
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
    path.parent().unwrap_or(Path::new("/"))
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
        let to = directory.path().join("to");
        copy_tree(&from, &to, &Account::current()).unwrap();
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
