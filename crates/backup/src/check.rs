//! Trying out a copy: placed in a home directory without a database, upgraded as starttest would do it,
//! a server started on it that nobody else reaches, every table checked, every row counted, the user's check
//! files run.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use hook::{CommandError, Environment, Report};
use mycnf::{FirstRunFile, FirstRunFileError, TemporaryServerError, write_private};
use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use preparation::{PrepareError, Purpose, Settings, SettingsError, prepare};
use serde::Serialize;
use thiserror::Error;

use crate::check_files::{self, Finding};
use crate::inventory::{self, Table};
use crate::manifest::{CHECKED, Manifest};
use crate::place::{self, PlaceError, start_unguarded};
use crate::service::{Service, ServiceError};
use crate::verb::Copy;

/// What a check found.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    /// When it was done, in seconds since 1970.
    when: u64,
    /// By which server.
    server: String,
    /// The transactions in it, as MySQL names them; none where it does not.
    gtid: String,
    /// Rows by table.
    rows: &'a BTreeMap<String, u64>,
}

/// Tries it out; `~/data` is left behind.
pub(crate) fn check(
    environment: &Environment,
    service: &Service,
    copy: &Copy,
    report: &mut Report,
) -> Result<(), CheckError> {
    let files = check_files::find(service)?;
    let manifest = place::place(environment, service, copy, None, report)?;
    let mut settings = Settings::from_environment(environment)?;
    // Nobody is to connect, and the service's own port may be in use.
    settings.port.number = free_port().unwrap_or(settings.port.number);
    let prepared = prepare(&settings, Purpose::Serve, report)?;
    let service = Service::find(environment)?;
    let running = start_unguarded(&service, &prepared)?;
    let mut connection = service.connect_privately()?;
    let ask = |source| CheckError::Ask {
        source: Box::new(source),
    };
    let tables = inventory::tables(&mut connection).map_err(ask)?;
    check_tables(&mut connection, &tables)?;
    let rows = inventory::rows(&mut connection, &tables).map_err(ask)?;
    let gtid = inventory::variable(&mut connection, "gtid_executed").map_err(ask)?;
    drop(connection);
    compare(&manifest, &rows)?;
    // They may change what was counted.
    check_files::run(&service, &files)?;
    running.stop()?;
    let result = Checked {
        when: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        server: service.server.to_string(),
        gtid: gtid.unwrap_or_default(),
        rows: &rows,
    };
    let text = serde_json::to_vec_pretty(&result).unwrap_or_default();
    write_private(&copy.directory.join(CHECKED), &text).map_err(ServiceError::from)?;
    report.bullet(format!(
        "{} started on it: {} tables are in order, {} rows",
        service.server,
        tables.len(),
        rows.values().sum::<u64>()
    ));
    if !files.is_empty() {
        let names: Vec<String> = files.iter().map(FirstRunFile::name).collect();
        report.bullet(format!("check files found nothing: {}", names.join(", ")));
    }
    Ok(())
}

fn free_port() -> Option<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    Some(listener.local_addr().ok()?.port())
}

/// `CHECK TABLE` ends with the line that counts.
fn check_tables(connection: &mut Conn, tables: &[Table]) -> Result<(), CheckError> {
    for table in tables.iter().filter(|table| !table.engine.is_empty()) {
        let rows: Vec<Row> = connection
            .query(format!("CHECK TABLE {}", table.quoted()))
            .map_err(|source| CheckError::Ask {
                source: Box::new(source),
            })?;
        for row in rows {
            let text = |index| row.get::<String, usize>(index).unwrap_or_default();
            if text(2).eq_ignore_ascii_case("error") {
                return Err(CheckError::Table {
                    table: table.shown(),
                    said: text(3),
                });
            }
        }
    }
    Ok(())
}

/// Where rows were counted when the copy was made.
fn compare(manifest: &Manifest, rows: &BTreeMap<String, u64>) -> Result<(), CheckError> {
    for (table, wanted) in manifest.rows.iter().flatten() {
        let found = rows.get(table).copied().unwrap_or_default();
        if found != *wanted {
            return Err(CheckError::Rows {
                table: table.clone(),
                found,
                wanted: *wanted,
            });
        }
    }
    Ok(())
}

/// The copy is no good, or could not be tried out.
#[derive(Debug, Error)]
pub enum CheckError {
    /// It cannot be placed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The inputs of starttest.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its work, upgrades included.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// No server starts on it.
    #[error(transparent)]
    Server(#[from] TemporaryServerError),
    /// It cannot be reached.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// It does not answer.
    #[error("cannot ask the server that was started on the copy")]
    Ask {
        /// What it said.
        source: Box<mysql::Error>,
    },
    /// A table is damaged.
    #[error("the table {table} is damaged: {said}")]
    Table {
        /// Which.
        table: String,
        /// What the server said of it.
        said: String,
    },
    /// A table has not the rows it had.
    #[error("the table {table} has {found} rows; when it was copied it had {wanted}")]
    Rows {
        /// Which.
        table: String,
        /// How many there are.
        found: u64,
        /// How many there were.
        wanted: u64,
    },
    /// The check files cannot be listed.
    #[error(transparent)]
    ListFiles(#[from] FirstRunFileError),
    /// One cannot be read to its end.
    #[error("cannot read the check file {path}", path = path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are check files, and the release brings no client.
    #[error("no bin/mysql or bin/mariadb in {path} for the check files", path = path.display())]
    NoClient {
        /// The release.
        path: PathBuf,
    },
    /// The client does not run.
    #[error("cannot run the check files")]
    Client {
        /// Why.
        source: CommandError,
    },
    /// Check files found something.
    #[error("check files found something: {list}", list = names(findings))]
    Files {
        /// All of it.
        findings: Vec<Finding>,
    },
}

fn names(findings: &[Finding]) -> String {
    let names: Vec<&str> = findings
        .iter()
        .map(|finding| finding.file.as_str())
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Method;

    #[test]
    fn compare_missing_rows_have_exact_text() {
        let mut manifest = Manifest::new(String::new(), Method::Dump, 0);
        manifest.rows = Some([("shop.t".to_owned(), 3)].into());
        compare(&manifest, &[("shop.t".to_owned(), 3)].into()).unwrap();
        assert_eq!(
            compare(&manifest, &[("shop.t".to_owned(), 2)].into())
                .unwrap_err()
                .to_string(),
            "the table shop.t has 2 rows; when it was copied it had 3"
        );
        assert!(compare(&manifest, &BTreeMap::new()).is_err());
    }
}
