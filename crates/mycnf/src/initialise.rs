//! Making a data directory: by the vendor's own initialiser, beside its final name, with root's
//! password set and no anonymous account before anybody can connect. No server ever listens here.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::CommandError;
use thiserror::Error;

use crate::credentials::{Password, SQL_LITERAL_PRELUDE, sql_literal};
use crate::layout::Layout;
use crate::server::{Flavour, Server, Version};
use crate::write::{WriteError, write_private};

/// Everything an initialisation depends on.
#[derive(Debug)]
pub struct Initialisation<'a> {
    /// The server that will own the data directory.
    pub server: &'a Server,
    /// The home directory's paths; the rendered option file is in place.
    pub layout: &'a Layout,
    /// Where the data directory will be.
    pub data_dir: &'a Path,
    /// Root's password from the first connection on.
    pub root_password: &'a Password,
    /// The container's host name, for the accounts that MySQL 5.x names after it.
    pub host_name: &'a str,
}

impl Initialisation<'_> {
    /// Makes the data directory, syncs it, and gives it its name. The caller holds the lock.
    ///
    /// Killed at any point, it leaves only [`Layout::unfinished_data_dir`], which the next call
    /// removes.
    pub fn run(&self) -> Result<(), InitialiseError> {
        let unfinished = self.layout.unfinished_data_dir();
        let result = self.make(&unfinished);
        if result.is_err() {
            // It may be what filled the disk, and its initialiser has ended.
            let _ = remove_dir_if_there(&unfinished);
        }
        result
    }

    fn make(&self, unfinished: &Path) -> Result<(), InitialiseError> {
        let prepare = |path: &Path| {
            let path = path.to_owned();
            |source| InitialiseError::Prepare { path, source }
        };
        remove_dir_if_there(unfinished).map_err(prepare(unfinished))?;
        DirBuilder::new()
            .mode(0o700)
            .create(unfinished)
            .map_err(prepare(unfinished))?;
        // An earlier failure must not be told as this one's.
        let log = self.layout.initialise_log();
        remove_file_if_there(&log).map_err(prepare(&log))?;
        self.initialise(unfinished)?;
        put_in_place(unfinished, self.data_dir).map_err(|source| InitialiseError::PutInPlace {
            path: self.data_dir.to_owned(),
            source,
        })
    }

    fn initialise(&self, dir: &Path) -> Result<(), InitialiseError> {
        match (self.server.flavour, self.server.version) {
            (Flavour::MariaDb, _) => {
                self.start(&mut self.install_script(dir)?, b"")?;
                self.start(&mut self.bootstrap(dir), self.mariadb_accounts().as_bytes())
            }
            // --initialize came with 5.7.6 (manual 5.7, section 2.9.1).
            (_, version) if version >= Version::new(5, 7, 6) => {
                let file = self.layout.run_dir().join("initialise.sql");
                write_private(&file, self.mysql_accounts().as_bytes())?;
                let result = self.start(&mut self.initialize(dir, &file), b"");
                // The password must not stay behind, whatever came of it.
                let removed = remove_file_if_there(&file);
                result?;
                removed.map_err(|source| InitialiseError::Prepare { path: file, source })
            }
            _ => {
                let sql = self.frm_bootstrap_sql()?;
                let mysql = dir.join("mysql");
                fs::create_dir(&mysql).map_err(|source| InitialiseError::Prepare {
                    path: mysql,
                    source,
                })?;
                self.start(&mut self.bootstrap(dir), &sql)
            }
        }
    }

    fn start(&self, command: &mut Command, stdin: &[u8]) -> Result<(), InitialiseError> {
        hook::run(command, stdin)
            .map(drop)
            .map_err(|source| InitialiseError::RunInitialiser {
                log: self.layout.initialise_log(),
                source,
            })
    }

    /// The server on the data directory in the making, with its messages in a log of their own.
    fn server_command(&self, dir: &Path) -> Command {
        let mut command = self.plain_command(&self.server.executable);
        command
            .arg(with_path("--datadir=", dir))
            .arg(with_path("--log-error=", &self.layout.initialise_log()));
        command
    }

    fn initialize(&self, dir: &Path, init_file: &Path) -> Command {
        let mut command = self.server_command(dir);
        command
            .arg("--initialize-insecure")
            // A failing file fails the initialisation: no directory is left with an open root.
            .arg(with_path("--init-file=", init_file));
        command
    }

    fn bootstrap(&self, dir: &Path) -> Command {
        let mut command = self.server_command(dir);
        command.arg("--bootstrap");
        command
    }

    fn install_script(&self, dir: &Path) -> Result<Command, InitialiseError> {
        let basedir = &self.server.basedir;
        let script = ["scripts", "bin"]
            .iter()
            .flat_map(|d| {
                ["mariadb-install-db", "mysql_install_db"].map(|n| basedir.join(d).join(n))
            })
            .find(|path| path.is_file())
            .ok_or_else(|| InitialiseError::FindInitialiser {
                path: basedir.clone(),
                wanted: "scripts/mariadb-install-db",
            })?;
        let mut command = self.plain_command(&script);
        command
            .arg(with_path("--basedir=", basedir))
            .arg(with_path("--datadir=", dir))
            .arg(with_path("--log-error=", &self.layout.initialise_log()))
            // The default lets the operating system's root and ours in without a password.
            .arg("--auth-root-authentication-method=normal")
            .arg("--skip-test-db")
            // Neither ask the resolver about this host nor tell people to start by hand.
            .args(["--cross-bootstrap", "--rpm"]);
        Ok(command)
    }

    /// The option file is the first argument of every call, and nothing of the caller's
    /// environment (`MYSQL_*`, `MARIADB_*`) reaches a server.
    fn plain_command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.layout.home())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TMPDIR", self.layout.tmp_dir())
            .current_dir(self.layout.home())
            .arg(with_path("--defaults-file=", &self.layout.option_file()));
        command
    }

    fn mysql_accounts(&self) -> String {
        format!(
            "{SQL_LITERAL_PRELUDE}ALTER USER 'root'@'localhost' IDENTIFIED BY {};\n",
            self.root_password.sql_literal()
        )
    }

    fn mariadb_accounts(&self) -> String {
        let password = self.root_password.sql_literal();
        let mut sql = format!("{SQL_LITERAL_PRELUDE}USE mysql;\n");
        // mysql.user is a view from 10.4 on (server-facts.md); statements end at a line's end.
        if self.server.version >= Version::new(10, 4, 0) {
            let _ = write!(
                sql,
                "UPDATE global_priv SET priv=JSON_SET(priv, '$.plugin', 'mysql_native_password', \
                 '$.authentication_string', PASSWORD({password})) WHERE User='root';\n\
                 DELETE FROM global_priv WHERE User='';\n"
            );
        } else {
            let _ = write!(
                sql,
                "UPDATE user SET plugin='', Password=PASSWORD({password}) WHERE User='root';\n\
                 DELETE FROM user WHERE User='';\n"
            );
        }
        sql
    }

    /// What `mysql_install_db` of 5.x feeds the server, in one run instead of two, and the accounts.
    fn frm_bootstrap_sql(&self) -> Result<Vec<u8>, InitialiseError> {
        let mut sql = b"USE mysql;\n".to_vec();
        for name in [
            "mysql_system_tables.sql",
            "mysql_system_tables_data.sql",
            "fill_help_tables.sql",
        ] {
            let path = self.server.basedir.join("share").join(name);
            let text = fs::read(&path)
                .map_err(|source| InitialiseError::ReadSystemTables { path, source })?;
            sql.extend(text);
            sql.push(b'\n');
        }
        sql.extend(self.frm_accounts().as_bytes());
        Ok(sql)
    }

    fn frm_accounts(&self) -> String {
        let host = sql_literal(self.host_name);
        format!(
            "{SQL_LITERAL_PRELUDE}\
             DELETE FROM user WHERE User='';\n\
             DELETE FROM db WHERE User='';\n\
             UPDATE user SET Host={host} WHERE User='root' AND Host=LOWER(@@hostname);\n\
             UPDATE proxies_priv SET Host={host} WHERE User='root' AND Host=LOWER(@@hostname);\n\
             UPDATE user SET plugin='', Password=PASSWORD({}) WHERE User='root';\n",
            self.root_password.sql_literal()
        )
    }
}

