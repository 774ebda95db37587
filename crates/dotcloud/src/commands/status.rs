//! `status`: whether the programs of every instance run.

use serde_json::{Value, json};

use super::{Call, check_service};
use crate::application::{Instance, InstanceName, Selection};
use crate::cli::Form;
use crate::console;
use crate::error::Error;
use crate::supervisor::{self, ProgramState, ProgramStatus};

/// `svc.N:  up` or `down`, and the state of every program.
pub(super) fn status(call: &Call, selection: &Selection, form: Form) -> Result<(), Error> {
    let application = call.application()?;
    check_service(&application, selection)?;
    let mut found = Vec::new();
    for (name, instance) in application.instances() {
        if !selection.covers(&name) {
            continue;
        }
        let programs = programs(call, &application.name, &name, instance);
        if form.json {
            found.push(json!({
                "instance": name.to_string(),
                "up": is_up(&programs),
                "programs": programs.iter().map(describe).collect::<Vec<Value>>(),
            }));
        } else {
            show(&name, programs);
        }
    }
    if form.json {
        super::json::print(&found.into());
    }
    Ok(())
}

fn programs(
    call: &Call,
    application: &str,
    name: &InstanceName,
    instance: &Instance,
) -> Vec<ProgramStatus> {
    let Some(container) = &instance.current else {
        return Vec::new();
    };
    let store = &call.platform.store;
    let paths = store.container(application, name, container.generation);
    // A supervisord that does not answer has no programs.
    supervisor::status(&paths.config()).unwrap_or_default()
}

fn is_up(programs: &[ProgramStatus]) -> bool {
    !programs.is_empty()
        && programs
            .iter()
            .all(|program| program.state == ProgramState::Running)
}

fn state(program: &ProgramStatus) -> String {
    format!("{:?}", program.state).to_uppercase()
}

fn describe(program: &ProgramStatus) -> Value {
    json!({
        "name": program.name,
        "state": state(program),
        "text": program.text,
    })
}

fn show(name: &InstanceName, programs: Vec<ProgramStatus>) {
    let state_of_all = if is_up(&programs) { "up" } else { "down" };
    console::print(format!("{name}:  {state_of_all}"));
    for program in programs {
        let state = state(&program);
        console::print(format!("  {} -> {state} {}", program.name, program.text));
    }
}
