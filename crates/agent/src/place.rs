//! Where the server of this home directory is to be found, and what its files tell while it does not
//! answer. Reads, and changes nothing.

use std::fs::{self, File, TryLockError};

use hook::{Environment, EnvironmentError};
use mycnf::{Credentials, Layout, all_unfinished};

/// The files of a server that we watch, maybe from another container, which has the same directories.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) layout: Layout,
}

/// What happens while nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody has the data directory.
    Absent,
    /// A data directory is being made.
    Initialising,
    /// First-run files are being loaded.
    FirstRun,
    /// An upgrade tool is at work.
    Upgrading,
    /// The server has the data directory, and lets nobody in yet, or not any more.
    Busy,
    /// It should answer.
    Open,
}

impl Place {
    /// Below `$HOME`.
    pub(crate) fn find(environment: &Environment) -> Result<Self, EnvironmentError> {
        let layout = Layout::new(environment.home()?);
        Ok(Self { layout })
    }

    /// What the agent logs in with, if it is there.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        let path = self.layout.agent_credentials();
        Credentials::parse(&path, &fs::read(&path).ok()?).ok()
    }

    /// By the files of hooks and server.
    pub(crate) fn phase(&self) -> Phase {
        let layout = &self.layout;
        if !self.is_locked() {
            return Phase::Absent;
        }
        // What a killed hook left of them is removed before the server's own.
        if layout.pid_file().exists() {
            Phase::Open
        } else if layout.upgrade_dir().exists() {
            Phase::Upgrading
        } else if layout.private_client_options().exists() {
            Phase::FirstRun
        } else if all_unfinished(layout, &layout.data_dir())
            .iter()
            .any(|path| path.exists())
        {
            Phase::Initialising
        } else {
            Phase::Busy
        }
    }

    /// Whether a hook, or the server it became, has the data directory. Hooks try for ten seconds to get
    /// a lock that we have for a moment.
    fn is_locked(&self) -> bool {
        File::open(self.layout.lock())
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}
