//! `~/data` of a container that gives way to a backup: moved aside by one rename, and back, or on to
//! where it stays, by another. A journal in the container tells which, whenever it is interrupted.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::files::{self, FileError};
use crate::model::application::InstanceName;
use crate::state::container::Paths;

/// In the container, out of its service's reach.
const JOURNAL: &str = "restoring.json";

/// There, too: the backup, until it takes the data's place.
pub(crate) const FETCHED: &str = "restore";

/// There, too: the data, while it is not certain what becomes of it.
const ASIDE: &str = "data.before-restore";

/// What is to become of the data, unless the journal is gone by then.
#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    /// Where it goes once the backup serves.
    target: PathBuf,
    /// The backup serves: what was aside goes on, and not back.
    serves: bool,
    /// There was some.
    had_data: bool,
}

/// A restore under way.
#[derive(Debug)]
pub(crate) struct Aside {
    paths: Paths,
    target: PathBuf,
    had_data: bool,
}

impl Aside {
    /// Writes the journal; nothing was moved yet. The data will be below `directory`.
    pub(crate) fn begin(
        paths: &Paths,
        directory: &Path,
        id: &str,
        instance: &InstanceName,
    ) -> Result<Self, FileError> {
        let mut target = directory.join(format!("{instance}-before-{id}"));
        let mut number = 2;
        while files::look(&target)?.is_some() {
            target = directory.join(format!("{instance}-before-{id}-{number}"));
            number += 1;
        }
        let aside = Self {
            paths: paths.clone(),
            target,
            had_data: files::look(&paths.data())?.is_some(),
        };
        aside.write(false)?;
        Ok(aside)
    }

    /// Moves the data aside. Nothing runs in the container.
    pub(crate) fn move_data(&self) -> Result<(), FileError> {
        if files::look(&self.paths.data())?.is_some() {
            rename(&self.paths.data(), &self.paths.root().join(ASIDE))?;
        }
        Ok(())
    }

    /// The backup serves: the data goes where it stays. Where that is, if there was any.
    pub(crate) fn finish(self) -> Result<Option<PathBuf>, FileError> {
        self.write(true)?;
        settle(&self.paths)?;
        Ok(files::look(&self.target)?.map(|_| self.target))
    }

    fn write(&self, serves: bool) -> Result<(), FileError> {
        let path = self.paths.root().join(JOURNAL);
        let journal = Journal {
            target: self.target.clone(),
            serves,
            had_data: self.had_data,
        };
        let text = serde_json::to_vec_pretty(&journal)
            .map_err(|error| files::failed("write", &path)(error.into()))?;
        files::replace(&path, &text, 0o600)
    }
}

/// Whether a restore was interrupted there.
pub(crate) fn is_unsettled(paths: &Paths) -> Result<bool, FileError> {
    Ok(files::look(&paths.root().join(JOURNAL))?.is_some())
}

/// Ends a restore that was interrupted: back if its backup never served, else on. Nothing that the
/// service had is removed. Nothing runs in the container, unless its backup serves.
pub(crate) fn settle(paths: &Paths) -> Result<(), FileError> {
    let path = paths.root().join(JOURNAL);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(files::failed("read", &path)(source)),
    };
    let journal: Journal = serde_json::from_slice(&text)
        .map_err(|error| files::failed("understand", &path)(error.into()))?;
    let aside = paths.root().join(ASIDE);
    if files::look(&aside)?.is_some() {
        if journal.serves {
            rename(&aside, &journal.target)?;
        } else {
            // It came from the backup, and never served.
            files::remove(&paths.data())?;
            rename(&aside, &paths.data())?;
        }
    } else if !journal.serves && !journal.had_data {
        files::remove(&paths.data())?;
    }
    files::remove(&paths.root().join(FETCHED))?;
    files::remove(&path)?;
    files::sync_directory(paths.root())
}

fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    durable::rename(from, to).map_err(files::failed("move", from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::account::Account;

    /// A container with data, and where that goes.
    fn container() -> (tempfile::TempDir, Paths, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::new(directory.path().join("app/db.0/1"));
        paths.create(&Account::current()).unwrap();
        fs::create_dir(paths.data()).unwrap();
        fs::write(paths.data().join("rows"), "old").unwrap();
        let replaced = directory.path().join("replaced");
        fs::create_dir(&replaced).unwrap();
        (directory, paths, replaced)
    }

    fn rows(directory: &Path) -> String {
        fs::read_to_string(directory.join("rows")).unwrap_or_default()
    }

    fn place(paths: &Paths) {
        fs::create_dir(paths.data()).unwrap();
        fs::write(paths.data().join("rows"), "new").unwrap();
    }

    #[test]
    fn settle_goes_back_until_the_backup_serves() {
        let instance = InstanceName::new("db", 0);
        for steps in 0..4 {
            let (_directory, paths, replaced) = container();
            let aside = Aside::begin(&paths, &replaced, "1", &instance).unwrap();
            assert!(is_unsettled(&paths).unwrap());
            if steps > 0 {
                aside.move_data().unwrap();
            }
            if steps > 1 {
                place(&paths);
            }
            if steps > 2 {
                aside.write(true).unwrap();
            }
            settle(&paths).unwrap();
            settle(&paths).unwrap();
            let (serving, kept) = if steps > 2 {
                ("new", "old")
            } else {
                ("old", "")
            };
            assert_eq!(rows(&paths.data()), serving, "{steps}");
            assert_eq!(rows(&replaced.join("db.0-before-1")), kept, "{steps}");
            assert!(!is_unsettled(&paths).unwrap());
        }
    }

    #[test]
    fn finish_never_replaces_what_was_moved_before() {
        let instance = InstanceName::new("db", 0);
        let (_directory, paths, replaced) = container();
        for expected in ["db.0-before-1", "db.0-before-1-2"] {
            let aside = Aside::begin(&paths, &replaced, "1", &instance).unwrap();
            aside.move_data().unwrap();
            place(&paths);
            assert_eq!(aside.finish().unwrap(), Some(replaced.join(expected)));
        }
        assert_eq!(rows(&replaced.join("db.0-before-1")), "old");
        // None, of a container that has not got any.
        fs::remove_dir_all(paths.data()).unwrap();
        let aside = Aside::begin(&paths, &replaced, "2", &instance).unwrap();
        aside.move_data().unwrap();
        assert_eq!(aside.finish().unwrap(), None);
    }
}
