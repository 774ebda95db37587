//! `destroy`: an application or a service, with its processes, its containers and its data.

use super::{Call, check_service};
use crate::application::{Application, InstanceName, Selection};
use crate::console;
use crate::deployment_log::DeploymentLog;
use crate::error::Error;
use crate::files;
use crate::{launch, wiring};

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
    let _lock = call.lock(&name)?;
    let mut application = platform.store.load(&name)?;
    console::info(format!("Destroying {what}"));
    let log = &mut DeploymentLog::to_stderr();
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
    log: &mut DeploymentLog,
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

fn destroy_application(
    call: &Call,
    application: &Application,
    log: &mut DeploymentLog,
) -> Result<(), Error> {
    let platform = &call.platform;
    for service in application.services.keys() {
        stop_service(call, application, service, log)?;
    }
    wiring::stop(platform, &application.name, log)?;
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

/// Ends every process of the service, in whatever container.
pub(super) fn stop_service(
    call: &Call,
    application: &Application,
    service: &str,
    log: &mut DeploymentLog,
) -> Result<(), Error> {
    let store = &call.platform.store;
    for (name, instance) in application.instances() {
        if name.service != service {
            continue;
        }
        for container in instance.containers() {
            let paths = store.container(&application.name, &name, container.generation);
            launch::stop(&call.platform, &paths, &name.to_string(), log)?;
        }
    }
    let build = store.build(&application.name, service);
    launch::end_processes(&call.platform, &build, service, log)?;
    Ok(())
}
