//! The command line: help, usage, verbs without a deployment, and their failures in full.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

mod connection;
mod relay;
mod undeployed;
mod usage;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// A state directory and a working directory.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("dc")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        fs::create_dir(directory.path().join("code")).unwrap();
        Self { directory }
    }

    pub(crate) fn code(&self) -> PathBuf {
        self.directory.path().join("code")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("h")
    }

    pub(crate) fn dotcloud(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dotcloud"));
        command
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("DOTCLOUD_HOME", self.state())
            .current_dir(self.code());
        command
    }

    /// Compares status, standard output and standard error in full.
    #[track_caller]
    pub(crate) fn says(&self, words: &[&str], status: i32, stdout: &str, stderr: &str) {
        let output = self.dotcloud(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(
            (
                output.status.code(),
                text(&output.stdout),
                text(&output.stderr)
            ),
            (Some(status), stdout.to_owned(), stderr.to_owned())
        );
    }
}

pub(crate) fn not_connected(directory: &Path) -> String {
    format!(
        "dotcloud: error: {} is not connected to an application\n  next: 'dotcloud create APP' \
         makes one and connects this directory; 'dotcloud connect APP' connects it to one that \
         exists; -A APP names one for this call\n",
        directory.display()
    )
}
