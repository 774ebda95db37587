//! Whether the server may have the database that is there, and what has to be done to it first. Refuses
//! before the first write, and before any server is started.

use std::path::{Path, PathBuf};

use hook::Report;
use mycnf::{
    AccountPlugin, Database, Family, InspectError, Journal, JournalError, Layout, Obstacle, Server,
    Shutdown, Transition, TransitionError, Upgrade, UpgradeError, Version, check_tools,
    last_mysql_shutdown, last_shutdown, transition,
};
use thiserror::Error;

use crate::locked_out::named;
use crate::prepare::Purpose;
use crate::upgrade_check::listed;

/// What has to be done to a database before the server starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeOver {
    /// Nothing.
    AsItIs,
    /// Nothing: the server does it.
    UpgradeAtStart(Database),
    /// The upgrade tool has to run.
    Upgrade {
        /// The release that wrote it.
        from: Version,
        /// How far an earlier run came.
        journal: Option<Journal>,
    },
    /// The upgrade tool has run, and the rest has not.
    Finish {
        /// The release that wrote it.
        from: Version,
    },
}

/// In which circumstances a database is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// Whether the server starts at once.
    pub(crate) purpose: Purpose,
    /// `MYSQL_UPGRADE_ANYWAY`.
    pub(crate) upgrade_anyway: bool,
}

impl TakeOver {
    /// Looks, changing nothing.
    pub(crate) fn decide(
        data_dir: &Path,
        database: &Database,
        server: &Server,
        conditions: Conditions,
    ) -> Result<Self, TakeOverError> {
        // Whoever prepares for later cannot know how the old server will end.
        let at_once = conditions.purpose == Purpose::Serve;
        let journal = Journal::read(data_dir)?;
        if let Some(journal) = journal
            && journal.to.series() != server.version.series()
        {
            return Err(TakeOverError::Interrupted {
                path: data_dir.to_owned(),
                journal,
                server: server.to_string(),
            });
        }
        let transition = transition(data_dir, database, server)?;
        Ok(match (transition, journal) {
            (Transition::Start, None) => Self::AsItIs,
            (Transition::Start, Some(Journal { from, .. })) => Self::Finish { from },
            (Transition::UpgradeAtStart, _) => {
                if at_once && !conditions.upgrade_anyway {
                    check_mysql_shutdown(data_dir, database, server)?;
                }
                Self::UpgradeAtStart(*database)
            }
            (Transition::UpgradeByTool, Some(journal)) => Self::Upgrade {
                from: journal.from,
                journal: Some(journal),
            },
            (Transition::UpgradeByTool, None) => {
                if at_once {
                    check_shutdown(data_dir, database, server)?;
                    check_tools(server)?;
                }
                Self::Upgrade {
                    from: database.system_tables.unwrap_or(database.version),
                    journal: None,
                }
            }
        })
    }

    /// Does it, and tells each step. The caller holds the lock.
    pub(crate) fn act(
        self,
        data_dir: &Path,
        server: &Server,
        layout: &Layout,
        report: &mut Report,
    ) -> Result<(), TakeOverError> {
        let upgrade = |from| Upgrade {
            server,
            layout,
            data_dir,
            from,
        };
        match self {
            Self::AsItIs => {}
            Self::UpgradeAtStart(found) => report.bullet(format!(
                "{server} upgrades it from {found} as it starts, before it lets anybody in"
            )),
            Self::Upgrade { from, journal } => {
                let goes_on = journal.map_or("", |_| ", which an earlier run began");
                report.bullet(format!("upgrading it from {from} to {server}{goes_on}"));
                upgrade(from).run(journal, &mut |step| report.sub_bullet(step))?;
                report.bullet(format!("upgraded it to {server}"));
            }
            Self::Finish { from } => {
                upgrade(from).finish()?;
                report.bullet(format!(
                    "upgraded it from {from} to {server}; an earlier run did the work"
                ));
            }
        }
        Ok(())
    }
}

fn check_shutdown(
    data_dir: &Path,
    database: &Database,
    server: &Server,
) -> Result<(), TakeOverError> {
    let (path, found, server) = (data_dir.to_owned(), *database, server.to_string());
    let shutdown = match database.family {
        Family::MariaDb => last_shutdown(data_dir)?,
        Family::MySql => last_mysql_shutdown(data_dir)?.0,
    };
    match shutdown {
        Shutdown::Clean => Ok(()),
        Shutdown::Unclean => Err(TakeOverError::Unclean {
            path,
            found,
            server,
        }),
        Shutdown::Unknown => Err(TakeOverError::UnknownLogs {
            path,
            found,
            server,
        }),
    }
}

/// A MySQL that does not know a crash's log says so itself, so that one that we do not know may be tried.
fn check_mysql_shutdown(
    data_dir: &Path,
    database: &Database,
    server: &Server,
) -> Result<(), TakeOverError> {
    let (shutdown, writer) = last_mysql_shutdown(data_dir)?;
    // Else this server has begun to upgrade it, and goes on.
    let by_another = writer.map(Version::series) != Some(server.version.series());
    if shutdown == Shutdown::Unclean && by_another {
        return Err(TakeOverError::Unclean {
            path: data_dir.to_owned(),
            found: *database,
            server: server.to_string(),
        });
    }
    Ok(())
}

/// The server must not have the database as it is.
#[derive(Debug, Error)]
pub enum TakeOverError {
    /// Its release does not allow it.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// A file of it cannot be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The note about an upgrade.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another release has begun to upgrade it.
    #[error("the upgrade of {path} from {from} to {to} is not complete, and the server is {server}", path = path.display(), from = journal.from, to = journal.to)]
    Interrupted {
        /// The data directory.
        path: PathBuf,
        /// What has begun.
        journal: Journal,
        /// The server that was pushed.
        server: String,
    },
    /// Its last server was killed.
    #[error("{found} was not shut down cleanly in {path}, so {server} cannot upgrade it", path = path.display())]
    Unclean {
        /// The data directory.
        path: PathBuf,
        /// Whose it is.
        found: Database,
        /// The server that was pushed.
        server: String,
    },
    /// We cannot tell how its last server ended.
    #[error("cannot tell whether {found} was shut down cleanly in {path}, so {server} cannot upgrade it", path = path.display())]
    UnknownLogs {
        /// The data directory.
        path: PathBuf,
        /// Whose it is.
        found: Database,
        /// The server that was pushed.
        server: String,
    },
    /// Nobody could log in as these any more.
    #[error("{server} has no plugin for accounts of {path}: {list}", path = path.display(), list = named(accounts))]
    LockedOut {
        /// The data directory.
        path: PathBuf,
        /// Whose it is.
        found: Database,
        /// The server that was pushed.
        server: String,
        /// The accounts.
        accounts: Vec<AccountPlugin>,
        /// The option that gives it the plugin.
        option: Option<&'static str>,
    },
    /// The newer server would refuse these as it starts.
    #[error("{server} does not take these of {found} in {path}: {list}", path = path.display(), list = listed(obstacles))]
    Obstacles {
        /// The data directory.
        path: PathBuf,
        /// Whose it is.
        found: Database,
        /// The server that was pushed.
        server: String,
        /// What stands in the way.
        obstacles: Vec<Obstacle>,
    },
    /// The upgrade.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
}
