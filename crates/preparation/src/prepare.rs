//! Everything between the platform's inputs and a server that can be started: option file,
//! credentials, data directory. postinstall stops there; starttest goes on.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hook::{CommandError, Report};
use mycnf::{
    Credentials, CredentialsError, DataDirState, DataLock, FirstRunFileError, InitialiseError,
    InspectError, Journal, Layout, LineageError, LockError, OptionFile, Password, PasswordError,
    ProbeError, Server, TemporaryServerError, WriteError, finish_move, inspect, remove_unfinished,
};
use thiserror::Error;

use crate::accounts::AccountsError;
use crate::address::AddressError;
use crate::cloned;
use crate::fresh::FreshDatabase;
use crate::judgement::{Case, Judgement};
use crate::locked_out;
use crate::logs;
use crate::opening::{AccountsSql, RootPassword, agent_password};
use crate::places::{Places, PlacesError};
use crate::port;
use crate::rendering::{self, RenderError};
use crate::server_keys::{self, ServerKeysError};
use crate::settings::{Port, Settings};
use crate::stale::{self, StaleError};
use crate::take_over::{Conditions, TakeOver, TakeOverError};
use crate::time_zone::TimeZoneError;
use crate::upgrade_check;
use crate::variables::VariableError;
use crate::volumes::{self, VolumeError};

/// Longest path of a Unix socket (unix(7): 108 bytes with the closing NUL).
const SOCKET_PATH_MAX: usize = 107;

/// How long an initialiser, orphaned by a hook that was killed, may take to end.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A server that is ready to be started.
#[derive(Debug)]
pub struct Prepared {
    /// The paths.
    pub layout: Layout,
    /// The server, as the builder left it.
    pub server: Server,
    /// What the server is to run before it lets anybody in: gives root the password in the
    /// credentials file, at least at the first start. `None` if that is done already, or if there is no
    /// such file.
    pub opening_sql: Option<String>,
    /// Where the server writes its messages.
    pub error_log: PathBuf,
    /// Held until dropped, or until the server that inherits it ends.
    pub lock: DataLock,
}

/// What is prepared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A server that starts at once: its port has to be free, first-run files and upgrades run.
    Serve,
    /// One that starts later; until then the port may be another's, and the platform may be about to
    /// replace `~/data` by the real one, on which the first-run files ran long ago.
    Later,
    /// A database to be filled from a dump, which has what the first-run files made.
    Fill,
}

/// Does what is missing, and nothing twice.
pub fn prepare(
    settings: &Settings,
    purpose: Purpose,
    report: &mut Report,
) -> Result<Prepared, PrepareError> {
    let (layout, server) = release(settings, report)?;
    let (template, rendered) = rendering::render(settings, &layout, &server)?;
    let data_dir = rendering::data_dir(&rendered, &server, &layout)?;
    // Before the first write, so that a refusal changes nothing, and again once nobody else can
    // change the answer.
    let found = Found::look(settings, &layout, &server, &data_dir, purpose)?;
    let case = Case {
        settings,
        server: &server,
        layout: &layout,
        data_dir: &data_dir,
        rendered: &rendered,
        purpose,
        fresh: found.database.is_none(),
    };
    let judgement = case.judge(report)?;
    if let Some(take_over) = &found.database {
        let root_known = found.password.is_some();
        upgrade_check::check(&case, take_over, report)?;
        locked_out::check(&case, take_over, &judgement.accounts, root_known, report)?;
    }
    make_directories(settings, &layout, &judgement.places)?;
    let lock = DataLock::acquire(&layout.lock(), LOCK_PATIENCE)?;
    let opening_sql = case.prepare(&judgement, &template, report)?;
    let error_log = logs::error_log(&case);
    Ok(Prepared {
        layout,
        server,
        opening_sql,
        error_log,
        lock,
    })
}

