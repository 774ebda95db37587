//! Which OCI runtime works here: found out by running a container, because what is installed may
//! refuse (crun 1.8 does on a hybrid hierarchy of control groups, where runc 1.1 works).

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use hook::Environment;

use super::rootless::Rights;
use super::session::SessionError;
use super::{OciRuntime, bundle, groups, read_pid, rootless, session};
use crate::host::account::Account;
use crate::host::files;
use crate::host::stage;
use crate::host::supervisord;
use crate::model::memory::Memory;
use crate::runtime::stray_processes;
use crate::runtime::{Beside, Call, Runtime, RuntimeError};
use crate::state::container::{Paths, Variables};

/// In the order in which they are tried.
const ENGINES: [&str; 3] = ["runc", "crun", "youki"];
const TRIAL_MEMORY: &str = "64M";

/// The first OCI runtime that runs a container here: `trial`, of which nothing stays. And, if
/// nothing limits its memory, why not.
pub(in crate::runtime) fn probe(
    account: Account,
    environment: &Environment,
    trial: &Paths,
) -> Result<(OciRuntime, Option<String>), RuntimeError> {
    let first = |rights| first(account, rights, environment, trial);
    if account.drops() {
        return Ok((first(Rights::Root)?, None));
    }
    rootless::check_allowed()?;
    let unlimited = match session::check(&account) {
        Err(error) => error.to_string(),
        Ok(()) => match first(Rights::Session) {
            Ok(runtime) => return Ok((runtime, None)),
            Err(RuntimeError::NoneWorks { reasons }) => reasons,
            Err(error) => return Err(error),
        },
    };
    Ok((first(Rights::Namespaces)?, Some(unlimited)))
}

/// The first that works with `rights`.
fn first(
    account: Account,
    rights: Rights,
    environment: &Environment,
    trial: &Paths,
) -> Result<OciRuntime, RuntimeError> {
    let mut reasons = Vec::new();
    for name in ENGINES {
        let Some(engine) = find(name, environment) else {
            reasons.push(format!("{name} is not installed"));
            continue;
        };
        let mut runtime = OciRuntime {
            engine,
            // Whoever needs it misses it later.
            supervisord: supervisord::find(environment).ok(),
            account,
            rights,
            filters: true,
        };
        let mut refusal = runtime.try_out(trial)?;
        if refusal
            .as_ref()
            .is_some_and(|words| words.contains("seccomp"))
        {
            // It was built without.
            runtime.filters = false;
            refusal = runtime.try_out(trial)?;
        }
        match refusal {
            None => return Ok(runtime),
            Some(reason) => reasons.push(reason),
        }
    }
    if rights != Rights::Root {
        reasons.extend(rootless::suspicion());
    }
    Err(RuntimeError::NoneWorks {
        reasons: reasons.join("\n"),
    })
}

/// Removes a trial's container, maybe one of a killed trial.
pub(in crate::runtime) fn discard(account: Account, trial: &Paths) -> Result<(), RuntimeError> {
    if files::look(trial.root())?.is_some() {
        match OciRuntime::of(account, trial)? {
            Some(runtime) => runtime.clear_away(trial)?,
            None => files::remove(trial.root())?,
        }
    }
    Ok(())
}

/// On `$PATH`, or where an ordinary user's does not lead.
fn find(name: &str, environment: &Environment) -> Option<PathBuf> {
    let path = environment.get("PATH").unwrap_or_default();
    std::env::split_paths(path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|path| {
            path.metadata().is_ok_and(|metadata| {
                metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
            })
        })
}

impl OciRuntime {
    /// Does once what a deployment will do. Why it does not work, if it does not.
    fn try_out(&self, trial: &Paths) -> Result<Option<String>, RuntimeError> {
        trial.create(&self.account)?;
        let memory = TRIAL_MEMORY.parse().ok();
        self.provision(trial, "trial", memory)?;
        let tried = self.try_verbs(trial, memory);
        self.clear_away(trial)?;
        match tried {
            Err(RuntimeError::Engine { source, .. }) => {
                let words = source.last_words().lines().last().unwrap_or_default();
                Ok(Some(format!("{source}: {words}")))
            }
            Err(error @ RuntimeError::NotRunning { .. }) => {
                Ok(Some(format!("{}: {error}", self.engine.display())))
            }
            other => other,
        }
    }

    fn try_verbs(
        &self,
        container: &Paths,
        memory: Option<Memory>,
    ) -> Result<Option<String>, RuntimeError> {
        let variables = Variables::new();
        let home = container.home();
        let call = |words: &[&str]| Call {
            program: OsString::from(words[0]),
            arguments: words[1..].iter().map(OsString::from).collect(),
            directory: &home,
            variables: &variables,
            terminal: false,
        };
        let run = |mut command: Command| {
            stage::run(&mut command, b"").map_err(|source| Self::failed("try", container, source))
        };
        run(self.hook(container, &call(&["/bin/true"]))?)?;
        let errors = container.errors();
        let file = File::create(&errors).map_err(files::failed("create", &errors))?;
        self.start(container, &call(&["/bin/sleep", "60"]), file)?;
        if let Beside::Streams(command) = self.beside(container, &call(&["/bin/true"]))? {
            run(command)?;
        }
        let limited = self.rights != Rights::Session
            || read_pid(container)?
                .zip(memory)
                .is_some_and(|(pid, memory)| session::limits(pid, memory));
        let engine = self.engine.clone();
        Ok((!limited).then(|| SessionError::NoLimit { engine }.to_string()))
    }

    fn clear_away(&self, trial: &Paths) -> Result<(), RuntimeError> {
        stray_processes::kill(|| self.processes(trial), &mut |_| ())?;
        // An engine that does not work may not be able to.
        let _ = self.forget(trial);
        groups::remove(&bundle::id(trial));
        Ok(files::remove(trial.root())?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn find_takes_the_first_executable_on_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("no-such-engine");
        let environment = [("PATH", directory.path())].into_iter().collect();
        assert_eq!(find("no-such-engine", &environment), None);
        fs::write(&path, "").unwrap();
        assert_eq!(find("no-such-engine", &environment), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("no-such-engine", &environment), Some(path));
    }
}
