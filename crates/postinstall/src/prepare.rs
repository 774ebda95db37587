//! Everything between the platform's inputs and a server that can be started: option file,
//! credentials, data directory. postinstall stops there; starttest goes on.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, PathBuf};
use std::process::Command;
use std::time::Duration;

use hook::{CommandError, Report};
use mycnf::{
    Credentials, CredentialsError, DataDirState, DataLock, Flavour, Initialisation,
    InitialiseError, InspectError, Layout, Lineage, LockError, OptionFile, OptionFileError, Origin,
    Password, PasswordError, ProbeError, Rendered, Server, Version, WriteError, inspect,
    remove_unfinished, render_my_cnf, server_groups, write_private,
};
use thiserror::Error;

use crate::settings::Settings;

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
    /// Held until dropped, or until the server that inherits it ends.
    pub lock: DataLock,
}

/// Does what is missing, and nothing twice.
pub fn prepare(settings: &Settings, report: &mut Report) -> Result<Prepared, PrepareError> {
    let layout = Layout::new(&settings.home);
    check_socket_path(&layout)?;
    let server = Server::stamped(&layout.install())?;
    report.bullet(format!(
        "server {server}, from {}",
        server.basedir.display()
    ));
    make_directories(&layout)?;
    let lock = DataLock::acquire(&layout.lock(), LOCK_PATIENCE)?;
    let credentials = credentials(settings, &layout, report)?;
    let rendered = render(settings, &layout, &server, report)?;
    validate(&layout, &server)?;
    let data_dir = data_dir(&rendered, &server, &layout)?;
    if remove_unfinished(&layout)? {
        report.bullet("removed a data directory whose initialisation had not finished");
    }
    match inspect(&data_dir)? {
        DataDirState::Ready(lineage) if lineage == Lineage::of(&server) => {
            report.bullet(format!("kept the data directory {}", data_dir.display()));
        }
        DataDirState::Ready(found) => {
            return Err(PrepareError::OtherLineage {
                path: data_dir,
                found,
                server: server.to_string(),
            });
        }
        DataDirState::Unrecognised(names) => {
            return Err(PrepareError::Unrecognised {
                path: data_dir,
                names,
            });
        }
        DataDirState::Absent if settings.require_data => {
            return Err(PrepareError::DataRequired { path: data_dir });
        }
        DataDirState::Absent => {
            report.bullet(format!("initialising {}", data_dir.display()));
            Initialisation {
                server: &server,
                layout: &layout,
                data_dir: &data_dir,
                root_password: &credentials,
                host_name: &settings.host_name,
            }
            .run()?;
            report.bullet("initialised: root has a password, nobody else has an account");
        }
    }
    Ok(Prepared {
        layout,
        server,
        lock,
    })
}

/// The servers cut a longer path silently or refuse it with a message about something else.
fn check_socket_path(layout: &Layout) -> Result<(), PrepareError> {
    let path = layout.socket();
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        return Err(PrepareError::SocketPath { path });
    }
    Ok(())
}

fn make_directories(layout: &Layout) -> Result<(), PrepareError> {
    for path in [layout.data(), layout.logs(), layout.run_dir()] {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|source| PrepareError::MakeDirectory { path, source })?;
    }
    Ok(())
}

/// Root's password: the one in use, else the one asked for, else a fresh one, written down before
/// anything depends on it.
fn credentials(
    settings: &Settings,
    layout: &Layout,
    report: &mut Report,
) -> Result<Password, PrepareError> {
    let path = layout.credentials();
    let existing = match fs::read(&path) {
        Ok(bytes) => Some(Credentials::parse(&path, &bytes)?.password),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(PrepareError::ReadCredentials { path, source }),
    };
    if let Some(existing) = existing {
        report.bullet(format!("kept root's password in {}", path.display()));
        if settings
            .root_password
            .as_ref()
            .is_some_and(|wanted| *wanted != existing)
        {
            report.warning(
                "MYSQL_ROOT_PASSWORD differs from the password in use and was not applied: it \
                 counts at the first start",
            );
        }
        return Ok(existing);
    }
    let (password, origin) = match &settings.root_password {
        Some(password) => (password.clone(), "as MYSQL_ROOT_PASSWORD says"),
        None => (Password::random()?, "a random one"),
    };
    write_private(&path, &Credentials::root(password.clone()).render(&path))?;
    report.bullet(format!(
        "wrote root's password, {origin}, to {}",
        path.display()
    ));
    Ok(password)
}

fn render(
    settings: &Settings,
    layout: &Layout,
    server: &Server,
    report: &mut Report,
) -> Result<Rendered, PrepareError> {
    let path = layout.template();
    let bytes = fs::read(&path).map_err(|source| PrepareError::ReadTemplate {
        path: path.clone(),
        source,
    })?;
    let template = OptionFile::parse(&path, &bytes)?;
    let rendered = render_my_cnf(
        &template,
        &mycnf::Settings {
            layout,
            port: settings.port.number,
            flavour: server.flavour,
            version: server.version,
            bind_address: settings.bind_address.as_deref(),
        },
    );
    write_private(&layout.option_file(), &rendered.file.render())?;
    report.bullet(format!(
        "wrote {}, with port {} from {}",
        layout.option_file().display(),
        settings.port.number,
        settings.port.variable
    ));
    for choice in &rendered.choices {
        let origin = match &choice.origin {
            Origin::Added { why }
            | Origin::Imposed {
                why,
                instead_of: None,
            } => (*why).to_owned(),
            Origin::Imposed {
                why,
                instead_of: Some(line),
            } => {
                format!("{why}; my.cnf line {line} does not count")
            }
            Origin::Kept { line } => format!("from my.cnf line {line}"),
        };
        report.sub_bullet(format!("{} = {} ({origin})", choice.option, choice.value));
    }
    for include in &rendered.unread {
        report.warning(format!(
            "my.cnf line {} includes other files, which were not looked into: what they set may \
             overrule the above",
            include.line
        ));
    }
    Ok(rendered)
}

