//! `up`: what ran before the machine was switched off runs again, in the containers it had. Not a
//! verb of the platform, which nobody could switch off.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Call;
use crate::application::{Application, InstanceName};
use crate::console;
use crate::deployment_log::DeploymentLog;
use crate::error::Error;
use crate::side_by_side::side_by_side;
use crate::store::StoreError;
use crate::{handover, revive, wiring};

/// Starts the application that is named, else every one that `down` did not stop.
pub(super) fn up(call: &Call) -> Result<(), Error> {
    let store = &call.platform.store;
    let wanted = call.global.application.as_deref();
    let names = match wanted {
        Some(name) => vec![store.load(name)?.name],
        None => store.applications()?,
    };
    let mut failed = Vec::new();
    for name in names {
        // One that is broken must not keep the others down.
        if let Err(error) = bring_back(call, &name, wanted.is_some()) {
            hook::render("dotcloud", &error, &mut std::io::stdout());
            failed.push(name);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Error::NotUp {
            applications: failed,
        })
    }
}

/// Unless it was stopped on purpose, and is not `wanted` by name.
fn bring_back(call: &Call, name: &str, wanted: bool) -> Result<(), Error> {
    let platform = &call.platform;
    let _lock = call.lock_to_start(name)?;
    let mut application = match platform.store.load(name) {
        // Destroyed while we were busy with others.
        Err(StoreError::Unknown { .. }) if !wanted => return Ok(()),
        loaded => loaded?,
    };
    if application.down && !wanted {
        return Ok(());
    }
    console::info(format!("Starting the application \"{name}\""));
    handover::settle(platform, &mut application, &mut DeploymentLog::to_stderr())?;
    if application.down {
        application.down = false;
        platform.store.save(&application)?;
    }
    let instances: Vec<InstanceName> = application
        .instances()
        .filter(|(_, instance)| instance.current.is_some())
        .map(|(name, _)| name)
        .collect();
    if instances.is_empty() {
        console::success(format!("{name}: nothing was pushed yet"));
        return Ok(());
    }
    let (outcome, started) = start_all(call, &application, &instances);
    wiring::ensure(platform, &application)?;
    for instance in &instances {
        wiring::point(platform, &application, instance)?;
    }
    outcome?;
    console::success(format!(
        "{name}: started {started} of {} instance(s)",
        instances.len()
    ));
    Ok(())
}

/// The first failure, which keeps no other from being started, and how many had to be.
fn start_all(
    call: &Call,
    application: &Application,
    instances: &[InstanceName],
) -> (Result<(), Error>, usize) {
    let started = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    side_by_side(instances, call.platform.limits.parallel, |instance| {
        match start(call, application, instance) {
            Ok(had_to_be) => {
                started.fetch_add(usize::from(had_to_be), Ordering::Relaxed);
            }
            Err(error) => {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert(error);
            }
        }
        Ok::<(), Error>(())
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    (failed.map_or(Ok(()), Err), started.into_inner())
}

/// Whether it had to be started.
fn start(call: &Call, application: &Application, name: &InstanceName) -> Result<bool, Error> {
    let platform = &call.platform;
    let Some(container) = application.instance(name).and_then(|i| i.current.as_ref()) else {
        return Ok(false);
    };
    let store = &platform.store;
    let paths = store.container(&application.name, name, container.generation);
    let supervisord = platform.supervisord()?;
    let (whom, log) = (name.to_string(), &mut DeploymentLog::to_stderr());
    let started = revive::ensure_running(platform, &supervisord, &paths, &whom, log);
    Ok(started?)
}
