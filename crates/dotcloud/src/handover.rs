//! Who owns `~/data`: the one rename that moves it, what a killed deployment left, and removing
//! containers that own nothing. Every step is recorded before and after, so that the record and
//! the file system together tell at any moment.

pub(crate) mod aside;
pub(crate) mod ledger;
pub(crate) mod slot;

use std::fs;
use std::path::Path;

use thiserror::Error;

use crate::handover::ledger::Ledger;
use crate::handover::slot::Slot;
use crate::host::files::{self, FileError};
use crate::model::application::{Application, Container, InstanceName, Successor};
use crate::network::wiring::WiringError;
use crate::output::narrator::Narrator;
use crate::runtime::RuntimeError;
use crate::service::launch::LaunchError;
use crate::service::platform::Platform;
use crate::service::resume;
use crate::state::container::Paths;
use crate::state::store::StoreError;

/// Brings every instance back to one owner and no successor, as after a deployment that failed.
///
/// Needed at the start of whatever changes containers: the last one to do so may have been killed.
pub(crate) fn reconcile(
    platform: &Platform,
    application: &mut Application,
    log: &mut Narrator,
) -> Result<(), HandoverError> {
    let names: Vec<InstanceName> = application.instances().map(|(name, _)| name).collect();
    let ledger = &Ledger::new(application);
    for name in &names {
        let log = log.clone();
        let mut slot = Slot {
            platform,
            ledger,
            name,
            log,
        };
        slot.reconcile()?;
    }
    Ok(())
}

impl Slot<'_, '_> {
    fn reconcile(&mut self) -> Result<(), HandoverError> {
        self.reconcile_restore()?;
        let changes_owner = matches!(self.instance().successor, Successor::TakingOver { .. });
        self.reconcile_deployment()?;
        if changes_owner {
            // Since it was stopped whoever connects has been waiting.
            self.route_patiently()?;
        }
        self.remove_retired()
    }

    /// What a restore that was killed left.
    fn reconcile_restore(&mut self) -> Result<(), HandoverError> {
        let Some(current) = self.instance().current else {
            return Ok(());
        };
        let paths = self.paths(&current);
        if !aside::is_unsettled(&paths)? {
            return Ok(());
        }
        self.log.warning(
            self.name,
            "a restore was interrupted: its data is as it was before, unless the backup served already",
        );
        self.stop(&paths)?;
        aside::settle(&paths)?;
        if !self.ledger.snapshot().down {
            self.restart(&paths)?;
        }
        Ok(self.route_patiently()?)
    }

    /// What a deployment that was killed left.
    fn reconcile_deployment(&mut self) -> Result<(), HandoverError> {
        let instance = self.instance();
        match (&instance.successor, &instance.current) {
            (Successor::None, _) => return Ok(()),
            (Successor::Preparing { container }, _) => {
                self.discard(&self.paths(container))?;
            }
            (Successor::TakingOver { container }, Some(current))
                if files::look(&self.paths(current).data())?.is_some() =>
            {
                self.log.warning(
                    self.name,
                    "a deployment was interrupted before ~/data moved: the previous instance keeps it",
                );
                self.discard(&self.paths(container))?;
                self.restart(&self.paths(current))?;
            }
            (Successor::TakingOver { container }, _) => {
                self.log.warning(
                    self.name,
                    "a deployment was interrupted after ~/data had moved: the new instance keeps it",
                );
                self.take_over()?;
                return self.restart(&self.paths(container));
            }
        }
        Ok(self.change(|instance| instance.successor = Successor::None)?)
    }

    /// Moves `~/data` from `old` to `new`, neither of which has any process. One rename: it is in
    /// either place, never in both or none.
    pub(crate) fn move_data(&mut self, old: &Paths, new: &Paths) -> Result<(), FileError> {
        if files::look(&new.data())?.is_some() {
            if is_empty_directory(&new.data()) {
                files::remove(&new.data())?;
            } else {
                self.log.warning(
                    self.name,
                    "the new container's own ~/data gives way to the real one; it is put aside until \
                     the new instance serves",
                );
                rename(&new.data(), &new.shadowed())?;
            }
        }
        rename(&old.data(), &new.data())
    }

    /// Records that the successor is the owner now.
    pub(crate) fn take_over(&self) -> Result<(), StoreError> {
        self.change(|instance| {
            if let Successor::Preparing { container } | Successor::TakingOver { container } =
                std::mem::take(&mut instance.successor)
            {
                instance.retired.extend(instance.current.take());
                instance.current = Some(container);
            }
        })
    }

    fn restart(&mut self, container: &Paths) -> Result<(), HandoverError> {
        let (platform, whom) = (self.platform, self.name.to_string());
        let supervisord = platform.supervisord().map_err(LaunchError::from)?;
        match resume::ensure_running(platform, &supervisord, container, &whom, &mut self.log) {
            // What is broken in there must not be in the way of the deployment that mends it.
            Err(LaunchError::Supervisor(error)) => {
                self.log
                    .warning(self.name, format!("its programs do not stay up: {error}"));
                Ok(())
            }
            other => Ok(other.map(drop)?),
        }
    }

    /// Removes the containers that the instance has left behind.
    pub(crate) fn remove_retired(&mut self) -> Result<(), HandoverError> {
        let retired = self.instance().retired;
        if retired.is_empty() {
            return Ok(());
        }
        for container in &retired {
            let paths = self.paths(container);
            self.stop(&paths)?;
            self.keep_late_data(container)?;
            files::remove(paths.root())?;
        }
        Ok(self.change(|instance| instance.retired.clear())?)
    }

    /// A container without `~/data` serves until its successor does, and may make one meanwhile.
    fn keep_late_data(&mut self, container: &Container) -> Result<(), FileError> {
        let data = self.paths(container).data();
        if files::look(&data)?.is_none() || is_empty_directory(&data) {
            return Ok(());
        }
        let application = self.ledger.snapshot().name;
        let instance = self.platform.store.instance(&application, self.name);
        let kept = instance.join(format!("data-{}", container.generation));
        rename(&data, &kept)?;
        self.log.warning(
            self.name,
            format!(
                "the previous instance made a ~/data while it was being replaced; it is kept in {}",
                kept.display()
            ),
        );
        Ok(())
    }

    /// Removes a container that never owned anything.
    fn discard(&mut self, container: &Paths) -> Result<(), HandoverError> {
        if files::look(container.root())?.is_some() {
            self.stop(container)?;
            files::remove(container.root())?;
        }
        Ok(())
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    durable::rename(from, to).map_err(files::failed("move", from))
}

fn is_empty_directory(path: &Path) -> bool {
    // A link, even to an empty directory, is somebody's intention.
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
        && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Containers cannot be brought in order.
#[derive(Debug, Error)]
pub(crate) enum HandoverError {
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Process(#[from] crate::runtime::stray_processes::ProcessError),
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
        let root = old.root().to_str().unwrap();
        let log = old.root().join("log");
        let environment = [("DOTCLOUD_HOME", root)].into_iter().collect();
        let mut application = Application::new("app", "live");
        let mut slot = Slot {
            platform: &Platform::new(&environment).unwrap(),
            ledger: &Ledger::new(&mut application),
            name: &InstanceName::new("db", 0),
            log: Narrator::begin(&log).unwrap(),
        };
        slot.move_data(old, new).unwrap();
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
