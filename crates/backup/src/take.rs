//! Taking a copy: of a server that runs by what its own release brings, of one that does not run by its
//! files. The directory gets its manifest last.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hook::{CommandError, Report};
use mycnf::{
    DataDirState, DataLock, Family, InspectError, Lineage, LineageError, LockError, Version,
    inspect,
};
use mysql::Conn;
use thiserror::Error;

use crate::dump::{self, Dump, DumpError};
use crate::inventory::{self, Table};
use crate::logs;
use crate::manifest::{Manifest, ManifestError, Method, Position};
use crate::online;
use crate::service::{Service, ServiceError};
use crate::tree::{self, TreeError};

/// In a copy: what is `~/data` of the service.
pub(crate) const DATA: &str = "data";

/// In a copy that is SQL.
pub(crate) const DUMP: &str = "dump.sql";

/// The first MySQL whose clone plugin makes a copy of itself (manual 8.0, section 5.6.7).
const CLONES: Version = Version::new(8, 0, 17);

/// How long a server that has just ended may keep the lock.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Beside the data directory, and of no use elsewhere.
const NOT_COPIED: [&str; 3] = ["logs", "mysqldb.lock", "mysqldb.initialising"];

/// Makes a copy of the database in `directory`.
pub(crate) fn take(
    service: &Service,
    directory: &Path,
    report: &mut Report,
) -> Result<Manifest, TakeError> {
    make_empty(directory)?;
    let begin = Instant::now();
    let taken = SystemTime::now().duration_since(UNIX_EPOCH);
    let taken = taken.map_or(0, |since| since.as_secs());
    let mut manifest = match service.connect()? {
        Some(connection) => of_running(service, connection, directory, report)?,
        None => of_stopped(service, directory, report)?,
    };
    manifest.taken = taken;
    manifest.milliseconds = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    manifest.complete(directory)?;
    report.bullet(format!(
        "copied {} bytes in {} files by {}",
        manifest.bytes,
        manifest.files.len(),
        manifest.method.name()
    ));
    Ok(manifest)
}

fn make_empty(directory: &Path) -> Result<(), TakeError> {
    tree::make_directory(directory)?;
    let mut entries = directory
        .read_dir()
        .map_err(tree::failed("read", directory))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(TakeError::NotEmpty {
            directory: directory.to_owned(),
        }),
    }
}

fn of_stopped(
    service: &Service,
    directory: &Path,
    report: &mut Report,
) -> Result<Manifest, TakeError> {
    let data_dir = service.data_dir_below()?;
    let _lock = DataLock::acquire(&service.layout.lock(), LOCK_PATIENCE)?;
    let path = &service.data_dir;
    match inspect(path)? {
        DataDirState::Database(found) => {
            report.bullet(format!(
                "no server runs: copying the files of {found} in {}",
                path.display()
            ));
        }
        DataDirState::Absent | DataDirState::Unrecognised(_) => {
            return Err(TakeError::NoDatabase { path: path.clone() });
        }
    }
    let skip = |below: &Path| {
        NOT_COPIED.iter().any(|name| below == Path::new(name)) || is_temporary(below, data_dir)
    };
    tree::copy(&service.layout.data(), &directory.join(DATA), &skip)?;
    let mut manifest = manifest(service, Method::Cold);
    let position = logs::last(&service.layout.binary_logs()).map(|file| Position {
        file,
        position: 0,
        gtid: String::new(),
        lineage: String::new(),
    });
    manifest.position = in_row(service, position)?;
    Ok(manifest)
}

/// What a server makes again when it starts.
fn is_temporary(below: &Path, data_dir: &Path) -> bool {
    let Ok(name) = below.strip_prefix(data_dir) else {
        return false;
    };
    let name = name.to_string_lossy();
    name.starts_with("ibtmp") || name.starts_with("#innodb_temp/")
}

fn of_running(
    service: &Service,
    mut connection: Conn,
    directory: &Path,
    report: &mut Report,
) -> Result<Manifest, TakeError> {
    let ask = |source| TakeError::Ask {
        source: Box::new(source),
    };
    let frozen = inventory::frozen(&mut connection).map_err(ask)?;
    let tables = inventory::tables(&mut connection).map_err(ask)?;
    let choice = choose(service, &mut connection, &tables).map_err(ask)?;
    let mut manifest = manifest(service, choice.method);
    manifest.frozen = frozen;
    let begin = inventory::position(&mut connection, &service.server).map_err(ask)?;
    report.bullet(format!("{} runs: {}", service.server, choice.why));
    match choice.method {
        Method::Clone => {
            online::clone(service, &mut connection, directory)?;
            manifest.position = begin;
        }
        Method::MariadbBackup => {
            manifest.position = online::mariadb_backup(service, &choice.program, directory)?;
        }
        Method::Dump | Method::Cold | Method::Logs => {
            warn_of_other_engines(&tables, report);
            let dump = Dump::new(service, &mut connection)?;
            let path = directory.join(DUMP);
            let file = dump::create(&path).map_err(tree::failed("create", &path))?;
            dump.write(&file)?;
            manifest.position = dump::position_in(&path);
        }
    }
    manifest.position = in_row(service, manifest.position)?;
    Ok(manifest)
}

