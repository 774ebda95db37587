//! Building one service: a build container with the previous result in its `$HOME`, the service's
//! three hooks, a snapshot of `$HOME`. Nothing of it touches what is running.

use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::build_file::Service;
use crate::host::files::{self, FileError, Target};
use crate::output::narrator::Narrator;
use crate::runtime::{Runtime, RuntimeError};
use crate::service::hook_run::{self, HookError, Until};
use crate::service::launch;
use crate::service::platform::Platform;
use crate::state::container::{Paths, Variables};
use crate::state::snapshot::{self, Taken};

/// Makes the hook's file executable, if it is one, and runs the command line; as the service's user.
const RUN_HOOK: &str = r#"if [ -f "$0" ] && [ ! -x "$0" ]; then chmod +x "$0"; fi; eval "$1""#;

/// What is built, from what, and where.
pub(crate) struct Order<'a> {
    pub(crate) platform: &'a Platform,
    /// Its name.
    pub(crate) application: &'a str,
    pub(crate) service: &'a Service,
    /// Those that its hooks see.
    pub(crate) variables: Variables,
    pub(crate) code: &'a Path,
    /// The snapshot to build on, by its name.
    pub(crate) previous: Option<&'a str>,
    pub(crate) runtime: &'a dyn Runtime,
}

/// Builds a service.
pub(crate) fn build(order: &Order<'_>, log: &mut Narrator) -> Result<Taken, BuildError> {
    let store = &order.platform.store;
    let container = store.build(order.application, &order.service.name);
    discard(order.platform, &container)?;
    let result = build_in(&container, order, log);
    discard(order.platform, &container)?;
    result
}

fn build_in(container: &Paths, order: &Order<'_>, log: &mut Narrator) -> Result<Taken, BuildError> {
    let &Order {
        platform,
        application,
        service,
        ref variables,
        code,
        previous,
        runtime,
    } = order;
    let account = runtime.account();
    let snapshots = platform.store.snapshots(application);
    container.create(&account)?;
    if let Some(name) = previous {
        log.of(&service.name, "Unpacking the result of the previous build");
        let archive = snapshots.join(name);
        snapshot::unpack(&archive, &container.home(), &account, &platform.stop)?;
    }
    let target = Target {
        root: container.root(),
        below: Path::new("code"),
        account: &account,
    };
    files::copy_tree(code, target, &platform.stop)?;
    // Of builds the platform's had more memory than any container: no limit.
    let host = format!("{application}-build-{}", service.name);
    runtime.provision(container, &host, None)?;
    container.open()?;
    let mut hooks = Hooks {
        platform,
        runtime,
        container,
        service,
        variables,
        deadline: Instant::now() + platform.limits.build,
    };
    let approot = container.code().join(&service.approot);
    if let Some(line) = &service.prebuild {
        hooks.run("prebuild", &approot, command_line(line), log)?;
    }
    if let Some(path) = &service.buildscript {
        let script = find_buildscript(&container.code(), path)?;
        let script = runtime.inside(container, &script);
        let words = ["exec \"$0\"".into(), script.into_os_string()];
        hooks.run("buildscript", &container.code(), words.to_vec(), log)?;
    }
    if let Some(line) = &service.postbuild {
        hooks.run("postbuild", &approot, command_line(line), log)?;
    }
    // A process that is left could change what is being packed.
    launch::end_processes(runtime, container, &service.name, log)?;
    container.close()?;
    let build = snapshot::Source {
        home: &container.home(),
        account: &account,
        stop: &platform.stop,
    };
    Ok(snapshot::take(build, &snapshots, &service.name)?)
}

/// Removes what a build, maybe a killed one, left.
fn discard(platform: &Platform, container: &Paths) -> Result<(), BuildError> {
    if files::look(container.root())?.is_some() {
        platform
            .runtime_of(container)?
            .end(container, &mut |_| ())?;
        files::remove(container.root())?;
    }
    Ok(())
}

fn command_line(line: &str) -> Vec<std::ffi::OsString> {
    let file = line.split_whitespace().next().unwrap_or_default();
    vec![RUN_HOOK.into(), file.into(), line.into()]
}

/// The buildscript's path in the code; it is relative to the code root, not to approot.
fn find_buildscript(code: &Path, path: &str) -> Result<PathBuf, BuildError> {
    let plain = Path::new(path)
        .components()
        .all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
    let script = code.join(path);
    let metadata = plain.then(|| script.metadata().ok()).flatten();
    match metadata {
        Some(metadata) if !metadata.is_file() => Err(BuildError::NoBuildscript {
            path: path.to_owned(),
        }),
        Some(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
            Err(BuildError::NotExecutable {
                path: path.to_owned(),
            })
        }
        Some(_) => Ok(script),
        None => Err(BuildError::NoBuildscript {
            path: path.to_owned(),
        }),
    }
}

struct Hooks<'a> {
    platform: &'a Platform,
    runtime: &'a dyn Runtime,
    container: &'a Paths,
    service: &'a Service,
    variables: &'a Variables,
    deadline: Instant,
}

impl Hooks<'_> {
    /// Runs `bash -l -c WORDS…` in `directory`.
    fn run(
        &mut self,
        hook: &'static str,
        directory: &Path,
        words: Vec<std::ffi::OsString>,
        log: &mut Narrator,
    ) -> Result<(), BuildError> {
        let name = &self.service.name;
        log.of(name, format!("Running {hook}"));
        let call = hook_run::login_shell(words, directory, self.variables);
        let until = Until {
            limit: self.deadline.saturating_duration_since(Instant::now()),
            stop: &self.platform.stop,
        };
        hook_run::run(self.runtime, self.container, &call, until, &mut |line| {
            log.hook(name, line);
        })
        .map_err(|source| BuildError::Hook {
            hook,
            source: match source {
                // What is left for this hook is not the limit that its author knows.
                HookError::TimeOut { .. } => HookError::TimeOut {
                    limit: self.limit(),
                },
                other => other,
            },
        })
    }

    fn limit(&self) -> Duration {
        self.platform.limits.build
    }
}

/// A service cannot be built.
#[derive(Debug, Error)]
pub(crate) enum BuildError {
    #[error("its {hook} failed")]
    Hook {
        hook: &'static str,
        source: HookError,
    },
    #[error("its buildscript '{path}' is not in the pushed code")]
    NoBuildscript { path: String },
    #[error("its buildscript '{path}' is not executable")]
    NotExecutable { path: String },
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_buildscript_must_be_an_executable_file_inside() {
        let code = tempfile::tempdir().unwrap();
        std::fs::create_dir(code.path().join("hooks")).unwrap();
        let script = code.path().join("hooks/builder");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let text = |path: &str| find_buildscript(code.path(), path).unwrap_err().to_string();
        assert_eq!(
            text("hooks/builder"),
            "its buildscript 'hooks/builder' is not executable"
        );
        for outside in ["builder", "hooks", "../x", "/bin/true"] {
            assert_eq!(
                text(outside),
                format!("its buildscript '{outside}' is not in the pushed code")
            );
        }
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            find_buildscript(code.path(), "hooks/builder").unwrap(),
            script
        );
    }

    #[test]
    fn hook_error_has_exact_text() {
        let error = BuildError::Hook {
            hook: "prebuild",
            source: HookError::Interrupted,
        };
        assert_eq!(error.to_string(), "its prebuild failed");
    }
}