fn with_path(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

/// Removes what a killed initialisation left. Ours by its name, and nobody writes it: we hold the
/// lock, which every initialiser inherits.
pub fn remove_unfinished(layout: &Layout) -> Result<bool, InitialiseError> {
    let path = layout.unfinished_data_dir();
    remove_dir_if_there(&path).map_err(|source| InitialiseError::Prepare { path, source })
}

fn remove_dir_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_file_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn put_in_place(unfinished: &Path, data_dir: &Path) -> io::Result<()> {
    // One call for thousands of files; initialisers do not sync all they write.
    rustix::fs::syncfs(File::open(unfinished)?)?;
    fs::rename(unfinished, data_dir)?;
    data_dir
        .parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// No data directory was made; what was begun is under its own name and will be removed.
#[derive(Debug, Error)]
pub enum InitialiseError {
    /// The directory in the making, or a file it needs.
    #[error("cannot prepare {path}", path = path.display())]
    Prepare {
        /// What could not be made or removed.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file with the accounts' SQL.
    #[error("cannot prepare the accounts")]
    PrepareAccounts {
        /// Why.
        #[from]
        source: WriteError,
    },
    /// The release lacks its initialiser.
    #[error("no {wanted} in {path}", path = path.display())]
    FindInitialiser {
        /// The release.
        path: PathBuf,
        /// What vendors ship.
        wanted: &'static str,
    },
    /// The release lacks the SQL of its system tables.
    #[error("cannot read the system tables' definition {path}", path = path.display())]
    ReadSystemTables {
        /// The missing file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The vendor's initialiser failed.
    #[error("the server could not initialise its data directory")]
    RunInitialiser {
        /// Where it wrote why.
        log: PathBuf,
        /// How it ended.
        source: CommandError,
    },
    /// Sync or rename failed.
    #[error("cannot put {path} in place", path = path.display())]
    PutInPlace {
        /// The data directory's final name.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests;