impl Case<'_> {
    /// Writes what is missing, with the lock held. The result is what the server has to run first.
    fn prepare(
        &self,
        judgement: &Judgement,
        template: &OptionFile,
        report: &mut Report,
    ) -> Result<Option<String>, PrepareError> {
        let Self {
            settings,
            layout,
            server,
            data_dir,
            rendered,
            purpose,
            ..
        } = *self;
        if purpose == Purpose::Serve {
            // After the lock: of an orphaned server, which has both, the lock tells the process id.
            port::wait_until_free(settings.port.number, report).map_err(|source| {
                let port = settings.port.clone();
                PrepareError::PortTaken { port, source }
            })?;
            stale::remove_run_files(layout)?;
            logs::rotate(self, report);
            logs::keep_changes(self, report)?;
        }
        stale::discard_unfinished_writes(layout)?;
        finish_move(data_dir).map_err(|source| InitialiseError::PutInPlace {
            path: data_dir.to_owned(),
            source,
        })?;
        volumes::close(layout, data_dir)?;
        let Found { database, password } =
            Found::look(settings, layout, server, data_dir, purpose)?;
        let has_database = database.is_some();
        let password = cloned::known(data_dir, layout, &judgement.accounts, password, report);
        let root = RootPassword::choose(settings, layout, has_database, password, report)?;
        rendering::write(rendered, settings, layout, report)?;
        rendering::validate(rendered, layout, server)?;
        if remove_unfinished(layout, data_dir)? {
            report.bullet("removed a data directory whose initialisation had not finished");
        }
        let accounts = &judgement.accounts;
        let agent = agent_password(layout)?;
        let passwords = (&root, agent.as_ref());
        let sql = AccountsSql::new(settings, (accounts, passwords), server, rendered);
        if let Some(take_over) = database {
            report.bullet(format!("kept the data directory {}", data_dir.display()));
            if purpose == Purpose::Serve {
                logs::tell_binary_log(self, report);
                take_over.act(data_dir, server, layout, report)?;
                server_keys::set_aside_incomplete(data_dir, server, &rendered.user, report)?;
            }
            return sql.map_or(Ok(None), |sql| sql.on_existing(&root, self, report));
        }
        // Of an upgrade whose data is not there any more.
        Journal::remove(data_dir).map_err(TakeOverError::from)?;
        // A fresh database always has a password.
        sql.map_or(Ok(None), |sql| {
            let fresh = FreshDatabase {
                server,
                layout,
                data_dir,
                template,
                sql: &sql,
                zone_tables: &judgement.zone_tables,
                database: accounts.database.as_deref(),
            };
            fresh.make(purpose, report)
        })
    }
}

fn release(settings: &Settings, report: &mut Report) -> Result<(Layout, Server), PrepareError> {
    check_socket_path(&Layout::new(&settings.home))?;
    let layout = volumes::layout(&settings.home)?;
    let server = Server::stamped(&layout.install())?;
    report.bullet(format!(
        "server {server}, from {}",
        server.basedir.display()
    ));
    Ok((layout, server))
}

/// What earlier runs left.
struct Found {
    /// There is a database, and what has to be done before the server starts on it.
    database: Option<TakeOver>,
    /// The credentials file's password.
    password: Option<Password>,
}

impl Found {
    /// Looks, changing nothing, and refuses what must not be touched.
    fn look(
        settings: &Settings,
        layout: &Layout,
        server: &Server,
        data_dir: &Path,
        purpose: Purpose,
    ) -> Result<Self, PrepareError> {
        let path = data_dir.to_owned();
        let database = match inspect(data_dir)? {
            DataDirState::Database(found) => {
                let conditions = Conditions {
                    purpose,
                    upgrade_anyway: settings.upgrade_anyway,
                };
                Some(TakeOver::decide(data_dir, &found, server, conditions)?)
            }
            DataDirState::Unrecognised(names) => {
                return Err(PrepareError::Unrecognised { path, names });
            }
            DataDirState::Absent if settings.require_data => {
                return Err(PrepareError::DataRequired { path });
            }
            DataDirState::Absent => None,
        };
        let path = layout.credentials();
        let password = match fs::read(&path) {
            Ok(bytes) => Some(Credentials::parse(&path, &bytes)?.password),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(PrepareError::ReadCredentials { path, source }),
        };
        Ok(Self { database, password })
    }
}

