//! Which binary logs belong together: a row of them without a hole. A new row begins wherever something
//! may be missing: the logs were off for a while, another release wrote on, or the database was brought
//! back from a copy.

use std::fs;
use std::io;
use std::path::Path;

use thiserror::Error;

use crate::server::Server;
use crate::write::{WriteError, write_private};

/// Beside the logs.
pub const LINEAGE: &str = "lineage";

/// The name of a row of binary logs, and the server that writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Random.
    pub name: String,
    /// Such as `MySQL 9.7.4`.
    pub server: String,
}

impl Lineage {
    /// That of the logs in `directory`, if they are kept.
    pub fn read(directory: &Path) -> Result<Option<Self>, LineageError> {
        let path = directory.join(LINEAGE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LineageError::Use { path, source }),
        };
        // What cannot be understood begins anew: nothing is missed for that.
        Ok(text.trim_end().split_once(' ').map(|(name, server)| Self {
            name: name.to_owned(),
            server: server.to_owned(),
        }))
    }

    /// That of the logs in `directory`, which `server` goes on with, or a new one. Whether it is new.
    pub fn ensure(directory: &Path, server: &Server) -> Result<(Self, bool), LineageError> {
        let server = server.to_string();
        match Self::read(directory)? {
            Some(found) if found.server == server => Ok((found, false)),
            _ => Self::begin(directory, &server).map(|new| (new, true)),
        }
    }

    /// Begins a new one.
    pub fn begin(directory: &Path, server: &str) -> Result<Self, LineageError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|source| LineageError::Random { source })?;
        let new = Self {
            name: hook::hexadecimal(&bytes),
            server: server.to_owned(),
        };
        let text = format!("{} {}\n", new.name, new.server);
        write_private(&directory.join(LINEAGE), text.as_bytes())?;
        Ok(new)
    }

    /// The logs in `directory` are not kept from now on: what comes later does not follow on them.
    pub fn end(directory: &Path) -> Result<(), LineageError> {
        let path = directory.join(LINEAGE);
        match durable::remove_file_if_there(&path) {
            Ok(_) => Ok(()),
            Err(source) => Err(LineageError::Use { path, source }),
        }
    }
}

/// Which logs belong together cannot be known, or noted.
#[derive(Debug, Error)]
pub enum LineageError {
    /// Its file cannot be read or removed.
    #[error("cannot use {path}", path = path.display())]
    Use {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel gave no random bytes.
    #[error("cannot get random bytes for the name of a row of binary logs")]
    Random {
        /// Why.
        source: getrandom::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Flavour, Version};

    #[test]
    fn ensure_begins_anew_for_another_release_and_after_an_end() {
        let directory = tempfile::tempdir().unwrap();
        let server = |patch| Server {
            basedir: "/r".into(),
            executable: "/r/bin/mysqld".into(),
            flavour: Flavour::MySql,
            version: Version::new(9, 7, patch),
        };
        let ensure = |patch| Lineage::ensure(directory.path(), &server(patch)).unwrap();
        assert_eq!(Lineage::read(directory.path()).unwrap(), None);
        let (first, new) = ensure(3);
        assert!(new && first.server == "MySQL 9.7.3" && first.name.len() == 16);
        assert_eq!(ensure(3), (first.clone(), false));
        let (second, new) = ensure(4);
        assert!(new && second.name != first.name);
        Lineage::end(directory.path()).unwrap();
        Lineage::end(directory.path()).unwrap();
        assert!(ensure(4).1);
        std::fs::write(directory.path().join(LINEAGE), "torn").unwrap();
        assert!(ensure(4).1);
    }
}
