//! The moment an instance changes its container. With `~/data` the old one is stopped first and
//! its data moved; without, both run until the new one serves. What does not come up keeps the data,
//! or gives it back, as was asked.

use std::path::Path;

use super::{DeployError, Request};
use crate::application::{Application, Container, InstanceName, Successor};
use crate::container::Paths;
use crate::deployment_log::DeploymentLog;
use crate::files;
use crate::handover;
use crate::launch::{self, LaunchError};
use crate::platform::Platform;
use crate::wiring;

/// Makes the prepared container of `name` the one that serves.
pub(super) fn switch(
    platform: &Platform,
    supervisord: &Path,
    application: &mut Application,
    request: Request<'_>,
    name: &InstanceName,
    log: &mut DeploymentLog,
) -> Result<(), DeployError> {
    let Some(instance) = application.instance(name) else {
        return Ok(());
    };
    let Successor::Preparing { container: new } = instance.successor.clone() else {
        return Ok(());
    };
    let paths_of = |container: &Container| {
        platform
            .store
            .container(&application.name, name, container.generation)
    };
    let paths = paths_of(&new);
    let old = instance.current.clone();
    let keeps_data = match &old {
        Some(old) => files::look(&paths_of(old).data())?.is_some(),
        None => false,
    };
    if let Some(old) = old.as_ref().filter(|_| keeps_data) {
        let old = paths_of(old);
        move_data(platform, application, name, &old, &paths, log)?;
    } else if old.is_none() {
        // The first container: what its postinstall made is the data.
        handover::take_over(platform, application, name)?;
    }
    log.of(name, "Launching");
    let launched = launch(platform, supervisord, &paths, &new, name, log);
    if old.is_some() && !keeps_data {
        launched.map_err(|source| DeployError::LaunchBeside {
            instance: name.clone(),
            source: Box::new(source),
        })?;
        handover::take_over(platform, application, name)?;
    } else if let Err(source) = launched {
        if let Some(old) = old.filter(|_| request.options.rollback) {
            log.failure(format!("{name} failed to launch: rolling back"));
            roll_back(platform, supervisord, application, name, &old, log)?;
            return Err(DeployError::RolledBack {
                instance: name.clone(),
                source: Box::new(source),
            });
        }
        // There is nothing else to lead to, and it may yet come up.
        wiring::point(platform, application, name)?;
        handover::remove_retired(platform, application, name, log)?;
        return Err(DeployError::Launch {
            instance: name.clone(),
            home: paths.home(),
            source: Box::new(source),
        });
    }
    if let Some(instance) = application.instance_mut(name) {
        instance
            .public
            .retain(|port, _| new.ports.contains_key(port));
    }
    log.of(name, "Re-routing to the new instance");
    wiring::point(platform, application, name)?;
    remove_shadowed(&paths, name, log)?;
    handover::remove_retired(platform, application, name, log)?;
    Ok(())
}

/// The same hand-over in the other direction, so that whoever is killed here is settled in the same
/// way: `old` follows the container that did not come up.
fn roll_back(
    platform: &Platform,
    supervisord: &Path,
    application: &mut Application,
    name: &InstanceName,
    old: &Container,
    log: &mut DeploymentLog,
) -> Result<(), DeployError> {
    let paths_of = |container: &Container| {
        platform
            .store
            .container(&application.name, name, container.generation)
    };
    let paths = paths_of(old);
    let Some(failed) = application
        .instance(name)
        .and_then(|instance| instance.current.as_ref())
        .map(paths_of)
    else {
        return Ok(());
    };
    if let Some(instance) = application.instance_mut(name) {
        instance
            .retired
            .retain(|container| container.generation != old.generation);
        instance.successor = Successor::Preparing {
            container: old.clone(),
        };
    }
    move_data(platform, application, name, &failed, &paths, log)?;
    log.of(name, "Launching the previous container again");
    let launched = launch(platform, supervisord, &paths, old, name, log);
    wiring::point(platform, application, name)?;
    handover::remove_retired(platform, application, name, log)?;
    launched.map_err(|source| DeployError::Launch {
        instance: name.clone(),
        home: paths.home(),
        source: Box::new(source),
    })
}

/// Stops the container that has the data and moves it; from here on it is the new one's.
fn move_data(
    platform: &Platform,
    application: &mut Application,
    name: &InstanceName,
    old: &Paths,
    new: &Paths,
    log: &mut DeploymentLog,
) -> Result<(), DeployError> {
    if let Some(instance) = application.instance_mut(name)
        && let Successor::Preparing { container } = instance.successor.clone()
    {
        instance.successor = Successor::TakingOver { container };
    }
    platform.store.save(application)?;
    log.of(name, "Stopping the previous instance");
    launch::stop(platform, old, &name.to_string(), log).map_err(|source| DeployError::Stop {
        instance: name.clone(),
        source: Box::new(source),
    })?;
    log.of(name, "Moving ~/data");
    handover::move_data(old, new, name, log)?;
    handover::take_over(platform, application, name)?;
    log.of(name, "Moved ~/data");
    Ok(())
}

fn launch(
    platform: &Platform,
    supervisord: &Path,
    paths: &Paths,
    container: &Container,
    name: &InstanceName,
    log: &mut DeploymentLog,
) -> Result<(), LaunchError> {
    let variables = paths.load_variables()?;
    let started = launch::start(platform, supervisord, paths, &variables)?;
    log.of(name, "Waiting for the service to become responsive");
    launch::wait_until_responsive(platform, paths, container, &started)
}

fn remove_shadowed(
    paths: &Paths,
    name: &InstanceName,
    log: &mut DeploymentLog,
) -> Result<(), DeployError> {
    if files::look(&paths.shadowed())?.is_some() {
        files::remove(&paths.shadowed())?;
        log.of(name, "Removed the ~/data that had been put aside");
    }
    Ok(())
}
