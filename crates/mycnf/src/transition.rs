//! What a server may do with a database that another release wrote: a pure table, after the vendors'
//! documentation (MySQL 5.7 and 9.7 manuals, "Upgrading MySQL"; MariaDB's pages on upgrading and on downgrading
//! between major versions). Refuses what no vendor supports, naming the releases to go through.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::data_dir::Database;
use crate::server::{Family, Series, Server, Version};

/// What it takes to let the server have the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Nothing: both are of one release series.
    Start,
    /// Nothing either: the server upgrades by itself, before it lets anybody in.
    UpgradeAtStart,
    /// The vendor's upgrade tool has to run beside the server, before anybody gets in.
    UpgradeByTool,
}

/// Releases that no upgrade may skip. The ones to come are not known here: such a server checks for
/// itself, as every MySQL from 8.0 on does.
const MYSQL_STATIONS: [Series; 7] = [
    Series(5, 5),
    Series(5, 6),
    Series(5, 7),
    Series(8, 0),
    Series(8, 4),
    Series(9, 7),
    // Numbered by year and month from 26.7 on; this is announced as the next long-term one.
    Series(28, 4),
];

/// The first MySQL that upgrades its system tables itself (manual 8.0, section 3.4).
const UPGRADES_ITSELF: Version = Version::new(8, 0, 16);

/// The first with a dictionary, which it makes of the older one's files as it starts. Those up to
/// [`UPGRADES_ITSELF`] want `mysql_upgrade` as well, after they have begun; nobody has to push one of them.
const DICTIONARY: Series = Series(8, 0);

/// What `server` may do with `database`, which is at `path`.
pub fn transition(
    path: &Path,
    database: &Database,
    server: &Server,
) -> Result<Transition, TransitionError> {
    let (path, found, pushed) = (path.to_owned(), *database, server.to_string());
    let (old, new) = (database.version.series(), server.version.series());
    let family = server.flavour.family();
    if database.family != family {
        return Err(TransitionError::OtherFamily {
            path,
            found,
            server: pushed,
        });
    }
    if old > new || (old == new && !may_go_back(family, database.version, server.version)) {
        return Err(TransitionError::Newer {
            path,
            found,
            server: pushed,
        });
    }
    match family {
        Family::MariaDb if database.system_tables.is_some_and(|v| v.series() == new) => {
            Ok(Transition::Start)
        }
        Family::MariaDb => Ok(Transition::UpgradeByTool),
        Family::MySql if old == new => Ok(match database.system_tables {
            // Only the tool of MySQL 5.x leaves another: one that is older, or none while it works.
            found if new < DICTIONARY && found.map(Version::series) != Some(new) => {
                Transition::UpgradeByTool
            }
            _ => Transition::Start,
        }),
        Family::MySql => {
            let through: Vec<Series> = MYSQL_STATIONS
                .into_iter()
                .filter(|station| old < *station && *station < new)
                .collect();
            if through.is_empty() && new < DICTIONARY {
                Ok(Transition::UpgradeByTool)
            } else if through.is_empty() && server.version >= UPGRADES_ITSELF {
                Ok(Transition::UpgradeAtStart)
            } else {
                Err(TransitionError::TooOld {
                    path,
                    found,
                    server: pushed,
                    through,
                })
            }
        }
    }
}

/// Within one series: MariaDB does not change formats in it, MySQL neither before 8.0 nor in a
/// long-term series from 8.4 on.
fn may_go_back(family: Family, from: Version, to: Version) -> bool {
    let keeps_format = match family {
        Family::MariaDb => true,
        Family::MySql => from.series() != Series(8, 0) && MYSQL_STATIONS.contains(&from.series()),
    };
    from <= to || keeps_format
}

/// The server must not have the database. Nothing was started, nothing written.
#[derive(Debug, Error)]
pub enum TransitionError {
    /// MariaDB's under MySQL, or the reverse.
    #[error("the data directory {path} is of {found}, and the server is {server}", path = path.display())]
    OtherFamily {
        /// The data directory.
        path: PathBuf,
        /// Whose it is.
        found: Database,
        /// The server that was pushed.
        server: String,
    },
    /// It would be a downgrade.
    #[error("the data directory {path} is of {found}, which is newer than the server, {server}", path = path.display())]
    Newer {
        /// The data directory.
        path: PathBuf,
        /// Whose it is.
        found: Database,
        /// The server that was pushed.
        server: String,
    },
    /// There are releases between.
    #[error("the data directory {path} is of {found}, which is too old for the server, {server}", path = path.display())]
    TooOld {
        /// The data directory.
        path: PathBuf,
        /// Whose it is.
        found: Database,
        /// The server that was pushed.
        server: String,
        /// The releases that may not be skipped; none if only a dump leads there.
        through: Vec<Series>,
    },
}

