//! Every failure as its reader sees it, in the order of the enums.

use std::ffi::OsStr;
use std::path::PathBuf;

use hook::{CommandError, EnvironmentError, ExitStatus};
use mycnf::{Credentials, IncludeError, InspectError, OptionFile, Password, Place, WriteError};

use super::*;
use crate::volumes::VolumeError;

pub(super) fn path() -> PathBuf {
    "/h/x".into()
}

pub(super) fn source() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

fn start() -> CommandError {
    CommandError::Start {
        program: "/r/mysqld".into(),
        source: source(),
    }
}

#[track_caller]
pub(super) fn assert_rendered(error: impl Into<Error>, expected: &str) {
    let mut out = Vec::new();
    let status = hook::render("postinstall", &error.into(), &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("postinstall: error: {expected}\n")
    );
    assert_eq!(status, ExitStatus::Failed);
}

#[test]
fn settings_errors_have_exact_texts() {
    let home =
        "\n  next: set HOME to the service's home directory, as an absolute path that exists";
    assert_rendered(
        SettingsError::Home(EnvironmentError::HomeUnset),
        &format!("HOME is not set{home}"),
    );
    assert_rendered(
        SettingsError::Home(EnvironmentError::FindHome {
            path: path(),
            source: source(),
        }),
        &format!("cannot find the home directory /h/x\n  cause: permission denied{home}"),
    );
    assert_rendered(
        SettingsError::NoPort,
        "no port to listen on: no PORT_* variable is set\n  next: give the service a tcp port in \
         dotcloud.yml (ports: {testbeddb: tcp}), push again",
    );
    let which = |seen: &[&str]| SettingsError::WhichPort {
        wanted: "PORT_MYSQL".to_owned(),
        seen: seen.iter().map(|&name| name.to_owned()).collect(),
    };
    let next = "\n  next: set MYSQL_PORT_NAME to the name of the database's port, as in \
                dotcloud.yml's ports, push again";
    assert_rendered(
        which(&["PORT_A", "PORT_B"]),
        &format!("no PORT_MYSQL among the ports of this service: PORT_A, PORT_B{next}"),
    );
    assert_rendered(
        which(&[]),
        &format!("no PORT_MYSQL among the ports of this service: none{next}"),
    );
    let (variable, value) = ("PORT_A".to_owned(), "x y".into());
    assert_rendered(
        SettingsError::PortNumber { variable, value },
        "PORT_A is 'x y', which is not a port number\n  next: the platform sets it: run the hook \
         through 'dotcloud push', or set a number from 1 to 65535",
    );
    assert_rendered(
        SettingsError::Accounts(AccountsError::Password {
            variable: "MYSQL_ROOT_PASSWORD".to_owned(),
            source: Password::new(OsStr::new("")).unwrap_err(),
        }),
        "the password in MYSQL_ROOT_PASSWORD cannot be used\n  cause: the password is empty\n  \
         next: choose another one, or unset it to get a random one, push again",
    );
}

#[test]
fn errors_of_single_settings_have_exact_texts() {
    let (variable, value) = ("MYSQL_BIND_ADDRESS".to_owned(), "x y".into());
    assert_rendered(
        SettingsError::OneWord { variable, value },
        "MYSQL_BIND_ADDRESS is 'x y', which is not one word\n  next: set it to one word without \
         spaces, push again",
    );
    let (variable, value) = ("MYSQL_SLOW_LOG".to_owned(), "1".into());
    assert_rendered(
        SettingsError::SlowLog { variable, value },
        "MYSQL_SLOW_LOG is '1', which is not a time such as 1s or 250ms\n  next: set it to a number \
         with s or ms, such as 1s, push again",
    );
    let (variable, value) = ("MYSQL_REQUIRE_DATA".to_owned(), "x y".into());
    assert_rendered(
        SettingsError::Switch(hook::SwitchError { variable, value }),
        "MYSQL_REQUIRE_DATA is 'x y', which is neither 0 nor 1\n  next: set it to 1 or 0, push \
         again",
    );
}

#[test]
fn seed_errors_have_exact_texts() {
    let unpack = |kind: io::ErrorKind| {
        Error::Prepare(PrepareError::Initialise(InitialiseError::Unpack {
            path: path(),
            source: kind.into(),
        }))
    };
    assert_rendered(
        unpack(io::ErrorKind::StorageFull),
        "cannot unpack the seed /h/x\n  cause: no storage space\n  next: make room on the disk, \
         start again: nothing was left behind that takes any",
    );
    assert_rendered(
        unpack(io::ErrorKind::UnexpectedEof),
        "cannot unpack the seed /h/x\n  cause: unexpected end of file\n  next: push again with \
         --clean: builder makes it anew",
    );
}

const ROOM: &str = "\n  next: make room on the disk, or make the directory writable for this user, \
                    start again";

