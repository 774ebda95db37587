//! A server for as long as we need it: on a data directory that is not in use, on a private socket
//! only. It never outlives us.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::{Background, CommandError};
use thiserror::Error;

use crate::command::{bare_command, plain_command, with_path};
use crate::credentials::{Credentials, Password};
use crate::first_run::{client_errors, log_evidence};
use crate::layout::Layout;
use crate::opening::{OpenedServer, Opening};
use crate::server::Server;
use crate::write::{WriteError, write_private};

/// No way in but the private socket, and no part in a cluster: no TCP port, not that of the X plugin
/// or its socket either (8.0.11), no group (MySQL), no Galera (MariaDB). `loose-`: no server knows
/// them all.
const PRIVATE: [&str; 4] = [
    "--skip-networking",
    "--loose-mysqlx=OFF",
    "--loose-group-replication-start-on-boot=OFF",
    "--loose-wsrep-on=OFF",
];

/// A running server on the private socket. Dropped, it is killed.
#[derive(Debug)]
pub struct PrivateServer<'a> {
    layout: &'a Layout,
    log: PathBuf,
    process: Background,
}

impl<'a> PrivateServer<'a> {
    /// Starts `server` on `data_dir` with more `arguments`, its messages at the end of `log`, and
    /// waits until it listens. It answers later. The caller holds the lock.
    pub fn start(
        server: &Server,
        layout: &'a Layout,
        data_dir: &Path,
        log: PathBuf,
        arguments: &[OsString],
    ) -> Result<Self, TemporaryServerError> {
        close_private_dir(layout).map_err(|source| TemporaryServerError::Prepare {
            path: layout.private_dir(),
            source,
        })?;
        remove_private_files(layout)?;
        let socket = layout.private_socket();
        let output = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&log)
            .map_err(|source| TemporaryServerError::Prepare {
                path: log.clone(),
                source,
            })?;
        let mut command = server_command(server, layout, data_dir, &log);
        command.args(arguments);
        let start = |source| TemporaryServerError::Start {
            log: log.clone(),
            source,
        };
        let mut process = Background::start(&mut command, &output).map_err(start)?;
        process
            .wait_until(|| UnixStream::connect(&socket).is_ok())
            .map_err(start)?;
        Ok(Self {
            layout,
            log,
            process,
        })
    }

    /// Waits until it greets whoever connects, which it does once it has run its init-file.
    pub fn wait_for_greeting(&mut self) -> Result<(), TemporaryServerError> {
        let socket = self.layout.private_socket();
        let connect = || {
            let stream = UnixStream::connect(&socket).ok()?;
            stream.set_nonblocking(true).ok()?;
            Some(stream)
        };
        // One for as long as it takes.
        let mut connection: Option<UnixStream> = None;
        let greeted = || {
            let Some(mut stream) = connection.take().or_else(connect) else {
                return false;
            };
            match stream.read(&mut [0]) {
                Ok(1..) => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection = Some(stream);
                }
                // Closed: once more.
                Ok(0) | Err(_) => {}
            }
            false
        };
        self.process
            .wait_until(greeted)
            .map_err(|source| TemporaryServerError::Start {
                log: self.log.clone(),
                source,
            })
    }

    /// Stops it cleanly.
    pub fn stop(self) -> Result<(), TemporaryServerError> {
        let log = self.log;
        self.process
            .stop()
            .map_err(|source| TemporaryServerError::Stop { log, source })
    }
}

/// A server on a private socket to which root can log in with the password of the accounts' SQL.
/// Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct TemporaryServer<'a> {
    server: OpenedServer<'a>,
    layout: &'a Layout,
    client: PathBuf,
    options: ClientOptions,
}

impl<'a> TemporaryServer<'a> {
    /// Starts `server` on `data_dir` and waits until root can log in. Before it lets anybody in it
    /// runs `opening`, which gives root its password.
    pub(crate) fn start(
        server: &Server,
        layout: &'a Layout,
        data_dir: &Path,
        opening: &Opening<'_>,
    ) -> Result<Self, TemporaryServerError> {
        let client = server
            .client()
            .ok_or_else(|| TemporaryServerError::FindClient {
                path: server.basedir.clone(),
            })?;
        let server = OpenedServer::start(server, layout, data_dir, opening)?;
        let options = ClientOptions::write(layout, opening.root_password)?;
        let mut started = Self {
            server,
            layout,
            client,
            options,
        };
        match started.feed(&b"DO 0;\n"[..], None) {
            Ok(()) => Ok(started),
            Err(source) => Err(TemporaryServerError::LogIn {
                log: layout.initialise_log(),
                source,
            }),
        }
    }

    /// Has the release's own client execute `sql`, which ends at the first error. Its output is not
    /// kept.
    pub(crate) fn feed(
        &mut self,
        sql: impl Read + Send,
        database: Option<&str>,
    ) -> Result<(), CommandError> {
        hook::feed(&mut self.client_command(database), sql).map(drop)
    }

    /// Stops it cleanly.
    pub(crate) fn stop(self) -> Result<(), TemporaryServerError> {
        self.server.stop()
    }

