//! The database of this home directory: its release, its data directory, its server if that runs.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use hook::{Environment, EnvironmentError};
use mycnf::{
    Credentials, CredentialsError, IncludeError, Layout, OptionFile, OptionFileError, ProbeError,
    Server, WriteError, server_groups, write_private,
};
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use preparation::VolumeError;
use thiserror::Error;

/// What the session is set to, where the server knows it: no limit of the user's ends a long statement,
/// and what we send means the same everywhere.
const SESSION: [&str; 5] = [
    "SET SESSION sql_mode = ''",
    "SET NAMES utf8mb4",
    "SET SESSION max_statement_time = 0",
    "SET SESSION max_execution_time = 0",
    "SET SESSION wait_timeout = 604800",
];

/// The database.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) layout: Layout,
    pub(crate) server: Server,
    pub(crate) data_dir: PathBuf,
}

impl Service {
    /// As the hooks left it.
    pub(crate) fn find(environment: &Environment) -> Result<Self, ServiceError> {
        let layout = preparation::layout(&environment.home()?)?;
        let server = Server::stamped(&layout.install())?;
        let data_dir = data_dir(&layout, &server)?;
        Ok(Self {
            layout,
            server,
            data_dir,
        })
    }

    /// The data directory below `~/data`, which a copy of the latter has as well.
    pub(crate) fn data_dir_below(&self) -> Result<&Path, ServiceError> {
        self.data_dir
            .strip_prefix(self.layout.data())
            .map_err(|_| ServiceError::Outside {
                path: self.data_dir.clone(),
                data: self.layout.data(),
            })
    }

    /// Root's connection to the server; `None` if none runs.
    pub(crate) fn connect(&self) -> Result<Option<Conn>, ServiceError> {
        let socket = self.layout.socket();
        match UnixStream::connect(&socket) {
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(None);
            }
            Err(source) => {
                return Err(ServiceError::Socket {
                    path: socket,
                    source,
                });
            }
        }
        let credentials = self.credentials()?;
        let options = OptsBuilder::new()
            .socket(socket.to_str())
            .user(Some(credentials.user))
            .pass(Some(credentials.password.expose()));
        connect(options).map(Some)
    }

    /// Root's connection to a server that asks for no password, on the private socket.
    pub(crate) fn connect_privately(&self) -> Result<Conn, ServiceError> {
        let socket = self.layout.private_socket();
        connect(
            OptsBuilder::new()
                .socket(socket.to_str())
                .user(Some("root")),
        )
    }

    fn credentials(&self) -> Result<Credentials, ServiceError> {
        let path = self.layout.credentials();
        let bytes = fs::read(&path).map_err(|source| ServiceError::ReadCredentials {
            path: path.clone(),
            source,
        })?;
        Ok(Credentials::parse(&path, &bytes)?)
    }

    /// An option file for one program of the release, with root's password and nothing of the user's.
    pub(crate) fn client_options(&self) -> Result<ClientOptions, ServiceError> {
        let path = self.layout.run_dir().join("backup.cnf");
        write_private(&path, &self.credentials()?.render(&path))?;
        Ok(ClientOptions { path })
    }

    /// A program of the release, under the first of `names` that it has.
    pub(crate) fn program(&self, names: &[&str]) -> Option<PathBuf> {
        names
            .iter()
            .map(|name| self.server.basedir.join("bin").join(name))
            .find(|path| path.is_file())
    }
}

/// Gone when it is dropped.
#[derive(Debug)]
pub(crate) struct ClientOptions {
    pub(crate) path: PathBuf,
}

impl Drop for ClientOptions {
    fn drop(&mut self) {
        // Else the next one replaces it: it is private.
        let _ = fs::remove_file(&self.path);
    }
}

fn connect(options: OptsBuilder) -> Result<Conn, ServiceError> {
    // The rest of what it wants to know at first may not be known without grant tables.
    let options = options.prefer_socket(false).stmt_cache_size(0);
    let mut connection = Conn::new(options).map_err(ServiceError::log_in)?;
    for statement in SESSION {
        // Of each limit one flavour knows nothing.
        let _ = connection.query_drop(statement);
    }
    Ok(connection)
}

fn data_dir(layout: &Layout, server: &Server) -> Result<PathBuf, ServiceError> {
    let path = layout.option_file();
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        // Of a home directory in which nothing was prepared yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(layout.data_dir()),
        Err(source) => return Err(ServiceError::ReadOptions { path, source }),
    };
    let resolved = OptionFile::parse(&path, &bytes)?.resolve(layout.home())?;
    let groups = server_groups(server.flavour, server.version);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let found = resolved.get(&groups, "datadir").and_then(|it| it.value);
    Ok(found.map_or_else(
        || layout.data_dir(),
        |value| PathBuf::from(OsStr::from_bytes(&value)),
    ))
}

/// The database cannot be found or reached.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// No home directory.
    #[error(transparent)]
    Home(#[from] EnvironmentError),
    /// One that cannot be worked in.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// No release in it.
    #[error(transparent)]
    Release(#[from] ProbeError),
    /// Its option file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    ReadOptions {
        /// The option file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is none.
    #[error(transparent)]
    OptionFile(#[from] OptionFileError),
    /// What it includes.
    #[error(transparent)]
    Include(#[from] IncludeError),
    /// The data is where no push would keep it.
    #[error("the data directory {path} is not below {data}", path = path.display(), data = data.display())]
    Outside {
        /// The data directory.
        path: PathBuf,
        /// `~/data`.
        data: PathBuf,
    },
    /// Whether a server runs cannot be known.
    #[error("cannot reach {path}", path = path.display())]
    Socket {
        /// The server's socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Root's password is not there.
    #[error("cannot read {path}", path = path.display())]
    ReadCredentials {
        /// The credentials file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be understood.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The server does not let us in.
    #[error("the server does not let root in")]
    LogIn {
        /// What it said.
        source: Box<mysql::Error>,
    },
    /// An option file of ours.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ServiceError {
    fn log_in(error: mysql::Error) -> Self {
        let source = Box::new(error);
        Self::LogIn { source }
    }
}
