//! SQL out of a server that runs and into one, by the release's own programs: rows and definitions by
//! mysqldump or mariadb-dump in one transaction, accounts as statements. Never the `mysql` database.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::CommandError;
use mycnf::{Flavour, Version, bare_command, with_path};
use mysql::Conn;
use thiserror::Error;

use crate::accounts::{self, AccountSql};
use crate::inventory;
use crate::manifest::Position;
use crate::service::{Service, ServiceError};

/// Under their present and their earlier names.
const DUMPERS: [&str; 2] = ["mariadb-dump", "mysqldump"];
const CLIENTS: [&str; 2] = ["mariadb", "mysql"];

/// What every dumper knows. One transaction, so that nobody waits and all tables are of one moment; row
/// by row, so that a table need not fit into memory.
const OPTIONS: [&str; 9] = [
    "--single-transaction",
    "--quick",
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--skip-lock-tables",
    "--default-character-set=utf8mb4",
    "--max-allowed-packet=1G",
];

/// First in a dump: what sets the session so that the rest means the same everywhere.
const HEAD: &str = "-- made by 'backup dump' of mysql-on-dotcloud\nSET NAMES utf8mb4;\n";

/// A dump, ready to be written.
#[derive(Debug)]
pub(crate) struct Dump<'a> {
    service: &'a Service,
    program: PathBuf,
    databases: Vec<String>,
    accounts: AccountSql,
    /// How the dumper is told to tell the position; MariaDB's does without a lock on all tables, MySQL's
    /// takes that for a moment.
    tells_position: Option<&'static str>,
}

impl<'a> Dump<'a> {
    /// Reads what has to be known first.
    pub(crate) fn new(service: &'a Service, connection: &mut Conn) -> Result<Self, DumpError> {
        let program = service
            .program(&DUMPERS)
            .ok_or_else(|| DumpError::NoDumper {
                path: service.server.basedir.clone(),
            })?;
        let ask = |source| DumpError::Ask {
            source: Box::new(source),
        };
        let mariadb = service.server.flavour == Flavour::MariaDb;
        let renamed = !mariadb && service.server.version >= Version::new(8, 0, 26);
        let telling = if renamed {
            "--source-data=2"
        } else {
            "--master-data=2"
        };
        Ok(Self {
            service,
            program,
            tells_position: inventory::has_binary_log(connection)
                .map_err(ask)?
                .then_some(telling),
            databases: inventory::databases(connection).map_err(ask)?,
            accounts: accounts::read(connection, &service.server).map_err(ask)?,
        })
    }

    /// Writes it to `out`: accounts, everything else, then rights, which may be on what is there by then.
    pub(crate) fn write(&self, out: &File) -> Result<(), DumpError> {
        let write = |text: &str| {
            let mut out = out;
            out.write_all(text.as_bytes())
                .map_err(|source| DumpError::Write { source })
        };
        write(HEAD)?;
        write(&accounts::script(&self.accounts.create))?;
        if !self.databases.is_empty() {
            let options = self.service.client_options()?;
            let output = out
                .try_clone()
                .map_err(|source| DumpError::Write { source })?;
            hook::run_into(&mut self.command(&options.path), output)
                .map_err(|source| DumpError::Dump { source })?;
        }
        write(&accounts::script(&self.accounts.grant))?;
        // The mark of a dump that is whole.
        write("-- backup dump completed\n")
    }

    fn command(&self, options: &Path) -> Command {
        let socket = self.service.layout.socket();
        let mut command = client_command(self.service, &self.program, options, &socket);
        command.args(OPTIONS);
        // As a comment.
        command.args(self.tells_position);
        if self.service.server.flavour != Flavour::MariaDb {
            // Whoever loads it has transactions of their own.
            command.arg("--set-gtid-purged=OFF");
        }
        command.arg("--databases").arg("--").args(&self.databases);
        command
    }
}