/// With the row of logs that the position is in, if one is kept.
fn in_row(service: &Service, position: Option<Position>) -> Result<Option<Position>, TakeError> {
    let Some(position) = position else {
        return Ok(None);
    };
    let lineage = Lineage::read(&service.layout.binary_logs())?;
    Ok(Some(Position {
        lineage: lineage.map_or(String::new(), |lineage| lineage.name),
        ..position
    }))
}

fn manifest(service: &Service, method: Method) -> Manifest {
    Manifest::new(service.server.to_string(), method, 0)
}

/// A method, the program it takes, and why it is this one.
struct Choice {
    method: Method,
    program: PathBuf,
    why: String,
}

impl Choice {
    fn dump(why: impl Into<String>) -> Self {
        Self {
            method: Method::Dump,
            program: PathBuf::new(),
            why: why.into(),
        }
    }
}

fn choose(
    service: &Service,
    connection: &mut Conn,
    tables: &[Table],
) -> Result<Choice, mysql::Error> {
    let server = &service.server;
    if server.flavour.family() == Family::MariaDb {
        return Ok(match service.program(&["mariadb-backup", "mariabackup"]) {
            Some(program) => Choice {
                method: Method::MariadbBackup,
                program,
                why: "copying its files by mariadb-backup".to_owned(),
            },
            None => Choice::dump("dumping it, because its release has no mariadb-backup"),
        });
    }
    if server.version < CLONES {
        return Ok(Choice::dump(format!(
            "dumping it, because only releases from {CLONES} on can clone themselves"
        )));
    }
    if !server.basedir.join("lib/plugin/mysql_clone.so").is_file() {
        return Ok(Choice::dump(
            "dumping it, because its release has no lib/plugin/mysql_clone.so",
        ));
    }
    // The plugin copies tables of InnoDB, and empty ones in the place of all others.
    let other = tables
        .iter()
        .find(|table| !matches!(&*table.engine, "InnoDB" | "MEMORY" | ""));
    if let Some(table) = other {
        return Ok(Choice::dump(format!(
            "dumping it, because {} is of {}, which the clone plugin leaves empty",
            table.shown(),
            table.engine
        )));
    }
    if let Some((option, path)) = scattered(connection)? {
        return Ok(Choice::dump(format!(
            "dumping it, because {option} is {path}, and a clone has everything in one place"
        )));
    }
    Ok(Choice {
        method: Method::Clone,
        program: PathBuf::new(),
        why: "copying its files by its clone plugin".to_owned(),
    })
}

/// A directory of InnoDB's that is not the data directory.
fn scattered(connection: &mut Conn) -> Result<Option<(&'static str, String)>, mysql::Error> {
    for option in [
        "innodb_data_home_dir",
        "innodb_log_group_home_dir",
        "innodb_undo_directory",
    ] {
        let value = inventory::variable(connection, option)?.unwrap_or_default();
        if !matches!(&*value, "" | "." | "./") {
            return Ok(Some((option, value)));
        }
    }
    Ok(None)
}

/// What changes while it is dumped is as it was at some moment, not all at one.
fn warn_of_other_engines(tables: &[Table], report: &mut Report) {
    let others: Vec<String> = tables
        .iter()
        .filter(|table| !matches!(&*table.engine, "InnoDB" | ""))
        .map(|table| format!("{} ({})", table.shown(), table.engine))
        .collect();
    if !others.is_empty() {
        report.warning(format!(
            "what is written meanwhile to tables without transactions may be half in the dump: {}",
            others.join(", ")
        ));
    }
}

/// There is no copy.
#[derive(Debug, Error)]
pub enum TakeError {
    /// Something is there already.
    #[error("{directory} is not empty", directory = directory.display())]
    NotEmpty {
        /// Where the copy was to be.
        directory: PathBuf,
    },
    /// No server runs, and there is nothing to copy.
    #[error("there is no database in {path}", path = path.display())]
    NoDatabase {
        /// The data directory.
        path: PathBuf,
    },
    /// Somebody uses the files, and does not answer.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The data directory cannot be looked at.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The database cannot be found or reached.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The server did not answer a question.
    #[error("cannot ask the server what it has")]
    Ask {
        /// What it said.
        source: Box<mysql::Error>,
    },
    /// The clone plugin cannot be had.
    #[error("the server does not load its clone plugin")]
    Plugin {
        /// What it said.
        source: Box<mysql::Error>,
    },
    /// The clone plugin failed.
    #[error("the server did not clone itself")]
    Clone {
        /// What it said.
        source: Box<mysql::Error>,
    },
    /// mariadb-backup failed.
    #[error("mariadb-backup could not {what} the copy")]
    MariadbBackup {
        /// `make` or `prepare`.
        what: &'static str,
        /// How it ended.
        source: CommandError,
    },
    /// The dump failed.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// Which binary logs follow on the copy.
    #[error(transparent)]
    Lineage(#[from] LineageError),
    /// Files.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Reads a small file, if it is there.
pub(crate) fn read_if_there(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_temporary_only_in_the_data_directory() {
        let data_dir = Path::new("mysqldb");
        for (path, expected) in [
            ("mysqldb/ibtmp1", true),
            ("mysqldb/#innodb_temp/temp_1.ibt", true),
            ("mysqldb/#innodb_temp", false),
            ("mysqldb/ibdata1", false),
            ("ibtmp1", false),
        ] {
            assert_eq!(is_temporary(Path::new(path), data_dir), expected, "{path}");
        }
    }
}
