//! Copying the binary logs that are closed: each is read to its end before it counts, and those that were
//! copied give way when all take more than they may. `DIR/after.json`, the manifest of the copy before,
//! says where to go on; nothing about that is kept in the service.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hook::{Environment, Report};
use mycnf::{BINARY_LOG, Lineage, LineageError, parse_size, shown_size, sql_literal};
use mysql::Conn;
use mysql::prelude::Queryable;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::binlog::{BinaryLog, BinaryLogError};
use crate::chain::number;
use crate::manifest::{LastLog, LogEntry, Logs, Manifest, ManifestError, Method};
use crate::moment::{self, GtidRanges, Times};
use crate::service::{Service, ServiceError};
use crate::tree::{self, TreeError};

/// What the platform knows of the copy before.
const AFTER: &str = "after.json";

/// In a copy.
pub(crate) const LOGS: &str = "logs";

/// How much all logs may take, unless `MYSQL_PITR_SIZE` says.
const DEFAULT_SIZE: u64 = 1 << 30;

/// Copied at once, and a log more: what is left comes with the next copy.
const MOST: u64 = 1 << 30;

/// So much of a log tells it from others: its first events have the time in them.
const HEAD: u64 = 4096;

/// What replays logs, under its present and its earlier name.
pub(crate) const REPLAYERS: [&str; 2] = ["mariadb-binlog", "mysqlbinlog"];

/// Copies the logs that were closed since the copy before to `directory`.
pub(crate) fn copy(
    environment: &Environment,
    service: &Service,
    directory: &Path,
    report: &mut Report,
) -> Result<(), LogsError> {
    let place = service.layout.binary_logs();
    let most = size(environment)?;
    let lineage = Lineage::read(&place)?.ok_or(LogsError::NotKept)?;
    if service.program(&REPLAYERS).is_none() {
        let path = service.server.basedir.clone();
        return Err(LogsError::NoReplayer { path });
    }
    let after = take_after(directory)?;
    let mut connection = service.connect()?;
    let mut names = index(&place)?;
    if let (Some(connection), Some(current)) = (&mut connection, names.last())
        && has_changes(&place.join(current))
    {
        connection
            .query_drop("FLUSH BINARY LOGS")
            .map_err(|source| LogsError::Flush {
                source: Box::new(source),
            })?;
        names = index(&place)?;
    }
    // The last one is written to, or its server was killed.
    names.pop();
    let mut work = Work {
        service,
        place: &place,
        lineage,
        problems: Vec::new(),
    };
    let todo = work.after(&names, after.as_ref())?;
    let shipped = names.len() - todo.len();
    let manifest = work.copy(&todo, directory, report)?;
    if let Some(connection) = &mut connection {
        work.purge(connection, &names, shipped, most)?;
    }
    work.complete(manifest, directory, report)
}

fn size(environment: &Environment) -> Result<u64, LogsError> {
    let Some((value, variable)) = environment.input("MYSQL_PITR_SIZE") else {
        return Ok(DEFAULT_SIZE);
    };
    let text = value.to_string_lossy();
    parse_size(&text).ok_or_else(|| LogsError::Size {
        variable,
        value: text.into_owned(),
    })
}

/// What the directory says of the copy before; it is no part of this one.
fn take_after(directory: &Path) -> Result<Option<Logs>, LogsError> {
    tree::make_directory(directory)?;
    let path = directory.join(AFTER);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(tree::failed("read", &path)(error).into()),
    };
    fs::remove_file(&path).map_err(tree::failed("remove", &path))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|source| ManifestError::Damaged { path, source })?;
    Ok(manifest.logs)
}

/// The names of all logs, the oldest first.
pub(crate) fn index(place: &Path) -> Result<Vec<String>, LogsError> {
    let path = place.join(format!("{BINARY_LOG}.index"));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // Until the server starts with them.
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(tree::failed("read", &path)(error).into()),
    };
    let name = |line: &str| Some(Path::new(line).file_name()?.to_str()?.to_owned());
    Ok(text
        .lines()
        .filter_map(name)
        .filter(|name| number(name).is_some())
        .collect())
}

/// Whether anything was written to the current log. What is half written was.
fn has_changes(log: &Path) -> bool {
    BinaryLog::open(log).is_ok_and(|mut log| !matches!(log.next(), Ok(None)))
}

/// The position of a stopped server: all that its logs have is in its files.
pub(crate) fn last(place: &Path) -> Option<String> {
    index(place).ok()?.pop()
}

struct Work<'a> {
    service: &'a Service,
    place: &'a Path,
    lineage: Lineage,
    problems: Vec<String>,
}

