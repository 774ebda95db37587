//! Making a data directory: from the seed, or by the vendor's own initialiser, beside its final name,
//! with root locked and no anonymous account. No server ever listens here.

mod room;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{panic, thread};

use hook::CommandError;
use thiserror::Error;

use crate::accounts::locking_sql;
use crate::command::{plain_command, with_path};
use crate::first_run::{FirstRun, FirstRunError, log_errors};
use crate::layout::Layout;
use crate::option_file::OptionFile;
use crate::place;
use crate::seed::{fill_holes, unpack};
use crate::server::{Flavour, Server, Version};
use crate::write::{WriteError, discard_unfinished, write_private};

pub use room::{RoomError, is_scarce};

/// The first release with `--initialize` (manual 5.7, section 2.9.1).
const INITIALIZE: Version = Version::new(5, 7, 6);

/// Everything an initialisation depends on.
#[derive(Debug)]
pub struct Initialisation<'a> {
    /// The server that will own the data directory.
    pub server: &'a Server,
    /// The home directory's paths; the rendered option file is in place.
    pub layout: &'a Layout,
    /// Where the data directory will be.
    pub data_dir: &'a Path,
    /// A packed data directory of this server to begin with.
    pub seed: Option<&'a Path>,
    /// What fills the time zone tables, where there is no seed to have them: see `TimeZones::sql`.
    pub time_zones: &'a [u8],
}

impl Initialisation<'_> {
    /// Makes the data directory, syncs it, and gives it its name. The caller holds the lock.
    ///
    /// Killed at any point, it leaves only [`Layout::unfinished_data_dir`] and
    /// [`Layout::option_check_dir`], which the next call removes.
    pub fn run(&self) -> Result<(), InitialiseError> {
        self.run_then(|_| Ok(()))
    }

    /// The same with what `first_run` says in it.
    pub fn run_with(&self, first_run: FirstRun<'_>) -> Result<(), InitialiseError> {
        self.run_then(|dir| Ok(first_run.run(self.server, self.layout, dir)?))
    }

    /// `finish` is what the directory needs before it gets its name. (Generic: builder, which has no
    /// use for them, is not to hold the decoders of first-run files.)
    fn run_then(
        &self,
        finish: impl FnOnce(&Path) -> Result<(), InitialiseError>,
    ) -> Result<(), InitialiseError> {
        let unfinished = place::choose(self.layout, self.data_dir).map_err(|source| {
            let path = self.data_dir.to_owned();
            InitialiseError::Prepare { path, source }
        })?;
        let result = self
            .make(&unfinished)
            .and_then(|()| finish(&unfinished))
            .and_then(|()| self.put_in_place(&unfinished));
        if result.is_err() {
            // It may be what filled the disk, and its initialiser has ended.
            let _ = durable::remove_directory_if_there(&unfinished);
        }
        result
    }

    /// Asks a server that cannot tell without being started whether it knows every option of the
    /// option file. Leaves nothing.
    pub fn check(&self) -> Result<(), InitialiseError> {
        room::check(&self.layout.data())?;
        self.remove_log()?;
        self.check_options()
    }

    /// An earlier failure must not be told as this one's.
    fn remove_log(&self) -> Result<(), InitialiseError> {
        let log = self.layout.initialise_log();
        durable::remove_file_if_there(&log)
            .map(drop)
            .map_err(|source| InitialiseError::Prepare { path: log, source })
    }

    fn make(&self, unfinished: &Path) -> Result<(), InitialiseError> {
        make_anew(unfinished)?;
        room::check(unfinished)?;
        self.remove_log()?;
        self.initialise(unfinished)
    }

    fn put_in_place(&self, unfinished: &Path) -> Result<(), InitialiseError> {
        place::put_in_place(unfinished, self.data_dir).map_err(|source| {
            InitialiseError::PutInPlace {
                path: self.data_dir.to_owned(),
                source,
            }
        })
    }

    fn initialise(&self, dir: &Path) -> Result<(), InitialiseError> {
        if let Some(seed) = self.seed {
            // At once: a server that ends does nothing but sleep for a tenth of a second. The seed
            // takes less than there is room for, as we have seen, until its holes are filled.
            let (checked, unpacked) = thread::scope(|scope| {
                let unpacked = scope.spawn(|| unpack(seed, dir));
                (self.check_options(), unpacked.join())
            });
            checked?;
            let unpacked = unpacked.unwrap_or_else(|defect| panic::resume_unwind(defect));
            let filled = unpacked.and_then(|()| fill_holes(dir));
            return filled.map_err(|source| InitialiseError::Unpack {
                path: seed.to_owned(),
                source,
            });
        }
        // Locking comes last: a failure before it leaves no directory with an open root, as it fails
        // the whole.
        let sql = [self.time_zones, locking_sql(self.server).as_bytes()].concat();
        match (self.server.flavour, self.server.version) {
            (Flavour::MariaDb, _) => {
                self.start(&mut self.install_script(dir)?, b"")?;
                self.start(&mut self.bootstrap(dir), &sql)
            }
            (_, version) if version >= INITIALIZE => {
                let file = accounts_file(self.layout);
                write_private(&file, &sql)?;
                let result = self.start(&mut self.initialize(dir, &file), b"");
                let removed = durable::remove_file_if_there(&file).map(drop);
                result?;
                removed.map_err(|source| InitialiseError::Prepare { path: file, source })
            }
            _ => {
                let tables = self.system_tables()?;
                let mysql = dir.join("mysql");
                fs::create_dir(&mysql).map_err(|source| InitialiseError::Prepare {
                    path: mysql,
                    source,
                })?;
                self.start(&mut self.bootstrap(dir), &[tables, sql].concat())
            }
        }
    }

    /// Unpacking a seed starts no server, so nobody would notice an option that ours does not know
    /// before it is too late to keep the old instance. Releases that can tell by themselves were
    /// asked before; the others look at their options before they do anything else.
    fn check_options(&self) -> Result<(), InitialiseError> {
        // From 8.0.16 on there is --validate-config, and --bootstrap is gone.
        if self.server.flavour != Flavour::MariaDb && self.server.version >= INITIALIZE {
            return Ok(());
        }
        // Nothing to do, in an empty directory: no InnoDB either.
        let quick = [
            "--skip-innodb",
            "--default-storage-engine=MyISAM",
            "--loose-default-tmp-storage-engine=MyISAM",
        ];
        if self.needs_innodb() {
            self.try_options(&[])??;
            return self.remove_log();
        }
        match self.try_options(&quick)? {
            Err(error) if error.evidence().contains("unknown ") => Err(error),
            // Without InnoDB it may fail for other reasons; with it the reason is in the options.
            Err(_) => {
                self.remove_log()?;
                self.try_options(&[])??;
                self.remove_log()
            }
            Ok(()) => self.remove_log(),
        }
    }

    /// Whether the user's option file sets what a server without InnoDB does not look at.
    fn needs_innodb(&self) -> bool {
        let maria = self.server.flavour == Flavour::MariaDb;
        let template = self.layout.template();
        let Ok(bytes) = fs::read(&template) else {
            return false;
        };
        let file = OptionFile::parse(&template, &bytes).ok();
        let options = file.and_then(|file| file.resolve(self.layout.home()).ok());
        options.is_some_and(|options| {
            options.all().any(|option| {
                let name = String::from_utf8_lossy(&option.name).replace('_', "-");
                let innodb = maria && name.contains("innodb-");
                innodb || name.ends_with("storage-engine") || name.ends_with("innodb-flush-method")
            })
        })
    }

    /// A server that does nothing, in an empty directory that it leaves behind nothing of.
    fn try_options(
        &self,
        arguments: &[&str],
    ) -> Result<Result<(), InitialiseError>, InitialiseError> {
        let dir = self.layout.option_check_dir();
        make_anew(&dir)?;
        let result = self.start(self.bootstrap(&dir).args(arguments), b"");
        durable::remove_directory_if_there(&dir)
            .map_err(|source| InitialiseError::Prepare { path: dir, source })?;
        Ok(result)
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
        let mut command = plain_command(self.layout, &self.server.executable);
        command
            .arg(with_path("--datadir=", dir))
            .arg(with_path("--log-error=", &self.layout.initialise_log()))
            // One of my.cnf's that has a name is in tables that are not there yet.
            .arg("--default-time-zone=SYSTEM");
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
        let mut command = plain_command(self.layout, &script);
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

    /// What `mysql_install_db` of 5.x feeds the server, in one run instead of two.
    fn system_tables(&self) -> Result<Vec<u8>, InitialiseError> {
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
        Ok(sql)
    }
}

