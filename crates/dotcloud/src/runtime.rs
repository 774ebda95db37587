//! How a container exists on this machine. One runtime so far: `process`, plain processes with a
//! private `$HOME`; it isolates nothing and limits nothing.

use std::ffi::OsStr;
use std::process::Command;

use crate::account::Account;
use crate::container::{Paths, Variables};
use crate::orphans::{self, MARKER, Process, ProcessError};

/// What a push asks of the machine.
pub(crate) trait Runtime {
    /// `program` inside the container, not started yet: as the service's user, in its home, with
    /// `variables` and nothing else in its environment.
    fn command(&self, container: &Paths, program: &OsStr, variables: &Variables) -> Command;

    /// Every process that belongs to the container, whoever its parent is now.
    fn processes(&self, container: &Paths) -> Result<Vec<Process>, ProcessError>;

    /// The user of everything in a container.
    fn account(&self) -> Account;
}

/// Plain processes.
#[derive(Debug)]
pub(crate) struct ProcessRuntime {
    account: Account,
}

impl ProcessRuntime {
    pub(crate) fn new(account: Account) -> Self {
        Self { account }
    }
}

impl Runtime for ProcessRuntime {
    fn command(&self, container: &Paths, program: &OsStr, variables: &Variables) -> Command {
        let mut command = Command::new(program);
        let home = container.home();
        command
            .env_clear()
            .envs([
                ("USER", "dotcloud"),
                ("LOGNAME", "dotcloud"),
                ("SHELL", "/bin/bash"),
                (
                    "PATH",
                    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                ),
            ])
            .envs(variables)
            .env("HOME", &home)
            .env(MARKER, container.root())
            .current_dir(home);
        self.account.apply(&mut command);
        command
    }

    fn processes(&self, container: &Paths) -> Result<Vec<Process>, ProcessError> {
        orphans::find(&self.account, container)
    }

    fn account(&self) -> Account {
        self.account
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
        let command = ProcessRuntime::new(Account::current()).command(
            &container,
            OsStr::new("bash"),
            &variables,
        );
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
