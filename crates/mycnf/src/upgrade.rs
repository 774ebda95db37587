//! Upgrading a data directory with the vendor's tool, beside a server that listens on a private socket
//! only and asks nobody for a password. Whenever it is interrupted, a journal beside the data says so,
//! and the same release goes on from there; any other is refused.

mod journal;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::{Background, CommandError};
use thiserror::Error;

use crate::data_dir::{DataDirState, InspectError, inspect};
use crate::layout::Layout;
use crate::server::{Server, Version};

pub use journal::{Journal, JournalError};

/// An upgrade to be made.
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// The server to upgrade to.
    pub server: &'a Server,
    /// The home directory's paths; the rendered option file is in place.
    pub layout: &'a Layout,
    /// The data directory.
    pub data_dir: &'a Path,
    /// The release that wrote it.
    pub from: Version,
}

impl Upgrade<'_> {
    /// Makes it, or goes on with what `journal` tells. The caller holds the lock. `tell` gets a line
    /// for each step that is done.
    pub fn run(
        &self,
        journal: Option<Journal>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), UpgradeError> {
        let tool = self.find(&["mariadb-upgrade", "mysql_upgrade"])?;
        let dump = self.find(&["mariadb-dump", "mysqldump"])?;
        // Before the new server first touches the data.
        let mut journal = journal.unwrap_or_else(|| Journal::new(self.from));
        journal.to = self.server.version;
        journal.write(self.data_dir)?;
        let (work, log) = (self.layout.upgrade_dir(), self.layout.upgrade_log());
        let prepare = |path: &Path| {
            let path = path.to_owned();
            |source| UpgradeError::Prepare { path, source }
        };
        remove_dir_if_there(&work).map_err(prepare(&work))?;
        let mut private = DirBuilder::new();
        private.mode(0o700).create(&work).map_err(prepare(&work))?;
        let output = create_private(&log).map_err(prepare(&log))?;
        let failed_server = |source| UpgradeError::RunServer {
            log: log.clone(),
            source,
        };
        let mut server =
            Background::start(&mut self.server_command(), &output).map_err(failed_server)?;
        let socket = self.socket();
        server
            .wait_until(|| UnixStream::connect(&socket).is_ok())
            .map_err(failed_server)?;
        if !journal.saved {
            let path = self.saved_system_tables();
            self.save_system_tables(&dump, &path)?;
            journal.saved = true;
            journal.write(self.data_dir)?;
            tell(&format!("saved the system tables as {}", path.display()));
        }
        hook::run(&mut self.client(&tool), b"")
            .map_err(|source| UpgradeError::RunTool { source })?;
        server.stop().map_err(failed_server)?;
        tell(&format!(
            "{} is done",
            tool.file_name().unwrap_or_default().display()
        ));
        self.finish()
    }

    /// What remains once the tool has done its work: the journal goes when all the work is on the disk.
    pub fn finish(&self) -> Result<(), UpgradeError> {
        let path = self.data_dir;
        let complete = matches!(
            inspect(path)?,
            DataDirState::Database(found)
                if found.system_tables.map(Version::series) == Some(self.server.version.series())
        );
        if !complete {
            let path = path.to_owned();
            return Err(UpgradeError::NoEvidence { path });
        }
        let sync = || rustix::fs::syncfs(File::open(path)?).map_err(io::Error::from);
        sync().map_err(|source| UpgradeError::Prepare {
            path: path.to_owned(),
            source,
        })?;
        Journal::remove(path)?;
        let work = self.layout.upgrade_dir();
        remove_dir_if_there(&work).map_err(|source| UpgradeError::Prepare { path: work, source })
    }

    /// `~/data/mysqldb-before-10.11.19.sql`
    fn saved_system_tables(&self) -> PathBuf {
        journal::beside(self.data_dir, &format!("-before-{}.sql", self.from))
    }

    /// Whole or not there, like everything that somebody may have to rely on.
    fn save_system_tables(&self, dump: &Path, path: &Path) -> Result<(), UpgradeError> {
        let unfinished = path.with_extension("sql.unfinished");
        let prepare = |source| UpgradeError::Prepare {
            path: path.to_owned(),
            source,
        };
        // Accounts' password hashes are in it: private before its first byte.
        let file = create_private(&unfinished).map_err(prepare)?;
        let mut command = self.client(dump);
        command.arg(with_path("--result-file=", &unfinished)).args([
            "--skip-lock-tables",
            "--databases",
            "mysql",
        ]);
        hook::run(&mut command, b"").map_err(|source| UpgradeError::Save { source })?;
        file.sync_all()
            .and_then(|()| fs::rename(&unfinished, path))
            .and_then(|()| File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all())
            .map_err(prepare)
    }

    fn socket(&self) -> PathBuf {
        // Not longer than the usual one, whose length was checked.
        self.layout.upgrade_dir().join("sock")
    }

    /// Whoever may enter our directory may read the data as well, so a password would protect nothing,
    /// and root's may be anything by now.
    fn server_command(&self) -> Command {
        let mut command = Command::new(&self.server.executable);
        let work = self.layout.upgrade_dir();
        self.surround(&mut command);
        command
            .arg(with_path("--defaults-file=", &self.layout.option_file()))
            .args(["--skip-networking", "--skip-grant-tables", "--init-file="])
            .args(["--loose-wsrep-on=OFF", "--skip-slave-start"])
            .arg(with_path("--datadir=", self.data_dir))
            .arg(with_path("--socket=", &self.socket()))
            .arg(with_path("--pid-file=", &work.join("pid")))
            .arg(with_path("--log-error=", &self.layout.upgrade_log()));
        command
    }

    /// Options of the user's for clients must not change what these do.
    fn client(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.surround(&mut command);
        command
            .arg("--no-defaults")
            .arg(with_path("--socket=", &self.socket()))
            .arg("--user=root");
        command
    }

    fn surround(&self, command: &mut Command) {
        command
            .env_clear()
            .env("HOME", self.layout.home())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TMPDIR", self.layout.upgrade_dir())
            .current_dir(self.layout.home());
    }

    fn find(&self, names: &[&'static str; 2]) -> Result<PathBuf, UpgradeError> {
        let basedir = &self.server.basedir;
        names
            .iter()
            .map(|name| basedir.join("bin").join(name))
            .find(|path| path.is_file())
            .ok_or_else(|| UpgradeError::FindTool {
                path: basedir.clone(),
                wanted: names[0],
            })
    }
}

