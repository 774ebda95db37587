//! What a data directory is, judged by the servers' own files, read-only. Decides before any
//! server is started: a server started on another's files damages them (server-facts.md).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::server::{Flavour, Server, Version};

/// The state of a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataDirState {
    /// There is none, or an empty directory: nothing can be lost.
    Absent,
    /// Initialised by a server of this lineage.
    Ready(Lineage),
    /// Not a data directory that we know; the first names found in it, sorted.
    Unrecognised(Vec<String>),
}

/// Servers that share the format of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lineage {
    /// MariaDB: it alone keeps an `aria_log_control`.
    MariaDb,
    /// MySQL and Percona Server from 8.0 on, with the data dictionary in `mysql.ibd`.
    MySqlDictionary,
    /// MySQL and Percona Server before 8.0: `ibdata1` and `.frm` files.
    MySqlFrm,
}

impl Lineage {
    /// The lineage that `server` makes.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        match server.flavour {
            Flavour::MariaDb => Self::MariaDb,
            Flavour::MySql | Flavour::Percona if server.version >= Version::new(8, 0, 0) => {
                Self::MySqlDictionary
            }
            Flavour::MySql | Flavour::Percona => Self::MySqlFrm,
        }
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MariaDb => "MariaDB",
            Self::MySqlDictionary => "MySQL 8.0 or later",
            Self::MySqlFrm => "MySQL 5.x",
        })
    }
}

/// How many names of an unrecognised directory are worth showing.
const NAMES_SHOWN: usize = 5;

/// Looks at `path` without changing anything.
pub fn inspect(path: &Path) -> Result<DataDirState, InspectError> {
    let error = |source| InspectError {
        path: path.to_owned(),
        source,
    };
    let entries = match path.read_dir() {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(DataDirState::Absent),
        Err(e) => return Err(error(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(error)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(judge(names))
}

fn judge(mut names: Vec<String>) -> DataDirState {
    if names.is_empty() {
        return DataDirState::Absent;
    }
    let has = |name: &str| names.iter().any(|n| n == name);
    // Every server keeps the system tablespace here unless told otherwise.
    if has("ibdata1") && has("aria_log_control") {
        DataDirState::Ready(Lineage::MariaDb)
    } else if has("ibdata1") && has("mysql.ibd") {
        DataDirState::Ready(Lineage::MySqlDictionary)
    } else if has("ibdata1") && has("mysql") {
        DataDirState::Ready(Lineage::MySqlFrm)
    } else {
        names.truncate(NAMES_SHOWN);
        DataDirState::Unrecognised(names)
    }
}

/// A data directory could not be looked at.
#[derive(Debug, Error)]
#[error("cannot look into the data directory {path}", path = path.display())]
pub struct InspectError {
    /// The data directory.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judge_states_follow_the_servers_files() {
        let cases: [(&[&str], DataDirState, &str); 7] = [
            (&[], DataDirState::Absent, "an empty directory"),
            (
                &["aria_log_control", "ibdata1", "mysql"],
                DataDirState::Ready(Lineage::MariaDb),
                "MariaDB",
            ),
            (
                &["ibdata1", "mysql", "mysql.ibd"],
                DataDirState::Ready(Lineage::MySqlDictionary),
                "MySQL 9",
            ),
            (
                &["ib_logfile0", "ibdata1", "logs", "mysql"],
                DataDirState::Ready(Lineage::MySqlFrm),
                "MySQL 5.6, and the earlier recipe's logs inside",
            ),
            (
                &["ibdata1"],
                DataDirState::Unrecognised(vec!["ibdata1".to_owned()]),
                "an initialiser killed half-way",
            ),
            (
                &["mysql"],
                DataDirState::Unrecognised(vec!["mysql".to_owned()]),
                "a directory of that name proves nothing",
            ),
            (
                &["a", "b", "c", "d", "e", "f"],
                DataDirState::Unrecognised(["a", "b", "c", "d", "e"].map(str::to_owned).into()),
                "somebody's files",
            ),
        ];
        for (names, expected, reason) in cases {
            let names = names.iter().map(|&n| n.to_owned()).collect();
            assert_eq!(judge(names), expected, "{reason}");
        }
    }

    #[test]
    fn inspect_absent_and_unreadable() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("mysqldb");
        assert_eq!(inspect(&absent).unwrap(), DataDirState::Absent);
        std::fs::write(&absent, "a file").unwrap();
        assert_eq!(
            inspect(&absent).unwrap_err().to_string(),
            format!(
                "cannot look into the data directory {}/mysqldb",
                dir.path().display()
            )
        );
    }
}