#[test]
fn preparation_errors_have_exact_texts() {
    assert_rendered(
        PrepareError::SocketPath { path: path() },
        "the socket's path /h/x has 4 bytes, and 107 is the most\n  next: use a shorter home \
         directory: with 'dotcloud', set DOTCLOUD_HOME to a short path",
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        PrepareError::MakeDirectory {
            path: path_,
            source: source_,
        },
        &format!("cannot make the directory /h/x\n  cause: permission denied{ROOM}"),
    );
    let holder = "4711".to_owned();
    assert_rendered(
        PrepareError::Lock(LockError::Held {
            path: path(),
            holder,
        }),
        "process 4711 is using the data directory (it holds /h/x)\n  next: stop that process \
         ('kill 4711' stops a server cleanly), start again; two servers on one data directory \
         would destroy it",
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        PrepareError::Lock(LockError::Open {
            path: path_,
            source: source_,
        }),
        &format!("cannot lock /h/x\n  cause: permission denied{ROOM}"),
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        PrepareError::ReadCredentials {
            path: path_,
            source: source_,
        },
        "cannot read /h/x\n  cause: permission denied\n  next: make it readable for this user \
         (mode 0600), start again",
    );
    assert_rendered(
        PrepareError::Credentials(Credentials::parse(&path(), b"[client]\n").unwrap_err()),
        "/h/x sets no user in [client]\n  next: write user and password below [client] in that \
         file, as ~/.my.cnf would have them, start again",
    );
    assert_rendered(
        PrepareError::Password(Password::new(OsStr::new("\n")).unwrap_err()),
        "the password holds a line break or a NUL byte\n  next: set MYSQL_ROOT_PASSWORD to a \
         password, push again",
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        PrepareError::Write(WriteError {
            path: path_,
            source: source_,
        }),
        &format!("cannot write /h/x\n  cause: permission denied{ROOM}"),
    );
}

#[test]
fn data_errors_have_exact_texts() {
    let (path_, source_) = (path(), source());
    assert_rendered(
        PrepareError::Inspect(InspectError {
            path: path_,
            source: source_,
        }),
        "cannot look into the data directory /h/x\n  cause: permission denied\n  next: make it \
         readable for this user, start again",
    );
    let names = vec!["a".to_owned(), "b".to_owned()];
    assert_rendered(
        PrepareError::Unrecognised {
            path: path(),
            names,
        },
        "/h/x is not a data directory: it holds a, b\n  next: nothing was touched: move these \
         files away to get a fresh database, or put the real data directory there",
    );
    assert_rendered(
        PrepareError::Unrecognised {
            path: path(),
            names: vec!["mysql_dd_upgrade_info".to_owned()],
        },
        "/h/x is not a data directory: it holds mysql_dd_upgrade_info\n  next: nothing was \
         touched: MySQL 8.0 was killed while it upgraded this, and cannot go on either: put back \
         the copy from before, push again",
    );
    assert_rendered(
        PrepareError::DataRequired { path: path() },
        "there is no data directory /h/x, and MYSQL_REQUIRE_DATA forbids a fresh one\n  next: put \
         the data back, or unset MYSQL_REQUIRE_DATA to begin with a fresh database",
    );
}

#[test]
fn probe_errors_have_exact_texts() {
    let builder = "\n  next: push again: builder puts the server there";
    let tarball = "\n  next: push a tarball of MySQL, Percona Server or MariaDB for this machine";
    let probe = |error: ProbeError| Error::Prepare(PrepareError::Probe(error));
    assert_rendered(
        probe(ProbeError::NoServer { path: path() }),
        &format!("no MySQL server in /h/x{builder}"),
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        probe(ProbeError::ReadStamp {
            path: path_,
            source: source_,
        }),
        &format!("cannot read /h/x\n  cause: permission denied{builder}"),
    );
    assert_rendered(
        probe(ProbeError::RunServer { source: start() }),
        &format!(
            "the server does not run on this machine\n  cause: cannot run /r/mysqld\n  cause: \
             permission denied{tarball}"
        ),
    );
    let text = "?".to_owned();
    assert_rendered(
        probe(ProbeError::UnknownVersion { path: path(), text }),
        &format!("cannot tell the version of /h/x from '?'{tarball}"),
    );
}

