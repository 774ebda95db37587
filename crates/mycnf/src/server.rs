//! Which server a release holds, as the server itself says: never judged by a file's name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::CommandError;
use thiserror::Error;

use crate::command::lend_libraries;

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Oracle's.
    MySql,
    /// The MariaDB Foundation's.
    MariaDb,
    /// Percona's build of Oracle's, with which it shares files and upgrades.
    Percona,
}

impl Flavour {
    /// Whose files and upgrades it shares.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::MySql | Self::Percona => Family::MySql,
            Self::MariaDb => Family::MariaDb,
        }
    }
}

/// Servers that can use each other's data, as far as their versions allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// MySQL and Percona Server.
    MySql,
    /// MariaDB.
    MariaDb,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        })
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
            Self::Percona => "Percona Server",
        })
    }
}

/// A server's version. Versions of different flavours do not compare in any useful way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 9 in 9.7.4.
    pub major: u32,
    /// 7 in 9.7.4.
    pub minor: u32,
    /// 4 in 9.7.4.
    pub patch: u32,
}

impl Version {
    /// `major.minor.patch`
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// From `MYSQL_VERSION_ID`, as servers write it into their files: 101119 for 10.11.19.
    #[must_use]
    pub const fn from_id(id: u32) -> Self {
        Self::new(id / 10_000, id / 100 % 100, id % 100)
    }

    /// Reads it from the beginning of `text`, whatever follows: `10.11.19-MariaDB`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text
            .split(|c: char| !c.is_ascii_digit())
            .map(str::parse::<u32>);
        let mut part = || parts.next()?.ok();
        Some(Self::new(part()?, part()?, part()?))
    }

    /// The release series it belongs to.
    #[must_use]
    pub const fn series(self) -> Series {
        Series(self.major, self.minor)
    }
}

/// A release series: releases that share the format of their data. 8.4, 10.11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series(pub u32, pub u32);

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The server of an unpacked release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The release's top directory, the server's `basedir`.
    pub basedir: PathBuf,
    /// The server's executable.
    pub executable: PathBuf,
    /// Whose it is.
    pub flavour: Flavour,
    /// Which it is.
    pub version: Version,
}

/// Where vendors put the server, below the release's top directory, most specific first.
pub const SERVER_EXECUTABLES: [&str; 6] = [
    "bin/mariadbd",
    "bin/mysqld",
    "sbin/mariadbd",
    "sbin/mysqld",
    "libexec/mariadbd",
    "libexec/mysqld",
];

/// Where vendors put the client, below the release's top directory. (MariaDB's `bin/mysql` tells that
/// its name is of the past.)
const CLIENT_EXECUTABLES: [&str; 2] = ["bin/mariadb", "bin/mysql"];

/// What `mysqld --version` printed when the release was unpacked, so that later hooks need not
/// start the server to know it.
const STAMP: &str = "mysqld-version.txt";

impl Server {
    /// Finds the executable below `basedir` and asks it for flavour and version.
    pub fn probe(basedir: &Path) -> Result<Self, ProbeError> {
        let executable = find_executable(basedir)?;
        let mut command = Command::new(&executable);
        command.args(["--no-defaults", "--version"]).env_clear();
        lend_libraries(&mut command, None);
        let finished =
            hook::run(&mut command, b"").map_err(|source| ProbeError::RunServer { source })?;
        Self::from_text(basedir, executable, &finished.stdout)
    }

    /// The server below `basedir` as [`Server::stamp`] recorded it.
    pub fn stamped(basedir: &Path) -> Result<Self, ProbeError> {
        let executable = find_executable(basedir)?;
        let path = basedir.join(STAMP);
        let text = std::fs::read(&path).map_err(|source| ProbeError::ReadStamp { path, source })?;
        Self::from_text(basedir, executable, &text)
    }

    /// The file and the text that [`Server::stamped`] reads.
    #[must_use]
    pub fn stamp(&self) -> (PathBuf, String) {
        let suffix = match self.flavour {
            Flavour::MySql => "(MySQL)",
            Flavour::MariaDb => "(MariaDB)",
            Flavour::Percona => "(Percona Server)",
        };
        let text = format!("mysqld  Ver {} {suffix}\n", self.version);
        (self.basedir.join(STAMP), text)
    }

    /// The release's own command-line client, if it has one.
    #[must_use]
    pub fn client(&self) -> Option<PathBuf> {
        CLIENT_EXECUTABLES
            .iter()
            .map(|name| self.basedir.join(name))
            .find(|path| path.is_file())
    }

