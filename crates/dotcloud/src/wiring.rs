//! Public endpoints: one supervised gateway per port of every instance, and the route files that
//! tell each which container serves. A gateway outlives pushes; only its route changes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::application::{Application, InstanceName, PUBLIC_HOST};
use crate::build_file::PortKind;
use crate::container::{Paths, Variables};
use crate::deployment_log::DeploymentLog;
use crate::files::{self, FileError};
use crate::launch::{self, LaunchError, Started};
use crate::platform::Platform;
use crate::revive;
use crate::supervisor::{self, Supervisor, SupervisorError};

/// Sees to it that every public port of `application` has its gateway.
pub(crate) fn ensure(platform: &Platform, application: &Application) -> Result<(), WiringError> {
    begin(platform, application)?.wait()
}

/// Gateways that may still be coming up.
#[must_use]
pub(crate) struct Gateways {
    paths: Paths,
    supervisor: Supervisor,
    /// Their supervisord, if it had to be started.
    started: Option<Started>,
}

impl Gateways {
    pub(crate) fn wait(self) -> Result<(), WiringError> {
        if let Some(started) = &self.started {
            launch::wait_until_up(&self.supervisor, &self.paths, started)?;
        }
        Ok(())
    }
}

/// The same without the wait: a supervisord needs a moment, in which there is other work.
pub(crate) fn begin(
    platform: &Platform,
    application: &Application,
) -> Result<Gateways, WiringError> {
    let paths = platform.store.public(&application.name);
    if files::look(paths.root())?.is_none() {
        paths.create(&platform.account)?;
        paths.open()?;
    }
    files::create_directory(&routes(&paths), 0o755)?;
    let executable = provide_executable(platform)?;
    let log = &mut DeploymentLog::to_stderr();
    revive::stop_elsewhere(platform, &paths, "gateways", log)?;
    let before = fs::read(paths.config()).unwrap_or_default();
    supervisor::write_config(&supervisor::Container {
        config: &paths.config(),
        socket: &paths.socket(),
        run_dir: &paths.run(),
        log_dir: &paths.log(),
        home: &paths.home(),
        oom_score: None,
        programs: &programs(application, &paths, &executable),
    })?;
    let mut started = None;
    let supervisor = platform.supervisor_of(&paths).map_err(LaunchError::from)?;
    if supervisor.status().is_err() {
        // Gateways that outlived theirs, or that somebody keeps from it, hold the ports.
        let runtime = platform.runtime_of(&paths).map_err(LaunchError::from)?;
        launch::end_processes(&*runtime, &paths, "gateways", log).map_err(LaunchError::from)?;
        let supervisord = platform.supervisord()?;
        let variables = Variables::new();
        started = Some(launch::start(platform, &supervisord, &paths, &variables)?);
    } else if fs::read(paths.config()).unwrap_or_default() != before {
        supervisor.update()?;
    }
    Ok(Gateways {
        paths,
        supervisor,
        started,
    })
}

/// Points the public ports of `name` at its current container.
pub(crate) fn point(
    platform: &Platform,
    application: &Application,
    name: &InstanceName,
) -> Result<(), WiringError> {
    let paths = platform.store.public(&application.name);
    let Some(instance) = application.instance(name) else {
        return Ok(());
    };
    for port in instance.public.keys() {
        let bound = instance
            .current
            .as_ref()
            .and_then(|container| container.ports.get(port));
        let target = bound.map_or(String::new(), |bound| {
            format!("{PUBLIC_HOST}:{}\n", bound.number)
        });
        files::replace(&route(&paths, name, port), target.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Stops every gateway of `application`.
pub(crate) fn stop(
    platform: &Platform,
    application: &str,
    log: &mut DeploymentLog,
) -> Result<(), WiringError> {
    let paths = platform.store.public(application);
    Ok(launch::stop(platform, &paths, "gateways", log)?)
}

fn routes(paths: &Paths) -> PathBuf {
    paths.root().join("routes")
}

fn route(paths: &Paths, name: &InstanceName, port: &str) -> PathBuf {
    routes(paths).join(gateway_name(name, port))
}

fn gateway_name(name: &InstanceName, port: &str) -> String {
    format!("{}-{}-{port}", name.service, name.number)
}

/// The command line of every gateway; `udp` has none.
fn programs(
    application: &Application,
    paths: &Paths,
    executable: &Path,
) -> BTreeMap<String, String> {
    let mut programs = BTreeMap::new();
    for (name, instance) in application.instances() {
        for (port, public) in &instance.public {
            if public.kind != PortKind::Udp {
                let line = format!(
                    "{} gateway --listen {PUBLIC_HOST}:{} --route {}",
                    shell_word(executable),
                    public.number,
                    shell_word(&route(paths, &name, port))
                );
                programs.insert(gateway_name(&name, port), line);
            }
        }
    }
    programs
}

/// `path` as one word of a command line.
fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Our own executable where services' users can reach it, whatever becomes of the one that runs.
fn provide_executable(platform: &Platform) -> Result<PathBuf, FileError> {
    let ours = Path::new("/proc/self/exe");
    let copy = platform.store.executable();
    let metadata = ours.metadata().map_err(files::failed("look at", ours))?;
    let same = files::look(&copy)?.is_some_and(|found| {
        found.len() == metadata.len() && found.modified().ok() == metadata.modified().ok()
    });
    if !same {
        files::copy_file(ours, &metadata, &copy)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        File::open(&copy)
            .and_then(|file| file.set_permissions(mode))
            .map_err(files::failed("write", &copy))?;
    }
    Ok(copy)
}

/// Public endpoints cannot be offered.
#[derive(Debug, Error)]
pub(crate) enum WiringError {
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_word_is_one_word() {
        assert_eq!(shell_word(Path::new("/a/b-c.d_e")), "/a/b-c.d_e");
        assert_eq!(shell_word(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