fn with_path(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

fn create_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn remove_dir_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The upgrade is not complete, and nobody can connect. The same release can go on with it.
#[derive(Debug, Error)]
pub enum UpgradeError {
    /// The release lacks a tool; nothing was begun.
    #[error("no {wanted} in {path}", path = path.display())]
    FindTool {
        /// The release.
        path: PathBuf,
        /// What vendors ship.
        wanted: &'static str,
    },
    /// A file or directory it needs.
    #[error("cannot prepare {path}", path = path.display())]
    Prepare {
        /// What could not be made, written or removed.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The server that the tool needs.
    #[error("the server could not be started for the upgrade")]
    RunServer {
        /// Where it wrote why.
        log: PathBuf,
        /// How it ended.
        source: CommandError,
    },
    /// The dump.
    #[error("the system tables could not be saved before the upgrade")]
    Save {
        /// How it ended.
        source: CommandError,
    },
    /// The tool itself.
    #[error("the upgrade tool failed")]
    RunTool {
        /// How it ended.
        source: CommandError,
    },
    /// The tool succeeded and left no trace of it.
    #[error("the upgrade tool is done, and {path} does not show it", path = path.display())]
    NoEvidence {
        /// The data directory.
        path: PathBuf,
    },
    /// The data directory cannot be looked at.
    #[error(transparent)]
    Inspect(#[from] InspectError),
}

impl UpgradeError {
    /// What the server or the tool said; empty if none failed.
    #[must_use]
    pub fn evidence(&self) -> String {
        match self {
            Self::RunServer { log, source } => {
                crate::first_run::log_errors(log).unwrap_or_else(|| source.last_words().to_owned())
            }
            Self::Save { source } | Self::RunTool { source } => source.last_words().to_owned(),
            Self::FindTool { .. }
            | Self::Prepare { .. }
            | Self::Journal(_)
            | Self::NoEvidence { .. }
            | Self::Inspect(_) => String::new(),
        }
    }
}
