//! First-run files and check files: found before anything is written, then copied to `~/mysql/initdb.d` and
//! `~/mysql/check.d`. Refuses what could not be run: other names, unreadable files, a release without a
//! client. (That first-run files are whole is for postinstall to see, which has the decoders.)

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use durable::Pending;
use hook::Report;
use mycnf::{FirstRunFile, FirstRunFileError, Layout, Server};
use thiserror::Error;

use crate::libraries::{self, LibrariesError};

/// What SQL files are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A fresh database begins with them.
    FirstRun,
    /// They try a copy out (docs/backup.md).
    Check,
}

impl Purpose {
    /// Their directory in the approot.
    fn directory(self) -> &'static str {
        match self {
            Self::FirstRun => "initdb.d",
            Self::Check => "check.d",
        }
    }
}

/// The SQL files of the approot for one purpose.
#[derive(Debug)]
pub(crate) struct SqlFiles {
    purpose: Purpose,
    files: Vec<FirstRunFile>,
}

impl SqlFiles {
    /// Finds them.
    pub(crate) fn read(approot: &Path, purpose: Purpose) -> Result<Self, FirstRunError> {
        let files = FirstRunFile::all(&approot.join(purpose.directory()))?;
        for FirstRunFile { path, .. } in &files {
            if let Err(source) = File::open(path) {
                let path = path.clone();
                return Err(match purpose {
                    Purpose::FirstRun => FirstRunFileError::Read { path, source }.into(),
                    Purpose::Check => FirstRunError::ReadCheck { path, source },
                });
            }
        }
        Ok(Self { purpose, files })
    }

    /// Is there anything to run them with?
    pub(crate) fn check(&self, server: &Server) -> Result<(), FirstRunError> {
        if self.files.is_empty() {
            return Ok(());
        }
        match server.client() {
            None => Err(FirstRunError::FindClient {
                files: match self.purpose {
                    Purpose::FirstRun => "first-run files",
                    Purpose::Check => "check files",
                },
                directory: self.purpose.directory(),
                server: server.to_string(),
            }),
            Some(client) => Ok(libraries::check_client(&server.basedir, &client)?),
        }
    }

    /// Copies them beside their final names, then renames, and removes the others.
    pub(crate) fn write(&self, layout: &Layout, report: &mut Report) -> Result<(), FirstRunError> {
        let (directory, used) = match self.purpose {
            Purpose::FirstRun => (layout.first_run_files(), "a fresh database begins with"),
            Purpose::Check => (layout.check_files(), "a copy is tried out with"),
        };
        if self.files.is_empty() && !directory.exists() {
            return Ok(());
        }
        self.replace(&directory)
            .map_err(|source| FirstRunError::Write {
                path: directory,
                source,
            })?;
        if !self.files.is_empty() {
            report.bullet(format!("{used} {}", self.names()));
        }
        Ok(())
    }

    fn replace(&self, directory: &Path) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let mut written = Vec::new();
        for file in &self.files {
            // Hidden, so that it is no first-run file, and private: dumps hold what databases do.
            let mut beside = Pending::begin(&directory.join(file.name()), 0o600, ".new-")?;
            io::copy(&mut File::open(&file.path)?, beside.file())?;
            beside.sync()?;
            written.push(beside);
        }
        for beside in written {
            beside.place()?;
        }
        let kept: Vec<String> = self.files.iter().map(FirstRunFile::name).collect();
        durable::remove_all_but(directory, |name| kept.iter().any(|it| name == it.as_str()))
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.files.iter().map(FirstRunFile::name).collect();
        names.join(", ")
    }
}

/// First-run files or check files cannot go along. The previous build is untouched.
#[derive(Debug, Error)]
pub enum FirstRunError {
    /// One of them, or their directory.
    #[error(transparent)]
    File(#[from] FirstRunFileError),
    /// A check file.
    #[error("cannot read the check file {path}", path = path.display())]
    ReadCheck {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The release brings no client.
    #[error("there are {files}, and the tarball of {server} has no client to run them")]
    FindClient {
        /// First-run files or check files.
        files: &'static str,
        /// Where they are in the approot.
        directory: &'static str,
        /// The server.
        server: String,
    },
    /// The client does not run here.
    #[error(transparent)]
    Libraries(#[from] LibrariesError),
    /// The copies.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// Their directory in the home directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_replaces_what_an_earlier_build_left() {
        let (approot, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let layout = Layout::new(home.path());
        let from = approot.path().join("initdb.d");
        let names = || -> Vec<String> {
            let files = FirstRunFile::all(&layout.first_run_files()).unwrap();
            files.iter().map(FirstRunFile::name).collect()
        };
        let mut report = Report::to_writer(io::sink());
        let mut build = || {
            let files = SqlFiles::read(approot.path(), Purpose::FirstRun).unwrap();
            files.write(&layout, &mut report).unwrap();
        };
        build();
        assert!(!layout.first_run_files().exists());
        fs::create_dir(&from).unwrap();
        fs::write(from.join("1.sql"), "one").unwrap();
        fs::write(from.join("2.sql"), "two").unwrap();
        build();
        assert_eq!(names(), ["1.sql", "2.sql"]);
        durable::rename_unsynced(from.join("2.sql"), from.join("1.sql")).unwrap();
        fs::write(layout.first_run_files().join(".tmpKilled"), "half").unwrap();
        build();
        assert_eq!(names(), ["1.sql"]);
        let copy = layout.first_run_files().join("1.sql");
        assert_eq!(fs::read(copy).unwrap(), b"two");
        assert_eq!(fs::read_dir(layout.first_run_files()).unwrap().count(), 1);
        fs::remove_file(from.join("1.sql")).unwrap();
        build();
        assert_eq!(names(), [""; 0]);
    }
}