impl Work<'_> {
    /// Those of `names` that were not copied yet.
    fn after(&mut self, names: &[String], after: Option<&Logs>) -> Result<Vec<String>, LogsError> {
        let known = after
            .filter(|logs| logs.lineage == self.lineage.name)
            .and_then(|logs| logs.last.as_ref());
        let Some(known) = known else {
            return Ok(names.to_vec());
        };
        if let Some(at) = names.iter().position(|name| *name == known.name) {
            if head(&self.place.join(&known.name), &known.name)? == *known {
                return Ok(names[at + 1..].to_vec());
            }
        } else {
            let last = number(&known.name);
            if names.iter().all(|name| number(name) > last) {
                return Ok(names.to_vec());
            }
        }
        // Somebody had the server begin anew.
        self.lineage = Lineage::begin(self.place, &self.lineage.server)?;
        self.problems.push(
            "the binary logs were reset: only after the next backup can the database be brought back \
             to a point in time again"
                .to_owned(),
        );
        Ok(names.to_vec())
    }

    fn copy(
        &mut self,
        todo: &[String],
        directory: &Path,
        report: &mut Report,
    ) -> Result<Manifest, LogsError> {
        let target = directory.join(LOGS);
        let (mut logs, mut last, mut bytes) = (Vec::new(), None, 0);
        for name in todo {
            if bytes >= MOST {
                report.bullet(format!("{name} and later logs come with the next copy"));
                break;
            }
            tree::make_directory(&target)?;
            let (from, to) = (self.place.join(name), target.join(name));
            tree::copy_file(&from, &to).map_err(tree::failed("copy", &from))?;
            let known = head(&from, name)?;
            bytes += known.bytes;
            last = Some(known);
            // What was copied is read, not what was there.
            match read(&to, name) {
                Ok(entry) => logs.push(entry),
                Err(error @ (BinaryLogError::Damaged { .. } | BinaryLogError::Foreign { .. })) => {
                    fs::remove_file(&to).map_err(tree::failed("remove", &to))?;
                    let said = error
                        .to_string()
                        .replace(&*target.to_string_lossy(), &self.place.to_string_lossy());
                    self.problems.push(format!(
                        "{said}: there is a gap; only after the next backup can the database be \
                         brought back to a point in time again"
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let server = self.service.server.to_string();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut manifest =
            Manifest::new(server, Method::Logs, now.map_or(0, |since| since.as_secs()));
        manifest.logs = Some(Logs {
            lineage: self.lineage.name.clone(),
            logs,
            last,
        });
        Ok(manifest)
    }

    /// Has the server remove the oldest logs while all take more than they may: first those `shipped`, of
    /// the closed ones `names`.
    fn purge(
        &mut self,
        connection: &mut Conn,
        names: &[String],
        shipped: usize,
        most: u64,
    ) -> Result<(), LogsError> {
        let sizes: Vec<u64> = names
            .iter()
            .map(|name| fs::metadata(self.place.join(name)).map_or(0, |found| found.size()))
            .collect();
        let mut total: u64 = sizes.iter().sum();
        let mut count = 0;
        while total > most && count < names.len() {
            total -= sizes[count];
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let current = index(self.place)?.pop();
        let Some(first_kept) = names.get(count).or(current.as_ref()) else {
            return Ok(());
        };
        let sql = format!("PURGE BINARY LOGS TO {}", sql_literal(first_kept));
        connection
            .query_drop(sql)
            .map_err(|source| LogsError::Flush {
                source: Box::new(source),
            })?;
        if count > shipped {
            self.problems.push(format!(
                "{} to {} were removed before they were known to be copied, because all logs may take \
                 {} (MYSQL_PITR_SIZE)",
                names[shipped],
                names[count - 1],
                shown_size(most)
            ));
        }
        Ok(())
    }

    fn complete(
        self,
        mut manifest: Manifest,
        directory: &Path,
        report: &mut Report,
    ) -> Result<(), LogsError> {
        for problem in &self.problems {
            report.warning(problem);
        }
        if !self.problems.is_empty() {
            manifest.problem = Some(self.problems.join("; "));
        }
        manifest.complete(directory)?;
        if !manifest.files.is_empty() {
            report.bullet(format!(
                "copied {} bytes in {} binary logs",
                manifest.bytes,
                manifest.files.len()
            ));
        }
        Ok(())
    }
}

fn head(path: &Path, name: &str) -> Result<LastLog, LogsError> {
    let failed = || tree::failed("read", path);
    let file = File::open(path).map_err(failed())?;
    let bytes = file.metadata().map_err(failed())?.len();
    let mut begin = Vec::new();
    file.take(HEAD).read_to_end(&mut begin).map_err(failed())?;
    Ok(LastLog {
        name: name.to_owned(),
        bytes,
        head: hook::hexadecimal(&Sha256::digest(&begin)),
    })
}

/// Reads a log to its end.
fn read(path: &Path, name: &str) -> Result<LogEntry, BinaryLogError> {
    let mut log = BinaryLog::open(path)?;
    let (mut times, mut gtids): (Option<Times>, GtidRanges) = (None, BTreeMap::new());
    while let Some(found) = log.next()? {
        times = Some(Times::with(times, found.time));
        if let Some(gtid) = &found.gtid {
            moment::add(&mut gtids, gtid);
        }
    }
    Ok(LogEntry {
        name: name.to_owned(),
        times,
        gtids,
    })
}

/// The logs were not copied.
#[derive(Debug, Error)]
pub enum LogsError {
    /// The variable is not set, or the service was not restarted since.
    #[error(
        "no binary logs are kept here: MYSQL_PITR is not 1, or was not when the server started"
    )]
    NotKept,
    /// What was copied could not be replayed.
    #[error("no bin/mysqlbinlog or bin/mariadb-binlog in {path}", path = path.display())]
    NoReplayer {
        /// The release.
        path: PathBuf,
    },
    /// No amount.
    #[error("{variable} is '{value}', which is no size such as 1G")]
    Size {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
    },
    /// The server does not close its log, or remove old ones.
    #[error("the server does not close its binary log")]
    Flush {
        /// What it said.
        source: Box<mysql::Error>,
    },
    /// Which logs belong together.
    #[error(transparent)]
    Lineage(#[from] LineageError),
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] BinaryLogError),
    /// Files.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The server cannot be reached.
    #[error(transparent)]
    Service(#[from] ServiceError),
}
