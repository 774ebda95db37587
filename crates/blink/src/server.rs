//! A running server in a directory of its own, from a copy of a seed. Dropped, it is killed and its
//! directory removed.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::{Background, CommandError, Inherited};
use mycnf::{
    Accounts, Password, PasswordError, ServiceAccounts, lend_libraries, log_evidence, sql_literal,
    with_path,
};
use thiserror::Error;

use crate::home::{Home, HomeError};
use crate::options::{Running, for_running};
use crate::place::Places;
use crate::release::Release;
use crate::sparse;
use crate::variables::{DATABASE, Variables};

/// How often another port is tried.
const PORTS: usize = 10;

/// Below the server's directory of files: it has run our SQL to its end.
const DONE: &str = "opened";

/// What servers are started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    /// Whose server.
    pub(crate) release: &'a Release,
    /// The data directory to begin with.
    pub(crate) seed: &'a Path,
    /// Where their directories are.
    pub(crate) places: &'a Places,
    /// With nothing left out that makes data last.
    pub(crate) durable: bool,
}

/// A server that has been started, and may not answer yet.
#[derive(Debug)]
pub(crate) struct Server {
    // Killed first.
    process: Background,
    home: Home,
    port: u16,
    password: Password,
    connection: Option<UnixStream>,
    /// The name of its release.
    release: String,
    /// Its end was told.
    told: bool,
}

impl Plan<'_> {
    /// Starts `count` servers at once, and waits until all let root in.
    pub(crate) fn start(&self, count: usize) -> Result<Vec<Server>, ServerError> {
        let begun: Result<Vec<_>, _> = (0..count).map(|_| self.begin(count)).collect();
        begun?
            .into_iter()
            .map(|server| self.finish(server))
            .collect()
    }

    fn begin(&self, count: usize) -> Result<Server, ServerError> {
        let home = self.places.home(count, self.durable)?;
        let prepare = |source| ServerError::Prepare {
            path: home.path().to_owned(),
            source,
        };
        for name in ["tmp", "files"] {
            let path = home.path().join(name);
            DirBuilder::new()
                .mode(0o700)
                .create(path)
                .map_err(prepare)?;
        }
        let data = home.path().join("data");
        sparse::copy(self.seed, &data, &|_| false).map_err(prepare)?;
        let password = Password::random()?;
        self.launch(home, password)
    }

    /// Starts the server in `home`, which is prepared.
    fn launch(&self, home: Home, password: Password) -> Result<Server, ServerError> {
        let prepare = |source| ServerError::Prepare {
            path: home.path().to_owned(),
            source,
        };
        let port = free_port().map_err(prepare)?;
        let path = home.path().join("my.cnf");
        let running = Running {
            home: home.path(),
            port,
            durable: self.durable,
        };
        let options = for_running(&path, &self.release.server, &running);
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(home.path().join("error.log"))
            .map_err(prepare)?;
        write(&path, &options.render()).map_err(prepare)?;
        // Read once by the server, and nowhere else.
        let sql = self.opening_sql(&password, home.path());
        let sql = Inherited::new(sql.as_bytes()).map_err(prepare)?;
        let mut command = self.command(home.path(), &path, &sql.path());
        let started = home.lend(|| Background::start(&mut command, &log));
        let process = started.map_err(|source| ServerError::Start {
            evidence: String::new(),
            source,
        })?;
        Ok(Server {
            process,
            home,
            port,
            password,
            connection: None,
            release: self.release.server.to_string(),
            told: false,
        })
    }

    fn command(&self, home: &Path, options: &Path, init_file: &Path) -> Command {
        let server = &self.release.server;
        let mut command = Command::new(&server.executable);
        command
            .arg(with_path("--defaults-file=", options))
            .arg(with_path("--init-file=", init_file))
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir(home);
        lend_libraries(&mut command, None);
        command
    }

    /// What the server runs before it lets anybody in: root gets its password, and what says so is the
    /// last statement.
    fn opening_sql(&self, password: &Password, home: &Path) -> String {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let accounts = Accounts {
            root_password: password,
            always: true,
            host_name: &host,
            service: ServiceAccounts {
                database: Some(DATABASE),
                ..ServiceAccounts::default()
            },
            agent: None,
        };
        let done = home.join("files").join(DONE);
        let done = sql_literal(&done.to_string_lossy());
        let sql = accounts.opening_sql(&self.release.server);
        format!("{sql}SELECT 1 INTO OUTFILE {done};\n")
    }

    /// Waits until `server` lets root in; with another port, if somebody else was faster.
    fn finish(&self, mut server: Server) -> Result<Server, ServerError> {
        for _ in 0..PORTS {
            let Err(source) = server.wait() else {
                break;
            };
            let log = fs::read(server.log()).unwrap_or_default();
            let in_use = String::from_utf8_lossy(&log).contains("ddress already in use");
            if hook::stop_signal().is_some() || !in_use {
                let evidence = log_evidence(&server.log());
                return Err(ServerError::Start { evidence, source });
            }
            server = self.again(server)?;
        }
        if server.home.path().join("files").join(DONE).exists() {
            Ok(server)
        } else {
            let evidence = log_evidence(&server.log());
            let evidence = evidence.replace(server.password.expose(), "…");
            Err(ServerError::Refused { evidence })
        }
    }

    fn again(&self, server: Server) -> Result<Server, ServerError> {
        let Server { home, password, .. } = server;
        let log = home.path().join("error.log");
        fs::remove_file(&log).map_err(|source| ServerError::Prepare { path: log, source })?;
        self.launch(home, password)
    }
}

