//! Debian's switch that keeps maintainer scripts from starting daemons: ours while we install, never
//! in place of the machine's own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::files::{self, FileError};

/// What invoke-rc.d(8) and deb-systemd-invoke(1p) ask.
pub(super) const PATH: &str = "/usr/sbin/policy-rc.d";

/// Denies as long as somebody installs. Left by one of us that was killed, it denies nothing.
const DENIAL: &str = "#!/bin/sh\n\
    # dotcloud: no daemons while it installs packages\n\
    flock --shared --nonblock /run/dotcloud-packages.lock true && exit 0\n\
    exit 101\n";

/// Keeps daemons from being started as long as it lives.
pub(super) struct Policy {
    ours: Option<PathBuf>,
}

impl Policy {
    /// Only for who holds the lock.
    pub(super) fn deny_daemons(path: &Path) -> Result<Self, FileError> {
        let found = files::look(path)?.is_some();
        if found && !fs::read(path).is_ok_and(|found| found == DENIAL.as_bytes()) {
            return Ok(Self { ours: None });
        }
        files::replace(path, DENIAL.as_bytes(), 0o755)?;
        Ok(Self {
            ours: Some(path.to_owned()),
        })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Some(path) = &self.ours {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_of_the_machine_stays_and_one_that_we_left_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy-rc.d");
        for (before, after) in [(None, None), (Some(DENIAL), None), (Some("x"), Some("x"))] {
            if let Some(text) = before {
                fs::write(&path, text).unwrap();
            }
            let policy = Policy::deny_daemons(&path).unwrap();
            let during = fs::read_to_string(&path).unwrap();
            assert_eq!(during, after.unwrap_or(DENIAL));
            drop(policy);
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), after);
        }
    }

    #[test]
    fn policy_that_cannot_be_written_has_an_exact_text() {
        let error = Policy::deny_daemons(Path::new("/nowhere/policy")).err();
        assert_eq!(error.unwrap().to_string(), "cannot write /nowhere/policy");
    }
}
