//! Changes to files that outlive a crash: after each of them the old state or the new one is there, whole,
//! whatever ends the process, and once the call has returned, also after the power is cut.
//!
//! Everybody in this workspace who replaces or renames something goes through here; clippy refuses the
//! functions of the standard library that this crate is made of. What is at a path may be a service's: whoever
//! writes below a directory of somebody else's opens it beneath one first (`dotcloud`'s `host::beneath`).
#![expect(
    clippy::disallowed_methods,
    reason = "this crate is the one place that syncs and renames"
)]

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file in the making, beside the place that it is to have. Dropped, it goes.
#[derive(Debug)]
pub struct Pending {
    file: NamedTempFile,
    path: PathBuf,
}

impl Pending {
    /// Begins the file that is to be at `path`, which has `mode` before its first byte. Its name begins with
    /// `prefix`, by which leftovers of a killed process can be told.
    pub fn begin(path: &Path, mode: u32, prefix: &str) -> io::Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(prefix)
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(parent(path))?;
        // Whatever the umask takes away.
        file.as_file()
            .set_permissions(Permissions::from_mode(mode))?;
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// To write into.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Waits until the content is on the disk. [`Pending::place`] then takes no time: with several files, all
    /// are synced before the first gets its name.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_file().sync_all()
    }

    /// Gives it its name without waiting for the disk: for what is made again after a crash.
    pub fn place_unsynced(self) -> io::Result<()> {
        self.file.persist(&self.path)?;
        Ok(())
    }

    /// Gives it its name, instead of what had it. How long it is.
    pub fn place(self) -> io::Result<u64> {
        self.sync()?;
        let file = self.file.persist(&self.path)?;
        sync_parent(&self.path)?;
        Ok(file.metadata()?.len())
    }
}

/// Puts a file with `content` and `mode` at `path`, instead of what was there.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut pending = Pending::begin(path, mode, ".new-")?;
    pending.file().write_all(content)?;
    pending.place().map(drop)
}

/// Syncs `file`, which is at `beside`, and renames it to `path`, in the same directory: for who chooses the name
/// of what is unfinished, or has it made by another program.
pub fn place(file: &File, beside: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    rename(beside, path)
}

/// Lets the symbolic link at `link` lead to `target`, instead of what was there.
pub fn replace_link(link: &Path, target: &Path) -> io::Result<()> {
    let beside = link.with_extension("new");
    remove_file_if_there(&beside)?;
    symlink(target, &beside)?;
    rename(&beside, link)
}

/// Syncs everything in the directory `made`, whoever wrote it, and renames it to `path`, where nothing is or an
/// empty directory.
pub fn place_directory(made: &Path, path: &Path) -> io::Result<()> {
    sync_filesystem(made)?;
    rename(made, path)
}

/// Renames `from` to `to`, and syncs the directories of both.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    fs::rename(from, to)?;
    sync_parent(to)?;
    if parent(from) != parent(to) {
        sync_parent(from)?;
    }
    Ok(())
}

/// Renames what nobody has to find again after a crash, such as a log: nothing is synced.
pub fn rename_unsynced(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    fs::rename(from, to)
}

/// Makes an empty file at `path`, or empties the one that is there.
pub fn mark(path: &Path) -> io::Result<()> {
    File::create(path)?.sync_all()?;
    sync_parent(path)
}

/// Removes the file or link at `path`, if there is one; whether there was.
pub fn remove_file(path: &Path) -> io::Result<bool> {
    let was_there = remove_file_if_there(path)?;
    if was_there {
        sync_parent(path)?;
    }
    Ok(was_there)
}

/// The same for what comes back or is removed again after a crash: nothing is synced.
pub fn remove_file_if_there(path: &Path) -> io::Result<bool> {
    was_there(fs::remove_file(path))
}

/// Removes the directory at `path` with all that is in it, if there is one; whether there was. Nothing is synced.
pub fn remove_directory_if_there(path: &Path) -> io::Result<bool> {
    was_there(fs::remove_dir_all(path))
}

/// Removes from `directory` every file and directory that `keeps` does not want, and syncs it.
pub fn remove_all_but(directory: &Path, mut keeps: impl FnMut(&OsStr) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if keeps(&entry.file_name()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    sync_directory(directory)
}

/// Syncs the directory that `path` is in: after an entry was added, renamed or removed.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync_directory(parent(path))
}

/// Syncs a directory.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Syncs all that was written to the file system of `path`: one call for thousands of files of others.
pub fn sync_filesystem(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(path)?)?)
}

/// What is at `path`, if anything; a link is itself.
pub fn metadata_if_there(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn was_there(removed: io::Result<()>) -> io::Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A path without one is in the working directory.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replace_gives_content_and_mode_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "old").unwrap();
        replace(&path, b"new", 0o640).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640);
        assert_eq!(names(directory.path()), ["file"]);
        let absent = directory.path().join("absent/file");
        let error = replace(&absent, b"", 0o600).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn pending_that_is_dropped_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "old").unwrap();
        let mut pending = Pending::begin(&path, 0o600, "half.").unwrap();
        pending.file().write_all(b"new").unwrap();
        assert_eq!(names(directory.path()).len(), 2);
        assert!(
            names(directory.path())
                .iter()
                .any(|it| it.starts_with("half."))
        );
        drop(pending);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn link_is_replaced_even_beside_a_leftover() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("current");
        symlink("nowhere", link.with_extension("new")).unwrap();
        for target in ["a", "b"] {
            replace_link(&link, Path::new(target)).unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), Path::new(target));
        }
        assert_eq!(names(directory.path()), ["current"]);
    }

    #[test]
    fn only_what_is_wanted_stays() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::create_dir(directory.path().join(name)).unwrap();
            fs::write(directory.path().join(name).join("file"), "").unwrap();
        }
        symlink("a", directory.path().join("link")).unwrap();
        remove_all_but(directory.path(), |name| name == "a").unwrap();
        assert_eq!(names(directory.path()), ["a"]);
        assert_eq!(names(&directory.path().join("a")), ["file"]);
    }

    #[test]
    fn what_is_not_there_is_no_failure() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        assert!(!remove_file(&path).unwrap());
        assert!(!remove_directory_if_there(&path).unwrap());
        assert!(metadata_if_there(&path).unwrap().is_none());
        mark(&path).unwrap();
        assert_eq!(metadata_if_there(&path).unwrap().unwrap().len(), 0);
        assert!(remove_file(&path).unwrap());
        place_directory(
            &{
                fs::create_dir(directory.path().join("made")).unwrap();
                directory.path().join("made")
            },
            &path,
        )
        .unwrap();
        assert!(remove_directory_if_there(&path).unwrap());
    }
}
