//! The built executable on tarballs made here: what it writes, says, refuses and leaves behind.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test may fail it; clippy exempts the test functions only"
)]

mod checked;
mod fetch;
mod fetch_odd;
mod fetch_refused;
mod fetch_tls;
mod hostile;
mod input;
mod nonsense;
mod output;
mod report;
mod server;
mod stripped;
mod tarball;
mod wrapped;
mod written;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A directory with `in.tar.gz`, and repack run in it.
struct Case(TempDir);

impl Case {
    fn new(input: &[u8]) -> Self {
        let case = Self(TempDir::new().unwrap());
        fs::write(case.path("in.tar.gz"), input).unwrap();
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("repack"));
        command.env_clear().current_dir(self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// Runs with `input` on standard input.
    fn run_on(&self, input: &[u8], arguments: &[&str]) -> Output {
        let mut command = assert_cmd::Command::from_std(self.command());
        command.args(arguments).write_stdin(input).output().unwrap()
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Runs on `in.tar.gz`, which must fail with exactly `stderr` and write nothing.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], stderr: &str) {
        let before = self.files();
        let output = self.run(&[&["in.tar.gz"], arguments].concat());
        assert_eq!(text(&output.stderr), stderr);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
        assert_eq!(self.files(), before);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
