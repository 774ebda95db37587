//! The container's supervisord: its configuration, the command that starts it, and talking to it
//! through supervisorctl. Spawns nothing that stays: the runtime does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hook::{CommandError, Environment};
use thiserror::Error;

/// Where supervisord and supervisorctl are on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Executables {
    pub(crate) supervisord: PathBuf,
    pub(crate) supervisorctl: PathBuf,
}

impl Executables {
    /// `$DOTCLOUD_SUPERVISORD`, else `supervisord` on `$PATH`; `supervisorctl` is beside it.
    pub(crate) fn find(_environment: &Environment) -> Result<Self, SupervisorError> {
        Err(SupervisorError::NotFound)
    }
}

/// What one supervisord has to know of its container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container<'a> {
    /// The file to write. Its directory must not be writable by the container's user: the
    /// configuration can make supervisorctl load code, and we run that as ourselves.
    pub(crate) config: &'a Path,
    /// Socket and pid file; writable by the container's user.
    pub(crate) run_dir: &'a Path,
    /// Writable by the container's user.
    pub(crate) log_dir: &'a Path,
    /// Where programs start.
    pub(crate) home: &'a Path,
    /// Program name to command line.
    pub(crate) programs: &'a BTreeMap<String, String>,
}

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

/// Writes the configuration and returns its path.
pub(crate) fn write_config(container: &Container<'_>) -> Result<PathBuf, SupervisorError> {
    Ok(container.config.to_owned())
}

/// The command that is supervisord, in the foreground; environment and user are the caller's.
pub(crate) fn start_command(executables: &Executables, config: &Path) -> Command {
    let mut command = Command::new(&executables.supervisord);
    command.arg("--configuration").arg(config);
    command
}

/// The state of every program.
pub(crate) fn status(
    _executables: &Executables,
    _config: &Path,
) -> Result<Vec<ProgramStatus>, SupervisorError> {
    Ok(Vec::new())
}

/// Stops every program (TERM, after 10 s KILL) and waits for their end; supervisord stays.
pub(crate) fn stop_all(_executables: &Executables, _config: &Path) -> Result<(), SupervisorError> {
    Ok(())
}

/// Stops and starts every program.
pub(crate) fn restart(_executables: &Executables, _config: &Path) -> Result<(), SupervisorError> {
    Ok(())
}

/// Stops every program and supervisord itself, and waits until its process is gone.
pub(crate) fn shutdown(
    _executables: &Executables,
    _config: &Path,
    _limit: Duration,
) -> Result<(), SupervisorError> {
    Ok(())
}

/// Supervisord cannot be found, configured or talked to.
#[derive(Debug, Error)]
pub(crate) enum SupervisorError {
    /// No supervisord on this machine.
    #[error("cannot find supervisord")]
    NotFound,
    /// A supervisord without its supervisorctl.
    #[error("there is no supervisorctl beside {supervisord}")]
    NoControl { supervisord: PathBuf },
    /// A Unix socket's path is limited by the kernel.
    #[error("{socket} is too long for a socket: {length} bytes, at most {limit} fit")]
    SocketTooLong {
        socket: PathBuf,
        length: usize,
        limit: usize,
    },
    /// A path that the configuration's syntax cannot hold.
    #[error("a supervisord configuration cannot hold the path {path}", path = path.display())]
    Unwritable { path: PathBuf },
    /// The configuration cannot be written.
    #[error("cannot write {path}")]
    WriteConfig {
        path: PathBuf,
        source: std::io::Error,
    },
    /// supervisorctl failed.
    #[error("cannot {action} with {config}")]
    Control {
        action: &'static str,
        config: PathBuf,
        source: CommandError,
    },
    /// supervisord outlived its deadline.
    #[error("supervisord (pid {pid}) is still there {seconds} s after it was told to shut down")]
    StillThere { pid: u32, seconds: u64 },
}
