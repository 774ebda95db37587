//! Who owns `~/data`: the one rename that moves it, what a killed deployment left, and removing
//! containers that own nothing. Every step is recorded before and after, so that the record and
//! the file system together tell at any moment.

pub(crate) mod aside;
pub(crate) mod ledger;

use std::fs;
use std::path::Path;

use thiserror::Error;

use crate::handover::ledger::Ledger;
use crate::host::files::{self, FileError};
use crate::model::application::{Application, Container, InstanceName, Successor};
use crate::network::wiring::{self, WiringError};
use crate::output::deployment_log::DeploymentLog;
use crate::runtime::RuntimeError;
use crate::service::launch::{self, LaunchError};
use crate::service::platform::Platform;
use crate::service::revive;
use crate::state::container::Paths;
use crate::state::store::StoreError;

/// Moves `~/data` from `old` to `new`, neither of which has any process. One rename: it is in
/// either place, never in both or none.
pub(crate) fn move_data(
    old: &Paths,
    new: &Paths,
    whom: &InstanceName,
    log: &mut DeploymentLog,
) -> Result<(), FileError> {
    if files::look(&new.data())?.is_some() {
        if is_empty_directory(&new.data()) {
            files::remove(&new.data())?;
        } else {
            log.warning(
                whom,
                "the new container's own ~/data gives way to the real one; it is put aside until \
                 the new instance serves",
            );
            rename(&new.data(), &new.shadowed())?;
        }
    }
    rename(&old.data(), &new.data())
}

fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    durable::rename(from, to).map_err(files::failed("move", from))
}