    fn from_text(basedir: &Path, executable: PathBuf, text: &[u8]) -> Result<Self, ProbeError> {
        let text = String::from_utf8_lossy(text);
        let Some((flavour, version)) = parse_version(&text) else {
            return Err(ProbeError::UnknownVersion {
                path: executable,
                text: text.trim().to_owned(),
            });
        };
        Ok(Self {
            basedir: basedir.to_owned(),
            executable,
            flavour,
            version,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.flavour, self.version)
    }
}

fn find_executable(basedir: &Path) -> Result<PathBuf, ProbeError> {
    SERVER_EXECUTABLES
        .iter()
        .map(|name| basedir.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| ProbeError::NoServer {
            path: basedir.to_owned(),
        })
}

/// Reads `… Ver 9.7.4 for Linux on x86_64 (MySQL Community Server - GPL)` and its variants:
/// MariaDB says so in the version itself, Percona in the comment.
fn parse_version(text: &str) -> Option<(Flavour, Version)> {
    let (_, rest) = text.split_once("Ver ")?;
    let version = Version::parse(rest.trim_start())?;
    let flavour = if rest.contains("MariaDB") {
        Flavour::MariaDb
    } else if rest.contains("Percona") {
        Flavour::Percona
    } else {
        Flavour::MySql
    };
    Some((flavour, version))
}

/// A release's server could not be identified.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// No server where vendors put one.
    #[error("no MySQL server in {path}", path = path.display())]
    NoServer {
        /// The release's top directory.
        path: PathBuf,
    },
    /// `mysqld --version` failed.
    #[error("the server does not run on this machine")]
    RunServer {
        /// Why.
        source: CommandError,
    },
    /// `mysqld --version` succeeded with a text that no known server prints.
    #[error("cannot tell the version of {path} from '{text}'", path = path.display())]
    UnknownVersion {
        /// The server's executable.
        path: PathBuf,
        /// What it printed.
        text: String,
    },
    /// The builder's record is missing or unreadable.
    #[error("cannot read {path}", path = path.display())]
    ReadStamp {
        /// The record.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_version_every_vendors_text_is_understood() {
        let cases = [
            (
                "bin/mysqld  Ver 5.6.24 for linux-glibc2.5 on x86_64 (MySQL Community Server (GPL))",
                (Flavour::MySql, Version::new(5, 6, 24)),
                "Oracle, 5.x",
            ),
            (
                "/opt/bin/mysqld  Ver 9.7.4 for Linux on x86_64 ((Debian))",
                (Flavour::MySql, Version::new(9, 7, 4)),
                "a distribution's build",
            ),
            (
                "mysqld  Ver 5.7.44-log for Linux on x86_64 (MySQL Community Server (GPL))",
                (Flavour::MySql, Version::new(5, 7, 44)),
                "a suffix after the version",
            ),
            (
                "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)",
                (Flavour::MariaDb, Version::new(10, 11, 19)),
                "MariaDB",
            ),
            (
                "mysqld  Ver 8.0.36-28 for Linux on x86_64 (Percona Server (GPL), Release 28)",
                (Flavour::Percona, Version::new(8, 0, 36)),
                "Percona",
            ),
        ];
        for (text, expected, reason) in cases {
            assert_eq!(parse_version(text), Some(expected), "{reason}");
        }
        for text in ["", "mysqld", "Ver x.y.z", "Ver 8.0"] {
            assert_eq!(parse_version(text), None, "{text}");
        }
    }

    #[test]
    fn stamp_every_flavour_reads_back() {
        for flavour in [Flavour::MySql, Flavour::MariaDb, Flavour::Percona] {
            let server = Server {
                basedir: "/b".into(),
                executable: "/b/bin/mysqld".into(),
                flavour,
                version: Version::new(8, 4, 6),
            };
            let (path, text) = server.stamp();
            assert_eq!(path, Path::new("/b/mysqld-version.txt"));
            assert_eq!(parse_version(&text), Some((flavour, server.version)));
        }
    }

    #[test]
    fn probe_errors_have_exact_texts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let error = Server::probe(dir.path()).unwrap_err();
        assert_eq!(error.to_string(), format!("no MySQL server in {path}"));

        std::fs::create_dir(dir.path().join("bin")).unwrap();
        std::fs::copy("/bin/false", dir.path().join("bin/mysqld")).unwrap();
        let error = Server::probe(dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "the server does not run on this machine");

        std::fs::copy("/bin/echo", dir.path().join("bin/mysqld")).unwrap();
        let error = Server::probe(dir.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot tell the version of {path}/bin/mysqld from '--no-defaults --version'")
        );

        let error = Server::stamped(dir.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot read {path}/mysqld-version.txt")
        );
    }
}
