//! In a process of its own: a failed exec leaves SIGPIPE at its default.

use std::process::Command;

#[test]
fn exec_missing_program_returns_the_error() {
    let error = hook::exec(&mut Command::new("/nowhere/mysqld"));
    assert_eq!(error.to_string(), "cannot run /nowhere/mysqld");
}
