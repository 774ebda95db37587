//! What to do about each failure.

use std::io;

use builder::ReleaseError;
use hook::{Advice, CommandError, ExitStatus, Explain, Kind};
use mycnf::{FirstRunError, FirstRunFileError, InitialiseError};
use repack::NotFetched;
use thiserror::Error;

use crate::cache::CacheError;
use crate::command::CommandNotFound;
use crate::control::ControlError;
use crate::inventory::RemoveError;
use crate::place::PlaceError;
use crate::release::FindError;
use crate::seed::SeedError;
use crate::server::ServerError;

/// Why there is no server, or no command.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The command's name.
    #[error(transparent)]
    NotFound(#[from] CommandNotFound),
    /// The command itself.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Where servers are.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// What is kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Which server.
    #[error(transparent)]
    Find(#[from] FindError),
    /// What it begins with.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// One more of them.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// What is to go.
    #[error(transparent)]
    Remove(#[from] RemoveError),
    /// Waiting for what ends a run.
    #[error("cannot wait for the command")]
    Wait(#[source] io::Error),
}

impl Explain for Error {
    fn advice(&self) -> Advice {
        match self {
            Self::NotFound(error) => not_found(error),
            Self::Command(_) => environment("see whether it runs without blink"),
            Self::Place(error) => place(error),
            Self::Cache(error) | Self::Remove(RemoveError::Cache(error)) => cache(error),
            Self::Find(error) => find(error),
            Self::Seed(error) | Self::Remove(RemoveError::Seed(error)) => seed(error),
            Self::Server(error) => server(error),
            Self::Control(error) => control(error),
            Self::Remove(RemoveError::Unknown { .. }) => {
                configuration("see 'blink list' for what is there")
            }
            Self::Wait(_) => Advice::new(Kind::Bug, "run it again"),
        }
    }
}

fn environment(next: impl Into<String>) -> Advice {
    Advice::new(Kind::Environment, next)
}

fn configuration(next: impl Into<String>) -> Advice {
    Advice::new(Kind::Configuration, next)
}

/// For what could not be written.
const ROOM: &str = "make room there, see to it that this user may write there, or name another \
                    directory with --cache or --dir";

fn not_found(error: &CommandNotFound) -> Advice {
    match error {
        CommandNotFound::NotThere { .. } => {
            configuration("write it with its path, or put its directory into PATH")
                .status(ExitStatus::NotFound)
        }
        CommandNotFound::NotExecutable { .. } => {
            configuration("make it executable: chmod +x").status(ExitStatus::NotExecutable)
        }
    }
}

fn place(error: &PlaceError) -> Advice {
    match error {
        PlaceError::Make { .. } => environment("set TMPDIR to a directory that you may write to"),
        PlaceError::Foreign { .. } => environment(
            "set TMPDIR to a directory that only you may write to: somebody else made this one",
        ),
    }
}

fn cache(error: &CacheError) -> Advice {
    match error {
        CacheError::Open { .. } | CacheError::Write { .. } => environment(ROOM),
        CacheError::Used { .. } => environment("end the other runs of blink first"),
    }
}

fn find(error: &FindError) -> Advice {
    match error {
        FindError::Empty { .. } => configuration(
            "name a vendor's tarball (blink mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz), or a version \
             to fetch (blink 8.4)",
        ),
        FindError::Unknown { .. } => configuration(
            "write a path, or a version such as 8.4, 8.4.6 or mariadb-11.4; the command comes after --",
        ),
        FindError::Read { .. } => configuration("see whether it is there, and readable for you"),
        FindError::Cache(error) => cache(error),
        FindError::Fetch(error) => fetch(error),
        FindError::Unpack(error) => unpack(error),
        FindError::Probe(_) => configuration(
            "name the top directory of an unpacked tarball, with bin/mysqld in it, for this machine",
        ),
    }
}

fn fetch(error: &NotFetched) -> Advice {
    error.advice()
}

/// As builder has it, for whoever pushes nothing.
fn unpack(error: &ReleaseError) -> Advice {
    match error {
        ReleaseError::Prepare { .. } | ReleaseError::PutInPlace { .. } => environment(ROOM),
        ReleaseError::Tarball(_)
        | ReleaseError::Unpack(_)
        | ReleaseError::Libraries(_)
        | ReleaseError::Probe(_) => {
            let advice = error.advice();
            Advice {
                next: advice.next.replace(", push again", ", run blink again"),
                ..advice
            }
        }
    }
}

fn seed(error: &SeedError) -> Advice {
    match error {
        SeedError::Cache(error) => cache(error),
        SeedError::Name { .. } => {
            configuration("use letters, digits, '-', '_' and '.', and none of those first")
        }
        SeedError::Unknown { names, .. } => configuration(if names.is_empty() {
            "keep one first: blink RELEASE --save NAME -- COMMAND".to_owned()
        } else {
            format!("name one of: {}", names.join(", "))
        }),
        SeedError::OtherServer { .. } => {
            configuration("save one of that server, or leave the release out")
        }
        SeedError::Read { .. } => environment("see whether it is there, and readable for you"),
        SeedError::FirstRunFile(FirstRunFileError::Name { .. }) => configuration(
            "name them *.sql, *.sql.gz, *.sql.xz or *.sql.zst, in lower case; everything else is a \
             command's work: --save NAME -- COMMAND",
        ),
        SeedError::FirstRunFile(_) => environment("make it readable for this user"),
        SeedError::NoFiles { .. } => configuration("put *.sql files there, or leave --init out"),
        SeedError::Home(_) | SeedError::Prepare { .. } | SeedError::Write(_) => environment(ROOM),
        SeedError::Password(_) => environment("see to it that the kernel has random numbers"),
        SeedError::ReadTimeZones { source } => {
            environment("see whether /usr/share/zoneinfo is readable").detail(source.last_words())
        }
        SeedError::Initialise { evidence, source } => initialise(source).detail(evidence.clone()),
    }
}

fn initialise(error: &InitialiseError) -> Advice {
    match error {
        InitialiseError::FirstRun(FirstRunError::Fail { .. }) => {
            configuration("correct the file; nothing of it was kept")
        }
        InitialiseError::FirstRun(_) => {
            configuration("use a whole release, with bin/mysql or bin/mariadb, or leave --init out")
        }
        InitialiseError::FindInitialiser { .. } | InitialiseError::ReadSystemTables { .. } => {
            configuration("use the vendor's whole tarball")
        }
        InitialiseError::RunInitialiser { .. } => {
            environment("act on the server's words above; it may lack memory or a library")
        }
        InitialiseError::Prepare { .. }
        | InitialiseError::PrepareAccounts { .. }
        | InitialiseError::Unpack { .. }
        | InitialiseError::Room(_)
        | InitialiseError::PutInPlace { .. } => environment(ROOM),
    }
}

fn server(error: &ServerError) -> Advice {
    match error {
        ServerError::Home(_) | ServerError::Prepare { .. } => environment(ROOM),
        ServerError::Password(_) => environment("see to it that the kernel has random numbers"),
        ServerError::Start { evidence, .. } => {
            environment("act on the server's words above; it may lack memory")
                .detail(evidence.clone())
        }
        ServerError::Refused { evidence } => configuration(
            "take out of the seed what forbids passwords of 32 letters, digits and hyphens",
        )
        .detail(evidence.clone()),
        ServerError::Stop { .. } => environment("run it again; nothing was saved"),
    }
}

fn control(error: &ControlError) -> Advice {
    match error {
        ControlError::Listen { .. } => environment(ROOM),
        ControlError::Outside => configuration(
            "call it in a command that blink runs: blink RELEASE -- COMMAND; elsewhere start a blink",
        ),
        ControlError::Ask { .. } => environment("see whether the blink around it still runs"),
        ControlError::Refused { .. } => {
            environment("see whether there is memory for another server")
        }
    }
}

#[cfg(test)]
mod tests;
