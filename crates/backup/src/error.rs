//! What to do about each failure.

mod logs;

use hook::{Advice, Explain, Kind};
use mycnf::LockError;
use thiserror::Error;

use crate::check::CheckError;
use crate::dump::DumpError;
use crate::logs::LogsError;
use crate::manifest::ManifestError;
use crate::place::PlaceError;
use crate::plan::PlanError;
use crate::service::ServiceError;
use crate::take::TakeError;
use crate::tree::TreeError;

/// Why backup failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The database cannot be found or reached.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// No server to dump, or to load into.
    #[error("the server does not run")]
    NotRunning,
    /// There is no copy.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// The copy is no good.
    #[error(transparent)]
    Check(Box<CheckError>),
    /// The copy did not become the database.
    #[error(transparent)]
    Place(Box<PlaceError>),
    /// There is no dump, or it could not be loaded.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The binary logs were not copied.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// There is nothing to be replayed.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl From<CheckError> for Error {
    fn from(error: CheckError) -> Self {
        Self::Check(Box::new(error))
    }
}

impl From<PlaceError> for Error {
    fn from(error: PlaceError) -> Self {
        Self::Place(Box::new(error))
    }
}

impl Explain for Error {
    fn advice(&self) -> Advice {
        match self {
            Self::Service(error) => service(error),
            Self::NotRunning => machine("start it ('dotcloud restart SERVICE.N'), call it again"),
            Self::Take(error) => take(error),
            Self::Check(error) => check(error),
            Self::Place(error) => place(error),
            Self::Dump(error) => dump(error),
            Self::Logs(error) => logs::logs(error),
            Self::Plan(error) => logs::plan(error),
        }
    }
}

fn machine(next: &str) -> Advice {
    Advice::new(Kind::Environment, next)
}

fn service(error: &ServiceError) -> Advice {
    match error {
        ServiceError::Home(_) => machine("call it in the service: 'dotcloud run SERVICE.N'"),
        ServiceError::Volume(error) => error.advice(),
        ServiceError::Release(_) => machine("push again: builder puts the server there"),
        ServiceError::ReadOptions { .. }
        | ServiceError::OptionFile(_)
        | ServiceError::Include(_) => {
            machine("restart the service: starttest writes the option file at every start")
        }
        ServiceError::Outside { .. } => Advice::new(
            Kind::Configuration,
            "set datadir to a directory below ~/data in my.cnf, or leave it out, push again",
        ),
        ServiceError::Socket { .. } => machine("call it as the service's user"),
        ServiceError::ReadCredentials { .. } | ServiceError::Credentials(_) => Advice::new(
            Kind::Configuration,
            "note root's name and password there, as [client] user and password, or set \
             MYSQL_ROOT_PASSWORD and restart the service",
        ),
        ServiceError::LogIn { .. } => Advice::new(
            Kind::Configuration,
            "note root's present password in ~/data/mysql-credentials.cnf, or set \
             MYSQL_ROOT_PASSWORD and restart the service",
        ),
        ServiceError::Write(_) => room(),
    }
}

fn room() -> Advice {
    machine("see to it that there is room and the right to write, call it again")
}

fn take(error: &TakeError) -> Advice {
    match error {
        TakeError::NotEmpty { .. } => Advice::new(
            Kind::Configuration,
            "name a directory that is not there yet",
        ),
        TakeError::NoDatabase { .. } => {
            machine("start the service once: then there is a database to copy")
        }
        TakeError::Lock(error) => lock(error),
        TakeError::Inspect(_) => machine("call it as the service's user"),
        TakeError::Service(error) => service(error),
        TakeError::Ask { .. } => machine("see to it that the server answers, call it again"),
        TakeError::Plugin { .. } => machine(
            "leave 'plugin-load' and 'clone' out of my.cnf, or stop the service ('dotcloud down') \
             and copy its files",
        ),
        TakeError::Clone { .. } => machine(
            "see to it that there is room and that nobody else clones it, call it again; nothing \
             of the database was changed",
        ),
        TakeError::MariadbBackup { source, .. } => machine(
            "see to it that there is room, call it again; nothing of the database was changed",
        )
        .detail(source.last_words()),
        TakeError::Dump(error) => dump(error),
        TakeError::Lineage(_) => room(),
        TakeError::Tree(error) => tree(error),
        TakeError::Manifest(error) => manifest(error),
    }
}

