//! Mirroring the pushed directory into the code store, as the platform's rsync did: modes, times and
//! safe links kept, unchanged files left alone, what is gone removed. Leads nothing out of the tree.

mod committed;
mod compare;
mod ignore;
pub(crate) mod project;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;
use walkdir::WalkDir;

use crate::host::beneath;
use crate::host::files::{self, FileError};
pub(crate) use committed::{CommitError, Vcs, Wanted, export};
pub(crate) use compare::Compare;
use compare::{is_lfs_pointer, is_same};
pub(crate) use ignore::IgnoreError;
use ignore::Ignored;

/// What an upload did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Uploaded {
    /// Files whose content was copied, relative to the directory.
    pub(crate) copied: Vec<PathBuf>,
    /// Their size in bytes.
    pub(crate) bytes: u64,
    /// Entries that were in the store and are not in the directory any more.
    pub(crate) removed: Vec<PathBuf>,
    /// What git-lfs left in place of large files.
    pub(crate) pointers: Vec<PathBuf>,
    /// What was left out although nobody asked for it, with the reason.
    pub(crate) skipped: Vec<String>,
}

/// Makes `store` a mirror of `source`, but for what is always ignored and what its
/// `.dotcloudignore` lists.
pub(crate) fn mirror(
    source: &Path,
    store: &Path,
    compare: Compare,
) -> Result<Uploaded, UploadError> {
    let ignored = Ignored::read(source)?;
    check_outside(source, store, &ignored)?;
    copy(source, store, &ignored, compare).map_err(|error| match error {
        UploadError::File(FileError {
            path, source: why, ..
        }) if why.kind() == ErrorKind::PermissionDenied && path.starts_with(source) => {
            UploadError::Unreadable { path, source: why }
        }
        other => other,
    })
}

/// Makes `store` a mirror of `source`, whatever is in there.
pub(crate) fn mirror_all(source: &Path, store: &Path) -> Result<Uploaded, UploadError> {
    copy(source, store, &Ignored::default(), Compare::Content)
}

fn copy(
    source: &Path,
    store: &Path,
    ignored: &Ignored,
    compare: Compare,
) -> Result<Uploaded, UploadError> {
    files::create_directory(store, 0o700)?;
    let mut done = Uploaded::default();
    let mut kept = BTreeSet::new();
    let mut directories = Vec::new();
    let entries = WalkDir::new(source).min_depth(1).into_iter();
    let wanted = entries.filter_entry(|entry| {
        let path = entry.path().strip_prefix(source).unwrap_or(entry.path());
        !ignored.covers(path, entry.file_type().is_dir())
    });
    for entry in wanted {
        let entry = entry.map_err(|error| files::walk_error(source, error))?;
        let path = entry.path().strip_prefix(source).unwrap_or(entry.path());
        let metadata = entry
            .metadata()
            .map_err(|error| files::walk_error(source, error))?;
        let target = store.join(path);
        let kind = metadata.file_type();
        if kind.is_dir() {
            upload_directory(&target)?;
            directories.push((target, metadata));
        } else if kind.is_symlink() {
            let to = fs::read_link(entry.path()).map_err(files::failed("read", entry.path()))?;
            if !stays_inside(path, &to) {
                done.skipped.push(format!(
                    "{}: a link out of the tree, to {}",
                    path.display(),
                    to.display()
                ));
                continue;
            }
            upload_link(&target, &to)?;
        } else if kind.is_file() {
            if upload_file(entry.path(), &target, &metadata, compare)? {
                done.copied.push(path.to_owned());
                done.bytes += metadata.len();
            }
            if is_lfs_pointer(entry.path(), metadata.len()) {
                done.pointers.push(path.to_owned());
            }
        } else {
            done.skipped
                .push(format!("{}: not a regular file", path.display()));
            continue;
        }
        kept.insert(path.to_owned());
    }
    done.removed = remove_others(store, &kept)?;
    // Last, deepest first: a read-only directory could not be filled.
    for (path, metadata) in directories.iter().rev() {
        files::finish_directory(path, metadata)?;
    }
    Ok(done)
}

/// A mirror of itself would never end, and would carry every service's secrets.
fn check_outside(source: &Path, store: &Path, ignored: &Ignored) -> Result<(), UploadError> {
    let application = store.parent().unwrap_or(store);
    let resolved = |path: &Path| path.canonicalize().map_err(files::failed("read", path));
    let (application, source) = (resolved(application)?, resolved(source)?);
    let Ok(inside) = application.strip_prefix(&source) else {
        return Ok(());
    };
    if inside.ancestors().any(|path| ignored.covers(path, true)) {
        return Ok(());
    }
    Err(UploadError::StateInside {
        state: application,
        source_directory: source,
    })
}

fn upload_directory(target: &Path) -> Result<(), FileError> {
    if !files::look(target)?.is_some_and(|found| found.is_dir()) {
        files::remove(target)?;
        files::create_directory(target, 0o700)?;
    }
    // We must be able to fill it, whatever the last push made of it.
    beneath::let_owner_in(target).map_err(files::failed("change", target))
}

fn upload_link(target: &Path, to: &Path) -> Result<(), FileError> {
    if fs::read_link(target).is_ok_and(|found| found == to) {
        return Ok(());
    }
    files::remove(target)?;
    symlink(to, target).map_err(files::failed("create", target))
}

/// Whether there was something to copy.
fn upload_file(
    source: &Path,
    target: &Path,
    metadata: &Metadata,
    compare: Compare,
) -> Result<bool, FileError> {
    let found = files::look(target)?;
    if let Some(found) = &found
        && is_same(source, metadata, target, found, compare)?
    {
        return Ok(false);
    }
    if found.is_some_and(|found| found.is_dir()) {
        files::remove(target)?;
    }
    files::copy_file(source, metadata, target)?;
    Ok(true)
}

/// Whether a link at `path` to `to` ends inside the tree, whatever its other links are.
fn stays_inside(path: &Path, to: &Path) -> bool {
    let mut depth = path.components().count() - 1;
    for component in to.components() {
        match component {
            Component::RootDir | Component::Prefix(_) => return false,
            Component::CurDir => {}
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth == 0 => return false,
            Component::ParentDir => depth -= 1,
        }
    }
    to != Path::new("")
}

fn remove_others(store: &Path, kept: &BTreeSet<PathBuf>) -> Result<Vec<PathBuf>, FileError> {
    let mut removed = Vec::new();
    let mut entries = WalkDir::new(store).min_depth(1).into_iter();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(|error| files::walk_error(store, error))?;
        let path = entry.path().strip_prefix(store).unwrap_or(entry.path());
        if !kept.contains(path) {
            files::remove(entry.path())?;
            removed.push(path.to_owned());
            if entry.file_type().is_dir() {
                entries.skip_current_dir();
            }
        }
    }
    Ok(removed)
}

/// The last component, as patterns without a slash see it.
fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(path.as_os_str())
}

/// The directory cannot be mirrored.
#[derive(Debug, Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Ignore(#[from] IgnoreError),
    #[error("cannot read {path}, which is in the pushed directory", path = path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the platform's own files, in {state}, are inside the pushed directory {source_directory}", state = state.display(), source_directory = source_directory.display())]
    StateInside {
        state: PathBuf,
        source_directory: PathBuf,
    },
}

#[cfg(test)]
mod tests;
