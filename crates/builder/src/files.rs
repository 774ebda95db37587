//! What the service needs at run time, copied from the approot to `~`: the code checkout may not be
//! there then (contract §6).

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mycnf::{Layout, OptionFile, OptionFileError};
use thiserror::Error;

/// A file to copy: its name in the approot, where it goes, its mode.
type Copy = (&'static str, PathBuf, u32);

/// Every file of the approot that goes along, read before anything is written.
#[derive(Debug)]
pub(crate) struct Files {
    copies: Vec<(Copy, Vec<u8>)>,
    /// The names of the first-run SQL in `initdb.d`, sorted.
    pub first_run: Vec<String>,
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
        for copy in wanted {
            let path = approot.join(copy.0);
            let content = match fs::read(&path) {
                Ok(content) => content,
                Err(source) => return Err(FilesError::Read { path, source }),
            };
            if copy.0 == "my.cnf" {
                OptionFile::parse(&path, &content)?;
            }
            copies.push((copy, content));
        }
        Ok(Self {
            copies,
            first_run: first_run_files(approot)?,
        })
    }

    /// Writes them all, each beside its final name and renamed.
    pub(crate) fn write(&self) -> Result<(), FilesError> {
        for ((_, path, mode), content) in &self.copies {
            put(path, *mode, content).map_err(|source| FilesError::Write {
                path: path.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

fn first_run_files(approot: &Path) -> Result<Vec<String>, FilesError> {
    let path = approot.join("initdb.d");
    let read = |source| FilesError::Read {
        path: path.clone(),
        source,
    };
    let entries = match path.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(read)?.file_name();
        let name = name.to_string_lossy();
        // Compressed ones too.
        if name.contains(".sql") {
            names.push(name.into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn put(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    let mut beside = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(parent)?;
    beside.write_all(content)?;
    // The umask took its share when the file was made.
    beside
        .as_file()
        .set_permissions(fs::Permissions::from_mode(mode))?;
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    File::open(parent)?.sync_all()
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
    fn write_impossible_has_exact_text() {
        let approot = approot("");
        let files = Files::read(approot.path(), &Layout::new("/proc/nowhere")).unwrap();
        assert_eq!(
            files.write().unwrap_err().to_string(),
            "cannot write /proc/nowhere/postinstall"
        );
    }
}