/// Executes the SQL of `input` on the server that listens on `socket`. Ends at the first statement that
/// fails.
pub(crate) fn load(
    service: &Service,
    socket: &Path,
    input: impl Read + Send,
) -> Result<(), DumpError> {
    let options = service.client_options()?;
    let client = client(service)?;
    let mut command = client_command(service, &client, &options.path, socket);
    command
        .args(["--default-character-set=utf8mb4", "--max-allowed-packet=1G"])
        // Its comments are part of a dump; bytes of the user's are no line ends.
        .args(["--comments", "--binary-mode", "--skip-force", "--batch"]);
    if service.server.flavour != Flavour::MariaDb {
        // MySQL's client has to be told of `source` and the like from 9.x on.
        command.arg("--loose-commands");
    }
    hook::feed(&mut command, input)
        .map(drop)
        .map_err(|source| DumpError::Load { source })
}

fn client(service: &Service) -> Result<PathBuf, DumpError> {
    service
        .program(&CLIENTS)
        .ok_or_else(|| DumpError::NoClient {
            path: service.server.basedir.clone(),
        })
}

fn client_command(service: &Service, program: &Path, options: &Path, socket: &Path) -> Command {
    let mut command = bare_command(&service.layout, program);
    command
        // MySQL's clients read a login file there, whatever option file they are given.
        .env("HOME", service.layout.run_dir())
        .arg(with_path("--defaults-file=", options))
        .arg(with_path("--socket=", socket))
        .args(["--protocol=SOCKET", "--host=localhost"]);
    command
}

/// The position that the dumper noted near the beginning of `path`, if it did.
pub(crate) fn position_in(path: &Path) -> Option<Position> {
    let mut head = Vec::new();
    File::open(path)
        .ok()?
        .take(1 << 20)
        .read_to_end(&mut head)
        .ok()?;
    noted_position(&String::from_utf8_lossy(&head))
}

fn noted_position(text: &str) -> Option<Position> {
    let line = text
        .lines()
        .find(|line| line.starts_with("-- CHANGE ") && line.contains("_LOG_FILE='"))?;
    let (_, rest) = line.split_once("_LOG_FILE='")?;
    let (file, rest) = rest.split_once("', ")?;
    let (_, rest) = rest.split_once("_LOG_POS=")?;
    Some(Position {
        file: file.to_owned(),
        position: rest.trim_end_matches(';').trim().parse().ok()?,
        gtid: String::new(),
        lineage: String::new(),
    })
}

/// A new file of ours alone.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// There is no dump, or it could not be loaded.
#[derive(Debug, Error)]
pub enum DumpError {
    /// The release brings no dumper.
    #[error("no bin/mysqldump or bin/mariadb-dump in {path}", path = path.display())]
    NoDumper {
        /// The release.
        path: PathBuf,
    },
    /// The release brings no client.
    #[error("no bin/mysql or bin/mariadb in {path}", path = path.display())]
    NoClient {
        /// The release.
        path: PathBuf,
    },
    /// The server did not tell what it has.
    #[error("cannot ask the server what to dump")]
    Ask {
        /// What it said.
        source: Box<mysql::Error>,
    },
    /// The dumper failed.
    #[error("the dump failed")]
    Dump {
        /// How it ended.
        source: CommandError,
    },
    /// Nobody took what was dumped.
    #[error("cannot write the dump")]
    Write {
        /// Why.
        source: io::Error,
    },
    /// A statement failed.
    #[error("the dump could not be loaded")]
    Load {
        /// How the client ended.
        source: CommandError,
    },
    /// The server cannot be reached.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl DumpError {
    /// What the program said.
    pub(crate) fn evidence(&self) -> &str {
        match self {
            Self::Dump { source } | Self::Load { source } => source.last_words(),
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noted_position_is_the_one_of_the_comment() {
        let text = "-- Position\n\n-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000002', \
                    MASTER_LOG_POS=1234;\nCREATE TABLE t";
        let position = noted_position(text).unwrap();
        assert_eq!(
            (&*position.file, position.position),
            ("binlog.000002", 1234)
        );
        assert_eq!(noted_position("CREATE TABLE t"), None);
        let other = "-- CHANGE MASTER TO MASTER_LOG_FILE='b', MASTER_LOG_POS=x;";
        assert_eq!(noted_position(other), None);
    }
}
