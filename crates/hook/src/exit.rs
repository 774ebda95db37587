//! The exit statuses that scripts may rely on.

use std::process::ExitCode;

/// How one of our executables ends when it does not become another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// All done.
    Ok = 0,
    /// It failed for a reason outside our code.
    Failed = 1,
    /// Called with arguments it does not take.
    Usage = 2,
    /// A defect of ours (`EX_SOFTWARE` of sysexits).
    Bug = 70,
    /// The program to become cannot be executed (as in POSIX shells).
    NotExecutable = 126,
    /// The program to become does not exist (as in POSIX shells).
    NotFound = 127,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}