    fn client_command(&self, database: Option<&str>) -> Command {
        let mut command = bare_command(self.layout, &self.client);
        command
            .arg(with_path("--defaults-file=", &self.options.path))
            // MySQL's clients read a login file there, whatever option file they are given.
            .env("HOME", self.layout.run_dir())
            .arg(with_path("--socket=", &self.layout.private_socket()))
            .args(["--protocol=SOCKET", "--host=localhost"])
            .args(["--default-character-set=utf8mb4", "--skip-force"])
            // As in a file that was dumped: with its comments, and with `source` and `\G`, which
            // MySQL's client has to be told of from 9.x on.
            .args(["--comments", "--loose-commands"]);
        if let Some(database) = database {
            command.arg(format!("--database={database}"));
        }
        command
    }
}

/// An option file for our client alone: nothing that my.cnf has for the clients of the real server gets
/// to it. Gone when it is dropped.
#[derive(Debug)]
struct ClientOptions {
    path: PathBuf,
}

impl ClientOptions {
    fn write(layout: &Layout, password: &Password) -> Result<Self, TemporaryServerError> {
        let path = layout.private_client_options();
        let mut options = Credentials::root(password.clone()).option_file(&path);
        let why = "the most that there is; the server has a limit of its own";
        options.set("client", "max-allowed-packet", "1G", why);
        write_private(&path, &options.render())?;
        Ok(Self { path })
    }
}

impl Drop for ClientOptions {
    fn drop(&mut self) {
        // Else the next one does it: see remove_private_files.
        let _ = fs::remove_file(&self.path);
    }
}

fn server_command(server: &Server, layout: &Layout, data_dir: &Path, log: &Path) -> Command {
    let mut command = plain_command(layout, &server.executable);
    command
        .arg(with_path("--datadir=", data_dir))
        .arg(with_path("--log-error=", log))
        .arg(with_path("--socket=", &layout.private_socket()))
        .arg(with_path("--pid-file=", &layout.private_pid_file()))
        .args(PRIVATE);
    command
}

/// What one that was killed left in the run directory.
pub(crate) fn remove_private_files(layout: &Layout) -> Result<(), TemporaryServerError> {
    let socket = layout.private_socket();
    for path in [
        lock_of(&socket),
        socket,
        layout.private_pid_file(),
        layout.private_client_options(),
    ] {
        durable::remove_file_if_there(&path)
            .map_err(|source| TemporaryServerError::Prepare { path, source })?;
    }
    Ok(())
}

/// MySQL's, from 5.7 on; an empty one would stop it.
fn lock_of(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// There is no temporary server.
#[derive(Debug, Error)]
pub enum TemporaryServerError {
    /// The release lacks a client.
    #[error("no bin/mysql or bin/mariadb in {path}", path = path.display())]
    FindClient {
        /// The release.
        path: PathBuf,
    },
    /// What an earlier one left, or the log.
    #[error("cannot prepare {path}", path = path.display())]
    Prepare {
        /// What could not be removed or opened.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The accounts' SQL cannot be handed to it.
    #[error("cannot hand the accounts' SQL to the temporary server")]
    HandOver {
        /// Why.
        source: io::Error,
    },
    /// It ended before it answered.
    #[error("the temporary server did not start")]
    Start {
        /// Where it wrote why.
        log: PathBuf,
        /// How it ended.
        source: CommandError,
    },
    /// The option file of our client.
    #[error(transparent)]
    WriteOptions(#[from] WriteError),
    /// It did not run the accounts' SQL to its end.
    #[error("the server refuses the accounts as they are asked for")]
    Refused {
        /// What it wrote in its log about that, without any password.
        refusal: String,
    },
    /// It answers, and does not let root in.
    #[error("root cannot log in to the temporary server")]
    LogIn {
        /// The server's log.
        log: PathBuf,
        /// What the client said.
        source: CommandError,
    },
    /// It did not stop as it should.
    #[error("the temporary server did not stop cleanly")]
    Stop {
        /// Where it wrote why.
        log: PathBuf,
        /// How it ended.
        source: CommandError,
    },
}

impl TemporaryServerError {
    /// What client and server said. Empty if no program failed.
    #[must_use]
    pub fn evidence(&self) -> String {
        match self {
            Self::FindClient { .. }
            | Self::Prepare { .. }
            | Self::WriteOptions(_)
            | Self::HandOver { .. } => String::new(),
            Self::Refused { refusal } => refusal.clone(),
            Self::LogIn { log, source } => {
                format!("{}\n{}", client_errors(source), log_evidence(log))
            }
            Self::Start { log, .. } | Self::Stop { log, .. } => log_evidence(log),
        }
    }
}
/// Makes the directory of the private socket, if need be, and closes it to everybody else. A run directory that
/// somebody mounted into a home of ours is theirs to close.
fn close_private_dir(layout: &Layout) -> io::Result<()> {
    let path = layout.private_dir();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path)?;
    match fs::set_permissions(&path, Permissions::from_mode(0o700)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !layout.is_sealed() => {
            Ok(())
        }
        closed => closed,
    }
}
