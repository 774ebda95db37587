//! Upgrading a data directory with the vendor's tool, beside a server that listens on a private socket
//! only and asks nobody for a password. Whenever it is interrupted, a journal beside the data says so,
//! and the same release goes on from there; any other is refused.

mod journal;

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::CommandError;
use thiserror::Error;

use crate::command::{bare_command, with_path};
use crate::data_dir::{DataDirState, InspectError, inspect};
use crate::layout::Layout;
use crate::server::{Family, Server, Version};
use crate::temporary_server::{PrivateServer, TemporaryServerError, remove_private_files};

pub use journal::{Journal, JournalError};

/// Whoever can reach the private socket may read the data as well, so a password would protect nothing,
/// and root's may be anything by now. No statement of the user's, and nothing from a primary. MySQL 5.7's
/// answers to `SHOW VARIABLES` come from tables that 5.6 has not, else.
const ARGUMENTS: [&str; 4] = [
    "--skip-grant-tables",
    "--init-file=",
    "--skip-slave-start",
    "--loose-show-compatibility-56=ON",
];

/// Where MySQL's tool says last of all for which release it has done its work.
const UPGRADE_INFO: &str = "mysql_upgrade_info";

/// Drops the tables of `mysql` that cannot be opened. Before 8.0 and MariaDB 10.6 a server that is killed in
/// CREATE or ALTER TABLE leaves the .frm of a table that its engine has not; the tool then takes it for made,
/// and fails. All of them could be opened when they were saved, so nothing is lost. (Asked for the names and
/// types alone, the server reads the .frm; asked for the length it opens the table, and leaves out, or has no
/// engine for, those of which that fails.)
const DROP_UNREADABLE: &str = "\
SET SESSION group_concat_max_len = 1048576;
SELECT CONCAT('DROP TABLE IF EXISTS ', GROUP_CONCAT('mysql.`', table_name, '`')) INTO @drop
    FROM information_schema.tables
    WHERE table_schema = 'mysql' AND table_type = 'BASE TABLE' AND table_name NOT IN (
        SELECT table_name FROM information_schema.tables
        WHERE table_schema = 'mysql' AND engine IS NOT NULL AND IFNULL(data_length, 0) >= 0);
SET @drop = IFNULL(@drop, 'DO 0');
PREPARE statement FROM @drop;
EXECUTE statement;
";

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
        let Tools { tool, dump, client } = Tools::of(self.server)?;
        // Before the new server first touches the data.
        let mut journal = journal.unwrap_or_else(|| Journal::new(self.from));
        journal.to = self.server.version;
        journal.write(self.data_dir)?;
        self.make_work_dir()?;
        let server = PrivateServer::start(
            self.server,
            self.layout,
            self.data_dir,
            self.layout.upgrade_log(),
            &ARGUMENTS.map(OsString::from),
        )?;
        let saved = self.saved_system_tables();
        if journal.saved {
            // Killed while it changes a table, the server may leave one that only looks whole.
            self.restore_system_tables(&client, &saved)?;
            tell(&format!(
                "restored the system tables from {}",
                saved.display()
            ));
        } else {
            self.save_system_tables(&dump, &saved)?;
            journal.saved = true;
            journal.write(self.data_dir)?;
            tell(&format!("saved the system tables as {}", saved.display()));
        }
        self.note_begin()?;
        hook::run(&mut self.client(&tool), b"")
            .map_err(|source| UpgradeError::RunTool { source })?;
        server.stop()?;
        tell(&format!(
            "{} is done",
            tool.file_name().unwrap_or_default().display()
        ));
        self.finish()
    }

    /// MariaDB's tool says first that it has begun, MySQL's does not: killed, it leaves tables of which some
    /// look as if it were done.
    fn note_begin(&self) -> Result<(), UpgradeError> {
        if self.server.flavour.family() == Family::MariaDb {
            return Ok(());
        }
        let path = self.data_dir.join(UPGRADE_INFO);
        durable::mark(&path).map_err(|source| UpgradeError::Prepare { path, source })
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
        durable::sync_filesystem(path).map_err(|source| UpgradeError::Prepare {
            path: path.to_owned(),
            source,
        })?;
        // The journal last: as long as it is there, somebody will come and do this again.
        let work = self.layout.upgrade_dir();
        durable::remove_directory_if_there(&work)
            .map_err(|source| UpgradeError::Prepare { path: work, source })?;
        remove_private_files(self.layout)?;
        Ok(Journal::remove(path)?)
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
            // Else the rows of mysql.event are left out.
            "--events",
            // Else the dump, read again, would claim transactions of the server's own. MySQL's alone has that.
            "--loose-set-gtid-purged=OFF",
            "--databases",
            "mysql",
        ]);
        hook::run(&mut command, b"").map_err(|source| UpgradeError::Save { source })?;
        durable::place(&file, &unfinished, path).map_err(prepare)
    }

    /// As they were before an upgrade that was interrupted, so that it begins anew.
    fn restore_system_tables(&self, client: &Path, path: &Path) -> Result<(), UpgradeError> {
        let dump = File::open(path).map_err(|source| UpgradeError::ReadSaved {
            path: path.to_owned(),
            source,
        })?;
        hook::run(&mut self.client(client), DROP_UNREADABLE.as_bytes())
            .and_then(|_| hook::feed(&mut self.client(client), dump))
            .map(drop)
            .map_err(|source| UpgradeError::Restore {
                path: path.to_owned(),
                source,
            })
    }

    /// For what the tools write while they run; with an empty log: an earlier failure must not be told
    /// as this one's.
    fn make_work_dir(&self) -> Result<(), UpgradeError> {
        let (work, log) = (self.layout.upgrade_dir(), self.layout.upgrade_log());
        durable::remove_directory_if_there(&work)
            .map(drop)
            .and_then(|()| DirBuilder::new().mode(0o700).create(&work))
            .map_err(|source| UpgradeError::Prepare { path: work, source })?;
        durable::remove_file_if_there(&log)
            .map(drop)
            .map_err(|source| UpgradeError::Prepare { path: log, source })
    }

    /// Options of the user's for clients must not change what these do.
    fn client(&self, program: &Path) -> Command {
        let mut command = bare_command(self.layout, program);
        command
            .env("TMPDIR", self.layout.upgrade_dir())
            .arg("--no-defaults")
            .arg(with_path("--socket=", &self.layout.private_socket()))
            .args(["--protocol=SOCKET", "--user=root"]);
        command
    }
}

