//! Backups: what a service's own `backup` program makes and understands, kept where nothing of the
//! service reaches it, read back before it counts, and brought back. The platform knows of a copy what
//! every copy has: files with lengths and digests.

mod archive;
mod catalogue;
mod changes;
mod destination;
mod elsewhere;
mod fetch;
mod health;
mod manifest;
mod moment;
mod plan;
mod program;
mod prune;
mod record;
mod restic;
mod restore;
mod schedule;
mod scratch;
mod send;
mod take;

use std::path::PathBuf;
use std::time::Duration;

use hook::CommandError;
use thiserror::Error;

use crate::build_file::BuildFileError;
use crate::handover::HandoverError;
use crate::host::files::FileError;
use crate::host::timer::TimerError;
use crate::model::application::InstanceName;
use crate::network::wiring::WiringError;
use crate::runtime::RuntimeError;
use crate::service::hook_run::HookError;
use crate::service::launch::LaunchError;
use crate::service::supervisor::SupervisorError;
use crate::state::store::StoreError;
pub(crate) use catalogue::catalogue;
pub(crate) use changes::changes;
pub(crate) use destination::Destination;
pub(crate) use health::{Health, State, tell};
pub(crate) use moment::Moment;
pub(crate) use plan::{Question, plan};
pub(crate) use program::{line_of, lines_of};
pub(crate) use prune::{Keep, prune};
pub(crate) use record::{Failure, Kind, Record, Records, pick};
pub(crate) use restore::{Replay, Restored, Source, restore};
pub(crate) use schedule::{Calendar, Often, Schedule};
pub(crate) use scratch::{trial, verify};
pub(crate) use send::{open, send};
pub(crate) use take::take;

/// How long a service's program may take.
const LIMIT: Duration = Duration::from_hours(24);

/// In a service's home while its program works; hidden, as it is nobody's business.
const WORK: &str = ".backup";

/// The same for changes that are replayed on a copy.
const CHANGES: &str = ".backup-changes";

/// A backup was not made, kept, found, tried or brought back.
#[derive(Debug, Error)]
pub(crate) enum BackupError {
    #[error("{service} has no backups: no 'backup' in its dotcloud.yml")]
    NoProgram { service: String },
    #[error("the application '{application}' has no service with a 'backup' in its dotcloud.yml")]
    Nothing { application: String },
    #[error("its backup program could not {what} of {instance}")]
    Program {
        what: &'static str,
        instance: InstanceName,
        source: HookError,
    },
    #[error("{problem}")]
    Problem { problem: String },
    #[error("'{text}' is none of always, daily, weekly and monthly")]
    HowOften { text: String },
    #[error("the table {table} of {instance} has {after} rows in the rehearsal, and {before} now")]
    Rehearsal {
        instance: InstanceName,
        table: String,
        before: u64,
        after: u64,
    },
    #[error("without --every, --verify tries a backup out, and takes neither --to nor --keep")]
    VerifyAlone,
    #[error("the program of --notify failed")]
    Notify { source: Box<CommandError> },
    #[error(transparent)]
    Timer(#[from] TimerError),
    #[error("there is no backup '{id}' of {whom}")]
    Unknown { id: String, whom: String },
    #[error("there is no backup of {whom} yet")]
    NoneYet { whom: String },
    #[error("there is no backup of the application '{application}' in {repository}")]
    Empty {
        application: String,
        repository: String,
    },
    #[error("the record {path} is damaged", path = path.display())]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("the manifest of the copy cannot be understood")]
    Manifest { source: serde_json::Error },
    #[error("{path} of the copy {problem}")]
    Copy { path: String, problem: &'static str },
    #[error("cannot read the copy back")]
    ReadBack { source: std::io::Error },
    #[error("restic is not installed")]
    NoRestic { source: std::io::Error },
    #[error("restic could not {action}")]
    Restic {
        action: &'static str,
        source: Box<CommandError>,
    },
    #[error("'{text}' is no place for backups")]
    Place { text: String },
    #[error("restic needs a password, which is in no file")]
    NoPassword,
    #[error("the command of --to could not {action}")]
    Command {
        action: &'static str,
        status: std::process::ExitStatus,
    },
    #[error("cannot run the command of --to")]
    RunCommand { source: std::io::Error },
    #[error("{instance} does not serve with what was brought back, and has its own data again")]
    NotServing {
        instance: InstanceName,
        source: Box<LaunchError>,
    },
    #[error(transparent)]
    BuildFile(#[from] BuildFileError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Handover(#[from] HandoverError),
    #[error(transparent)]
    Wiring(#[from] WiringError),
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
}

impl BackupError {
    /// For `map_err`: reading what was sent failed.
    fn read_back(source: std::io::Error) -> Self {
        Self::ReadBack { source }
    }
}