#[test]
fn option_file_errors_have_exact_texts() {
    let render = |error: RenderError| Error::Prepare(PrepareError::Render(error));
    let (path_, source_) = (path(), source());
    assert_rendered(
        render(RenderError::ReadTemplate {
            path: path_,
            source: source_,
        }),
        "cannot read /h/x\n  cause: permission denied\n  next: push again: builder copies my.cnf \
         there; if it is there, make it readable",
    );
    assert_rendered(
        render(OptionFile::parse(&path(), b"[mysql\n").unwrap_err().into()),
        "/h/x:1:1: group header without its closing ']'\n  | 1:1: group header without its closing \
         ']'\n  |   [mysql\n  |   accepted: [mysqld]\n  next: correct my.cnf, push again",
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        render(RenderError::Write(WriteError {
            path: path_,
            source: source_,
        })),
        &format!("cannot write /h/x\n  cause: permission denied{ROOM}"),
    );
    assert_rendered(
        render(RenderError::ValidateConfig { source: start() }),
        "the server does not accept the option file\n  cause: cannot run /r/mysqld\n  cause: \
         permission denied\n  next: correct that option in my.cnf, push again",
    );
    let data = "/h/data".into();
    assert_rendered(
        render(RenderError::DataDirOutside { path: path(), data }),
        "datadir is /h/x, which is not below /h/data\n  next: remove datadir from my.cnf \
         (~/data/mysqldb is the default), or name a directory below ~/data by its full path, push \
         again: only ~/data survives a push",
    );
}

#[test]
fn include_errors_have_exact_texts() {
    let render =
        |error: IncludeError| Error::Prepare(PrepareError::Render(RenderError::Include(error)));
    let by = || Place {
        path: "/h/my.cnf".into(),
        line: 3,
    };
    let flawed = OptionFile::parse(&path(), b"[mysql\n").unwrap_err();
    assert_rendered(
        render(IncludeError::Flawed {
            by: by(),
            source: flawed,
        }),
        "cannot use /h/x, included by /h/my.cnf:3\n  cause: /h/x:1:1: group header without its \
         closing ']'\n  | 1:1: group header without its closing ']'\n  |   [mysql\n  |   accepted: \
         [mysqld]\n  next: correct it, push again",
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        render(IncludeError::ReadDirectory {
            path: path_,
            by: by(),
            source: source_,
        }),
        "cannot read the directory /h/x, included by /h/my.cnf:3\n  cause: permission denied\n  \
         next: give !includedir the full path (no ~) of a directory that is there whenever the \
         server starts, push again",
    );
    let path_ = path();
    assert_rendered(
        render(IncludeError::Cycle {
            path: path_,
            by: by(),
        }),
        "/h/x is included by /h/my.cnf:3 while it is being read itself\n  next: remove one of the \
         includes, push again",
    );
}

#[test]
fn initialisation_errors_have_exact_texts() {
    let initialise = |error: InitialiseError| Error::Prepare(PrepareError::Initialise(error));
    let room = "\n  cause: permission denied\n  next: make room on the disk, or make it writable for \
                this user, start again";
    let cut = "\n  next: push the vendor's tarball, or repack it again: it was cut too short";
    let (path_, source_) = (path(), source());
    assert_rendered(
        initialise(InitialiseError::Prepare {
            path: path_,
            source: source_,
        }),
        &format!("cannot prepare /h/x{room}"),
    );
    let (path_, source_) = (path(), source());
    let written = WriteError {
        path: path_,
        source: source_,
    };
    assert_rendered(
        initialise(InitialiseError::PrepareAccounts { source: written }),
        &format!("cannot prepare the accounts\n  cause: cannot write /h/x{room}"),
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        initialise(InitialiseError::PutInPlace {
            path: path_,
            source: source_,
        }),
        &format!("cannot put /h/x in place{room}"),
    );
    assert_rendered(
        initialise(InitialiseError::PutInPlace {
            path: path(),
            source: io::ErrorKind::NotADirectory.into(),
        }),
        "cannot put /h/x in place\n  cause: not a directory\n  next: let ~/data be the link or the \
         mount point, not what is in it; start again",
    );
    let wanted = "scripts/mariadb-install-db";
    assert_rendered(
        initialise(InitialiseError::FindInitialiser {
            path: path(),
            wanted,
        }),
        &format!("no scripts/mariadb-install-db in /h/x{cut}"),
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        initialise(InitialiseError::ReadSystemTables {
            path: path_,
            source: source_,
        }),
        &format!("cannot read the system tables' definition /h/x\n  cause: permission denied{cut}"),
    );
}

#[test]
fn sealed_homes_and_volumes_have_exact_texts() {
    assert_rendered(
        PrepareError::from(VolumeError::Sealed {
            home: "/h".into(),
            run: "/h/mysql/run".into(),
        }),
        "neither /h nor /h/mysql/run can be written\n  next: make the home directory writable for this \
         user, or mount a directory at /h/mysql/run that is (--tmpfs /h/mysql/run:mode=1777 in Docker, \
         an emptyDir in Kubernetes), start again",
    );
    assert_rendered(
        PrepareError::from(VolumeError::Close {
            path: path(),
            source: source(),
        }),
        "cannot set the modes of what is ours in /h/x\n  cause: permission denied\n  next: mount a \
         volume whose files belong to the user that the container runs as, start again",
    );
}
