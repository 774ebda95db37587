//! Files that hold secrets: private from the first byte, whole or not there.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Puts `bytes` in place as `path`, readable by its owner only.
///
/// Written beside (mode 0600 from creation), synced, renamed, and the directory synced: whenever it
/// is interrupted, `path` is the old file or the new one.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let fail = |source| WriteError {
        path: path.to_owned(),
        source,
    };
    // `tempfile` creates with mode 0600.
    let mut beside = tempfile::Builder::new()
        .prefix(".mysql-on-dotcloud.")
        .tempfile_in(directory)
        .map_err(fail)?;
    write_and_sync(beside.as_file_mut(), bytes).map_err(fail)?;
    beside.persist(path).map_err(|error| fail(error.error))?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(fail)
}

fn write_and_sync(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
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
