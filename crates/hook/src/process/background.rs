//! A program that runs beside a hook until the hook has no more use for it, such as a server that is
//! asked something. It never outlives the hook.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;

use rustix::process::{Pid, Signal, kill_process};

use super::{CommandError, POLL, kill, spawn};
use crate::stop;

/// A running program. Dropped, it is killed, with all it started.
#[derive(Debug)]
pub struct Background {
    program: OsString,
    child: Child,
    /// Signals to us wait until it is gone.
    _busy: stop::Busy,
}

impl Background {
    /// Starts `command`, whose standard output and error go to the end of `output`. A hook's program
    /// sees only the variables that `command` sets.
    pub fn start(command: &mut Command, output: &File) -> Result<Self, CommandError> {
        let program = command.get_program().to_owned();
        let busy = stop::Busy::new();
        let result = output.try_clone().and_then(|errors| {
            let output = output.try_clone()?;
            spawn(command, |command| {
                command.stdin(Stdio::null()).stdout(output).stderr(errors);
            })
        });
        match result {
            Ok(child) => Ok(Self {
                program,
                child,
                _busy: busy,
            }),
            Err(source) => Err(CommandError::Start { program, source }),
        }
    }

    /// Waits, however long it takes, until it `is_ready`. Fails as soon as it ends instead, or we are
    /// told to stop.
    pub fn wait_until(&mut self, mut is_ready: impl FnMut() -> bool) -> Result<(), CommandError> {
        loop {
            if let Some(signal) = stop::signal() {
                return Err(self.stopped(signal));
            }
            if let Some(status) = self.ended()? {
                return Err(self.failed(status));
            }
            if is_ready() {
                return Ok(());
            }
            sleep(POLL);
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, CommandError> {
        self.child.try_wait().map_err(|source| self.lost(source))
    }

    /// Tells it to end (TERM) and waits until it has, with status 0.
    pub fn stop(mut self) -> Result<(), CommandError> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| matches!(self.child.try_wait(), Ok(None))) {
            kill_process(pid, Signal::TERM).map_err(|errno| self.lost(errno.into()))?;
        }
        loop {
            if let Some(signal) = stop::signal() {
                return Err(self.stopped(signal));
            }
            match self.ended()? {
                None => sleep(POLL),
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.failed(status)),
            }
        }
    }

    fn stopped(&self, signal: i32) -> CommandError {
        let program = self.program.clone();
        CommandError::Stopped { program, signal }
    }

    fn lost(&self, source: io::Error) -> CommandError {
        let program = self.program.clone();
        CommandError::Talk { program, source }
    }

    fn failed(&self, status: ExitStatus) -> CommandError {
        CommandError::Fail {
            program: self.program.clone(),
            status,
            last_words: String::new(),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = kill(&mut self.child);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn start(script: &str) -> (Background, tempfile::NamedTempFile) {
        let output = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let started = Background::start(&mut command, output.as_file()).unwrap();
        (started, output)
    }

    #[test]
    fn wait_until_ready_then_stop_ends_it_by_term() {
        let script = "trap 'exit 0' TERM; echo ready; while :; do /bin/sleep 0.01; done";
        let (mut program, output) = start(script);
        let said = || fs::read_to_string(output.path()).unwrap() == "ready\n";
        program.wait_until(said).unwrap();
        assert!(program.ended().unwrap().is_none());
        program.stop().unwrap();
    }

    #[test]
    fn wait_until_early_end_is_told() {
        let (mut program, output) = start("echo sorry >&2; exit 3");
        let error = program.wait_until(|| false).unwrap_err();
        assert_eq!(error.to_string(), "/bin/sh ended with status 3");
        assert_eq!(fs::read_to_string(output.path()).unwrap(), "sorry\n");
        let error = program.stop().unwrap_err();
        assert_eq!(error.to_string(), "/bin/sh ended with status 3");
    }

    #[test]
    fn start_missing_program_is_told() {
        let output = tempfile::tempfile().unwrap();
        let error = Background::start(&mut Command::new("/nowhere/mysqld"), &output).unwrap_err();
        assert_eq!(error.to_string(), "cannot run /nowhere/mysqld");
    }
}
