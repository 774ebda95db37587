//! `destroy`: an application or a service, with its processes, its containers and its data.

use super::down::{stop_application, stop_service};
use super::{Call, check_service};
use crate::error::Error;
use crate::host::files;
use crate::model::application::{Application, InstanceName, Selection};
use crate::network::wiring;
use crate::output::console;
use crate::output::narrator::Narrator;

/// Asks, stops everything, removes it.
pub(super) fn destroy(call: &Call, selection: Option<&Selection>) -> Result<(), Error> {
    let platform = &call.platform;
    let name = call.application_name()?;
    let application = platform.store.load(&name)?;
    if let Some(selection) = selection {
        check_service(&application, selection)?;
        if selection.number.is_some() {
            return Err(Error::WholeService {
                service: selection.service.clone(),
            });
        }
    }
    let what = match selection {
        Some(selection) => format!("the service \"{selection}\" of \"{name}\""),
        None => format!("the application \"{name}\""),
    };
    let question = format!("Destroy {what} and all its data?");
    if !console::ask(&question, false, call.global.assume()) {
        return Err(Error::Declined);
    }
    let mut application = call.locked(&name)?;
    console::info(format!("Destroying {what}"));
    let log = &mut Narrator::to_stderr();
    match selection {
        Some(selection) => destroy_service(call, &mut application, &selection.service, log)?,
        None => destroy_application(call, &application, log)?,
    }
    console::success("Destroyed.");
    Ok(())
}

fn destroy_service(
    call: &Call,
    application: &mut Application,
    service: &str,
    log: &mut Narrator,
) -> Result<(), Error> {
    let platform = &call.platform;
    stop_service(call, application, service, log)?;
    let instances: Vec<InstanceName> = application
        .instances()
        .map(|(name, _)| name)
        .filter(|name| name.service == service)
        .collect();
    application.services.remove(service);
    platform.store.save(application)?;
    for name in instances {
        files::remove(&platform.store.instance(&application.name, &name))?;
    }
    files::remove(platform.store.build(&application.name, service).root())?;
    Ok(wiring::ensure(platform, application)?)
}

pub(super) fn destroy_application(
    call: &Call,
    application: &Application,
    log: &mut Narrator,
) -> Result<(), Error> {
    let platform = &call.platform;
    stop_application(call, application, log)?;
    // The record last: as long as it is there the application is, and can be destroyed again.
    let directory = platform.store.directory(&application.name);
    let record = platform.store.record(&application.name);
    let read = |source| files::failed("read", &directory)(source);
    for entry in std::fs::read_dir(&directory).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path != record {
            files::remove(&path)?;
        }
    }
    Ok(files::remove(&directory)?)
}
