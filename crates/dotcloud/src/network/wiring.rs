//! Public endpoints: one supervised gateway per port of every instance, and the route files that
//! tell each which container serves. A gateway outlives pushes; only its route changes.

mod keeper;
mod routes;
mod served;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::host::account::Account;
use crate::host::files::{self, FileError};
use crate::model::application::{Application, InstanceName, PUBLIC_HOST};
use crate::model::port::PortKind;
use crate::network::gateway::{self, Traffic};
use crate::output::narrator::Narrator;
use crate::runtime::stray_processes;
use crate::service::launch::{self, LaunchError, Started};
use crate::service::platform::Platform;
use crate::service::resume;
use crate::service::supervisor::{self, ProgramState, ProgramStatus, Supervisor, SupervisorError};
use crate::state::container::{Paths, Variables};
pub(crate) use routes::{ask, close, hold, point, point_patiently, settle};
pub(crate) use served::{Problem, problems, wait as wait_until_served};

/// Sees to it that every public port of `application` has its gateway, and nobody else's.
pub(crate) fn ensure(platform: &Platform, application: &Application) -> Result<(), WiringError> {
    begin(platform, application)?.wait(platform, application)
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
    /// Until each listens at its port.
    pub(crate) fn wait(
        self,
        platform: &Platform,
        application: &Application,
    ) -> Result<(), WiringError> {
        if let Some(started) = &self.started {
            launch::wait_until_up(&self.supervisor, &self.paths, started)?;
        }
        served::wait(platform, application)
    }
}

/// The same without the wait: a supervisord needs a moment, in which there is other work.
pub(crate) fn begin(
    platform: &Platform,
    application: &Application,
) -> Result<Gateways, WiringError> {
    let paths = platform.store.public(&application.name);
    prepare(&paths)?;
    routes::prune(&paths, application)?;
    let executable = provide_executable(platform)?;
    keeper::ensure(platform, &paths, &executable)?;
    let log = &mut Narrator::to_stderr();
    resume::stop_elsewhere(platform, &paths, "gateways", log)?;
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
    match supervisor.status() {
        Err(_) => {
            let supervisord = platform.supervisord()?;
            // Gateways that outlived their supervisord have the ports of its successor's.
            let runtime = platform.runtime_of(&paths).map_err(LaunchError::from)?;
            launch::end_processes(&*runtime, &paths, "gateways", log).map_err(LaunchError::from)?;
            let variables = Variables::new();
            started = Some(launch::start(platform, &supervisord, &paths, &variables)?);
        }
        Ok(programs) => {
            if fs::read(paths.config()).unwrap_or_default() != before {
                supervisor.update()?;
            }
            let runs = |program: &ProgramStatus| ProgramState::RUNNING.contains(&program.state);
            if !programs.iter().all(runs) {
                supervisor.start_all()?;
            }
        }
    }
    Ok(Gateways {
        paths,
        supervisor,
        started,
    })
}

/// The directories: what the gateways write is theirs, what they follow is ours.
fn prepare(paths: &Paths) -> Result<(), WiringError> {
    let account = Platform::account_of(paths);
    match files::look(&paths.run())? {
        None => {
            paths.create(&account)?;
            paths.open()?;
        }
        // Made by a version whose gateways ran as the services' user.
        Some(found) if found.uid() != account.uid => {
            let list = || stray_processes::find(&Account::of_services(None), paths, None);
            stray_processes::end(list, &mut |_| ()).map_err(LaunchError::from)?;
            for directory in [paths.home(), paths.log(), paths.run()] {
                files::remove(&directory)?;
                files::create_private(&directory, &account)?;
            }
        }
        Some(_) => {}
    }
    if files::look(&traffic_directory(paths))?.is_none() {
        files::create_private(&traffic_directory(paths), &account)?;
    }
    Ok(files::create_directory(&routes::directory(paths), 0o755)?)
}

/// Stops every gateway of `application`.
pub(crate) fn stop(
    platform: &Platform,
    application: &str,
    log: &mut Narrator,
) -> Result<(), WiringError> {
    let paths = platform.store.public(application);
    keeper::stop(&paths)?;
    Ok(launch::stop(platform, &paths, "gateways", log)?)
}

/// What the gateways write of what passes.
fn traffic_directory(paths: &Paths) -> PathBuf {
    paths.root().join("traffic")
}

fn gateway_name(name: &InstanceName, port: &str) -> String {
    format!("{}-{}-{port}", name.service, name.number)
}

/// What the gateway of a port writes, without an extension.
fn gateway_state(paths: &Paths, name: &InstanceName, port: &str) -> PathBuf {
    traffic_directory(paths).join(gateway_name(name, port))
}

/// What passed the public port `port` of `name`, as far as it was recorded.
pub(crate) fn traffic(
    platform: &Platform,
    application: &str,
    name: &InstanceName,
    port: &str,
) -> Traffic {
    let paths = platform.store.public(application);
    let read = |state: &Path| Traffic::read(&gateway::traffic_file(state)).unwrap_or_default();
    let past = keeper::directory(&paths).join(gateway_name(name, port));
    read(&gateway_state(&paths, name, port)).with(read(&past))
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
                    "{} gateway --listen {PUBLIC_HOST}:{} --route {} --state {}",
                    shell_word(executable),
                    public.number,
                    shell_word(&routes::file(paths, &name, port)),
                    shell_word(&gateway_state(paths, &name, port))
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
    /// Clients reach somebody else there, or nobody.
    #[error("{}", problems.join("; "))]
    NotServed { problems: Vec<String> },
    #[error("cannot see who listens at the public ports")]
    Listeners { source: io::Error },
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
    fn wiring_errors_have_exact_texts() {
        let problems = vec!["port db of db.0 is taken".to_owned(), "x".to_owned()];
        for (error, text) in [
            (
                WiringError::NotServed { problems },
                "port db of db.0 is taken; x",
            ),
            (
                WiringError::Listeners {
                    source: io::Error::other("x"),
                },
                "cannot see who listens at the public ports",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn shell_word_is_one_word() {
        assert_eq!(shell_word(Path::new("/a/b-c.d_e")), "/a/b-c.d_e");
        assert_eq!(shell_word(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
