//! Files that hold secrets: private from the first byte, whole or not there. Whoever writes one holds
//! the lock on what it belongs to.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Puts `bytes` in place as `path`, readable by its owner only.
///
/// Written beside (mode 0600 from creation), synced, renamed, and the directory synced: whenever it
/// is interrupted, `path` is the old file or the new one, and [`discard_unfinished`] removes what is
/// left.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    discard_unfinished(path)?;
    let beside = beside(path);
    let written = write(&beside, bytes).and_then(|file| durable::place(&file, &beside, path));
    written.map_err(|source| {
        // It may be what filled the disk.
        let _ = fs::remove_file(&beside);
        WriteError {
            path: path.to_owned(),
            source,
        }
    })
}

/// Whether [`write_private`] would change nothing.
#[must_use]
pub fn is_private_copy(path: &Path, bytes: &[u8]) -> bool {
    let private = |metadata: fs::Metadata| metadata.is_file() && metadata.mode() & 0o7777 == 0o600;
    fs::symlink_metadata(path).is_ok_and(private)
        && fs::read(path).is_ok_and(|found| found == bytes)
}

/// Removes what a [`write_private`] of `path` that was killed left: ours by its name.
pub fn discard_unfinished(path: &Path) -> Result<(), WriteError> {
    match durable::remove_file_if_there(&beside(path)) {
        Ok(_) => Ok(()),
        Err(source) => Err(WriteError {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Always the same name, so that what was left can be found.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".mysql-on-dotcloud");
    path.with_file_name(name)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// A file could not be put in place.
#[derive(Debug, Error)]
#[error("cannot write {path}")]
pub struct WriteError {
    /// The file it was to become.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn write_private_replaces_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.cnf");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn discard_unfinished_removes_what_a_killed_writer_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.cnf");
        write_private(&path, b"old").unwrap();
        fs::write(beside(&path), "ne").unwrap();
        discard_unfinished(&path).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(beside(&path), "ne").unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::create_dir(beside(&path)).unwrap();
        assert_eq!(
            discard_unfinished(&path).unwrap_err().to_string(),
            format!("cannot write {}", path.display())
        );
    }

    #[test]
    fn is_private_copy_same_bytes_and_mode_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my.cnf");
        assert!(!is_private_copy(&path, b"x"), "absent");
        write_private(&path, b"x").unwrap();
        assert!(is_private_copy(&path, b"x"));
        assert!(!is_private_copy(&path, b"y"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!is_private_copy(&path, b"x"), "others may read it");
    }

    #[test]
    fn write_private_missing_directory_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("absent/my.cnf");
        let error = write_private(&path, b"").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot write {}", path.display())
        );
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }
}
