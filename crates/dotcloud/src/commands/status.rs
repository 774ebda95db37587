//! `status`: whether the programs of every instance run.

use serde_json::{Value, json};

use super::{Call, check_service};
use crate::application::{Instance, InstanceName, Selection};
use crate::cli::Form;
use crate::console;
use crate::error::Error;
use crate::supervisor::{ProgramState, ProgramStatus, SupervisorError};

/// `svc.N:  up` or `down`, and the state of every program.
pub(super) fn status(call: &Call, selection: &Selection, form: Form) -> Result<(), Error> {
    let application = call.application()?;
    check_service(&application, selection)?;
    let mut found = Vec::new();
    for (name, instance) in application.instances() {
        if !selection.covers(&name) {
            continue;
        }
        let (programs, problem) = match programs(call, &application.name, &name, instance) {
            Ok(programs) => (programs, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        if form.json {
            let mut described = json!({
                "instance": name.to_string(),
                "up": is_up(&programs),
                "programs": programs.iter().map(describe).collect::<Vec<Value>>(),
            });
            if let Some(problem) = problem {
                described["problem"] = problem.into();
            }
            found.push(described);
        } else {
            show(&name, programs);
            if let Some(problem) = problem {
                console::print(format!("  {problem}"));
            }
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
) -> Result<Vec<ProgramStatus>, Error> {
    let Some(container) = &instance.current else {
        return Ok(Vec::new());
    };
    let store = &call.platform.store;
    let paths = store.container(application, name, container.generation);
    match call.platform.supervisor_of(&paths)?.status_at_once() {
        // Of what does not run there are no programs.
        Err(SupervisorError::NotRunning { .. }) => Ok(Vec::new()),
        other => Ok(other?),
    }
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
