//! A program that a hook starts dies with it, even by KILL, which no handler sees: a second
//! database server on data that is about to move would be the alternative. The hook's own executable
//! is started first, asks the kernel for that, and becomes the program. Only the program itself is
//! held: what it started ends by itself or not.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus as ProcessStatus};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::ExitStatus;

/// The first argument of a hook's executable that is to become another program: then its parent's
/// process id, the program, and its arguments.
const ARGUMENT: &str = "--on-leash";

/// What the stage says when it cannot become the program, before the error's number.
const FAILED: &str = "--on-leash: cannot execute: ";

static OFFERED: OnceLock<()> = OnceLock::new();

/// The stage between a hook and its program.
pub(crate) struct Leash;

impl Leash {
    /// This executable knows the stage: [`Leash::stage`] sees its arguments first.
    pub(crate) fn offer() {
        let _ = OFFERED.set(());
    }

    /// `command` by way of the stage, with the variables it sets and no other; `None` if this
    /// executable, such as that of a test, does not know the stage.
    ///
    /// The kernel's signal comes when the *thread* ends that started the program (prctl(2)): start it
    /// from the main one.
    pub(super) fn put_on(command: &Command) -> Option<Command> {
        OFFERED.get()?;
        let mut stage = Command::new("/proc/self/exe");
        stage
            .arg(ARGUMENT)
            .arg(std::process::id().to_string())
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        if let Some(directory) = command.get_current_dir() {
            stage.current_dir(directory);
        }
        Some(stage)
    }

    /// Becomes the program if `arguments` (without our own name) are those of a stage, and returns
    /// only if that failed.
    pub(crate) fn stage(arguments: &[OsString]) -> Option<ExitStatus> {
        let [first, parent, program, arguments @ ..] = arguments else {
            return None;
        };
        if first != ARGUMENT {
            return None;
        }
        let error = become_program(parent, program, arguments);
        let number = error.raw_os_error().unwrap_or_default();
        let _ = writeln!(io::stderr(), "{FAILED}{number}");
        Some(ExitStatus::NotFound)
    }

    /// Why the stage could not become the program, if that is how it ended.
    pub(super) fn failure(status: ProcessStatus, stderr: &[u8]) -> Option<io::Error> {
        if status.code() != Some(ExitStatus::NotFound as i32) {
            return None;
        }
        let number = std::str::from_utf8(stderr).ok()?.strip_prefix(FAILED)?;
        let number = number.trim_end().parse().ok()?;
        Some(io::Error::from_raw_os_error(number))
    }
}

fn become_program(parent: &OsStr, program: &OsStr, arguments: &[OsString]) -> io::Error {
    if let Err(errno) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return errno.into();
    }
    // It may have died before: then the signal never comes.
    let current = Pid::as_raw(getppid()).to_string();
    if parent != OsStr::new(&current) {
        return io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error());
    }
    Command::new(program).args(arguments).exec()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn put_on_without_an_offer_is_nothing() {
        assert!(Leash::put_on(&Command::new("/bin/true")).is_none());
    }

    #[test]
    fn stage_other_arguments_are_not_its_own() {
        let words = |text: &str| -> Vec<OsString> { text.split(' ').map(Into::into).collect() };
        for text in ["--help", "--on-leash 1", "now --on-leash 1 /bin/true"] {
            assert_eq!(Leash::stage(&words(text)), None, "{text}");
        }
    }

    #[test]
    fn failure_is_told_from_the_programs_own() {
        let status = |code: i32| ProcessStatus::from_raw(code << 8);
        let error = Leash::failure(status(127), b"--on-leash: cannot execute: 2\n").unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(Leash::failure(status(127), b"sh: 2\n").is_none());
        assert!(Leash::failure(status(1), b"--on-leash: cannot execute: 2\n").is_none());
    }
}
