//! How a container exists on this machine: `oci`, a bundle run by an OCI runtime, which isolates and
//! limits it; or `process`, plain processes with a private `$HOME`, which does neither. A container
//! stays with the runtime that it was made with.

mod choice;
pub(crate) mod group;
mod oci;
mod process;
pub(crate) mod stray_processes;
pub(crate) mod terminal;
pub(crate) mod usage;

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::CommandError;
use thiserror::Error;

use crate::host::account::Account;
use crate::host::files::FileError;
use crate::model::memory::Memory;
use crate::runtime::stray_processes::{Process, ProcessError};
use crate::runtime::usage::Usage;
use crate::state::container::{Paths, Variables};
pub(crate) use choice::{Chosen, choose, of_container};
pub(crate) use process::ProcessRuntime;

/// What a push asks of the machine.
pub(crate) trait Runtime: Sync {
    /// Which one it is.
    fn name(&self) -> &'static str;

    /// Which one it is, and what it does not enforce, for people.
    fn describe(&self) -> String;

    /// The name that processes of the container know `path` by, which lies in it.
    fn inside(&self, container: &Paths, path: &Path) -> PathBuf;

    /// The kernel's `oom_score_adj` of programs, where it is not to be supervisord's.
    fn oom_score(&self) -> Option<i32>;

    /// Prepares a container that is filled, and was never run.
    fn provision(
        &self,
        container: &Paths,
        host: &str,
        memory: Option<Memory>,
    ) -> Result<(), RuntimeError>;

    /// A program of its own, in a container in which nothing runs.
    fn hook(&self, container: &Paths, call: &Call<'_>) -> Result<Command, RuntimeError>;

    /// A program beside supervisord.
    fn beside(&self, container: &Paths, call: &Call<'_>) -> Result<Beside, RuntimeError>;

    /// Whether a terminal that it makes for a program takes all three streams.
    fn own_terminal(&self) -> bool;

    /// Starts supervisord, which outlives us; its last words go to `errors`. `None` if it has ended
    /// already.
    fn start(
        &self,
        container: &Paths,
        call: &Call<'_>,
        errors: File,
    ) -> Result<Option<OwnedFd>, RuntimeError>;

    /// Whom everything in a container runs as.
    fn account(&self) -> Account;

    /// Whether the process `pid` was started in the container.
    fn runs(&self, container: &Paths, pid: i32) -> bool;

    /// Every process that belongs to the container, whoever its parent is now.
    fn processes(&self, container: &Paths) -> Result<Vec<Process>, ProcessError>;

    /// How the name of the control group begins that only processes of the container are in, if it has
    /// one.
    fn group_name(&self, container: &Paths) -> Option<String>;

    /// Ends whatever runs in the container, telling each process to `tell` first.
    fn end(&self, container: &Paths, tell: &mut dyn FnMut(&Process)) -> Result<(), RuntimeError>;

    /// Makes `memory` the limit of the container, now and at its next start; `None` is no limit.
    fn limit(&self, container: &Paths, memory: Option<Memory>) -> Result<Limited, RuntimeError>;
}

/// A program beside supervisord, and what it takes of ours.
pub(crate) enum Beside {
    /// It makes a terminal for the program and joins it with ours: to be become.
    Joined(Command),
    /// It wants a terminal of its own as standard input.
    Terminal(Command),
    /// Any streams will do, but none that are a terminal.
    Streams(Command),
}

/// A program to run in a container, as the service's user.
pub(crate) struct Call<'a> {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// Where it starts: a path of ours.
    pub(crate) directory: &'a Path,
    /// Its environment, but for what every process of a container has.
    pub(crate) variables: &'a Variables,
    /// Whether it talks to a terminal.
    pub(crate) terminal: bool,
}

/// What became of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    Enforced,
    Recorded,
}

/// What every process of a container is told, whatever its service.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("USER", "dotcloud"),
    ("LOGNAME", "dotcloud"),
    ("SHELL", "/bin/bash"),
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
];

/// A container cannot be made, run or ended.
#[derive(Debug, Error)]
pub(crate) enum RuntimeError {
    #[error("no OCI runtime works on this machine")]
    NoneWorks { reasons: String },
    /// By a setting of the kernel, which `allowing` would end.
    #[error("ordinary users may not make containers here: {setting} is 0")]
    Forbidden {
        setting: &'static str,
        allowing: &'static str,
    },
    #[error("cannot understand {path}", path = path.display())]
    Read {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("cannot {action} the container {container}", container = container.display())]
    Engine {
        action: &'static str,
        container: PathBuf,
        source: Box<CommandError>,
    },
    #[error("cannot start {program}", program = program.display())]
    Start {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("the container {container} is not running", container = container.display())]
    NotRunning { container: PathBuf },
    #[error("nothing tells how much memory the container {container} uses", container = container.display())]
    NotMeasured { container: PathBuf },
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// What `container` uses of this machine's memory. None if nothing runs in it.
pub(crate) fn measure(
    runtime: &dyn Runtime,
    container: &Paths,
) -> Result<Option<Usage>, RuntimeError> {
    let processes = runtime.processes(container)?;
    if processes.is_empty() {
        return Ok(None);
    }
    let group = runtime.group_name(container);
    let usage = Usage::of(&processes, group.as_deref());
    usage.map(Some).ok_or_else(|| RuntimeError::NotMeasured {
        container: container.root().to_owned(),
    })
}

impl RuntimeError {
    /// Why containers cannot be had here at all, if that is what it says.
    fn why_none_works(&self) -> Option<String> {
        match self {
            Self::NoneWorks { reasons } => Some(reasons.clone()),
            Self::Forbidden { setting, allowing } => {
                Some(format!("{self} (as root: sysctl -w {setting}={allowing})"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_errors_have_exact_texts() {
        let source = Box::new(CommandError::Start {
            program: "runc".into(),
            source: std::io::Error::other("x"),
        });
        let container = || PathBuf::from("/d/db.0/1");
        for (error, text) in [
            (
                RuntimeError::NoneWorks {
                    reasons: String::new(),
                },
                "no OCI runtime works on this machine",
            ),
            (
                RuntimeError::Forbidden {
                    setting: "user.max_user_namespaces",
                    allowing: "15000",
                },
                "ordinary users may not make containers here: user.max_user_namespaces is 0",
            ),
            (
                RuntimeError::Read {
                    path: "/c".into(),
                    source: serde_json::from_str::<u8>("x").unwrap_err(),
                },
                "cannot understand /c",
            ),
            (
                RuntimeError::Engine {
                    action: "limit the memory of",
                    container: container(),
                    source,
                },
                "cannot limit the memory of the container /d/db.0/1",
            ),
            (
                RuntimeError::Start {
                    program: "/usr/bin/supervisord".into(),
                    source: std::io::Error::other("x"),
                },
                "cannot start /usr/bin/supervisord",
            ),
            (
                RuntimeError::NotRunning {
                    container: container(),
                },
                "the container /d/db.0/1 is not running",
            ),
            (
                RuntimeError::NotMeasured {
                    container: container(),
                },
                "nothing tells how much memory the container /d/db.0/1 uses",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