fn lock(error: &LockError) -> Advice {
    match error {
        LockError::Held { .. } => {
            machine("wait until the server answers, or until that process has ended, call it again")
        }
        LockError::Open { .. } => room(),
    }
}

fn tree(_: &TreeError) -> Advice {
    room()
}

fn manifest(error: &ManifestError) -> Advice {
    match error {
        ManifestError::Absent { .. } => Advice::new(
            Kind::Configuration,
            "name the directory that 'take' filled; a copy that was not finished is none",
        ),
        ManifestError::Read { .. } | ManifestError::Write(_) => room(),
        ManifestError::Newer { .. } => machine("push the later release of mysql-on-dotcloud"),
        ManifestError::Damaged { .. }
        | ManifestError::Missing { .. }
        | ManifestError::Length { .. }
        | ManifestError::Content { .. }
        | ManifestError::Foreign { .. } => machine(
            "take another copy: this one is not what was made, and nothing was done with it",
        ),
    }
}

fn place(error: &PlaceError) -> Advice {
    match error {
        PlaceError::Manifest(error) => manifest(error),
        PlaceError::Occupied { .. } => Advice::new(
            Kind::Configuration,
            "'dotcloud restore' moves it aside first; by hand: stop the service, move ~/data away",
        ),
        PlaceError::NoDatabase { .. } => Advice::new(
            Kind::Configuration,
            "set datadir in my.cnf as it was when the copy was made, push again",
        ),
        PlaceError::OnlyLogs { .. } => Advice::new(
            Kind::Configuration,
            "name the directory of a copy; that of the logs is for --logs",
        ),
        PlaceError::Replay(error) => logs::replay(error),
        PlaceError::Transition(error) => Advice::new(Kind::Configuration, error.next_step()),
        PlaceError::Lock(error) => lock(error),
        PlaceError::Inspect(_) => machine("call it as the service's user"),
        PlaceError::Tree(error) => tree(error),
        PlaceError::Settings(error) => error.advice(),
        PlaceError::Prepare(error) => error.advice(),
        PlaceError::Server(error) => {
            machine("see what the server says in its log").detail(error.evidence())
        }
        PlaceError::HandOver { .. } => machine("raise /proc/sys/fs/pipe-max-size"),
        PlaceError::Dump(error) => dump(error),
        PlaceError::Service(error) => service(error),
    }
}

fn dump(error: &DumpError) -> Advice {
    let advice = match error {
        DumpError::NoDumper { .. } => machine(
            "push a release with its programs ('repack' keeps them), or stop the service \
             ('dotcloud down') and copy its files",
        ),
        DumpError::NoClient { .. } => {
            machine("push a release with its programs ('repack' keeps them)")
        }
        DumpError::Ask { .. } => machine("see to it that the server answers, call it again"),
        DumpError::Dump { .. } => machine("do what it says, call it again"),
        DumpError::Write { .. } => room(),
        DumpError::Load { .. } => Advice::new(
            Kind::Configuration,
            "change that statement, and load the rest of the dump, or all of it",
        ),
        DumpError::Service(error) => service(error),
    };
    advice.detail(error.evidence())
}

fn check(error: &CheckError) -> Advice {
    match error {
        CheckError::Place(error) => place(error),
        CheckError::Settings(error) => error.advice(),
        CheckError::Prepare(error) => error.advice(),
        CheckError::Server(error) => {
            machine("take another copy: no server starts on this one").detail(error.evidence())
        }
        CheckError::Service(error) => service(error),
        CheckError::Ask { .. } | CheckError::Client { .. } => machine("call it again"),
        CheckError::Table { .. } | CheckError::Rows { .. } => machine(
            "check the same table of the database that was copied ('CHECK TABLE'), then take another \
             copy",
        ),
        CheckError::ListFiles(_) | CheckError::ReadFile { .. } => Advice::new(
            Kind::Configuration,
            "put whole files into hooks/check.d, push again",
        ),
        CheckError::NoClient { .. } => {
            machine("push a release with its programs ('repack' keeps them)")
        }
        CheckError::Files { findings } => Advice::new(
            Kind::Configuration,
            "see why the copy, on this release, is not as they want it, or correct them in hooks/check.d",
        )
        .detail(
            findings
                .iter()
                .flat_map(|it| it.said.lines().map(|line| format!("{}: {line}\n", it.file)))
                .collect::<String>(),
        ),
    }
}

#[cfg(test)]
mod tests;
