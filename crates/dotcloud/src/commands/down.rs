//! `down`: every process of an application ends; every container and its data stay. Not a verb of
//! the platform, which nobody could switch off.

use super::Call;
use super::destroy::stop_service;
use crate::console;
use crate::deployment_log::DeploymentLog;
use crate::error::Error;
use crate::wiring;

/// Stops the instances, then the gateways.
pub(super) fn down(call: &Call) -> Result<(), Error> {
    let platform = &call.platform;
    let name = call.application_name()?;
    platform.store.load(&name)?;
    let _lock = platform.store.lock(&name, || {
        console::info("Another command works on this application: waiting until it is done");
    })?;
    let application = platform.store.load(&name)?;
    console::info(format!("Stopping the application \"{name}\""));
    let log = &mut DeploymentLog::to_stderr();
    for service in application.services.keys() {
        stop_service(call, &application, service, log)?;
    }
    wiring::stop(platform, &name, log)?;
    console::success("Stopped. Its data is kept; push starts it again.");
    Ok(())
}
