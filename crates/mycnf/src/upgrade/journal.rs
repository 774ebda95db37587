//! The note beside a data directory that its upgrade has begun and is not complete.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::server::Version;
use crate::write::{WriteError, discard_unfinished, write_private};

/// An upgrade that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The release that wrote the data directory.
    pub from: Version,
    /// The release that has touched it since.
    pub to: Version,
    /// The system tables were saved before the upgrade tool ran.
    pub saved: bool,
}

impl Journal {
    pub(super) fn new(from: Version) -> Self {
        Self {
            from,
            to: from,
            saved: false,
        }
    }

    /// `~/data/mysqldb.upgrading`
    #[must_use]
    pub fn path(data_dir: &Path) -> PathBuf {
        beside(data_dir, ".upgrading")
    }

    /// The journal of the upgrade of `data_dir`, if one has begun. Changes nothing.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, JournalError> {
        let path = Self::path(data_dir);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(JournalError::Read { path, source }),
        };
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let version = |name: &str| value(name).and_then(Version::parse);
        match (version("from "), version("to "), value("saved ")) {
            (Some(from), Some(to), Some(saved)) => Ok(Some(Self {
                from,
                to,
                saved: saved == "yes",
            })),
            _ => Err(JournalError::Parse { path }),
        }
    }

    pub(super) fn write(&self, data_dir: &Path) -> Result<(), JournalError> {
        let saved = if self.saved { "yes" } else { "no" };
        let text = format!(
            "# starttest upgrades the data directory; it removes this when that is complete.\n\
             from {}\nto {}\nsaved {saved}\n",
            self.from, self.to
        );
        write_private(&Self::path(data_dir), text.as_bytes())?;
        Ok(())
    }

    /// Nothing is left to be done, or there is no data directory any more.
    pub fn remove(data_dir: &Path) -> Result<(), JournalError> {
        let path = Self::path(data_dir);
        discard_unfinished(&path)?;
        match durable::remove_file(&path) {
            Ok(_) => Ok(()),
            Err(source) => Err(JournalError::Remove { path, source }),
        }
    }
}

/// `suffix` behind the data directory's name.
pub(super) fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(data_dir);
    name.push(suffix);
    name.into()
}

/// The journal cannot be relied on.
#[derive(Debug, Error)]
pub enum JournalError {
    /// It cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The journal.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not ours, or was edited.
    #[error("{path} does not say which upgrade has begun", path = path.display())]
    Parse {
        /// The journal.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It cannot be removed.
    #[error("cannot remove {path}", path = path.display())]
    Remove {
        /// The journal.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        Journal {
            from: Version::new(10, 11, 19),
            to: Version::new(11, 8, 9),
            saved: false,
        }
    }

    #[test]
    fn journal_reads_back_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("mysqldb");
        assert_eq!(Journal::read(&data_dir).unwrap(), None);
        for saved in [false, true] {
            let journal = Journal { saved, ..journal() };
            journal.write(&data_dir).unwrap();
            assert_eq!(Journal::read(&data_dir).unwrap(), Some(journal));
        }
        for _ in 0..2 {
            Journal::remove(&data_dir).unwrap();
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn journal_errors_have_exact_texts() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("mysqldb");
        let path = Journal::path(&data_dir);
        fs::write(&path, "from 10.11.19\n").unwrap();
        assert_eq!(
            Journal::read(&data_dir).unwrap_err().to_string(),
            format!("{} does not say which upgrade has begun", path.display())
        );
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(
            Journal::read(&data_dir).unwrap_err().to_string(),
            format!("cannot read {}", path.display())
        );
        assert_eq!(
            Journal::remove(&data_dir).unwrap_err().to_string(),
            format!("cannot remove {}", path.display())
        );
        assert_eq!(
            journal().write(&data_dir).unwrap_err().to_string(),
            format!("cannot write {}", path.display())
        );
    }
}
