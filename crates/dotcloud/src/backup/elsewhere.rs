//! A command of the user's as a place for backups: it gets a tar archive on its standard input to put
//! somewhere, and is asked for it again. What it is to do and the archive's name are in its environment.

use std::process::{Child, Command, Stdio};

use super::BackupError;

/// In the environment: `put` or `get`.
const ACTION: &str = "BACKUP_ACTION";

/// In the environment: the archive's name, without a directory.
const NAME: &str = "BACKUP";

/// Starts it to take the archive `name`.
pub(super) fn put(command: &str, name: &str) -> Result<Child, BackupError> {
    start(
        shell(command, name, "put")
            .stdin(Stdio::piped())
            .stdout(Stdio::null()),
    )
}

/// Starts it to give the archive `name` back.
pub(super) fn get(command: &str, name: &str) -> Result<Child, BackupError> {
    start(
        shell(command, name, "get")
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    )
}

fn shell(command: &str, name: &str, action: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .env(ACTION, action)
        .env(NAME, name);
    shell
}

fn start(command: &mut Command) -> Result<Child, BackupError> {
    command
        .spawn()
        .map_err(|source| BackupError::RunCommand { source })
}
