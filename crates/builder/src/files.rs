//! What the service needs at run time, copied from the approot to `~`: the code checkout may not be
//! there then (platform-contract.md §6).

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use durable::Pending;
use mycnf::{Layout, OptionFile, OptionFileError};
use thiserror::Error;

/// A file to copy: its name in the approot, where it goes, its mode.
type Copy = (&'static str, PathBuf, u32);

/// Every file of the approot that goes along, read before anything is written.
#[derive(Debug)]
pub(crate) struct Files {
    copies: Vec<(Copy, Vec<u8>)>,
    /// The user's option file.
    pub my_cnf: OptionFile,
}

impl Files {
    /// Reads them all and checks the option file.
    pub(crate) fn read(approot: &Path, layout: &Layout) -> Result<Self, FilesError> {
        let wanted: [Copy; 4] = [
            ("postinstall", layout.home().join("postinstall"), 0o755),
            ("starttest", layout.home().join("starttest"), 0o755),
            ("profile", layout.home().join("profile"), 0o644),
            ("my.cnf", layout.template(), 0o600),
        ];
        let mut copies = Vec::new();
        let mut my_cnf = OptionFile::empty(&layout.template());
        for copy in wanted {
            let path = approot.join(copy.0);
            let content = match fs::read(&path) {
                Ok(content) => content,
                Err(source) => return Err(FilesError::Read { path, source }),
            };
            if copy.0 == "my.cnf" {
                my_cnf = OptionFile::parse(&path, &content)?;
            }
            copies.push((copy, content));
        }
        // Whoever pushes no backup has none, and so with the agent.
        for copy in [
            ("backup", layout.home().join("backup"), 0o755),
            ("agent", layout.agent(), 0o755),
        ] {
            let path = approot.join(copy.0);
            match fs::read(&path) {
                Ok(content) => copies.push((copy, content)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(FilesError::Read { path, source }),
            }
        }
        Ok(Self { copies, my_cnf })
    }

    /// Writes them all beside their final names, then renames: a disk that fills up meanwhile does
    /// not leave new hooks beside old ones.
    pub(crate) fn write(&self) -> Result<(), FilesError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            |source| FilesError::Write { path, source }
        };
        let mut written = Vec::new();
        for ((_, path, mode), content) in &self.copies {
            let beside = write_beside(path, *mode, content).map_err(fail(path))?;
            written.push((beside, path));
        }
        for (beside, path) in written {
            beside.place().map_err(fail(path))?;
        }
        Ok(())
    }
}

fn write_beside(path: &Path, mode: u32, content: &[u8]) -> io::Result<Pending> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    let mut beside = Pending::begin(path, mode, ".new-")?;
    beside.file().write_all(content)?;
    beside.sync()?;
    Ok(beside)
}

/// A file of the approot cannot go along.
#[derive(Debug, Error)]
pub enum FilesError {
    /// It is not there or not readable.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file in the approot.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// my.cnf is not an option file.
    #[error(transparent)]
    OptionFile(#[from] OptionFileError),
    /// It cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// The copy in the home directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn approot(my_cnf: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("postinstall", "p"),
            ("starttest", "s"),
            ("profile", "f"),
            ("my.cnf", my_cnf),
        ] {
            fs::write(dir.path().join(name), content).unwrap();
        }
        dir
    }

    #[test]
    fn write_modes_and_places_are_those_of_the_layout() {
        let (approot, home) = (approot("[mysqld]\n"), tempfile::tempdir().unwrap());
        let layout = Layout::new(home.path());
        let files = Files::read(approot.path(), &layout).unwrap();
        files.write().unwrap();
        files.write().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.path().join("starttest")), 0o755);
        assert_eq!(mode(&layout.template()), 0o600);
        assert_eq!(fs::read(layout.template()).unwrap(), b"[mysqld]\n");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 4);
    }

    #[test]
    fn read_backup_and_agent_go_along_if_they_are_there() {
        let (approot, home) = (approot("[mysqld]\n"), tempfile::tempdir().unwrap());
        fs::write(approot.path().join("backup"), "b").unwrap();
        fs::write(approot.path().join("agent"), "a").unwrap();
        let layout = Layout::new(home.path());
        Files::read(approot.path(), &layout)
            .unwrap()
            .write()
            .unwrap();
        assert_eq!(fs::read(home.path().join("backup")).unwrap(), b"b");
        assert_eq!(fs::read(home.path().join("agent")).unwrap(), b"a");
    }

    #[test]
    fn read_missing_file_has_exact_text() {
        let approot = approot("");
        fs::remove_file(approot.path().join("profile")).unwrap();
        let path = approot.path().display();
        let layout = Layout::new("/nowhere");
        assert_eq!(
            Files::read(approot.path(), &layout)
                .unwrap_err()
                .to_string(),
            format!("cannot read {path}/profile")
        );
    }

    #[test]
    fn write_failure_at_the_last_file_leaves_the_first_as_it_was() {
        let (approot, home) = (approot("[mysqld]\n"), tempfile::tempdir().unwrap());
        let files = Files::read(approot.path(), &Layout::new(home.path())).unwrap();
        fs::write(home.path().join("postinstall"), "old").unwrap();
        // Where the directory of my.cnf should be.
        fs::write(home.path().join("mysql"), "").unwrap();
        files.write().unwrap_err();
        assert_eq!(fs::read(home.path().join("postinstall")).unwrap(), b"old");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }

    #[test]
    fn write_impossible_has_exact_text() {
        let approot = approot("");
        let files = Files::read(approot.path(), &Layout::new("/proc/nowhere")).unwrap();
        assert_eq!(
            files.write().unwrap_err().to_string(),
            "cannot write /proc/nowhere/postinstall"
        );
    }
}
