//! `scale`: how many instances a service has, and how much memory is reserved for each.

use std::fs;

use super::{Call, check_service, deployment};
use crate::build_file::BuildFile;
use crate::cli::scaling::{Change, Scaling};
use crate::error::Error;
use crate::model::application::{Application, Container, Instance, InstanceName, Selection};
use crate::output::console;
use crate::runtime::{Limited, RuntimeError};

/// Records what is wanted; if instances are, deploys.
pub(super) fn scale(call: &Call, scalings: &[Scaling]) -> Result<(), Error> {
    let mut application = call.locked_to_start(&call.application()?.name)?;
    for scaling in scalings {
        let selection = Selection {
            service: scaling.service.clone(),
            number: None,
        };
        check_service(&application, &selection)?;
    }
    let deploys = scalings
        .iter()
        .any(|scaling| matches!(scaling.change, Change::Instances(_)));
    if deploys {
        check_build_file(call, &application)?;
    }
    let before = application.clone();
    for scaling in scalings {
        record(&mut application, scaling);
    }
    // Under the lock, so that what is agreed to is what will happen.
    if !agree(call, &before, &application) {
        return Err(Error::NotScaled);
    }
    console::info(format!("Scaling the application \"{}\"", application.name));
    for Scaling { service, change } in scalings {
        let what = change.name();
        console::info(format!("Changing {what} of {service} to {change}"));
    }
    let limited = limit(call, &before, &application)?;
    application.save()?;
    if limited.contains(&Limited::Recorded) {
        console::warning(
            "nothing enforces a limit here: the memory is recorded and shown, and a service can \
             use more",
        );
    }
    if deploys {
        deployment::run_newest(call, &mut application, "The scale is recorded");
    } else {
        console::success("The scale is recorded");
    }
    Ok(())
}

/// As on the platform nothing can be scaled while a service that exists is not in the build file.
fn check_build_file(call: &Call, application: &Application) -> Result<(), Error> {
    let Some(newest) = application.revisions.last() else {
        return Ok(());
    };
    let code = call.platform.store.revision(&application.name, newest);
    let build_file = BuildFile::read(&code.join("dotcloud.yml"))?;
    match application
        .services
        .keys()
        .find(|service| !build_file.services.contains_key(*service))
    {
        Some(service) => Err(Error::NotInBuildFile {
            service: service.clone(),
        }),
        None => Ok(()),
    }
}

fn record(application: &mut Application, scaling: &Scaling) {
    let Some(service) = application.services.get_mut(&scaling.service) else {
        return;
    };
    match scaling.change {
        Change::Instances(count) => service.scale = Some(count),
        Change::Memory(memory) => service.memory = Some(memory),
    }
}

/// Makes the limits of the containers that there are those of `after`: all, or none.
fn limit(
    call: &Call,
    before: &Application,
    after: &Application,
) -> Result<Vec<Limited>, RuntimeError> {
    let memory = |application: &Application, name: &InstanceName| {
        let service = application.services.get(&name.service);
        service.and_then(|service| service.memory)
    };
    let set = |application: &Application, name: &InstanceName, container: &Container| {
        let store = &call.platform.store;
        let paths = store.container(&application.name, name, container.generation);
        let runtime = call.platform.runtime_of(&paths)?;
        runtime.limit(&paths, memory(application, name))
    };
    let mut done: Vec<(InstanceName, Limited)> = Vec::new();
    for (name, instance) in after.instances() {
        let Some(container) = &instance.current else {
            continue;
        };
        if memory(before, &name) == memory(after, &name) {
            continue;
        }
        match set(after, &name, container) {
            Ok(limited) => done.push((name, limited)),
            Err(error) => {
                for (name, _) in done {
                    if let Some(container) = before.instance(&name).and_then(current) {
                        // It was allowed a moment ago.
                        set(before, &name, container)?;
                    }
                }
                return Err(error);
            }
        }
    }
    Ok(done.into_iter().map(|(_, limited)| limited).collect())
}

fn current(instance: &Instance) -> Option<&Container> {
    instance.current.as_ref()
}

/// Asks if instances are to go that were not before.
fn agree(call: &Call, before: &Application, after: &Application) -> bool {
    let already = before.surplus();
    let leaving: Vec<InstanceName> = after
        .surplus()
        .into_iter()
        .filter(|name| !already.contains(name))
        .collect();
    if leaving.is_empty() {
        return true;
    }
    let names: Vec<String> = leaving
        .iter()
        .map(|name| {
            let data = if has_data(call, after, name) {
                " with its ~/data"
            } else {
                ""
            };
            format!("{name}{data}")
        })
        .collect();
    let question = format!("Remove {} for ever?", names.join(", "));
    console::ask(&question, false, call.global.assume())
}

fn has_data(call: &Call, application: &Application, name: &InstanceName) -> bool {
    let current = call.platform.store.current(application, name);
    current.is_some_and(|(paths, _)| {
        // If it cannot be told, the warning is better than none.
        fs::symlink_metadata(paths.data()).map_or_else(
            |error| error.kind() != std::io::ErrorKind::NotFound,
            |_| true,
        )
    })
}
