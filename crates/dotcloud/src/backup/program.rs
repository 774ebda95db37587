//! The `backup` program of a service, run in its container.

use std::ffi::OsString;
use std::path::Path;

use super::{BackupError, LIMIT};
use crate::build_file::BuildFile;
use crate::model::application::{Application, InstanceName};
use crate::output::narrator::Narrator;
use crate::runtime::Runtime;
use crate::service::hook_run;
use crate::service::platform::Platform;
use crate::state::container::Paths;

/// Every instance with such a program, and its command line.
pub(crate) fn lines_of(
    platform: &Platform,
    application: &Application,
) -> Result<Vec<(InstanceName, String)>, BackupError> {
    let mut found = Vec::new();
    for (name, _) in application.instances() {
        match line_of(platform, application, &name) {
            Ok(line) => found.push((name, line)),
            Err(BackupError::NoProgram { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The command line of `instance`'s, from the dotcloud.yml that its container was made with.
pub(crate) fn line_of(
    platform: &Platform,
    application: &Application,
    instance: &InstanceName,
) -> Result<String, BackupError> {
    let none = || BackupError::NoProgram {
        service: instance.service.clone(),
    };
    let container = application
        .instance(instance)
        .and_then(|instance| instance.current.as_ref())
        .ok_or_else(none)?;
    let code = platform
        .store
        .revision(&application.name, &container.revision);
    let build_file = BuildFile::read(&code.join("dotcloud.yml"))?;
    build_file
        .services
        .get(&instance.service)
        .and_then(|service| service.backup.clone())
        .ok_or_else(none)
}

/// A program, and where it runs.
pub(super) struct Program<'a> {
    pub(super) platform: &'a Platform,
    pub(super) instance: &'a InstanceName,
    pub(super) line: &'a str,
    pub(super) runtime: &'a dyn Runtime,
    pub(super) container: &'a Paths,
}

impl Program<'_> {
    /// Runs it with `words` and the directory `work` of the container, in the container's place if nothing
    /// runs there, else beside what does.
    pub(super) fn run(
        &self,
        what: &'static str,
        words: &[&str],
        work: &Path,
        log: &mut Narrator,
    ) -> Result<(), BackupError> {
        let mut arguments: Vec<OsString> = vec![format!("{} \"$@\"", self.line).into()];
        arguments.push("backup".into());
        arguments.extend(words.iter().map(OsString::from));
        arguments.push(self.runtime.inside(self.container, work).into_os_string());
        let variables = self.container.load_variables()?;
        let home = self.container.home();
        let call = hook_run::login_shell(arguments, &home, &variables);
        let until = hook_run::Until {
            limit: LIMIT,
            stop: &self.platform.stop,
        };
        let instance = self.instance;
        let line = &mut |text: &str| log.hook(instance, text);
        let runs = !self
            .runtime
            .processes(self.container)
            .map_err(crate::service::launch::LaunchError::from)?
            .is_empty();
        let ended = if runs {
            hook_run::run_beside(self.runtime, self.container, &call, until, line)
        } else {
            hook_run::run(self.runtime, self.container, &call, until, line)
        };
        ended.map_err(|source| BackupError::Program {
            what,
            instance: instance.clone(),
            source,
        })
    }
}
