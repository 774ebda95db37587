//! The container's supervisord: its configuration, the command that becomes it, and talking to it.
//! Starts no supervisord itself: the runtime does, as the container's user.

mod config;
mod control;
mod peer;
mod rpc;

use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

use crate::host::supervisord::SupervisordError;

pub(crate) use config::{Container, check_socket, veiled, write_config};
pub(crate) use control::{Supervisor, ends_within};
pub(crate) use peer::Impostor;
pub(crate) use rpc::RpcError;

/// Supervisor's state of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgramState {
    Stopped,
    Starting,
    Running,
    Backoff,
    Stopping,
    Exited,
    Fatal,
    Unknown,
}

impl ProgramState {
    /// The states in which it runs, or supervisord sees to it that it does.
    pub(crate) const RUNNING: [Self; 3] = [Self::Running, Self::Starting, Self::Backoff];

    /// Whether it runs, be it only since a moment ago.
    pub(crate) fn is_watched(self) -> bool {
        matches!(self, Self::Running | Self::Starting)
    }

    /// By supervisord's name of it.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "STOPPED" => Self::Stopped,
            "STARTING" => Self::Starting,
            "RUNNING" => Self::Running,
            "BACKOFF" => Self::Backoff,
            "STOPPING" => Self::Stopping,
            "EXITED" => Self::Exited,
            "FATAL" => Self::Fatal,
            "UNKNOWN" => Self::Unknown,
            _ => return None,
        })
    }
}

/// What supervisord says of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProgramStatus {
    pub(crate) name: String,
    pub(crate) state: ProgramState,
    /// `pid N, uptime …` of a running one, else the time of its exit, or the reason.
    pub(crate) text: String,
}

/// The command that is supervisord, in the foreground; environment and user are the caller's.
pub(crate) fn start_command(supervisord: &Path, config: &Path) -> Command {
    let mut command = Command::new(supervisord);
    command.arg("--configuration").arg(config);
    command
}

/// supervisord cannot be found, configured or talked to.
#[derive(Debug, Error)]
pub(crate) enum SupervisorError {
    /// There is none that could be used.
    #[error(transparent)]
    Executable(#[from] SupervisordError),
    /// The kernel limits the path of a Unix socket.
    #[error(
        "{socket} is {length} bytes long, and at most {limit} fit for supervisord's socket",
        socket = socket.display()
    )]
    SocketTooLong {
        socket: PathBuf,
        length: usize,
        limit: usize,
    },
    /// The configuration's syntax has no form for this path.
    #[error("a supervisord configuration cannot hold the path {path:?}")]
    Unwritable { path: PathBuf },
    /// The configuration cannot be written.
    #[error("cannot write {path}", path = path.display())]
    WriteConfig {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The socket is there, but not for us.
    #[error("cannot connect to {socket}", socket = socket.display())]
    Connect {
        socket: PathBuf,
        source: std::io::Error,
    },
    /// Somebody else has the socket's place.
    #[error("{socket} is not the container's supervisord: {reason}", socket = socket.display())]
    Foreign { socket: PathBuf, reason: Impostor },
    /// Nobody answers.
    #[error("no supervisord answers for {config}", config = config.display())]
    NotRunning { config: PathBuf },
    /// It is there, and stuck.
    #[error("supervisord has not answered for {seconds} s: {config}", config = config.display())]
    Silent { config: PathBuf, seconds: u64 },
    /// It does not do what it was asked.
    #[error("cannot {action} with {config}", config = config.display())]
    Control {
        action: &'static str,
        config: PathBuf,
        source: RpcError,
    },
    /// Some did not come up.
    #[error("cannot start with {config}: {programs}", config = config.display())]
    NotStarted { config: PathBuf, programs: String },
    /// The kernel does not tell when it ends.
    #[error("cannot wait for supervisord (pid {pid})")]
    Wait { pid: u32, source: std::io::Error },
    /// It outlived its deadline.
    #[error("supervisord (pid {pid}) is still there {seconds} s after it was told to shut down")]
    StillThere { pid: u32, seconds: u64 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervisor_errors_have_exact_texts() {
        let connect = SupervisorError::Connect {
            socket: "/run/s".into(),
            source: std::io::Error::other("x"),
        };
        assert_eq!(connect.to_string(), "cannot connect to /run/s");
        for (reason, text) in [
            (Impostor::Link, "it is reached through a symbolic link"),
            (Impostor::NoSocket, "it is no socket"),
            (
                Impostor::Stranger { pid: 7, uid: 0 },
                "process 7 of user 0 listens there, which is not in the container",
            ),
        ] {
            let foreign = SupervisorError::Foreign {
                socket: "/run/s".into(),
                reason,
            };
            let expected = format!("/run/s is not the container's supervisord: {text}");
            assert_eq!(foreign.to_string(), expected);
        }
        let control = SupervisorError::Control {
            action: "stop the programs",
            config: "/run/c".into(),
            source: RpcError::Silent,
        };
        assert_eq!(control.to_string(), "cannot stop the programs with /run/c");
        let not_started = SupervisorError::NotStarted {
            config: "/run/c".into(),
            programs: "SPAWN_ERROR: db".to_owned(),
        };
        assert_eq!(
            not_started.to_string(),
            "cannot start with /run/c: SPAWN_ERROR: db"
        );
        let silent = SupervisorError::Silent {
            config: "/run/c".into(),
            seconds: 60,
        };
        assert_eq!(
            silent.to_string(),
            "supervisord has not answered for 60 s: /run/c"
        );
        let wait = SupervisorError::Wait {
            pid: 12,
            source: std::io::Error::other("x"),
        };
        assert_eq!(wait.to_string(), "cannot wait for supervisord (pid 12)");
    }
}
