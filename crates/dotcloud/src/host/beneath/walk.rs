//! Everything in a tree, sorted: what a directory holds comes after it, before what follows it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Directory, OWNERS, set_mode};
use crate::host::files::{self, FileError};

/// Something in a tree.
#[derive(Debug)]
pub(crate) struct Found {
    /// Below the top.
    pub(crate) path: PathBuf,
    pub(crate) metadata: std::fs::Metadata,
}

/// A walk through a tree that may change meanwhile.
pub(crate) struct Walk<'a> {
    top: &'a Directory,
    /// What people call it.
    name: &'a Path,
    waiting: Vec<PathBuf>,
    /// Directories that their owner could not look into, and their modes.
    opened: Vec<(PathBuf, u32)>,
}

impl<'a> Walk<'a> {
    /// Through everything below `top`, which people call `name`.
    pub(crate) fn new(top: &'a Directory, name: &'a Path) -> Result<Self, FileError> {
        let mut walk = Self {
            top,
            name,
            waiting: Vec::new(),
            opened: Vec::new(),
        };
        walk.enter(Path::new(""))
            .map_err(files::failed("read", name))?;
        Ok(walk)
    }

    /// Has what is in the directory `path` come next.
    fn enter(&mut self, path: &Path) -> io::Result<()> {
        let directory = if path.as_os_str().is_empty() {
            self.top.directory(".")?
        } else {
            self.top.directory(path)?
        };
        let mut names = directory.names()?;
        names.sort_by(|a, b| b.cmp(a));
        let paths = names.into_iter().map(|name| path.join(name));
        self.waiting.extend(paths);
        Ok(())
    }

    fn visit(&mut self, path: &Path) -> io::Result<std::fs::Metadata> {
        let found = self.top.look(path)?;
        let metadata = found.metadata()?;
        if metadata.is_dir() {
            if metadata.mode() & 0o500 != 0o500 {
                set_mode(&found, metadata.mode() | OWNERS)?;
                self.opened.push((path.to_owned(), metadata.mode()));
            }
            self.enter(path)?;
        }
        Ok(metadata)
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Found, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let path = self.waiting.pop()?;
        let visited = self.visit(&path);
        Some(match visited {
            Ok(metadata) => Ok(Found { path, metadata }),
            // Its name would fill the screen.
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => {
                let text = "a path in it is longer than 4095 bytes: nobody can open it by its name";
                let first: PathBuf = path.components().take(1).collect();
                let error = io::Error::new(error.kind(), text);
                Err(files::failed("read", &self.name.join(first))(error))
            }
            Err(error) => Err(files::failed("read", &self.name.join(path))(error)),
        })
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        for (path, mode) in self.opened.drain(..).rev() {
            if let Ok(directory) = self.top.look(path) {
                let _ = set_mode(&directory, mode);
            }
        }
    }
}