/// The servers cut a longer path silently or refuse it with a message about something else.
fn check_socket_path(layout: &Layout) -> Result<(), PrepareError> {
    let path = layout.socket();
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        return Err(PrepareError::SocketPath { path });
    }
    Ok(())
}

fn make_directories(
    settings: &Settings,
    layout: &Layout,
    places: &Places,
) -> Result<(), PrepareError> {
    let paths = [
        layout.data(),
        layout.logs(),
        layout.run_dir(),
        layout.tmp_dir(),
    ];
    let binary_logs = settings.keeps_changes().then(|| layout.binary_logs());
    for path in paths.into_iter().chain(binary_logs) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|source| PrepareError::MakeDirectory { path, source })?;
    }
    let make_directory = |(path, source)| PrepareError::MakeDirectory { path, source };
    places.make().map_err(make_directory)
}

/// The server cannot be started as things are. The data directory is as it was.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// Which binary logs belong together.
    #[error(transparent)]
    Lineage(#[from] LineageError),
    /// `$HOME` is too deep.
    #[error("the socket's path {path} has {length} bytes, and {SOCKET_PATH_MAX} is the most", path = path.display(), length = path.as_os_str().len())]
    SocketPath {
        /// Where the socket would be.
        path: PathBuf,
    },
    /// A home or a volume that we cannot work with.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The release is not there or not identified.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// A directory of ours.
    #[error("cannot make the directory {path}", path = path.display())]
    MakeDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A database or an account that this server cannot have.
    #[error(transparent)]
    Accounts(#[from] Arc<AccountsError>),
    /// The address to bind.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The server's time zone.
    #[error(transparent)]
    TimeZone(#[from] TimeZoneError),
    /// Its zone files could not be read.
    #[error("cannot read the system's time zones")]
    ReadTimeZones {
        /// Why.
        source: CommandError,
    },
    /// What my.cnf names.
    #[error(transparent)]
    Places(#[from] PlacesError),
    /// A variable asks for what there is not here.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// Somebody else has the data directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Somebody else has the port.
    #[error("cannot listen on port {number}, from {variable}", number = port.number, variable = port.variable)]
    PortTaken {
        /// The port.
        port: Port,
        /// Why.
        source: io::Error,
    },
    /// A file in the server's way.
    #[error(transparent)]
    Stale(#[from] StaleError),
    /// The credentials file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    ReadCredentials {
        /// The credentials file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The credentials file is not one.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// No fresh password could be made.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The option file.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The credentials cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The data directory cannot be looked at.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The server must not have the database that is there, or cannot upgrade it.
    #[error(transparent)]
    TakeOver(#[from] TakeOverError),
    /// Keys that the server would not replace.
    #[error(transparent)]
    ServerKeys(#[from] ServerKeysError),
    /// Nothing we know.
    #[error("{path} is not a data directory: it holds {list}", path = path.display(), list = names.join(", "))]
    Unrecognised {
        /// The would-be data directory.
        path: PathBuf,
        /// Some of what is in it.
        names: Vec<String>,
    },
    /// `MYSQL_REQUIRE_DATA` and no data.
    #[error("there is no data directory {path}, and MYSQL_REQUIRE_DATA forbids a fresh one", path = path.display())]
    DataRequired {
        /// Where it should be.
        path: PathBuf,
    },
    /// The first-run files.
    #[error(transparent)]
    FirstRunFile(#[from] FirstRunFileError),
    /// Initialising failed.
    #[error(transparent)]
    Initialise(#[from] InitialiseError),
    /// The server did not take the accounts, or could not be asked.
    #[error(transparent)]
    Opening(#[from] TemporaryServerError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j1_check_socket_path_limit_is_107_bytes() {
        let home = |length: usize| format!("/{}", "h".repeat(length - 1));
        let tail = "/mysql/run/mysqld.sock".len();
        check_socket_path(&Layout::new(home(107 - tail))).unwrap();
        let too_long = home(108 - tail);
        assert_eq!(
            check_socket_path(&Layout::new(&too_long))
                .unwrap_err()
                .to_string(),
            format!(
                "the socket's path {too_long}/mysql/run/mysqld.sock has 108 bytes, and 107 is \
                 the most"
            )
        );
    }
}