/// Refuses a release that lacks what an upgrade needs.
pub fn check_tools(server: &Server) -> Result<(), UpgradeError> {
    Tools::of(server).map(drop)
}

/// What an upgrade runs.
struct Tools {
    /// The vendor's upgrade tool.
    tool: PathBuf,
    /// Saves the system tables.
    dump: PathBuf,
    /// Restores them.
    client: PathBuf,
}

impl Tools {
    /// MariaDB's under their names before 10.5 too, which are MySQL's.
    fn of(server: &Server) -> Result<Self, UpgradeError> {
        let is_mysql = server.flavour.family() == Family::MySql;
        let find = |ours: &'static str, earlier: &'static str| {
            let wanted = if is_mysql { earlier } else { ours };
            [wanted, earlier]
                .map(|name| server.basedir.join("bin").join(name))
                .into_iter()
                .find(|path| path.is_file())
                .ok_or_else(|| UpgradeError::FindTool {
                    path: server.basedir.clone(),
                    wanted,
                })
        };
        let tools = Self {
            tool: find("mariadb-upgrade", "mysql_upgrade")?,
            dump: find("mariadb-dump", "mysqldump")?,
            client: find("mariadb", "mysql")?,
        };
        // The tool runs it.
        find("mariadb-check", "mysqlcheck")?;
        Ok(tools)
    }
}

fn create_private(path: &Path) -> io::Result<File> {
    durable::remove_file_if_there(path)?;
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
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
    #[error(transparent)]
    Server(#[from] TemporaryServerError),
    /// The dump.
    #[error("the system tables could not be saved before the upgrade")]
    Save {
        /// How it ended.
        source: CommandError,
    },
    /// The dump is needed and not there.
    #[error("cannot read {path}, the system tables as they were before the upgrade", path = path.display())]
    ReadSaved {
        /// The dump.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The dump again.
    #[error("the system tables could not be restored from {path}", path = path.display())]
    Restore {
        /// The dump.
        path: PathBuf,
        /// How the client ended.
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
            Self::Server(error) => error.evidence(),
            Self::Save { source } | Self::Restore { source, .. } | Self::RunTool { source } => {
                source.last_words().to_owned()
            }
            Self::FindTool { .. }
            | Self::Prepare { .. }
            | Self::ReadSaved { .. }
            | Self::Journal(_)
            | Self::NoEvidence { .. }
            | Self::Inspect(_) => String::new(),
        }
    }
}
