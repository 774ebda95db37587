//! `up`: what ran before the machine was switched off runs again, in the containers it had. Not a
//! verb of the platform, which nobody could switch off.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Call, copy, schedule};
use crate::cli;
use crate::deploy::side_by_side::side_by_side;
use crate::error::Error;
use crate::handover;
use crate::model::application::{Application, InstanceName};
use crate::network::wiring;
use crate::output::console;
use crate::output::narrator::Narrator;
use crate::service::launch::{self, LaunchError};
use crate::service::platform::Platform;
use crate::service::resume;
use crate::state::store::StoreError;

/// Whichever `up` is meant.
pub(super) fn verb(call: &Call, arguments: &cli::Up) -> Result<(), Error> {
    if arguments.as_copy {
        return copy::up(call);
    }
    if arguments.boot.no_at_boot {
        return schedule::at_boot(call, false);
    }
    if arguments.boot.at_boot {
        schedule::at_boot(call, true)?;
    }
    up(call, arguments.no_wait)
}

/// Starts the application that is named, else every one that `down` did not stop.
fn up(call: &Call, no_wait: bool) -> Result<(), Error> {
    let store = &call.platform.store;
    let wanted = call.global.application.as_deref();
    let names = match wanted {
        Some(name) => vec![store.load(name)?.name],
        None => store.applications()?,
    };
    each(names, |name| {
        bring_back(call, name, wanted.is_some(), no_wait)
    })
}

/// Brings each of the applications `names` up: one that is broken must not keep the others down.
pub(super) fn each(
    names: Vec<String>,
    bring_up: impl Fn(&str) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut failed = Vec::new();
    for name in names {
        if let Err(error) = bring_up(&name) {
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
fn bring_back(call: &Call, name: &str, wanted: bool, no_wait: bool) -> Result<(), Error> {
    let platform = &call.platform;
    let mut application = match call.locked_to_start(name) {
        // Destroyed while we were busy with others.
        Err(Error::Store(StoreError::Unknown { .. })) if !wanted => return Ok(()),
        loaded => loaded?,
    };
    if application.down && !wanted {
        return Ok(());
    }
    console::info(format!("Starting the application \"{name}\""));
    handover::reconcile(platform, &mut application, &mut Narrator::to_stderr())?;
    if application.down {
        application.down = false;
        application.save()?;
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
    let (mut failed, started) = start_all(call, &application, &instances);
    // Also if one port is not served: the others are.
    let wired = wiring::ensure(platform, &application);
    for instance in &instances {
        wiring::point_patiently(platform, &application, instance)?;
    }
    // All come up meanwhile, so that the slowest one decides.
    for instance in instances.iter().filter(|_| !no_wait) {
        if failed.iter().any(|(known, _)| known == instance) {
            continue;
        }
        if let Err(error) = wait(platform, &application, instance) {
            failed.push((instance.clone(), error));
        }
    }
    report(failed)?;
    wired?;
    console::success(format!(
        "{name}: started {started} of {} instance(s)",
        instances.len()
    ));
    Ok(())
}

/// What keeps instances from being started, which keeps no other from it, and how many had to be.
fn start_all(
    call: &Call,
    application: &Application,
    instances: &[InstanceName],
) -> (Vec<(InstanceName, LaunchError)>, usize) {
    let started = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    side_by_side(instances, call.platform.limits.parallel, |instance| {
        match start(call, application, instance) {
            Ok(had_to_be) => {
                started.fetch_add(usize::from(had_to_be), Ordering::Relaxed);
            }
            Err(error) => {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.push((instance.clone(), error));
            }
        }
        Ok::<(), Error>(())
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    (failed, started.into_inner())
}

/// Tells of each instance that does not serve; of the last one as the reason to fail.
fn report(failed: Vec<(InstanceName, LaunchError)>) -> Result<(), Error> {
    let mut errors = failed
        .into_iter()
        .map(|(instance, source)| Error::NotServing {
            instance,
            source: Box::new(source),
        });
    let Some(last) = errors.next_back() else {
        return Ok(());
    };
    for error in errors {
        hook::render("dotcloud", &error, &mut std::io::stdout());
    }
    Err(last)
}

/// Whether it had to be started.
fn start(call: &Call, application: &Application, name: &InstanceName) -> Result<bool, LaunchError> {
    let platform = &call.platform;
    let Some((paths, _)) = platform.store.current(application, name) else {
        return Ok(false);
    };
    let supervisord = platform.supervisord()?;
    let (whom, log) = (name.to_string(), &mut Narrator::to_stderr());
    resume::ensure_running(platform, &supervisord, &paths, &whom, log)
}

fn wait(
    platform: &Platform,
    application: &Application,
    name: &InstanceName,
) -> Result<(), LaunchError> {
    match platform.store.current(application, name) {
        Some((paths, container)) => launch::wait_until_serving(platform, &paths, container),
        None => Ok(()),
    }
}
