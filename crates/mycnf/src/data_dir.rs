//! What a data directory is, judged by the servers' own files, read-only. Decides before any
//! server is started: a server started on another's files damages them (server-facts.md, "Which server wrote").

mod evidence;
mod mysql_log;
mod redo_log;
mod shutdown;
mod tablespace;
mod user_table;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::place::is_vacant;
use crate::server::{Family, Version};
use evidence::Evidence;

pub use shutdown::{Shutdown, last_mysql_shutdown, last_shutdown};
pub use user_table::{AccountPlugin, account_plugins};

/// The state of a data directory, before it is known which server is to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataDirState {
    /// There is none, or an empty directory, be it a filesystem's root: nothing can be lost.
    Absent,
    /// A database.
    Database(Database),
    /// Not a data directory that we know; the first names found in it, sorted.
    Unrecognised(Vec<String>),
}

/// Whose a data directory is, as its files say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Database {
    /// Whose servers wrote it.
    pub family: Family,
    /// The newest of them that left its version.
    pub version: Version,
    /// The release that its system tables are for: an older one where the upgrade tool has not run,
    /// none where it was interrupted.
    pub system_tables: Option<Version>,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.version)
    }
}

/// MySQL 8.0 keeps it while it replaces the dictionary of 5.7. Killed then, it cannot go on itself (8.0.33).
pub const HALF_UPGRADED: &str = "mysql_dd_upgrade_info";

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
    if is_vacant(&names) {
        return Ok(DataDirState::Absent);
    }
    let evidence = Evidence::collect(path).map_err(error)?;
    Ok(judge(&evidence).map_or_else(
        || {
            // What says most first.
            names.sort_by_key(|name| (name != HALF_UPGRADED, name.clone()));
            names.truncate(NAMES_SHOWN);
            DataDirState::Unrecognised(names)
        },
        DataDirState::Database,
    ))
}

/// MariaDB counts from 10.0; what has older table definitions is MySQL's.
const MARIADB: Version = Version::new(10, 0, 0);

fn judge(evidence: &Evidence) -> Option<Database> {
    let newest = |versions: &[Option<Version>]| versions.iter().copied().flatten().max();
    match (evidence.dictionary, evidence.definitions) {
        // From 8.0 on there are no definition files, so those of another server tell of a mixture.
        (Some(dictionary), None) => {
            let version = newest(&[Some(dictionary), evidence.history])?;
            Some(Database {
                family: Family::MySql,
                version,
                system_tables: Some(version),
            })
        }
        (None, Some(definitions)) if definitions >= MARIADB => Some(Database {
            family: Family::MariaDb,
            version: newest(&[
                Some(definitions),
                evidence.upgrade_info.version(),
                evidence.redo_log_creator,
            ])?,
            system_tables: evidence.upgrade_info.system_tables(definitions),
        }),
        // Aria's control file beside them: MariaDB was started on them, or they are its 5.x.
        (None, Some(definitions)) if !evidence.aria => {
            let version = newest(&[Some(definitions), evidence.upgrade_info.version()])?;
            Some(Database {
                family: Family::MySql,
                version,
                system_tables: evidence.upgrade_info.system_tables(definitions),
            })
        }
        (None, Some(_) | None) | (Some(_), Some(_)) => None,
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

/// How many files of undo tablespaces (`undo001`) a MariaDB database has. `None` if there is no database.
pub(crate) fn undo_tablespaces(data_dir: &Path) -> Option<usize> {
    if !data_dir.join("mysql").is_dir() {
        return None;
    }
    let is_undo = |name: &OsStr| {
        let digits = name.to_str().and_then(|name| name.strip_prefix("undo"));
        digits.is_some_and(|rest| rest.len() == 3 && rest.bytes().all(|c| c.is_ascii_digit()))
    };
    let names = fs::read_dir(data_dir).ok()?.flatten();
    Some(names.filter(|entry| is_undo(&entry.file_name())).count())
}

#[cfg(test)]
mod tests;
