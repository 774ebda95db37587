//! `down`: every process of an application ends; every container and its data stay. Not a verb of
//! the platform, which nobody could switch off.

use super::Call;
use crate::deploy::side_by_side::side_by_side;
use crate::error::Error;
use crate::model::application::Application;
use crate::network::wiring;
use crate::output::console;
use crate::output::narrator::Narrator;
use crate::service::launch;

/// Stops an application that may be in use.
pub(super) fn down(call: &Call) -> Result<(), Error> {
    let mut application = call.locked(&call.application()?.name)?;
    let name = application.name.clone();
    // First: killed after this, it does not come back with the next reboot.
    application.down = true;
    let recorded = application.save();
    let log = &mut Narrator::to_stderr();
    if let Err(error) = &recorded {
        // A full disk, say, which may be what it is stopped for.
        let text = format!("{error}; it is stopped all the same");
        log.warning(&application.name, text);
    }
    console::info(format!("Stopping the application \"{name}\""));
    stop_application(call, &application, log)?;
    if recorded.is_err() {
        // There may be room by now.
        application.save()?;
    }
    console::success(format!(
        "Stopped. Its data is kept; 'dotcloud up -A {name}' or a push starts it again."
    ));
    Ok(())
}

/// Stops the instances, then the gateways.
pub(super) fn stop_application(
    call: &Call,
    application: &Application,
    log: &mut Narrator,
) -> Result<(), Error> {
    if let Err(error) = wiring::close(&call.platform, application) {
        // The gateways end below; without a word from us they make who connects until then wait.
        log.warning(&application.name, error.to_string());
    }
    for service in application.services.keys() {
        stop_service(call, application, service, log)?;
    }
    // Of a deployment that was killed.
    let trial = call.platform.store.trial(&application.name);
    call.platform.runtime_of(&trial)?.end(&trial, &mut |_| ())?;
    Ok(wiring::stop(&call.platform, &application.name, log)?)
}

/// Ends every process of the service, in whatever container.
pub(super) fn stop_service(
    call: &Call,
    application: &Application,
    service: &str,
    log: &mut Narrator,
) -> Result<(), Error> {
    let store = &call.platform.store;
    let mut containers = Vec::new();
    for (name, instance) in application.instances() {
        if name.service == service {
            for container in instance.containers() {
                let paths = store.container(&application.name, &name, container.generation);
                containers.push((name.to_string(), paths));
            }
        }
    }
    let parallel = call.platform.limits.parallel;
    let failures = side_by_side(&containers, parallel, |(whom, paths)| {
        launch::stop(&call.platform, paths, whom, &mut log.clone())
    });
    if let Some(error) = failures.into_iter().next() {
        return Err(error.into());
    }
    let build = store.build(&application.name, service);
    let runtime = call.platform.runtime_of(&build)?;
    Ok(launch::end_processes(&*runtime, &build, service, log)?)
}