/// Asks the server itself, where it can tell without starting (8.0.16, manual 8.0 section 7.1.3):
/// an option it does not know would stop it after everything else is done.
fn validate(layout: &Layout, server: &Server) -> Result<(), PrepareError> {
    if server.flavour == Flavour::MariaDb || server.version < Version::new(8, 0, 16) {
        return Ok(());
    }
    let mut command = server_command(layout, server);
    command
        .env_clear()
        .env("HOME", layout.home())
        .arg("--validate-config");
    hook::run(&mut command, b"")
        .map(drop)
        .map_err(|source| PrepareError::ValidateConfig { source })
}

/// The server with the rendered option file as its first argument.
#[must_use]
pub fn server_command(layout: &Layout, server: &Server) -> Command {
    let mut option_file = OsString::from("--defaults-file=");
    option_file.push(layout.option_file());
    let mut command = Command::new(&server.executable);
    command.arg(option_file).current_dir(layout.home());
    command
}

/// Where the rendered option file puts the data directory. Anywhere but below `~/data` it would be
/// lost at the next push.
fn data_dir(
    rendered: &Rendered,
    server: &Server,
    layout: &Layout,
) -> Result<PathBuf, PrepareError> {
    let groups = server_groups(server.flavour, server.version);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let value = rendered
        .file
        .get(&groups, "datadir")
        .and_then(|found| found.value);
    let Some(value) = value else {
        return Ok(layout.data_dir());
    };
    // The servers expand a leading tilde themselves.
    let path = match value.strip_prefix(b"~/") {
        Some(rest) => layout.home().join(OsStr::from_bytes(rest)),
        None => PathBuf::from(OsStr::from_bytes(&value)),
    };
    let normal = path.components().all(|c| c != Component::ParentDir);
    if normal && path.starts_with(layout.data()) && path != layout.data() {
        Ok(path)
    } else {
        Err(PrepareError::DataDirOutside {
            path,
            data: layout.data(),
        })
    }
}

/// The server cannot be started as things are. The data directory is as it was.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// `$HOME` is too deep.
    #[error("the socket's path {path} has {length} bytes, and {SOCKET_PATH_MAX} is the most", path = path.display(), length = path.as_os_str().len())]
    SocketPath {
        /// Where the socket would be.
        path: PathBuf,
    },
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
    /// Somebody else has the data directory.
    #[error(transparent)]
    Lock(#[from] LockError),
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
    /// The user's option file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    ReadTemplate {
        /// The template.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The user's option file is not one.
    #[error(transparent)]
    OptionFile(#[from] OptionFileError),
    /// The option file or the credentials cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The server refuses the option file.
    #[error("the server does not accept the option file")]
    ValidateConfig {
        /// What it said.
        source: CommandError,
    },
    /// my.cnf puts the data where a push loses it.
    #[error("datadir is {path}, which is not below {data}", path = path.display(), data = data.display())]
    DataDirOutside {
        /// As my.cnf says.
        path: PathBuf,
        /// The directory that survives a push.
        data: PathBuf,
    },
    /// The data directory cannot be looked at.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// Another kind of server made it.
    #[error("the data directory {path} belongs to {found}, and the server is {server}", path = path.display())]
    OtherLineage {
        /// The data directory.
        path: PathBuf,
        /// Who made it.
        found: Lineage,
        /// The server that was pushed.
        server: String,
    },
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
    /// Initialising failed.
    #[error(transparent)]
    Initialise(#[from] InitialiseError),
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn rendered(text: &str) -> Rendered {
        Rendered {
            file: OptionFile::parse(Path::new("/h/.my.cnf"), text.as_bytes()).unwrap(),
            choices: Vec::new(),
            unread: Vec::new(),
        }
    }

    fn server() -> Server {
        Server {
            basedir: "/h/mysql/install".into(),
            executable: "/h/mysql/install/bin/mysqld".into(),
            flavour: Flavour::MySql,
            version: Version::new(9, 7, 4),
        }
    }

    #[test]
    fn data_dir_only_below_data() {
        let layout = Layout::new("/h");
        let find = |text: &str| data_dir(&rendered(text), &server(), &layout);
        assert_eq!(find("[mysqld]\n").unwrap(), Path::new("/h/data/mysqldb"));
        assert_eq!(
            find("[mysqld]\ndatadir = ~/data/other\n").unwrap(),
            Path::new("/h/data/other")
        );
        for value in ["/h/mysql/data", "/h/data", "data/x", "/h/data/../x"] {
            assert_eq!(
                find(&format!("[mysqld]\ndatadir={value}\n"))
                    .unwrap_err()
                    .to_string(),
                format!("datadir is {value}, which is not below /h/data")
            );
        }
    }

    #[test]
    fn check_socket_path_limit_is_107_bytes() {
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

    #[test]
    fn server_command_option_file_comes_first() {
        let command = server_command(&Layout::new("/h"), &server());
        assert_eq!(command.get_program(), "/h/mysql/install/bin/mysqld");
        assert_eq!(
            command.get_args().collect::<Vec<_>>(),
            ["--defaults-file=/h/.my.cnf"]
        );
    }
}
