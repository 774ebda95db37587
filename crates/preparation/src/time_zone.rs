//! A default time zone with a name, which is in tables: without them a server does not start, and without a
//! server nobody can fill them.

use std::fs;
use std::path::Path;

use mycnf::{NoTimeZones, Server, TimeZones};
use thiserror::Error;

/// The time zone tables of a database that is to be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct ZoneTables {
    /// `MYSQL_INITDB_SKIP_TZINFO`.
    pub skip: bool,
    /// What `default-time-zone` names, and the line that does.
    pub named: Option<(String, String)>,
}

impl ZoneTables {
    /// The way to fill them, if they are to be filled. `seeded` says that the seed has them.
    pub(crate) fn source(
        &self,
        server: &Server,
        seeded: bool,
    ) -> Result<Option<TimeZones>, TimeZoneError> {
        let found = if self.skip {
            Err(Absent::Skipped)
        } else {
            TimeZones::find(server).map_err(Absent::Impossible)
        };
        let Some((zone, line)) = &self.named else {
            return Ok(found.ok());
        };
        let error = |reason| TimeZoneError {
            zone: zone.clone(),
            line: line.clone(),
            reason,
        };
        match found {
            Ok(source) if exists(source.zone_files(), zone) => Ok(Some(source)),
            Ok(_) => Err(error(Absent::Unknown)),
            // What is in the seed cannot be seen here.
            Err(_) if seeded => Ok(None),
            Err(reason) => Err(error(reason)),
        }
    }
}

/// Whether `value` of `default-time-zone` is in tables: neither the system's nor an offset.
pub(crate) fn is_named(value: &str) -> bool {
    !value.eq_ignore_ascii_case("SYSTEM") && !value.starts_with(['+', '-']) && !value.is_empty()
}

/// The servers do not mind the case.
fn exists(zone_files: &Path, zone: &str) -> bool {
    if TimeZones::is_copy(zone) {
        return false;
    }
    let mut path = zone_files.to_owned();
    for part in zone.split('/') {
        let names = fs::read_dir(&path).into_iter().flatten().flatten();
        let mut names = names.map(|entry| entry.file_name());
        match names.find(|name| name.eq_ignore_ascii_case(part)) {
            Some(name) => path.push(name),
            None => return false,
        }
    }
    path.is_file()
}

/// The server would not start.
#[derive(Debug, Error)]
#[error("{line}: default-time-zone is {zone}, {reason}")]
pub struct TimeZoneError {
    pub(crate) zone: String,
    pub(crate) line: String,
    pub(crate) reason: Absent,
}

/// Why there is no such zone.
#[derive(Debug, Error)]
pub(crate) enum Absent {
    #[error("and MYSQL_INITDB_SKIP_TZINFO leaves out the tables that have it")]
    Skipped,
    #[error("and there is nothing to fill its tables from: {0}")]
    Impossible(NoTimeZones),
    #[error("which this machine's zone files do not have")]
    Unknown,
}

#[cfg(test)]
mod tests {
    use mycnf::{Flavour, Version};

    use super::*;

    fn source(skip: bool, zone: &str, seeded: bool) -> Result<bool, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("bin/mysql_tzinfo_to_sql"), "").unwrap();
        let server = Server {
            basedir: dir.path().to_owned(),
            executable: "/r/bin/mysqld".into(),
            flavour: Flavour::MySql,
            version: Version::new(9, 7, 4),
        };
        let named = is_named(zone).then(|| (zone.to_owned(), "my.cnf line 2".to_owned()));
        let tables = ZoneTables { skip, named };
        let source = tables.source(&server, seeded);
        source
            .map(|source| source.is_some())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn source_of_the_tables_that_a_named_zone_is_in() {
        assert_eq!(source(false, "Europe/Berlin", false), Ok(true));
        assert_eq!(source(false, "europe/berlin", false), Ok(true));
        assert_eq!(source(true, "SYSTEM", false), Ok(false));
        assert_eq!(source(true, "+02:00", false), Ok(false));
        assert_eq!(
            source(true, "Europe/Berlin", true),
            Ok(false),
            "in the seed"
        );
        for (skip, zone, reason) in [
            (
                true,
                "Europe/Berlin",
                "and MYSQL_INITDB_SKIP_TZINFO leaves out the tables that have it",
            ),
            (
                false,
                "Europe/Berlni",
                "which this machine's zone files do not have",
            ),
        ] {
            let text = format!("my.cnf line 2: default-time-zone is {zone}, {reason}");
            assert_eq!(source(skip, zone, false), Err(text));
        }
        let reason = Absent::Impossible(NoTimeZones::Program).to_string();
        let text =
            "and there is nothing to fill its tables from: the tarball has no mysql_tzinfo_to_sql";
        assert_eq!(reason, text);
    }
}
