//! The moment an instance changes its container. With `~/data` the old one is stopped first and
//! its data moved; without, both run until the new one serves. What does not come up keeps the data,
//! or gives it back, as was asked.

use std::path::Path;

use super::{DeployError, Request, keep};
use crate::deploy::side_by_side::Permits;
use crate::handover::slot::Slot;
use crate::host::files;
use crate::model::application::{Container, Successor};
use crate::service::launch::{self, LaunchError};
use crate::state::container::Paths;

/// One instance that changes its container.
pub(super) struct Switch<'s, 'a, 'l> {
    pub(super) slot: &'s mut Slot<'a, 'l>,
    pub(super) request: Request<'s>,
    pub(super) supervisord: &'s Path,
}

impl Switch<'_, '_, '_> {
    /// Makes the prepared container the one that serves. One of `permits` is taken for as long as the
    /// instance is at work.
    pub(super) fn run(mut self, permits: &Permits) -> Result<(), DeployError> {
        let instance = self.slot.instance();
        let Successor::Preparing { container: new } = instance.successor else {
            return Ok(());
        };
        let paths = self.slot.paths(&new);
        let old = instance.current;
        let keeps_data = match &old {
            Some(old) => files::look(&self.slot.paths(old).data())?.is_some(),
            None => false,
        };
        let launched = {
            let mut permit = Some(permits.take());
            if let Some(old) = old.as_ref().filter(|_| keeps_data) {
                self.move_data(&self.slot.paths(old), &paths)?;
            } else if old.is_none() {
                // The first container: what its postinstall made is the data.
                self.slot.take_over()?;
            }
            self.say("Launching");
            self.launch(&new, &mut || drop(permit.take()))
        };
        if old.is_some() && !keeps_data {
            launched.map_err(|source| DeployError::LaunchBeside {
                instance: self.slot.name.clone(),
                source: Box::new(source),
            })?;
            self.slot.take_over()?;
        } else if let Err(source) = launched {
            return Err(self.give_up(&new, old, source)?);
        }
        self.slot.change(|instance| {
            instance
                .public
                .retain(|port, _| new.ports.contains_key(port));
        })?;
        self.say("Re-routing to the new instance");
        self.slot.route()?;
        self.remove_shadowed(&paths)?;
        Ok(self.slot.remove_retired()?)
    }

    /// What becomes of `new`, which has the data and did not come up.
    fn give_up(
        &mut self,
        new: &Container,
        old: Option<Container>,
        source: LaunchError,
    ) -> Result<DeployError, DeployError> {
        let name = self.slot.name;
        if let Some(old) = old.filter(|_| self.request.options.rollback) {
            self.slot
                .log
                .failure(format!("{name} failed to launch: rolling back"));
            self.roll_back(new, &old)?;
            return Ok(DeployError::RolledBack {
                instance: name.clone(),
                source: Box::new(source),
            });
        }
        // There is nothing else to lead to, and it may yet come up.
        self.slot.route()?;
        self.slot.remove_retired()?;
        Ok(DeployError::Launch {
            instance: name.clone(),
            home: self.slot.paths(new).home(),
            source: Box::new(source),
        })
    }

    /// The same hand-over in the other direction, so that whoever is killed here is settled in the same
    /// way: `old` follows `failed`, the container that did not come up.
    fn roll_back(&mut self, failed: &Container, old: &Container) -> Result<(), DeployError> {
        let paths = self.slot.paths(old);
        self.slot.change(|instance| {
            instance
                .retired
                .retain(|container| container.generation != old.generation);
            instance.successor = Successor::Preparing {
                container: old.clone(),
            };
        })?;
        self.move_data(&self.slot.paths(failed), &paths)?;
        self.say("Launching the previous container again");
        let launched = self.launch(old, &mut || ());
        self.slot.route()?;
        self.slot.remove_retired()?;
        launched.map_err(|source| DeployError::Launch {
            instance: self.slot.name.clone(),
            home: paths.home(),
            source: Box::new(source),
        })
    }

    /// Stops the container that has the data and moves it; from here on it is the new one's.
    fn move_data(&mut self, old: &Paths, new: &Paths) -> Result<(), DeployError> {
        self.slot.change(|instance| {
            if let Successor::Preparing { container } = instance.successor.clone() {
                instance.successor = Successor::TakingOver { container };
            }
        })?;
        self.say("Stopping the previous instance: who connects now waits for the new one");
        self.slot.hold()?;
        if let Err(source) = self.slot.stop(old) {
            // It may serve on, and nobody is to wait in vain.
            self.slot.route()?;
            return Err(DeployError::Stop {
                instance: self.slot.name.clone(),
                source: Box::new(source),
            });
        }
        keep::keep(self.slot, self.request, old, new);
        self.say("Moving ~/data");
        self.slot.move_data(old, new)?;
        self.slot.take_over()?;
        self.say("Moved ~/data");
        Ok(())
    }

    /// `serving` is called once nothing is left to wait for but supervisord's opinion.
    fn launch(
        &mut self,
        container: &Container,
        serving: &mut dyn FnMut(),
    ) -> Result<(), LaunchError> {
        let (platform, paths) = (self.slot.platform, self.slot.paths(container));
        let variables = paths.load_variables()?;
        let started = launch::start(platform, self.supervisord, &paths, &variables)?;
        self.say("Waiting for the service to become responsive");
        launch::wait_until_responsive(platform, &paths, container, &started, serving)
    }

    fn remove_shadowed(&mut self, paths: &Paths) -> Result<(), DeployError> {
        if files::look(&paths.shadowed())?.is_some() {
            files::remove(&paths.shadowed())?;
            self.say("Removed the ~/data that had been put aside");
        }
        Ok(())
    }

    fn say(&mut self, text: &str) {
        self.slot.log.of(self.slot.name, text);
    }
}
