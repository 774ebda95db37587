//! Time zone tables, which `CONVERT_TZ` and named time zones need: made from the system's zone files by
//! the release's own program, loaded while the seed is initialised, so never in a binary log.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hook::CommandError;
use thiserror::Error;

use crate::command::bare_command;
use crate::layout::Layout;
use crate::server::Server;

/// Where the system keeps its zone files (Debian and Ubuntu: package tzdata).
const ZONE_FILES: &str = "/usr/share/zoneinfo";

/// What vendors call the program, below the release's top directory.
const PROGRAMS: [&str; 2] = ["bin/mariadb-tzinfo-to-sql", "bin/mysql_tzinfo_to_sql"];

/// Every zone once more, as it is and with leap seconds, under names that hardly anybody uses: two thirds of the
/// rows, for which every database would be 4 MB larger. Debian from 13 on has them no more.
const COPIES: [&str; 2] = ["posix", "right"];

/// A way to fill the time zone tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZones {
    program: PathBuf,
    zone_files: PathBuf,
}

impl TimeZones {
    /// Looks for `server`'s program and the system's zone files.
    pub fn find(server: &Server) -> Result<Self, NoTimeZones> {
        Self::find_in(server, Path::new(ZONE_FILES))
    }

    fn find_in(server: &Server, zone_files: &Path) -> Result<Self, NoTimeZones> {
        let program = PROGRAMS
            .iter()
            .map(|name| server.basedir.join(name))
            .find(|path| path.is_file())
            .ok_or(NoTimeZones::Program)?;
        let path = zone_files.to_owned();
        if !path.join("UTC").is_file() {
            return Err(NoTimeZones::ZoneFiles { path });
        }
        Ok(Self {
            program,
            zone_files: path,
        })
    }

    /// Where the zone files are.
    #[must_use]
    pub fn zone_files(&self) -> &Path {
        &self.zone_files
    }

    /// Whether `zone` is one of those that are left out.
    #[must_use]
    pub fn is_copy(zone: &str) -> bool {
        // The servers do not mind the case.
        let is_one = |first: &str| COPIES.iter().any(|copy| first.eq_ignore_ascii_case(copy));
        zone.split_once('/').is_some_and(|(first, _)| is_one(first))
    }

    /// The SQL that fills the tables: 2 MB for 600 zones.
    pub fn sql(&self, layout: &Layout) -> Result<Vec<u8>, CommandError> {
        // The program takes a directory as it is. With all of them nothing is wrong but the size.
        let chosen = layout.tmp_dir().join("zones");
        let zone_files = match self.choose(&chosen) {
            Ok(()) => &chosen,
            Err(_) => &self.zone_files,
        };
        let sql = self.sql_of(zone_files, layout);
        let _ = fs::remove_dir_all(&chosen);
        sql
    }

    /// Makes `place` a directory of links to all but the copies.
    fn choose(&self, place: &Path) -> io::Result<()> {
        durable::remove_directory_if_there(place)?;
        fs::create_dir(place)?;
        for entry in fs::read_dir(&self.zone_files)? {
            let entry = entry?;
            let name = entry.file_name();
            if !COPIES.iter().any(|copy| name == *copy) {
                symlink(entry.path(), place.join(name))?;
            }
        }
        Ok(())
    }

    fn sql_of(&self, zone_files: &Path, layout: &Layout) -> Result<Vec<u8>, CommandError> {
        let run = |options: &[&str]| {
            // It takes no option file.
            let mut command = bare_command(layout, &self.program);
            command.args(options).arg(zone_files);
            hook::run(&mut command, b"").map(|output| output.stdout)
        };
        let mut tables = run(&[])?;
        // MariaDB 10.5 makes a procedure's statement of it, between words for its client, which no server
        // takes; not so where it need not think of a cluster's other members.
        if tables.starts_with(b"\\d ") {
            tables = run(&["--skip-write-binlog"])?;
        }
        Ok([b"USE mysql;\n", &tables[..], b"\n"].concat())
    }
}

/// Why the time zone tables stay empty.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoTimeZones {
    /// The release cannot read zone files.
    #[error("the tarball has no mysql_tzinfo_to_sql")]
    Program,
    /// There are none.
    #[error("this machine has no zone files in {path} (package tzdata)", path = path.display())]
    ZoneFiles {
        /// Where they should be.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::server::{Flavour, Version};

    #[test]
    fn find_what_is_missing_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let basedir = dir.path().join("release");
        fs::create_dir_all(basedir.join("bin")).unwrap();
        let server = Server {
            executable: basedir.join("bin/mysqld"),
            basedir,
            flavour: Flavour::MySql,
            version: Version::new(9, 7, 4),
        };
        let text = || {
            let found = TimeZones::find_in(&server, dir.path());
            found.map_err(|error| error.to_string())
        };
        let program = "the tarball has no mysql_tzinfo_to_sql".to_owned();
        assert_eq!(text(), Err(program));
        fs::write(server.basedir.join("bin/mysql_tzinfo_to_sql"), "").unwrap();
        let path = dir.path().display();
        let zones = format!("this machine has no zone files in {path} (package tzdata)");
        assert_eq!(text(), Err(zones));
        fs::write(dir.path().join("UTC"), "").unwrap();
        text().unwrap();
    }

    #[test]
    fn sql_is_of_every_zone_but_the_copies() {
        let dir = tempfile::tempdir().unwrap();
        let zone_files = dir.path().join("zoneinfo");
        for name in ["posix/UTC", "right/UTC", "Etc/UTC", "rightly"] {
            fs::create_dir_all(zone_files.join(name)).unwrap();
        }
        let layout = Layout::new(dir.path());
        fs::create_dir_all(layout.tmp_dir()).unwrap();
        let program = dir.path().join("program");
        fs::write(&program, "#!/bin/sh\nls \"$1\"\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let zones = TimeZones {
            program,
            zone_files,
        };
        for _ in 0..2 {
            let sql = zones.sql(&layout).unwrap();
            assert_eq!(sql, b"USE mysql;\nEtc\nrightly\n\n");
            assert_eq!(fs::read_dir(layout.tmp_dir()).unwrap().count(), 0);
            // Of one that was killed.
            fs::create_dir_all(layout.tmp_dir().join("zones/Etc")).unwrap();
        }
        for (zone, is_copy) in [
            ("Posix/UTC", true),
            ("right/Etc/UTC", true),
            ("Etc/UTC", false),
            ("UTC", false),
        ] {
            assert_eq!(TimeZones::is_copy(zone), is_copy, "{zone}");
        }
    }

    /// As 10.5 does, whose fixture's seed is made with it.
    #[test]
    fn sql_for_a_client_is_asked_for_again_for_a_server() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        let script = "#!/bin/sh\ncase $1 in -*) echo 'DO 2;' ;; *) echo '\\d |' ;; esac\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let zones = TimeZones {
            program,
            zone_files: dir.path().to_owned(),
        };
        let sql = zones.sql(&Layout::new(dir.path())).unwrap();
        assert_eq!(sql, b"USE mysql;\nDO 2;\n\n");
    }
}
