//! Mirroring the pushed directory into the code store, as the platform's rsync did: modes, times and
//! safe links kept, unchanged files left alone, what is gone removed. Leads nothing out of the tree.

mod committed;
mod ignore;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};

use thiserror::Error;
use walkdir::WalkDir;

use crate::beneath;
use crate::files::{self, FileError};
pub(crate) use committed::{CommitError, Vcs, Wanted, export};
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
    /// What was left out although nobody asked for it, with the reason.
    pub(crate) skipped: Vec<String>,
}

/// Makes `store` a mirror of `source`, but for what is always ignored and what its
/// `.dotcloudignore` lists.
pub(crate) fn mirror(source: &Path, store: &Path) -> Result<Uploaded, UploadError> {
    let ignored = Ignored::read(source)?;
    check_outside(source, store, &ignored)?;
    copy(source, store, &ignored)
}

/// Makes `store` a mirror of `source`, whatever is in there.
pub(crate) fn mirror_all(source: &Path, store: &Path) -> Result<Uploaded, UploadError> {
    copy(source, store, &Ignored::default())
}

fn copy(source: &Path, store: &Path, ignored: &Ignored) -> Result<Uploaded, UploadError> {
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
            if upload_file(entry.path(), &target, &metadata)? {
                done.copied.push(path.to_owned());
                done.bytes += metadata.len();
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
fn upload_file(source: &Path, target: &Path, metadata: &Metadata) -> Result<bool, FileError> {
    let found = files::look(target)?;
    let same = found.as_ref().is_some_and(|found| {
        found.is_file()
            && found.len() == metadata.len()
            && (found.mtime(), found.mtime_nsec()) == (metadata.mtime(), metadata.mtime_nsec())
            // Not changed in place: the trees of older revisions share the file.
            && found.mode() & 0o7777 == metadata.mode() & 0o7777
    });
    if same {
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
    #[error("the platform's own files, in {state}, are inside the pushed directory {source_directory}", state = state.display(), source_directory = source_directory.display())]
    StateInside {
        state: PathBuf,
        source_directory: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn listing(root: &Path) -> Vec<String> {
        let entries = WalkDir::new(root).min_depth(1).sort_by_file_name();
        entries
            .into_iter()
            .map(|entry| {
                let entry = entry.unwrap();
                entry
                    .path()
                    .strip_prefix(root)
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect()
    }

    fn directories() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let (source, store) = (directory.path().join("src"), directory.path().join("code"));
        fs::create_dir(&source).unwrap();
        (directory, source, store)
    }

    #[test]
    fn mirror_is_incremental_and_deletes() {
        let (_directory, source, store) = directories();
        write(&source, "a/run", "one");
        write(&source, "b", "two");
        fs::set_permissions(source.join("b"), Permissions::from_mode(0o640)).unwrap();
        let first = mirror(&source, &store).unwrap();
        assert_eq!(first.copied.len(), 2);
        assert_eq!((first.bytes, first.removed), (6, vec![]));
        assert_eq!(mirror(&source, &store).unwrap(), Uploaded::default());

        fs::remove_dir_all(source.join("a")).unwrap();
        write(&source, "b", "three");
        let second = mirror(&source, &store).unwrap();
        assert_eq!(second.copied, [Path::new("b")]);
        assert_eq!(second.removed, [Path::new("a")]);
        assert_eq!(listing(&store), ["b"]);
        assert_eq!(store.join("b").metadata().unwrap().mode() & 0o777, 0o640);

        // An older revision has the file as it was.
        fs::hard_link(store.join("b"), store.with_file_name("b")).unwrap();
        fs::set_permissions(source.join("b"), Permissions::from_mode(0o700)).unwrap();
        mirror(&source, &store).unwrap();
        let mode = |path: PathBuf| path.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode(store.join("b")), 0o700);
        assert_eq!(mode(store.with_file_name("b")), 0o640);
    }

    #[test]
    fn mirror_of_a_directory_around_the_store_is_refused_unless_ignored() {
        let (directory, _, _) = directories();
        let around = directory.path().canonicalize().unwrap();
        let store = around.join("d/apps/app/code");
        fs::create_dir_all(store.parent().unwrap()).unwrap();
        write(&around, "run", "");
        assert_eq!(
            mirror(&around, &store).unwrap_err().to_string(),
            format!(
                "the platform's own files, in {path}/d/apps/app, are inside the pushed directory \
                 {path}",
                path = around.display()
            )
        );
        assert!(!store.exists());
        write(&around, ".dotcloudignore", "/d\n");
        mirror(&around, &store).unwrap();
        assert!(store.join("run").exists() && !store.join("d").exists());
    }

    #[test]
    fn mirror_links_out_of_the_tree_are_left_out() {
        let (_directory, source, store) = directories();
        write(&source, "sub/file", "x");
        for (link, to) in [
            ("in", "sub/file"),
            ("sub/up", "../sub/file"),
            ("sub/out", "../../secret"),
            ("absolute", "/etc/passwd"),
        ] {
            symlink(to, source.join(link)).unwrap();
        }
        let done = mirror(&source, &store).unwrap();
        assert_eq!(listing(&store), ["in", "sub", "sub/file", "sub/up"]);
        assert_eq!(done.skipped.len(), 2, "{:?}", done.skipped);
    }

    #[test]
    fn mirror_never_writes_through_a_link_in_the_store() {
        let (directory, source, store) = directories();
        let outside = directory.path().join("outside");
        fs::create_dir(&outside).unwrap();
        write(&source, "d/file", "x");
        fs::create_dir(&store).unwrap();
        symlink(&outside, store.join("d")).unwrap();
        mirror(&source, &store).unwrap();
        assert_eq!(listing(&outside), Vec::<String>::new());
        assert_eq!(listing(&store), ["d", "d/file"]);
    }

    #[test]
    fn mirror_standard_and_own_exclusions_apply() {
        let (_directory, source, store) = directories();
        for path in [
            ".git/config",
            "a.pyc",
            "keep",
            "logs/x",
            "sub/logs",
            "sub/big.iso",
        ] {
            write(&source, path, "x");
        }
        write(&source, ".dotcloudignore", "# comment\n\n/logs\n*.iso\n");
        mirror(&source, &store).unwrap();
        assert_eq!(
            listing(&store),
            [".dotcloudignore", "keep", "sub", "sub/logs"]
        );
    }
}