impl TransitionError {
    /// What to do instead.
    #[must_use]
    pub fn next_step(&self) -> String {
        match self {
            Self::OtherFamily { found, .. } => format!(
                "the data is untouched: push {} {} again, and move the data with a dump",
                found.family,
                found.version.series()
            ),
            Self::Newer { found, .. } => format!(
                "the data is untouched: push the tarball of {} {} or newer",
                found.family, found.version
            ),
            Self::TooOld { through, .. } if through.is_empty() => format!(
                "the data is untouched: push MySQL {UPGRADES_ITSELF} or newer, which upgrades it"
            ),
            Self::TooOld { through, .. } => format!(
                "the data is untouched: push the newest MySQL {}, one after the other, each until \
                 it answers, then this one",
                list(through.iter().copied()),
            ),
        }
    }
}

fn list(series: impl Iterator<Item = Series>) -> String {
    let names: Vec<String> = series.map(|series| series.to_string()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Flavour;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn server(flavour: Flavour, text: &str) -> Server {
        Server {
            basedir: "/r".into(),
            executable: "/r/bin/mysqld".into(),
            flavour,
            version: version(text),
        }
    }

    fn database(family: Family, text: &str) -> Database {
        Database {
            family,
            version: version(text),
            system_tables: Some(version(text)),
        }
    }

    /// The outcome in a word.
    fn outcome(family: Family, from: &str, flavour: Flavour, to: &str) -> String {
        match transition(
            Path::new("/d"),
            &database(family, from),
            &server(flavour, to),
        ) {
            Ok(Transition::Start) => "start".to_owned(),
            Ok(Transition::UpgradeAtStart) => "at start".to_owned(),
            Ok(Transition::UpgradeByTool) => "by tool".to_owned(),
            Err(TransitionError::OtherFamily { .. }) => "other family".to_owned(),
            Err(TransitionError::Newer { .. }) => "newer".to_owned(),
            Err(TransitionError::TooOld { through, .. }) => {
                format!("through {}", list(through.into_iter()))
            }
        }
    }

    /// From, to, the outcome, and what it is a case of.
    const MYSQL: [(&str, &str, &str, &str); 34] = [
        ("9.7.4", "9.7.4", "start", "the same release"),
        ("8.0.37", "8.0.41", "start", "within a bugfix series"),
        ("8.4.4", "8.4.0", "start", "back within a long-term series"),
        ("9.7.4", "9.7.0", "start", "back within a long-term series"),
        ("5.7.44", "5.7.30", "start", "back within a series of 5.x"),
        (
            "8.0.41",
            "8.0.37",
            "newer",
            "8.0 changed formats in patches",
        ),
        ("9.2.1", "9.2.0", "newer", "an innovation series"),
        ("8.4.0", "8.0.41", "newer", "back to another series"),
        ("9.7.4", "5.6.24", "newer", "back by far"),
        (
            "8.0.37",
            "8.4.6",
            "at start",
            "to the next long-term series",
        ),
        ("8.4.0", "9.7.4", "at start", "to the next long-term series"),
        (
            "8.4.0",
            "9.2.0",
            "at start",
            "to an innovation before the next",
        ),
        (
            "8.0.34",
            "8.3.0",
            "at start",
            "to an innovation before the next",
        ),
        (
            "8.3.0",
            "8.4.0",
            "at start",
            "from an innovation to the next",
        ),
        ("8.1.0", "8.3.0", "at start", "between innovations"),
        (
            "9.7.4",
            "10.2.0",
            "at start",
            "a series to come checks for itself",
        ),
        ("9.7.4", "26.7.0", "at start", "from a long-term series on"),
        ("26.7.1", "26.10.0", "at start", "between innovations"),
        ("26.7.1", "26.7.0", "newer", "an innovation series"),
        ("26.10.0", "28.4.0", "at start", "to the next long-term one"),
        (
            "9.6.0",
            "26.7.0",
            "through 9.7",
            "only from 9.7 into the years",
        ),
        ("8.4.5", "26.10.0", "through 9.7", "a skipped series"),
        ("26.7.0", "28.7.0", "through 28.4", "a skipped series"),
        ("5.7.44", "8.0.41", "at start", "the last step to 8.0"),
        (
            "8.3.0",
            "9.1.0",
            "through 8.4",
            "innovations across a long-term one",
        ),
        ("8.0.37", "9.0.0", "through 8.4", "a skipped series"),
        ("8.0.46", "9.7.4", "through 8.4", "a skipped series"),
        ("5.7.44", "8.4.0", "through 8.0", "a skipped series"),
        ("5.6.24", "9.7.4", "through 5.7, 8.0, 8.4", "three skipped"),
        ("5.6.24", "5.7.44", "by tool", "mysql_upgrade has to run"),
        ("5.5.34", "5.6.14", "by tool", "mysql_upgrade has to run"),
        ("5.5.34", "5.7.44", "through 5.6", "a skipped series"),
        ("5.6.14", "8.0.41", "through 5.7", "a skipped series"),
        (
            "5.7.44",
            "8.0.15",
            "through ",
            "mysql_upgrade would have to run",
        ),
    ];

    #[test]
    fn transition_of_mysql_follows_the_manuals_table() {
        for (from, to, expected, reason) in MYSQL {
            for flavour in [Flavour::MySql, Flavour::Percona] {
                let outcome = outcome(Family::MySql, from, flavour, to);
                assert_eq!(outcome, expected, "{from} to {to}: {reason}");
            }
        }
    }

    #[test]
    fn transition_within_5_x_asks_what_the_tool_has_done() {
        for (system_tables, expected) in [
            (Some("5.7.10"), Transition::Start),
            (Some("5.6.51"), Transition::UpgradeByTool),
            (None, Transition::UpgradeByTool),
        ] {
            let database = Database {
                system_tables: system_tables.map(version),
                ..database(Family::MySql, "5.7.22")
            };
            let server = server(Flavour::Percona, "5.7.44");
            let outcome = transition(Path::new("/d"), &database, &server);
            assert_eq!(outcome.unwrap(), expected, "{system_tables:?}");
        }
    }

    #[test]
    fn transition_of_mariadb_needs_the_tool_for_a_new_series() {
        for (from, to, expected) in [
            ("10.11.19", "10.11.19", "start"),
            ("10.11.2", "10.11.19", "start"),
            ("10.11.19", "10.11.2", "start"),
            ("10.11.19", "11.8.9", "by tool"),
            ("10.3.39", "11.8.9", "by tool"),
            ("10.11.19", "11.0.1", "by tool"),
            ("11.8.9", "10.11.19", "newer"),
            ("11.8.9", "11.4.9", "newer"),
        ] {
            let outcome = outcome(Family::MariaDb, from, Flavour::MariaDb, to);
            assert_eq!(outcome, expected, "{from} to {to}");
        }
        let begun = Database {
            system_tables: None,
            ..database(Family::MariaDb, "11.8.9")
        };
        let again = transition(Path::new("/d"), &begun, &server(Flavour::MariaDb, "11.8.9"));
        assert_eq!(again.unwrap(), Transition::UpgradeByTool);
    }

    #[test]
    fn transition_between_families_is_refused() {
        for (family, from, flavour, to) in [
            (Family::MariaDb, "10.11.19", Flavour::MySql, "9.7.4"),
            (Family::MariaDb, "10.11.19", Flavour::Percona, "8.0.36"),
            (Family::MySql, "5.6.24", Flavour::MariaDb, "10.11.19"),
        ] {
            assert_eq!(outcome(family, from, flavour, to), "other family");
        }
    }

    #[test]
    fn transition_errors_have_exact_texts() {
        let refused = |family, from: &str, flavour, to: &str| {
            let error = transition(
                Path::new("/d"),
                &database(family, from),
                &server(flavour, to),
            )
            .unwrap_err();
            (error.to_string(), error.next_step())
        };
        for ((error, next), expected) in [
            (
                refused(Family::MariaDb, "10.11.19", Flavour::MySql, "9.7.4"),
                (
                    "the data directory /d is of MariaDB 10.11.19, and the server is MySQL 9.7.4",
                    "the data is untouched: push MariaDB 10.11 again, and move the data with a dump",
                ),
            ),
            (
                refused(Family::MariaDb, "11.8.9", Flavour::MariaDb, "10.11.19"),
                (
                    "the data directory /d is of MariaDB 11.8.9, which is newer than the server, \
                     MariaDB 10.11.19",
                    "the data is untouched: push the tarball of MariaDB 11.8.9 or newer",
                ),
            ),
            (
                refused(Family::MySql, "5.6.24", Flavour::MySql, "9.7.4"),
                (
                    "the data directory /d is of MySQL 5.6.24, which is too old for the server, \
                     MySQL 9.7.4",
                    "the data is untouched: push the newest MySQL 5.7, 8.0, 8.4, one after the \
                     other, each until it answers, then this one",
                ),
            ),
            (
                refused(Family::MySql, "5.7.44", Flavour::Percona, "9.7.4"),
                (
                    "the data directory /d is of MySQL 5.7.44, which is too old for the server, \
                     Percona Server 9.7.4",
                    "the data is untouched: push the newest MySQL 8.0, 8.4, one after the other, \
                     each until it answers, then this one",
                ),
            ),
            (
                refused(Family::MySql, "5.7.44", Flavour::MySql, "8.0.15"),
                (
                    "the data directory /d is of MySQL 5.7.44, which is too old for the server, \
                     MySQL 8.0.15",
                    "the data is untouched: push MySQL 8.0.16 or newer, which upgrades it",
                ),
            ),
        ] {
            assert_eq!((error.as_str(), next.as_str()), expected);
        }
    }
}
