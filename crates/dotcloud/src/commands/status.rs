//! `status`: whether the programs of every instance run.

use super::{Call, check_service};
use crate::application::{Instance, InstanceName, Selection};
use crate::console;
use crate::error::Error;
use crate::supervisor::{self, ProgramState};

/// `svc.N:  up` or `down`, and the state of every program.
pub(super) fn status(call: &Call, selection: &Selection) -> Result<(), Error> {
    let application = call.application()?;
    check_service(&application, selection)?;
    for (name, instance) in application.instances() {
        if selection.covers(&name) {
            show(call, &application.name, &name, instance)?;
        }
    }
    Ok(())
}

fn show(
    call: &Call,
    application: &str,
    name: &InstanceName,
    instance: &Instance,
) -> Result<(), Error> {
    let programs = match &instance.current {
        None => Vec::new(),
        Some(container) => {
            let store = &call.platform.store;
            let paths = store.container(application, name, container.generation);
            let executables = call.platform.executables()?;
            // A supervisord that does not answer has no programs.
            supervisor::status(&executables, &paths.config()).unwrap_or_default()
        }
    };
    let up = !programs.is_empty()
        && programs
            .iter()
            .all(|program| program.state == ProgramState::Running);
    console::print(format!("{name}:  {}", if up { "up" } else { "down" }));
    for program in programs {
        let state = format!("{:?}", program.state).to_uppercase();
        console::print(format!("  {} -> {state} {}", program.name, program.text));
    }
    Ok(())
}
