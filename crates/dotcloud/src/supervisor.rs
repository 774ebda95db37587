//! The container's supervisord: its configuration, the command that becomes it, and talking to it
//! through supervisorctl. Starts no supervisord itself: the runtime does, as the container's user.

mod config;
mod control;
mod executables;

use std::path::{Path, PathBuf};
use std::process::Command;

use hook::CommandError;
use thiserror::Error;

pub(crate) use config::{Container, check_socket, write_config};
pub(crate) use control::{
    ends_within, restart, shutdown, start_all, status, stop_all, supervisord,
};
pub(crate) use executables::Executables;

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

/// One line of `supervisorctl status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProgramStatus {
    pub(crate) name: String,
    pub(crate) state: ProgramState,
    pub(crate) pid: Option<u32>,
    /// What supervisord adds: uptime, time of exit, reason.
    pub(crate) text: String,
}

/// The command that is supervisord, in the foreground; environment and user are the caller's.
pub(crate) fn start_command(executables: &Executables, config: &Path) -> Command {
    let mut command = Command::new(&executables.supervisord);
    command.arg("--configuration").arg(config);
    command
}

/// `NAME  STATE  TEXT`, where the text of a running program is `pid N, uptime …`.
fn parse_status(line: &str) -> Option<ProgramStatus> {
    let (name, rest) = line.trim().split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let (state, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let text = text.trim_start();
    let state = match state {
        "STOPPED" => ProgramState::Stopped,
        "STARTING" => ProgramState::Starting,
        "RUNNING" => ProgramState::Running,
        "BACKOFF" => ProgramState::Backoff,
        "STOPPING" => ProgramState::Stopping,
        "EXITED" => ProgramState::Exited,
        "FATAL" => ProgramState::Fatal,
        "UNKNOWN" => ProgramState::Unknown,
        _ => return None,
    };
    let pid = text
        .strip_prefix("pid ")
        .and_then(|rest| rest.split(',').next()?.parse().ok());
    Some(ProgramStatus {
        name: name.to_owned(),
        state,
        pid,
        text: text.to_owned(),
    })
}

/// supervisord cannot be found, configured or talked to.
#[derive(Debug, Error)]
pub(crate) enum SupervisorError {
    /// There is none on this machine.
    #[error("cannot find supervisord on PATH")]
    NotFound,
    /// What was asked for, or what belongs to it, is no program.
    #[error("{path} is not an executable file", path = path.display())]
    NotExecutable { path: PathBuf },
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
    /// Nobody answers.
    #[error("no supervisord answers for {config}", config = config.display())]
    NotRunning { config: PathBuf },
    /// It is there, and stuck.
    #[error("supervisord has not answered for {seconds} s: {config}", config = config.display())]
    Silent { config: PathBuf, seconds: u64 },
    /// supervisorctl failed; its last words are in the source.
    #[error("cannot {action} with {config}", config = config.display())]
    Control {
        action: &'static str,
        config: PathBuf,
        source: CommandError,
    },
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
    fn parse_status_lines_are_understood() {
        let parsed = parse_status("db    RUNNING   pid 12, uptime 0:00:05").unwrap();
        assert_eq!(parsed.name, "db");
        assert_eq!(parsed.state, ProgramState::Running);
        assert_eq!(parsed.pid, Some(12));
        assert_eq!(parsed.text, "pid 12, uptime 0:00:05");
        let states = [
            ("STOPPED", ProgramState::Stopped),
            ("STARTING", ProgramState::Starting),
            ("BACKOFF", ProgramState::Backoff),
            ("STOPPING", ProgramState::Stopping),
            ("EXITED", ProgramState::Exited),
            ("FATAL", ProgramState::Fatal),
            ("UNKNOWN", ProgramState::Unknown),
        ];
        for (word, state) in states {
            let parsed = parse_status(&format!("db  {word}   Exited too quickly")).unwrap();
            assert_eq!((parsed.state, parsed.pid), (state, None));
            assert_eq!(parsed.text, "Exited too quickly");
        }
        assert_eq!(parse_status("db: ERROR (no such process)"), None);
        assert_eq!(parse_status(""), None);
    }

    #[test]
    fn supervisor_errors_have_exact_texts() {
        let executables = Executables {
            supervisord: "/nowhere/supervisord".into(),
            supervisorctl: "/nowhere/supervisorctl".into(),
        };
        let connect = SupervisorError::Connect {
            socket: "/run/s".into(),
            source: std::io::Error::other("x"),
        };
        assert_eq!(connect.to_string(), "cannot connect to /run/s");
        let error = restart(&executables, Path::new("/run/c")).unwrap_err();
        assert_eq!(error.to_string(), "cannot restart the programs with /run/c");
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "cannot run /nowhere/supervisorctl");
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
