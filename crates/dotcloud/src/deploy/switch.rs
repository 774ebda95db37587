//! The moment an instance changes its container. With `~/data` the old one is stopped first and
//! its data moved; without, both run until the new one serves. What does not come up keeps the data,
//! or gives it back, as was asked.

use std::path::Path;

use super::{DeployError, Step, keep};
use crate::deploy::side_by_side::Slots;
use crate::handover;
use crate::host::files;
use crate::model::application::{Container, Successor};
use crate::network::wiring;
use crate::service::launch::{self, LaunchError};
use crate::state::container::Paths;

/// Makes the prepared container of the step's instance the one that serves. One of `slots` is taken
/// for as long as the instance is at work.
pub(super) fn switch(
    step: &mut Step<'_, '_>,
    supervisord: &Path,
    slots: &Slots,
) -> Result<(), DeployError> {
    let Some(instance) = step.instance() else {
        return Ok(());
    };
    let Successor::Preparing { container: new } = instance.successor else {
        return Ok(());
    };
    let paths = step.paths(&new);
    let old = instance.current;
    let keeps_data = match &old {
        Some(old) => files::look(&step.paths(old).data())?.is_some(),
        None => false,
    };
    let launched = {
        let mut slot = Some(slots.take());
        if let Some(old) = old.as_ref().filter(|_| keeps_data) {
            move_data(step, &step.paths(old), &paths)?;
        } else if old.is_none() {
            // The first container: what its postinstall made is the data.
            handover::take_over(step.platform, step.ledger, step.name)?;
        }
        step.log.of(step.name, "Launching");
        launch(step, supervisord, &new, &mut || drop(slot.take()))
    };
    if old.is_some() && !keeps_data {
        launched.map_err(|source| DeployError::LaunchBeside {
            instance: step.name.clone(),
            source: Box::new(source),
        })?;
        handover::take_over(step.platform, step.ledger, step.name)?;
    } else if let Err(source) = launched {
        return Err(give_up(step, supervisord, &new, old, source)?);
    }
    step.ledger.change(step.platform, step.name, |instance| {
        instance
            .public
            .retain(|port, _| new.ports.contains_key(port));
    })?;
    step.log.of(step.name, "Re-routing to the new instance");
    point(step)?;
    remove_shadowed(step, &paths)?;
    Ok(step.remove_retired()?)
}

/// What becomes of `new`, which has the data and did not come up.
fn give_up(
    step: &mut Step<'_, '_>,
    supervisord: &Path,
    new: &Container,
    old: Option<Container>,
    source: LaunchError,
) -> Result<DeployError, DeployError> {
    let name = step.name;
    if let Some(old) = old.filter(|_| step.request.options.rollback) {
        step.log
            .failure(format!("{name} failed to launch: rolling back"));
        roll_back(step, supervisord, &old)?;
        return Ok(DeployError::RolledBack {
            instance: name.clone(),
            source: Box::new(source),
        });
    }
    // There is nothing else to lead to, and it may yet come up.
    point(step)?;
    step.remove_retired()?;
    Ok(DeployError::Launch {
        instance: name.clone(),
        home: step.paths(new).home(),
        source: Box::new(source),
    })
}

/// The same hand-over in the other direction, so that whoever is killed here is settled in the same
/// way: `old` follows the container that did not come up.
fn roll_back(
    step: &mut Step<'_, '_>,
    supervisord: &Path,
    old: &Container,
) -> Result<(), DeployError> {
    let paths = step.paths(old);
    let Some(failed) = step.instance().and_then(|instance| instance.current) else {
        return Ok(());
    };
    step.ledger.change(step.platform, step.name, |instance| {
        instance
            .retired
            .retain(|container| container.generation != old.generation);
        instance.successor = Successor::Preparing {
            container: old.clone(),
        };
    })?;
    move_data(step, &step.paths(&failed), &paths)?;
    step.log
        .of(step.name, "Launching the previous container again");
    let launched = launch(step, supervisord, old, &mut || ());
    point(step)?;
    step.remove_retired()?;
    launched.map_err(|source| DeployError::Launch {
        instance: step.name.clone(),
        home: paths.home(),
        source: Box::new(source),
    })
}

/// Stops the container that has the data and moves it; from here on it is the new one's.
fn move_data(step: &mut Step<'_, '_>, old: &Paths, new: &Paths) -> Result<(), DeployError> {
    let name = step.name;
    step.ledger.change(step.platform, name, |instance| {
        if let Successor::Preparing { container } = instance.successor.clone() {
            instance.successor = Successor::TakingOver { container };
        }
    })?;
    step.log.of(
        name,
        "Stopping the previous instance: who connects now waits for the new one",
    );
    wiring::hold(step.platform, &step.ledger.snapshot(), name)?;
    if let Err(source) = launch::stop(step.platform, old, &name.to_string(), &mut step.log) {
        // It may serve on, and nobody is to wait in vain.
        point(step)?;
        return Err(DeployError::Stop {
            instance: name.clone(),
            source: Box::new(source),
        });
    }
    keep::keep(step, old, new);
    step.log.of(name, "Moving ~/data");
    handover::move_data(old, new, name, &mut step.log)?;
    handover::take_over(step.platform, step.ledger, name)?;
    step.log.of(name, "Moved ~/data");
    Ok(())
}

/// `serving` is called once nothing is left to wait for but supervisord's opinion.
fn launch(
    step: &mut Step<'_, '_>,
    supervisord: &Path,
    container: &Container,
    serving: &mut dyn FnMut(),
) -> Result<(), LaunchError> {
    let paths = step.paths(container);
    let variables = paths.load_variables()?;
    let started = launch::start(step.platform, supervisord, &paths, &variables)?;
    step.log
        .of(step.name, "Waiting for the service to become responsive");
    launch::wait_until_responsive(step.platform, &paths, container, &started, serving)
}

fn point(step: &Step<'_, '_>) -> Result<(), DeployError> {
    Ok(wiring::point(
        step.platform,
        &step.ledger.snapshot(),
        step.name,
    )?)
}

fn remove_shadowed(step: &mut Step<'_, '_>, paths: &Paths) -> Result<(), DeployError> {
    if files::look(&paths.shadowed())?.is_some() {
        files::remove(&paths.shadowed())?;
        step.log
            .of(step.name, "Removed the ~/data that had been put aside");
    }
    Ok(())
}
