//! The option file of a server that is thrown away: nothing that makes data last, nothing that costs time,
//! no way in but ours. The vendor's defaults are left alone where they change what a query returns.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use mycnf::{Flavour, OptionFile, Server, Version};
use rustix::process::geteuid;

/// The group that every server reads.
const GROUP: &str = "mysqld";

/// Where the files of a running server are, and what it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running<'a> {
    /// The directory of its own.
    pub(crate) home: &'a Path,
    /// On 127.0.0.1.
    pub(crate) port: u16,
    /// For those who test what a kill leaves.
    pub(crate) durable: bool,
}

/// What is decided when a database is made; the seed's name has a digest of it.
pub(crate) fn of_the_files(server: &Server) -> Vec<(&'static str, &'static str)> {
    let mut options = vec![("innodb-data-file-path", "ibdata1:12M:autoextend")];
    match (server.flavour, server.version) {
        (Flavour::MariaDb, version) => {
            options.push(("aria-log-file-size", "8M"));
            if version < Version::new(10, 5, 0) {
                options.push(("innodb-log-files-in-group", "2"));
            }
            options.push(("innodb-log-file-size", "48M"));
        }
        (_, version) if version >= Version::new(8, 0, 30) => {
            options.push(("innodb-redo-log-capacity", "64M"));
        }
        _ => options.push(("innodb-log-file-size", "32M")),
    }
    options
}

/// For the making of a database at `path`: nobody connects, and it is thrown away unless complete.
pub(crate) fn for_making(path: &Path, server: &Server) -> OptionFile {
    let mut file = common(path, server);
    set(&mut file, "innodb-flush-method", "nosync");
    file
}

/// For `running`.
pub(crate) fn for_running(path: &Path, server: &Server, running: &Running<'_>) -> OptionFile {
    let mut file = common(path, server);
    let Running {
        home,
        port,
        durable,
    } = *running;
    for (option, name) in [
        ("datadir", "data"),
        ("tmpdir", "tmp"),
        // Whoever has the password may write files as we; only here.
        ("secure-file-priv", "files"),
        ("log-error", "error.log"),
        ("socket", "mysql.sock"),
        ("pid-file", "mysql.pid"),
    ] {
        let path = home.join(name);
        let value = path.as_os_str().as_bytes();
        file.set(GROUP, option, value, "the directory of this run");
    }
    let port = port.to_string();
    file.set(GROUP, "port", port, "free when this run looked");
    set(&mut file, "bind-address", "127.0.0.1");
    set(&mut file, "performance-schema", "OFF");
    let binary_log = server.flavour != Flavour::MariaDb && server.version.major >= 8;
    if durable {
        set(&mut file, "innodb-flush-log-at-trx-commit", "1");
        set(&mut file, "sync-binlog", "1");
        return file;
    }
    for (option, value) in [
        ("innodb-flush-method", "nosync"),
        ("innodb-flush-log-at-trx-commit", "0"),
        ("innodb-doublewrite", "OFF"),
    ] {
        set(&mut file, option, value);
    }
    if binary_log {
        set(&mut file, "disable-log-bin", "1");
    }
    file
}

fn common(path: &Path, server: &Server) -> OptionFile {
    let mut file = OptionFile::empty(path);
    let basedir = server.basedir.as_os_str().as_bytes();
    file.set(GROUP, "basedir", basedir, "the release");
    if geteuid().is_root() {
        // It would refuse; and another user could not read what only root may.
        set(&mut file, "user", "root");
    }
    for (option, value) in of_the_files(server) {
        set(&mut file, option, value);
    }
    for (option, value) in [
        ("innodb-buffer-pool-size", "64M"),
        // The default of 9.x is touched wholly at the start.
        ("innodb-log-buffer-size", "4M"),
        // So is MariaDB's.
        ("key-buffer-size", "8M"),
        ("max-allowed-packet", "64M"),
        // Eight servers at once use up what the system has.
        ("loose-innodb-use-native-aio", "OFF"),
        ("loose-innodb-buffer-pool-load-at-startup", "OFF"),
        ("loose-innodb-buffer-pool-dump-at-shutdown", "OFF"),
    ] {
        set(&mut file, option, value);
    }
    match server.flavour {
        Flavour::MariaDb => set(&mut file, "loose-aria-pagecache-buffer-size", "16M"),
        Flavour::MySql | Flavour::Percona => set(&mut file, "loose-mysqlx", "OFF"),
    }
    file
}

fn set(file: &mut OptionFile, option: &str, value: &str) {
    file.set(GROUP, option, value, "blink");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(flavour: Flavour, version: Version) -> Server {
        Server {
            basedir: "/r".into(),
            executable: "/r/bin/mysqld".into(),
            flavour,
            version,
        }
    }

    fn value(file: &OptionFile, option: &str) -> Option<String> {
        let found = file.get(&[GROUP], option)?.value?;
        Some(String::from_utf8(found).unwrap())
    }

    #[test]
    fn for_running_durable_takes_no_shortcut() {
        let server = server(Flavour::MySql, Version::new(9, 7, 4));
        let running = Running {
            home: Path::new("/dev/shm/a 'b"),
            port: 4000,
            durable: false,
        };
        let path = Path::new("/x/my.cnf");
        let file = for_running(path, &server, &running);
        assert_eq!(value(&file, "innodb-doublewrite").as_deref(), Some("OFF"));
        assert_eq!(value(&file, "disable-log-bin").as_deref(), Some("1"));
        assert_eq!(value(&file, "bind-address").as_deref(), Some("127.0.0.1"));
        let data = value(&file, "datadir");
        assert_eq!(data.as_deref(), Some("/dev/shm/a 'b/data"));
        let running = Running {
            durable: true,
            ..running
        };
        let file = for_running(path, &server, &running);
        for option in [
            "innodb-doublewrite",
            "innodb-flush-method",
            "disable-log-bin",
        ] {
            assert_eq!(value(&file, option), None, "{option}");
        }
        let commit = value(&file, "innodb-flush-log-at-trx-commit");
        assert_eq!(commit.as_deref(), Some("1"));
    }

    #[test]
    fn of_the_files_each_server_knows_its_redo_log() {
        for (flavour, version, option) in [
            (
                Flavour::MySql,
                Version::new(5, 6, 24),
                "innodb-log-file-size",
            ),
            (
                Flavour::MySql,
                Version::new(8, 0, 29),
                "innodb-log-file-size",
            ),
            (
                Flavour::MySql,
                Version::new(8, 0, 30),
                "innodb-redo-log-capacity",
            ),
            (
                Flavour::MariaDb,
                Version::new(11, 8, 9),
                "innodb-log-file-size",
            ),
        ] {
            let options = of_the_files(&server(flavour, version));
            assert!(options.iter().any(|(name, _)| *name == option), "{version}");
        }
    }
}
