//! What to do about each failure on the way to a server that can be started.

use std::io;
use std::path::Path;

use hook::{Advice, CommandError, Explain, Kind};
use mycnf::{
    FirstRunError, FirstRunFileError, HALF_UPGRADED, IncludeError, InitialiseError, LockError,
    MemoryError, PersistedError, ProbeError, TemporaryServerError,
};
use thiserror::Error;

use crate::accounts::AccountsError;
use crate::memory::MemoryOrigin;
use crate::prepare::PrepareError;
use crate::rendering::RenderError;
use crate::settings::SettingsError;
use crate::variables::VariableError;
use crate::volumes;

/// Why postinstall failed.
#[derive(Debug, Error)]
pub enum Error {
    /// Its inputs.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its work.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

impl Explain for Error {
    fn advice(&self) -> Advice {
        match self {
            Self::Settings(error) => error.advice(),
            Self::Prepare(error) => error.advice(),
        }
    }
}

impl Explain for SettingsError {
    fn advice(&self) -> Advice {
        match self {
            Self::Home(_) => Advice::new(
                Kind::Environment,
                "set HOME to the service's home directory, as an absolute path that exists",
            ),
            Self::NoPort => Advice::new(
                Kind::Configuration,
                "give the service a tcp port in dotcloud.yml (ports: {testbeddb: tcp}), push again",
            ),
            Self::WhichPort { .. } => Advice::new(
                Kind::Configuration,
                "set MYSQL_PORT_NAME to the name of the database's port, as in dotcloud.yml's \
                 ports, push again",
            ),
            Self::PortNumber { .. } => Advice::new(
                Kind::Environment,
                "the platform sets it: run the hook through 'dotcloud push', or set a number from \
                 1 to 65535",
            ),
            Self::Accounts(error) => accounts(error),
            Self::Memory { .. } => Advice::new(
                Kind::Configuration,
                "set it to a whole number with K, M or G, such as 512M, push again",
            ),
            Self::MemoryLimit(_) => Advice::new(
                Kind::Environment,
                "mount /proc in the container, as every Linux has it, start again",
            ),
            Self::SlowLog { .. } => Advice::new(
                Kind::Configuration,
                "set it to a number with s or ms, such as 1s, push again",
            ),
            Self::OneWord { .. } => Advice::new(
                Kind::Configuration,
                "set it to one word without spaces, push again",
            ),
            Self::Switch(_) => Advice::new(Kind::Configuration, "set it to 1 or 0, push again"),
        }
    }
}

fn accounts(error: &AccountsError) -> Advice {
    let next = match error {
        AccountsError::Password { variable, .. } if variable.contains("ROOT") => {
            "choose another one, or unset it to get a random one, push again"
        }
        AccountsError::Password { .. }
        | AccountsError::Name { .. }
        | AccountsError::DatabaseReserved { .. }
        | AccountsError::DatabaseFile { .. }
        | AccountsError::RootHost { .. }
        | AccountsError::UserTooLong { .. } => "choose another one, push again",
        AccountsError::Hash { .. } => "set it to what SELECT PASSWORD('…') prints, push again",
        AccountsError::HashUnknown { .. } => "set the password itself instead, push again",
        AccountsError::RootHash { .. } => {
            "set MYSQL_ROOT_PASSWORD or MYSQL_ROOT_PASSWORD_FILE instead, push again"
        }
        AccountsError::Both { .. } => "unset one of them, push again",
        AccountsError::ReadFile { .. } => {
            "put the value into that file, readable for this user, push again"
        }
        AccountsError::UserWithoutPassword { .. }
        | AccountsError::PasswordWithoutUser { .. }
        | AccountsError::UserRoot { .. } => {
            "set both for an account besides root, or neither, push again"
        }
    };
    Advice::new(Kind::Configuration, next)
}

fn time_zones(source: &CommandError) -> Advice {
    let next = "set MYSQL_INITDB_SKIP_TZINFO=1 to do without, push again";
    Advice::new(Kind::Environment, next).detail(source.last_words())
}

fn variable(error: &VariableError) -> Advice {
    let next = match error {
        VariableError::EmptyPassword { .. } => {
            "set MYSQL_ROOT_PASSWORD, or unset it to get a random password in \
             ~/data/mysql-credentials.cnf, push again"
        }
        VariableError::OneTime { .. } => {
            "unset it, and end with ALTER USER root@localhost PASSWORD EXPIRE once you have logged in, \
             push again"
        }
        VariableError::LowerCase { .. } => {
            "set lower_case_table_names below [mysqld] in my.cnf instead, push again"
        }
    };
    Advice::new(Kind::Configuration, next)
}

impl Explain for PrepareError {
    fn advice(&self) -> Advice {
        let environment = |next: &str| Advice::new(Kind::Environment, next);
        let configuration = |next: &str| Advice::new(Kind::Configuration, next);
        match self {
            Self::SocketPath { .. } => environment(
                "use a shorter home directory: with 'dotcloud', set DOTCLOUD_HOME to a short path",
            ),
            Self::Volume(error) => error.advice(),
            Self::Probe(error) => probe(error),
            Self::MakeDirectory { path, source } | Self::Lock(LockError::Open { path, source }) => {
                denied(path, source, ROOM_OR_RIGHTS)
            }
            Self::Write(_) | Self::Lineage(_) => room_or_rights(),
            Self::Lock(LockError::Held { holder, .. }) => environment(&format!(
                "stop that process ('kill {holder}' stops a server cleanly), start again; two \
                 servers on one data directory would destroy it"
            )),
            Self::PortTaken { .. } => environment(
                "stop the process that listens there ('ss -ltnp' shows it), start again",
            ),
            Self::Accounts(error) => accounts(error),
            Self::Address(_) => configuration(
                "set it to an address of this machine, such as 127.0.0.1, or to 0.0.0.0 for all of \
                 them, push again",
            ),
            Self::TimeZone(_) => configuration(
                "set an offset such as '+01:00', or a zone that is in /usr/share/zoneinfo, without \
                 MYSQL_INITDB_SKIP_TZINFO, push again",
            ),
            Self::ReadTimeZones { source } => time_zones(source),
            Self::Places(_) => configuration(
                "correct it in my.cnf, or take the option out: what is to last and does not come \
                 with the push belongs below ~/data, by its full path, push again",
            ),
            Self::Variable(error) => variable(error),
            Self::Stale(_) => environment("remove it, start again"),
            Self::ServerKeys(_) => environment("move it out of the data directory, start again"),
            Self::ReadCredentials { .. } => {
                environment("make it readable for this user (mode 0600), start again")
            }
            Self::Credentials(_) => configuration(
                "write user and password below [client] in that file, as ~/.my.cnf would have \
                 them, start again",
            ),
            Self::Password(_) => environment("set MYSQL_ROOT_PASSWORD to a password, push again"),
            Self::Render(error) => render(error),
            Self::Inspect(error) => denied(
                &error.path,
                &error.source,
                "make it readable for this user, start again",
            ),
            Self::TakeOver(error) => error.advice(),
            Self::Unrecognised { names, .. } => environment(unrecognised(names)),
            Self::DataRequired { .. } => environment(
                "put the data back, or unset MYSQL_REQUIRE_DATA to begin with a fresh database",
            ),
            Self::FirstRunFile(error) => first_run_file(error),
            Self::Initialise(error) => initialise(error),
            Self::Opening(error) => opening(error),
        }
    }
}

fn render(error: &RenderError) -> Advice {
    let configuration = |next: &str| Advice::new(Kind::Configuration, next);
    match error {
        RenderError::ReadTemplate { .. } => Advice::new(
            Kind::Environment,
            "push again: builder copies my.cnf there; if it is there, make it readable",
        ),
        RenderError::OptionFile(error) => {
            configuration("correct my.cnf, push again").detail(error.detail())
        }
        RenderError::Include(error) => include(error),
        RenderError::Write(_) => room_or_rights(),
        RenderError::ValidateConfig { source } => {
            configuration("correct that option in my.cnf, push again").detail(source.last_words())
        }
        RenderError::Persisted(error) => Advice::new(
            Kind::Environment,
            match error {
                PersistedError::Read { .. } => "make it readable for this user, start again",
                PersistedError::Damaged { .. } => {
                    "move it out of the data directory: what SET PERSIST set is lost then, start again"
                }
            },
        ),
        RenderError::Memory {
            error,
            persisted,
            origin,
            service,
        } => {
            let advice = memory(error, origin, service);
            if persisted.is_empty() {
                return advice;
            }
            let next = format!(
                "{}; {} persisted: persisted_globals_load=OFF in my.cnf starts without, RESET PERSIST \
                 takes them back",
                advice.next,
                match &persisted[..] {
                    [one] => format!("{one} is"),
                    several => format!("{} are", several.join(", ")),
                }
            );
            Advice { next, ..advice }
        }
        RenderError::DataDirOutside { .. } => configuration(
            "remove datadir from my.cnf (~/data/mysqldb is the default), or name a directory below \
             ~/data by its full path, push again: only ~/data survives a push",
        ),
    }
}

fn memory(error: &MemoryError, origin: &MemoryOrigin, service: &str) -> Advice {
    let raise = |bytes: u64| origin.raise(bytes, service);
    match error {
        MemoryError::LimitTooSmall { needed, .. } => Advice::new(
            Kind::Configuration,
            format!("{}, push again", raise(*needed)),
        ),
        MemoryError::OptionsTooLarge { needed, sum, .. } => Advice::new(
            Kind::Configuration,
            format!("lower them, or {}, push again", raise(*needed)),
        )
        .detail(sum),
    }
}

fn include(error: &IncludeError) -> Advice {
    let configuration = |next: &str| Advice::new(Kind::Configuration, next);
    match error {
        IncludeError::Flawed { source, .. } => {
            configuration("correct it, push again").detail(source.detail())
        }
        IncludeError::ReadDirectory { .. } => configuration(
            "give !includedir the full path (no ~) of a directory that is there whenever the \
             server starts, push again",
        ),
        IncludeError::Cycle { .. } => configuration("remove one of the includes, push again"),
    }
}

const ROOM_OR_RIGHTS: &str =
    "make room on the disk, or make the directory writable for this user, start again";

fn room_or_rights() -> Advice {
    Advice::new(Kind::Environment, ROOM_OR_RIGHTS)
}

fn probe(error: &ProbeError) -> Advice {
    let next = match error {
        ProbeError::NoServer { .. } | ProbeError::ReadStamp { .. } => {
            "push again: builder puts the server there"
        }
        ProbeError::RunServer { .. } | ProbeError::UnknownVersion { .. } => {
            "push a tarball of MySQL, Percona Server or MariaDB for this machine"
        }
    };
    Advice::new(Kind::Environment, next)
}

/// How servers say that the disk is full (ENOSPC is 28).
const DISK_FULL: [&str; 6] = [
    "No space left on device",
    "out of disk space",
    "error 28",
    "errno: 28",
    "Errcode: 28",
    // Of a table, to whoever writes to it.
    "' is full",
];

const NO_ROOM: &str = "make room on the disk, start again: nothing was left behind that takes any";

fn initialise(error: &InitialiseError) -> Advice {
    let advice = |next: &str| Advice::new(Kind::Environment, next);
    match error {
        InitialiseError::PutInPlace { source, .. }
            if source.kind() == io::ErrorKind::NotADirectory =>
        {
            advice("let ~/data be the link or the mount point, not what is in it; start again")
        }
        InitialiseError::Prepare { path, source }
        | InitialiseError::PutInPlace { path, source } => {
            denied(path, source, ROOM_OR_RIGHTS_FOR_IT)
        }
        InitialiseError::PrepareAccounts { .. } => advice(ROOM_OR_RIGHTS_FOR_IT),
        InitialiseError::FindInitialiser { .. } | InitialiseError::ReadSystemTables { .. } => {
            advice("push the vendor's tarball, or repack it again: it was cut too short")
        }
        InitialiseError::Unpack { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
            advice(NO_ROOM)
        }
        InitialiseError::Room(_) => advice(NO_ROOM),
        InitialiseError::Unpack { .. } => advice("push again with --clean: builder makes it anew"),
        InitialiseError::FirstRun(error) => first_run(error),
        InitialiseError::RunInitialiser { .. } => {
            let evidence = error.evidence();
            let next = if DISK_FULL.iter().any(|words| evidence.contains(words)) {
                NO_ROOM
            } else {
                "correct what it says, start again: nothing was left behind that counts"
            };
            advice(next).detail(evidence)
        }
    }
}

const ROOM_OR_RIGHTS_FOR_IT: &str =
    "make room on the disk, or make it writable for this user, start again";

/// `usual`, unless `path` is another user's volume.
fn denied(path: &Path, source: &io::Error, usual: &str) -> Advice {
    let denied = source.kind() == io::ErrorKind::PermissionDenied;
    let owners = denied.then(|| volumes::owners_way(path)).flatten();
    Advice::new(
        Kind::Environment,
        owners.unwrap_or_else(|| usual.to_owned()),
    )
}

fn first_run(error: &FirstRunError) -> Advice {
    let evidence = error.evidence();
    let next = match error {
        _ if DISK_FULL.iter().any(|words| evidence.contains(words)) => NO_ROOM,
        FirstRunError::File(error) => return first_run_file(error),
        FirstRunError::Fail { .. } => {
            "correct that file, push again: the database is begun anew, with all of them"
        }
        FirstRunError::Server(error) => return temporary_server(error),
    };
    Advice::new(Kind::Configuration, next).detail(evidence)
}

/// Nothing is there yet.
fn temporary_server(error: &TemporaryServerError) -> Advice {
    let evidence = error.evidence();
    let environment = |next: &str| Advice::new(Kind::Environment, next);
    let advice = match error {
        _ if DISK_FULL.iter().any(|words| evidence.contains(words)) => environment(NO_ROOM),
        TemporaryServerError::FindClient { .. } => {
            environment("push the vendor's tarball, or repack it again: it was cut too short")
        }
        TemporaryServerError::Prepare { .. } | TemporaryServerError::WriteOptions(_) => {
            environment("make room on the disk, or make it writable for this user, start again")
        }
        TemporaryServerError::HandOver { .. } => environment("raise /proc/sys/fs/pipe-max-size"),
        TemporaryServerError::Refused { .. } => Advice::new(
            Kind::Configuration,
            format!(
                "{}, push again: nothing was left behind",
                refused(&evidence)
            ),
        ),
        TemporaryServerError::Start { .. }
        | TemporaryServerError::LogIn { .. }
        | TemporaryServerError::Stop { .. } => {
            environment("correct what it says, start again: nothing was left behind that counts")
        }
    };
    advice.detail(evidence)
}

/// There is a database.
fn opening(error: &TemporaryServerError) -> Advice {
    let TemporaryServerError::Refused { refusal } = error else {
        return temporary_server(error);
    };
    let next = format!(
        "{}, start again: root's password stays the one in ~/data/mysql-credentials.cnf",
        refused(refusal)
    );
    Advice::new(Kind::Configuration, next).detail(refusal)
}

/// What to change when the server refuses the accounts, after its own words.
fn refused(evidence: &str) -> &'static str {
    if DISK_FULL.iter().any(|words| evidence.contains(words)) {
        return "make room on the disk";
    }
    // ER_NOT_VALID_PASSWORD, and MySQL's of a password that was there before.
    if [" 1819 ", " 3638 "]
        .iter()
        .any(|number| evidence.contains(number))
    {
        "choose a MYSQL_ROOT_PASSWORD and a MYSQL_PASSWORD that its policy allows, or change the \
         policy's options in my.cnf"
    } else {
        "correct the option of my.cnf that it names, or MYSQL_ROOT_PASSWORD, MYSQL_DATABASE, \
         MYSQL_USER or MYSQL_PASSWORD"
    }
}

/// What to do about a directory with `names` in it.
fn unrecognised(names: &[String]) -> &'static str {
    if names.iter().any(|name| name == HALF_UPGRADED) {
        "nothing was touched: MySQL 8.0 was killed while it upgraded this, and cannot go on either: \
         put back the copy from before, push again"
    } else {
        "nothing was touched: move these files away to get a fresh database, or put the real data \
         directory there"
    }
}

fn first_run_file(error: &FirstRunFileError) -> Advice {
    let next = match error {
        FirstRunFileError::List { .. } | FirstRunFileError::Read { .. } => {
            "make it readable for this user, or push it again: it may be damaged or cut short"
        }
        FirstRunFileError::Name { .. } => {
            "name first-run files *.sql, *.sql.gz, *.sql.xz or *.sql.zst, push again"
        }
        FirstRunFileError::Script { .. } => {
            "put what they do into *.sql files, or take them away, start again"
        }
    };
    Advice::new(Kind::Configuration, next)
}

mod take_over;

#[cfg(test)]
mod account_tests;
#[cfg(test)]
mod first_run_tests;
#[cfg(test)]
mod initialiser_tests;
#[cfg(test)]
mod judgement_tests;
#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod take_over_tests;
#[cfg(test)]
mod tests;
