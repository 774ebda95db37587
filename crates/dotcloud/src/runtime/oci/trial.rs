//! Which OCI runtime works here: found out by running a container, because what is installed may
//! refuse (crun 1.8 does on a hybrid hierarchy of control groups, where runc 1.1 works).

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use hook::Environment;

use super::OciRuntime;
use crate::account::Account;
use crate::container::{Paths, Variables};
use crate::files;
use crate::orphans;
use crate::runtime::{Call, Runtime, RuntimeError};
use crate::supervisor;

/// In the order in which they are tried.
const ENGINES: [&str; 3] = ["runc", "crun", "youki"];
const TRIAL_MEMORY: &str = "64M";

/// The first OCI runtime that runs a container here: `trial`, of which nothing stays.
pub(in crate::runtime) fn probe(
    account: Account,
    environment: &Environment,
    trial: &Paths,
) -> Result<OciRuntime, RuntimeError> {
    if !account.drops() {
        // Who may not touch control groups may not limit anything.
        return Err(RuntimeError::NoneWorks {
            reasons: "containers are made by root only".to_owned(),
        });
    }
    let mut reasons = Vec::new();
    for name in ENGINES {
        let Some(engine) = find(name, environment) else {
            reasons.push(format!("{name} is not installed"));
            continue;
        };
        let runtime = OciRuntime {
            engine,
            // Whoever needs it misses it later.
            supervisord: supervisor::find(environment).ok(),
            account,
        };
        match runtime.try_out(trial) {
            Ok(()) => return Ok(runtime),
            Err(RuntimeError::Engine { source, .. }) => {
                let words = source.last_words().lines().last().unwrap_or_default();
                reasons.push(format!("{source}: {words}"));
            }
            Err(error) => return Err(error),
        }
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
    /// Does once what a deployment will do.
    fn try_out(&self, trial: &Paths) -> Result<(), RuntimeError> {
        trial.create(&self.account)?;
        self.furnish(trial, "trial", TRIAL_MEMORY.parse().ok())?;
        let tried = self.try_verbs(trial);
        self.clear_away(trial)?;
        tried
    }

    fn try_verbs(&self, container: &Paths) -> Result<(), RuntimeError> {
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
            hook::run(&mut command, b"").map_err(|source| Self::failed("try", container, source))
        };
        run(self.hook(container, &call(&["/bin/true"]))?)?;
        let errors = container.errors();
        let file = File::create(&errors).map_err(files::failed("create", &errors))?;
        self.start(container, &call(&["/bin/sleep", "60"]), file)?;
        run(self.beside(container, &call(&["/bin/true"]))?)?;
        Ok(())
    }

    fn clear_away(&self, trial: &Paths) -> Result<(), RuntimeError> {
        orphans::kill(|| self.processes(trial), &mut |_| ())?;
        // An engine that does not work may not be able to.
        let _ = self.forget(trial);
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
