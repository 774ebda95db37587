//! backup: the database of a service as files that can be brought back. Called by the platform for
//! `dotcloud backup` and `restore`, or by hand in the service.

mod accounts;
mod binlog;
mod chain;
mod check;
mod check_files;
mod dump;
mod error;
mod inventory;
mod logs;
mod manifest;
mod moment;
mod online;
mod place;
mod plan;
mod replay;
mod service;
mod take;
mod tree;
mod verb;

use std::io::{self, Write};

use hook::{Environment, Report};

use dump::Dump;
use service::Service;

pub use binlog::BinaryLogError;
pub use chain::ChainError;
pub use check::CheckError;
pub use check_files::Finding;
pub use dump::DumpError;
pub use error::Error;
pub use logs::LogsError;
pub use manifest::{FileEntry, LastLog, LogEntry, Logs, Manifest, ManifestError, Method, Position};
pub use moment::{Gtid, GtidRanges, Moment, MomentError, Times};
pub use place::PlaceError;
pub use plan::PlanError;
pub use replay::ReplayError;
pub use service::ServiceError;
pub use take::TakeError;
pub use tree::TreeError;
pub use verb::{Copy, FORMS, Until, Verb};

/// The text of `--help`.
pub const ABOUT: &str = "\
Copies the database of this home directory, and makes a copy the database again.

  take DIR     a copy in DIR, which is empty or not there: of a server that runs by its
               clone plugin (MySQL from 8.0.17 on), by mariadb-backup, else as SQL; of one
               that does not run by its files. DIR/manifest.json, written last, names
               every file with its length and SHA-256
  check DIR    in a home directory without a database: verifies the copy, places it,
               upgrades it as starttest would, starts a server on it that nobody else
               reaches, checks every table and counts every row: DIR/checked.json; then
               runs ~/mysql/check.d, in which a query that returns a row is a failure
  place DIR    in a home directory without a database: verifies the copy and makes it
               the database; refuses what this release must not have. With --until MOMENT
               and --logs DIR the binary logs in the directories of DIR, which 'logs'
               made, are replayed on it: up to @SECONDS since 1970, or up to a
               transaction and with it; --allow-gap: although some are missing
  logs DIR     the binary logs that MYSQL_PITR=1 keeps and that were not copied yet, once
               the server has closed the one it writes; DIR/after.json is the manifest
               of the copy before. What was copied is removed while all take more than
               MYSQL_PITR_SIZE [default: 1G]
  plan DIR     answers DIR/request.json, which copy and which logs a moment takes, in
               DIR/plan.json
  release      the server's flavour and version, on a line: another may change the data
  dump         SQL to standard output: rows, definitions, accounts; never the database
               'mysql', and not root
  load         SQL from standard input, until the first statement that fails

check and place leave DIR as it is; with --move its files are moved where they can be.

Reads: HOME, what is in it, and for check and place what postinstall reads.

Examples:
  ~/backup take ~/copy
  ~/backup dump > shop.sql
  ~/backup load < shop.sql

Exit status: 0 done; 1 failed, and the database is as it was; 2 called wrongly; 70 a
defect of backup.
";

/// How much less of the processor than others a copy asks for, and the programs that make it.
const NICE: i32 = 10;

/// Does what is asked for.
pub fn run(environment: &Environment, report: &mut Report, verb: Verb) -> Result<(), Error> {
    let service = Service::find(environment)?;
    if matches!(verb, Verb::Take { .. } | Verb::Logs { .. } | Verb::Dump) {
        // What serves comes first. Where it may not be had, it goes on as it is.
        let _ = rustix::process::nice(NICE);
    }
    match verb {
        Verb::Take { directory } => {
            take::take(&service, &directory, report)?;
        }
        Verb::Check(copy) => check::check(environment, &service, &copy, report)?,
        Verb::Place { copy, until } => {
            place::place(environment, &service, &copy, until.as_ref(), report)?;
        }
        Verb::Logs { directory } => logs::copy(environment, &service, &directory, report)?,
        Verb::Plan { directory } => plan::plan(&directory, report)?,
        Verb::Release => {
            writeln!(io::stdout(), "{}", service.server)
                .map_err(|source| DumpError::Write { source })?;
        }
        Verb::Dump => {
            let mut connection = service.connect()?.ok_or(Error::NotRunning)?;
            let out = rustix::io::dup(io::stdout()).map_err(|errno| DumpError::Write {
                source: errno.into(),
            })?;
            Dump::new(&service, &mut connection)?.write(&out.into())?;
        }
        Verb::Load => {
            service.connect()?.ok_or(Error::NotRunning)?;
            // Not locked: another thread reads it.
            dump::load(&service, &service.layout.socket(), io::stdin())?;
        }
    }
    Ok(())
}
