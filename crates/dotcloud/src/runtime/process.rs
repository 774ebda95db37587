//! Plain processes with a private `$HOME`. Isolates nothing and limits nothing.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Beside, Call, ENVIRONMENT, Limited, Runtime, RuntimeError};
use crate::host::account::Account;
use crate::host::stage::{self, Apart};
use crate::model::memory::Memory;
use crate::runtime::group::Group;
use crate::runtime::stray_processes::{self, MARKER, Process, ProcessError};
use crate::state::container::Paths;

/// Plain processes.
#[derive(Debug)]
pub(crate) struct ProcessRuntime {
    account: Account,
}

impl ProcessRuntime {
    pub(crate) fn new(account: Account) -> Self {
        Self { account }
    }

    /// What keeps the container's processes together, where we may have that.
    fn group(&self, container: &Paths) -> Option<Group> {
        self.account.drops().then(|| Group::of(container)).flatten()
    }

    fn command(&self, container: &Paths, call: &Call<'_>) -> Command {
        if let Some(group) = self.group(container) {
            group.make();
        }
        let mut command = Command::new(&call.program);
        command
            .args(&call.arguments)
            .env_clear()
            .envs(ENVIRONMENT)
            .envs(call.variables)
            .env("HOME", container.home())
            .env(MARKER, container.root())
            .current_dir(call.directory);
        command
    }

    fn apart(&self, container: &Paths, call: &Call<'_>, apart: Apart) -> Command {
        let entry = self.group(container).map(|group| group.entry());
        let command = self.command(container, call);
        stage::apart(&command, Some(&self.account), entry.as_deref(), apart)
    }
}

impl Runtime for ProcessRuntime {
    fn name(&self) -> &'static str {
        "process"
    }

    fn describe(&self) -> String {
        "process: no limit of memory or processes, no private file system".to_owned()
    }

    fn inside(&self, _: &Paths, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn oom_score(&self) -> Option<i32> {
        None
    }

    fn provision(&self, _: &Paths, _: &str, _: Option<Memory>) -> Result<(), RuntimeError> {
        Ok(())
    }

    fn hook(&self, container: &Paths, call: &Call<'_>) -> Result<Command, RuntimeError> {
        Ok(self.apart(container, call, Apart::Session))
    }

    fn beside(&self, container: &Paths, call: &Call<'_>) -> Result<Beside, RuntimeError> {
        Ok(if call.terminal {
            Beside::Terminal(self.apart(container, call, Apart::Terminal))
        } else {
            Beside::Streams(self.apart(container, call, Apart::Session))
        })
    }

    fn own_terminal(&self) -> bool {
        false
    }

    fn start(
        &self,
        container: &Paths,
        call: &Call<'_>,
        errors: File,
    ) -> Result<Option<OwnedFd>, RuntimeError> {
        let failed = |source| RuntimeError::Start {
            program: call.program.clone().into(),
            source,
        };
        let mut command = self.apart(container, call, Apart::Daemon);
        command.stdin(Stdio::null()).stderr(errors);
        let mut child = stage::spawn(&mut command).map_err(failed)?;
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .map_err(|error| failed(error.into()))?;
        // Somebody has to collect it if it ends before we do.
        std::thread::spawn(move || child.wait());
        Ok(Some(process))
    }

    fn account(&self) -> Account {
        self.account
    }

    fn runs(&self, container: &Paths, pid: i32) -> bool {
        stray_processes::is_marked(
            &stray_processes::directory(pid),
            &stray_processes::marker(container),
        )
    }

    fn processes(&self, container: &Paths) -> Result<Vec<Process>, ProcessError> {
        stray_processes::find(&self.account, container, self.group(container).as_ref())
    }

    fn group_name(&self, container: &Paths) -> Option<String> {
        self.group(container).map(|group| group.name())
    }

    fn end(&self, container: &Paths, tell: &mut dyn FnMut(&Process)) -> Result<(), RuntimeError> {
        let ended = stray_processes::end(|| self.processes(container), tell);
        if let Some(group) = self.group(container) {
            group.end();
            // Where one is faster than signals, all of them are not.
            if self.processes(container)?.is_empty() {
                return Ok(());
            }
        }
        Ok(ended?)
    }

    fn limit(&self, _: &Paths, _: Option<Memory>) -> Result<Limited, RuntimeError> {
        Ok(Limited::Recorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_environment_is_built_from_nothing() {
        let container = Paths::new("/d/apps/app/db.0/1".into());
        let variables = [("PORT_DB", "42800"), ("HOME", "/elsewhere")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let call = Call {
            program: "bash".into(),
            arguments: Vec::new(),
            directory: &container.home(),
            variables: &variables,
            terminal: false,
        };
        let command = ProcessRuntime::new(Account::current()).command(&container, &call);
        let environment: Vec<String> = command
            .get_envs()
            .map(|(name, value)| {
                format!("{}={}", name.display(), value.unwrap_or_default().display())
            })
            .collect();
        assert_eq!(
            environment,
            [
                "CONTAINER_ROOT=/d/apps/app/db.0/1",
                "HOME=/d/apps/app/db.0/1/home",
                "LOGNAME=dotcloud",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "PORT_DB=42800",
                "SHELL=/bin/bash",
                "USER=dotcloud",
            ]
        );
        assert_eq!(command.get_current_dir(), Some(container.home().as_path()));
    }
}
