//! Copying and moving the files of a database: by reflink where the filesystem can, else what is not
//! a hole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{SeekFrom as At, ioctl_ficlone, seek};
use rustix::io::Errno;
use thiserror::Error;

/// Copied at once.
const CHUNK: usize = 128 << 10;

/// A tree could not be copied or moved.
#[derive(Debug, Error)]
#[error("cannot {action} {path}", path = path.display())]
pub struct TreeError {
    /// Such as `copy`.
    pub action: &'static str,
    /// What.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// For `map_err`.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TreeError {
    let path = path.to_owned();
    move |source| TreeError {
        action,
        path,
        source,
    }
}

/// Copies directories and regular files from `from` to `to`, which must not be there, but for those
/// that `skip` names, by their path below `from`. Sockets and the like are left out: a server that ran
/// made them. Times stay: which file is newer tells hooks and servers something.
pub(crate) fn copy(from: &Path, to: &Path, skip: &dyn Fn(&Path) -> bool) -> Result<(), TreeError> {
    copy_below(from, to, Path::new(""), skip)
}

fn copy_below(
    from: &Path,
    to: &Path,
    below: &Path,
    skip: &dyn Fn(&Path) -> bool,
) -> Result<(), TreeError> {
    let (source, target) = (from.join(below), to.join(below));
    make_directory(&target)?;
    let read = |error| failed("read", &source)(error);
    for entry in fs::read_dir(&source).map_err(read)? {
        let entry = entry.map_err(|error| failed("read", &source)(error))?;
        let kind = entry
            .file_type()
            .map_err(|error| failed("read", &source)(error))?;
        let path = below.join(entry.file_name());
        if skip(&path) {
            continue;
        }
        if kind.is_dir() {
            copy_below(from, to, &path, skip)?;
        } else if kind.is_file() {
            let whole = from.join(&path);
            copy_with_time(&whole, &to.join(&path)).map_err(failed("copy", &whole))?;
        } else if kind.is_symlink() {
            // A table that somebody put elsewhere would be missing from the copy.
            let error =
                io::Error::other("it is a link, and the copy would have nothing in its place");
            return Err(failed("copy", &from.join(&path))(error));
        }
    }
    Ok(())
}

/// A directory of ours alone.
pub(crate) fn make_directory(path: &Path) -> Result<(), TreeError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("make", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn copy_with_time(from: &Path, to: &Path) -> io::Result<()> {
    copy_file(from, to)?;
    let modified = from.metadata()?.modified()?;
    File::open(to)?.set_modified(modified)
}

/// Copies one file; the new one is private, and of now.
pub(crate) fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from)?;
    let target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    match ioctl_ficlone(&target, &source) {
        Ok(()) => Ok(()),
        // Not on this filesystem, or not from that one.
        Err(_) => copy_data(&source, &target),
    }
}

fn copy_data(mut source: &File, mut target: &File) -> io::Result<()> {
    let length = source.metadata()?.len();
    target.set_len(length)?;
    let mut buffer = vec![0; CHUNK];
    let mut end = 0;
    loop {
        let start = match seek(source, At::Data(end)) {
            Ok(start) => start,
            // Nothing but a hole from here on.
            Err(Errno::NXIO) => return Ok(()),
            // A filesystem that knows no holes.
            Err(_) if end == 0 => 0,
            Err(error) => return Err(error.into()),
        };
        end = seek(source, At::Hole(start)).unwrap_or(length);
        source.seek(SeekFrom::Start(start))?;
        target.seek(SeekFrom::Start(start))?;
        let mut left = end.saturating_sub(start);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let count = source.read(&mut buffer[..most])?;
            if count == 0 {
                return Ok(());
            }
            target.write_all(&buffer[..count])?;
            left -= count as u64;
        }
        if end >= length {
            return Ok(());
        }
    }
}

/// Gives `from` the name `to`, by a copy if it has to be, or if `from` is to stay.
pub(crate) fn transfer(from: &Path, to: &Path, consume: bool) -> Result<(), TreeError> {
    if consume {
        match durable::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
            other => return other.map_err(failed("move", from)),
        }
    }
    if from.is_dir() {
        copy(from, to, &|_| false)
    } else {
        copy_with_time(from, to).map_err(failed("copy", from))
    }
}

/// Makes durable what is on the filesystem of `path`.
pub(crate) fn sync(path: &Path) -> Result<(), TreeError> {
    durable::sync_filesystem(path).map_err(failed("sync", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn copy_keeps_holes_and_leaves_out_what_it_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::write(from.join("sub/table"), "rows").unwrap();
        fs::write(from.join("skipped"), "x").unwrap();
        let holes = File::create(from.join("holes")).unwrap();
        holes.set_len(1 << 30).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&holes, b"end", 1 << 29).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
        copy(&from, &to, &|path| path == Path::new("skipped")).unwrap();
        assert_eq!(fs::read(to.join("sub/table")).unwrap(), b"rows");
        assert!(!to.join("skipped").exists() && !to.join("socket").exists());
        let copied = to.join("holes").metadata().unwrap();
        assert_eq!(copied.len(), 1 << 30);
        assert!(copied.blocks() < 100, "{}", copied.blocks());
        let mut end = [0; 3];
        let copied = File::open(to.join("holes")).unwrap();
        std::os::unix::fs::FileExt::read_exact_at(&copied, &mut end, 1 << 29).unwrap();
        assert_eq!(&end, b"end");
    }

    #[test]
    fn copy_link_is_refused_with_exact_text() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("from");
        fs::create_dir(&from).unwrap();
        std::os::unix::fs::symlink("/srv/table.ibd", from.join("table.ibd")).unwrap();
        let error = copy(&from, &directory.path().join("to"), &|_| false).unwrap_err();
        let link = from.join("table.ibd");
        assert_eq!(error.to_string(), format!("cannot copy {}", link.display()));
        assert_eq!(
            error.source.to_string(),
            "it is a link, and the copy would have nothing in its place"
        );
    }

    #[test]
    fn transfer_moves_or_copies() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("a"), "x").unwrap();
        transfer(&path("a"), &path("b"), false).unwrap();
        assert!(path("a").exists());
        transfer(&path("a"), &path("c"), true).unwrap();
        assert!(!path("a").exists());
        assert_eq!(fs::read(path("b")).unwrap(), fs::read(path("c")).unwrap());
    }
}