/// What `--initialize` runs at its end.
fn accounts_file(layout: &Layout) -> PathBuf {
    layout.run_dir().join("initialise.sql")
}

/// Removes what a killed initialisation left. Ours by its name, and nobody writes it: we hold the
/// lock, which every initialiser inherits.
pub fn remove_unfinished(layout: &Layout, data_dir: &Path) -> Result<bool, InitialiseError> {
    let path = accounts_file(layout);
    discard_unfinished(&path)?;
    durable::remove_file_if_there(&path)
        .map_err(|source| InitialiseError::Prepare { path, source })?;
    let remove = |path: PathBuf| {
        durable::remove_directory_if_there(&path)
            .map_err(|source| InitialiseError::Prepare { path, source })
    };
    remove(layout.option_check_dir())?;
    let [beside, inside] = place::all_unfinished(layout, data_dir);
    Ok(remove(beside)? | remove(inside)?)
}

fn make_anew(dir: &Path) -> Result<(), InitialiseError> {
    durable::remove_directory_if_there(dir)
        .and_then(|_| DirBuilder::new().mode(0o700).create(dir))
        .map_err(|source| InitialiseError::Prepare {
            path: dir.to_owned(),
            source,
        })
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
    /// The seed is damaged, or there is no room for what is in it.
    #[error("cannot unpack the seed {path}", path = path.display())]
    Unpack {
        /// The seed.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk is full.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The first-run files.
    #[error(transparent)]
    FirstRun(#[from] FirstRunError),
    /// Sync or rename failed.
    #[error("cannot put {path} in place", path = path.display())]
    PutInPlace {
        /// The data directory's final name.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InitialiseError {
    /// What the server said: the errors in the initialiser's own log if it wrote any, else its last
    /// words. Empty if no server failed.
    #[must_use]
    pub fn evidence(&self) -> String {
        let (log, source) = match self {
            Self::RunInitialiser { log, source } => (log, source),
            Self::FirstRun(error) => return error.evidence(),
            Self::Prepare { .. }
            | Self::PrepareAccounts { .. }
            | Self::FindInitialiser { .. }
            | Self::ReadSystemTables { .. }
            | Self::Unpack { .. }
            | Self::Room(_)
            | Self::PutInPlace { .. } => return String::new(),
        };
        log_errors(log).unwrap_or_else(|| source.last_words().to_owned())
    }
}

#[cfg(test)]
mod tests;
