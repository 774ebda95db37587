//! The command that a server is for: in the foreground, with our standard streams, dead when we are.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use hook::{CommandError, Environment, start_in_foreground};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use thiserror::Error;

/// A command that exists.
#[derive(Debug)]
pub(crate) struct Wanted {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Wanted {
    /// Looks the command up as a shell would. `None` if there is none.
    pub(crate) fn find(
        words: &[OsString],
        environment: &Environment,
    ) -> Result<Option<Self>, CommandNotFound> {
        let Some((name, arguments)) = words.split_first() else {
            return Ok(None);
        };
        let program = look_up(name, environment.get("PATH"))?;
        let arguments = arguments.to_vec();
        Ok(Some(Self { program, arguments }))
    }

    /// Starts it with `environment` and `variables`, which win.
    pub(crate) fn start(
        &self,
        environment: &Environment,
        variables: &[(String, OsString)],
    ) -> Result<Running, CommandError> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(environment.iter())
            .envs(variables.iter().map(|(name, value)| (name, value)));
        let child = start_in_foreground(&mut command)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let end = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Ok(Running { child, pid, end })
    }
}

fn look_up(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, CommandNotFound> {
    let is_executable = |path: &Path| {
        let found = path.metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let here = Path::new(name);
    let places: Vec<PathBuf> = if here.components().count() > 1 || here.is_absolute() {
        vec![here.to_owned()]
    } else {
        let usual = OsStr::new("/usr/local/bin:/usr/bin:/bin");
        std::env::split_paths(path.unwrap_or(usual))
            .map(|directory| directory.join(here))
            .collect()
    };
    if let Some(found) = places.iter().find(|path| is_executable(path)) {
        return Ok(found.clone());
    }
    let name = name.to_owned();
    Err(if places.iter().any(|path| path.exists()) {
        CommandNotFound::NotExecutable { name }
    } else {
        CommandNotFound::NotThere { name }
    })
}

/// A command that runs. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pid: Option<Pid>,
    end: Option<OwnedFd>,
}

impl Running {
    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Becomes readable when it ends.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().map(AsFd::as_fd)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: i32) {
        let signal = Signal::from_named_raw(signal);
        if let (Some(pid), Some(signal)) = (self.pid, signal) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The status of a shell whose command ended so: its own, or 128 and the signal's number.
pub(crate) fn status_of(status: ExitStatus) -> u8 {
    let number = status.code().or_else(|| Some(128 + status.signal()?));
    number
        .and_then(|number| u8::try_from(number).ok())
        .unwrap_or(255)
}

/// There is no such command.
#[derive(Debug, Error)]
pub(crate) enum CommandNotFound {
    /// Nowhere.
    #[error("there is no command '{name}'", name = name.display())]
    NotThere {
        /// As it was written.
        name: OsString,
    },
    /// Not to be executed.
    #[error("'{name}' is not executable", name = name.display())]
    NotExecutable {
        /// As it was written.
        name: OsString,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_up_as_a_shell_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tool");
        std::fs::write(&path, "").unwrap();
        let find = |name: &str| look_up(OsStr::new(name), Some(dir.path().as_os_str()));
        let error = find("tool").unwrap_err();
        assert_eq!(error.to_string(), "'tool' is not executable");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(find("tool").unwrap(), path);
        assert_eq!(find("/bin/true").unwrap(), Path::new("/bin/true"));
        let error = find("other").unwrap_err();
        assert_eq!(error.to_string(), "there is no command 'other'");
    }

    #[test]
    fn status_of_a_signal_is_above_128() {
        assert_eq!(status_of(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(status_of(ExitStatus::from_raw(9)), 137);
    }
}
