//! How the last server on a data directory ended, judged by its logs, read-only. Only what a clean
//! shutdown left may be given to a newer release: the logs of a crash are for who wrote them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::InspectError;
use super::{mysql_log, redo_log};
use crate::server::Version;

/// How the last server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Its logs hold nothing that is not in the tables.
    Clean,
    /// There is something to recover.
    Unclean,
    /// The logs are not where they usually are, or in a format we do not know (InnoDB's of before
    /// MariaDB 10.2, or encrypted).
    Unknown,
}

/// Looks at InnoDB's log in MySQL's data directory `dir`. With the release that made the log.
pub fn last_mysql_shutdown(dir: &Path) -> Result<(Shutdown, Option<Version>), InspectError> {
    mysql_log::shutdown(dir, mysql_log::MYSQL).map_err(|source| InspectError {
        path: dir.to_owned(),
        source,
    })
}

/// Looks at the logs of InnoDB and Aria in MariaDB's data directory `dir`.
pub fn last_shutdown(dir: &Path) -> Result<Shutdown, InspectError> {
    let fail = |path: PathBuf| |source| InspectError { path, source };
    let innodb_log = dir.join("ib_logfile0");
    let innodb = match redo_log::shutdown(&innodb_log).map_err(fail(innodb_log))? {
        // Before 10.8 it was as MySQL's.
        Shutdown::Unknown => {
            let known = mysql_log::shutdown(dir, mysql_log::MARIADB);
            known.map_err(fail(dir.to_owned()))?.0
        }
        known => known,
    };
    let aria = aria(dir).map_err(fail(dir.to_owned()))?;
    Ok(match (innodb, aria) {
        (Shutdown::Clean, Shutdown::Clean) => Shutdown::Clean,
        (Shutdown::Unknown, _) | (_, Shutdown::Unknown) => Shutdown::Unknown,
        (Shutdown::Unclean, _) | (_, Shutdown::Unclean) => Shutdown::Unclean,
    })
}

/// After a clean shutdown the last record of Aria's log is the checkpoint that its control file names
/// (`ma_control_file.h`, `ma_loghandler.c`).
fn aria(dir: &Path) -> io::Result<Shutdown> {
    let control = match fs::read(dir.join("aria_log_control")) {
        Ok(control) => control,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Shutdown::Unknown),
        Err(error) => return Err(error),
    };
    let Some((checkpoint_log, offset, last_log)) = control_file(&control) else {
        return Ok(Shutdown::Unknown);
    };
    if checkpoint_log != last_log {
        return Ok(Shutdown::Unclean);
    }
    let log = match fs::read(dir.join(format!("aria_log.{last_log:08}"))) {
        Ok(log) => log,
        // Without a log there is nothing in it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Shutdown::Clean),
        Err(error) => return Err(error),
    };
    Ok(if ends_with_checkpoint(&log, offset) {
        Shutdown::Clean
    } else {
        Shutdown::Unclean
    })
}

/// The checkpoint's log and offset there, and the number of the last log.
fn control_file(bytes: &[u8]) -> Option<(u32, usize, u32)> {
    let size = u16::from_le_bytes(bytes.get(20..22)?.try_into().ok()?);
    let changing = bytes
        .strip_prefix(b"\xfe\xfe\x0c")
        .and(bytes.get(usize::from(size)..))?;
    let number = |at: usize, length: usize| {
        let bytes = changing.get(at..at + length)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |n, byte| n << 8 | u32::from(*byte)),
        )
    };
    let offset = usize::try_from(number(7, 4)?).ok()?;
    Some((number(4, 3)?, offset, number(11, 4)?))
}

/// What the rest of a log's last page is filled with.
const FILLER: u8 = 0xff;

/// A checkpoint's record: type, two bytes, the length of what follows, two bytes. One of a shutdown is
/// short, because there is nothing left to tell.
fn ends_with_checkpoint(log: &[u8], offset: usize) -> bool {
    const HEADER: usize = 6;
    /// Of the next page, where the record has its end there.
    const PAGE_HEADER: usize = 16;
    const PAGE: usize = 8192;
    let Some(&length) = log.get(offset + 3).filter(|length| **length < 251) else {
        return false;
    };
    let mut end = offset + HEADER + usize::from(length);
    if end / PAGE != offset / PAGE {
        end += PAGE_HEADER;
    }
    log.get(end..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == FILLER))
}

#[cfg(test)]
mod tests;