impl Server {
    /// What a client has to know.
    pub(crate) fn variables(&self) -> Variables<'_> {
        Variables {
            port: self.port,
            socket: self.home.path().join("mysql.sock"),
            password: self.password.expose(),
            version: &self.release,
            pid: self.process.id(),
        }
    }

    /// Where it writes its messages.
    fn log(&self) -> PathBuf {
        self.home.path().join("error.log")
    }

    /// The directory of its own.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// What it logged last, if it has ended, which it was not told to. Said once.
    pub(crate) fn last_words(&mut self) -> Option<String> {
        if self.told || matches!(self.process.ended(), Ok(None)) {
            return None;
        }
        self.told = true;
        Some(log_evidence(&self.log()))
    }

    /// Stops it cleanly, and gives its data directory to `then` before it goes.
    pub(crate) fn stop_then<T>(self, then: impl FnOnce(&Path) -> T) -> Result<T, ServerError> {
        let Self { process, home, .. } = self;
        let stopped = process.stop();
        stopped.map_err(|source| ServerError::Stop { source })?;
        Ok(then(&home.path().join("data")))
    }

    /// Waits until it greets whoever connects, which it does once it has run its init-file.
    fn wait(&mut self) -> Result<(), CommandError> {
        let socket = self.home.path().join("mysql.sock");
        let connection = &mut self.connection;
        self.process.wait_until(|| {
            // One for as long as it takes.
            let Some(mut stream) = connection.take().or_else(|| connect(&socket)) else {
                return false;
            };
            match stream.read(&mut [0]) {
                Ok(1..) => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *connection = Some(stream);
                }
                // Closed: once more.
                Ok(0) | Err(_) => {}
            }
            false
        })
    }
}

fn connect(socket: &Path) -> Option<UnixStream> {
    let stream = UnixStream::connect(socket).ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

/// One that nobody listens on at the moment.
fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)
}

/// There is no server.
#[derive(Debug, Error)]
pub(crate) enum ServerError {
    /// Its directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// What is in it.
    #[error("cannot prepare a server in {path}", path = path.display())]
    Prepare {
        /// Its directory, or a file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// It did not start.
    #[error("the server did not start")]
    Start {
        /// What it logged.
        evidence: String,
        /// How it ended.
        source: CommandError,
    },
    /// It did not take root's password.
    #[error("the server refuses the password of its root")]
    Refused {
        /// What it logged.
        evidence: String,
    },
    /// It did not stop as it should.
    #[error("the server did not stop cleanly")]
    Stop {
        /// How it ended.
        source: CommandError,
    },
}