fn is_empty_directory(path: &Path) -> bool {
    // A link, even to an empty directory, is somebody's intention.
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
        && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Brings every instance back to one owner and no successor, as after a deployment that failed.
///
/// Needed at the start of whatever changes containers: the last one to do so may have been killed.
pub(crate) fn settle(
    platform: &Platform,
    application: &mut Application,
    log: &mut DeploymentLog,
) -> Result<(), HandoverError> {
    let names: Vec<InstanceName> = application.instances().map(|(name, _)| name).collect();
    for name in names {
        settle_restore(platform, application, &name, log)?;
        let changes_owner = application
            .instance(&name)
            .is_some_and(|it| matches!(it.successor, Successor::TakingOver { .. }));
        settle_one(platform, application, &name, log)?;
        if changes_owner {
            // Since it was stopped whoever connects has been waiting.
            wiring::point_patiently(platform, application, &name)?;
        }
        remove_retired(platform, &Ledger::new(application), &name, log)?;
    }
    Ok(())
}

/// What a restore that was killed left.
fn settle_restore(
    platform: &Platform,
    application: &Application,
    name: &InstanceName,
    log: &mut DeploymentLog,
) -> Result<(), HandoverError> {
    let Some(current) = application
        .instance(name)
        .and_then(|instance| instance.current.as_ref())
    else {
        return Ok(());
    };
    let paths = platform
        .store
        .container(&application.name, name, current.generation);
    if !aside::is_unsettled(&paths)? {
        return Ok(());
    }
    log.warning(
        name,
        "a restore was interrupted: its data is as it was before, unless the backup served already",
    );
    launch::stop(platform, &paths, &name.to_string(), log)?;
    aside::settle(&paths)?;
    if !application.down {
        restart(platform, &paths, name, log)?;
    }
    Ok(wiring::point_patiently(platform, application, name)?)
}

fn settle_one(
    platform: &Platform,
    application: &mut Application,
    name: &InstanceName,
    log: &mut DeploymentLog,
) -> Result<(), HandoverError> {
    let paths = |container: &Container| {
        platform
            .store
            .container(&application.name, name, container.generation)
    };
    let Some(instance) = application.instance(name) else {
        return Ok(());
    };
    match (&instance.successor, &instance.current) {
        (Successor::None, _) => return Ok(()),
        (Successor::Preparing { container }, _) => {
            discard(platform, &paths(container), name, log)?;
        }
        (Successor::TakingOver { container }, Some(current))
            if files::look(&paths(current).data())?.is_some() =>
        {
            log.warning(
                name,
                "a deployment was interrupted before ~/data moved: the previous instance keeps it",
            );
            let (old, new) = (paths(current), paths(container));
            discard(platform, &new, name, log)?;
            restart(platform, &old, name, log)?;
        }
        (Successor::TakingOver { container }, _) => {
            log.warning(
                name,
                "a deployment was interrupted after ~/data had moved: the new instance keeps it",
            );
            let new = paths(container);
            take_over(platform, &Ledger::new(application), name)?;
            return restart(platform, &new, name, log);
        }
    }
    if let Some(instance) = application.instance_mut(name) {
        instance.successor = Successor::None;
    }
    Ok(platform.store.save(application)?)
}

/// Records that the successor is the owner now.
pub(crate) fn take_over(
    platform: &Platform,
    ledger: &Ledger<'_>,
    name: &InstanceName,
) -> Result<(), StoreError> {
    ledger.change(platform, name, |instance| {
        if let Successor::Preparing { container } | Successor::TakingOver { container } =
            std::mem::take(&mut instance.successor)
        {
            instance.retired.extend(instance.current.take());
            instance.current = Some(container);
        }
    })
}

fn restart(
    platform: &Platform,
    container: &Paths,
    name: &InstanceName,
    log: &mut DeploymentLog,
) -> Result<(), HandoverError> {
    let supervisord = platform.supervisord().map_err(LaunchError::from)?;
    match revive::ensure_running(platform, &supervisord, container, &name.to_string(), log) {
        // What is broken in there must not be in the way of the deployment that mends it.
        Err(LaunchError::Supervisor(error)) => {
            log.warning(name, format!("its programs do not stay up: {error}"));
            Ok(())
        }
        other => Ok(other.map(drop)?),
    }
}

/// Removes the containers that `name` has left behind.
pub(crate) fn remove_retired(
    platform: &Platform,
    ledger: &Ledger<'_>,
    name: &InstanceName,
    log: &mut DeploymentLog,
) -> Result<(), HandoverError> {
    let application = &ledger.snapshot();
    let retired = application
        .instance(name)
        .map(|instance| instance.retired.clone())
        .unwrap_or_default();
    if retired.is_empty() {
        return Ok(());
    }
    for container in &retired {
        let paths = platform
            .store
            .container(&application.name, name, container.generation);
        launch::stop(platform, &paths, &name.to_string(), log)?;
        keep_late_data(platform, application, name, container, log)?;
        files::remove(paths.root())?;
    }
    Ok(ledger.change(platform, name, |instance| instance.retired.clear())?)
}

/// A container without `~/data` serves until its successor does, and may make one meanwhile.
fn keep_late_data(
    platform: &Platform,
    application: &Application,
    name: &InstanceName,
    container: &Container,
    log: &mut DeploymentLog,
) -> Result<(), FileError> {
    let store = &platform.store;
    let paths = store.container(&application.name, name, container.generation);
    if files::look(&paths.data())?.is_none() || is_empty_directory(&paths.data()) {
        return Ok(());
    }
    let kept = store
        .instance(&application.name, name)
        .join(format!("data-{}", container.generation));
    rename(&paths.data(), &kept)?;
    log.warning(
        name,
        format!(
            "the previous instance made a ~/data while it was being replaced; it is kept in {}",
            kept.display()
        ),
    );
    Ok(())
}

/// Removes a container that never owned anything.
pub(crate) fn discard(
    platform: &Platform,
    container: &Paths,
    whom: &InstanceName,
    log: &mut DeploymentLog,
) -> Result<(), HandoverError> {
    if files::look(container.root())?.is_some() {
        launch::stop(platform, container, &whom.to_string(), log)?;
        files::remove(container.root())?;
    }
    Ok(())
}

/// Containers cannot be brought in order.
#[derive(Debug, Error)]
pub(crate) enum HandoverError {
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Process(#[from] crate::runtime::orphans::ProcessError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Wiring(#[from] WiringError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(root: &Path, name: &str, file: Option<&str>) -> Paths {
        let paths = Paths::new(root.join(name));
        fs::create_dir_all(paths.home()).unwrap();
        if let Some(file) = file {
            fs::create_dir(paths.data()).unwrap();
            fs::write(paths.data().join(file), "").unwrap();
        }
        paths
    }

    fn move_between(old: &Paths, new: &Paths) -> String {
        let log = old.root().join("log");
        let mut writer = DeploymentLog::begin(&log).unwrap();
        move_data(old, new, &InstanceName::new("db", 0), &mut writer).unwrap();
        fs::read_to_string(log).unwrap()
    }

    #[test]
    fn move_data_replaces_and_keeps_the_shadowed_one_aside() {
        let directory = tempfile::tempdir().unwrap();
        let old = container(directory.path(), "1", Some("real"));
        let new = container(directory.path(), "2", Some("shadow"));
        let log = move_between(&old, &new);
        assert!(new.data().join("real").exists());
        assert!(new.shadowed().join("shadow").exists());
        assert!(!old.data().exists());
        assert!(log.contains("put aside"), "{log}");
    }

    #[test]
    fn move_data_empty_directory_gives_way_silently() {
        let directory = tempfile::tempdir().unwrap();
        let old = container(directory.path(), "1", Some("real"));
        let new = container(directory.path(), "2", None);
        fs::create_dir(new.data()).unwrap();
        assert_eq!(move_between(&old, &new), "");
        assert!(new.data().join("real").exists());
        assert!(!new.shadowed().exists());
    }
}
