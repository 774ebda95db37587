//! First-run files: found before anything is written, then copied to `~/mysql/initdb.d`. Refuses what
//! a first start could not run: other names, unreadable files, a release without a client. (That they
//! are whole is for postinstall to see, which has the decoders.)

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use durable::Pending;
use hook::Report;
use mycnf::{FirstRunFile, FirstRunFileError, Layout, Server};
use thiserror::Error;

use crate::libraries::{self, LibrariesError};

/// The first-run files of the approot.
#[derive(Debug)]
pub(crate) struct FirstRunFiles(Vec<FirstRunFile>);

impl FirstRunFiles {
    /// Finds them.
    pub(crate) fn read(approot: &Path) -> Result<Self, FirstRunError> {
        let files = FirstRunFile::all(&approot.join("initdb.d"))?;
        for FirstRunFile { path, .. } in &files {
            if let Err(source) = File::open(path) {
                let path = path.clone();
                return Err(FirstRunFileError::Read { path, source }.into());
            }
        }
        Ok(Self(files))
    }

    /// Is there anything to run them with?
    pub(crate) fn check(&self, server: &Server) -> Result<(), FirstRunError> {
        if self.0.is_empty() {
            return Ok(());
        }
        match server.client() {
            None => Err(FirstRunError::FindClient {
                server: server.to_string(),
            }),
            Some(client) => Ok(libraries::check_client(&server.basedir, &client)?),
        }
    }

    /// Copies them beside their final names, then renames, and removes the others.
    pub(crate) fn write(&self, layout: &Layout, report: &mut Report) -> Result<(), FirstRunError> {
        let directory = layout.first_run_files();
        if self.0.is_empty() && !directory.exists() {
            return Ok(());
        }
        self.replace(&directory)
            .map_err(|source| FirstRunError::Write {
                path: directory,
                source,
            })?;
        if !self.0.is_empty() {
            report.bullet(format!("a fresh database begins with {}", self.names()));
        }
        Ok(())
    }

    fn replace(&self, directory: &Path) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let mut written = Vec::new();
        for file in &self.0 {
            // Hidden, so that it is no first-run file, and private: dumps hold what databases do.
            let mut beside = Pending::begin(&directory.join(file.name()), 0o600, ".new-")?;
            io::copy(&mut File::open(&file.path)?, beside.file())?;
            beside.sync()?;
            written.push(beside);
        }
        for beside in written {
            beside.place()?;
        }
        let kept: Vec<String> = self.0.iter().map(FirstRunFile::name).collect();
        durable::remove_all_but(directory, |name| kept.iter().any(|it| name == it.as_str()))
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.0.iter().map(FirstRunFile::name).collect();
        names.join(", ")
    }
}

/// The first-run files cannot go along. The previous build is untouched.
#[derive(Debug, Error)]
pub enum FirstRunError {
    /// One of them, or their directory.
    #[error(transparent)]
    File(#[from] FirstRunFileError),
    /// The release brings no client.
    #[error("there are first-run files, and the tarball of {server} has no client to run them")]
    FindClient {
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
            let files = FirstRunFiles::read(approot.path()).unwrap();
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
