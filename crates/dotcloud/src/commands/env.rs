//! `env`: the user's variables of the whole application. Prints no value but in its list.

use super::{Call, deployment};
use crate::application::Application;
use crate::cli::{self, Form};
use crate::console;
use crate::environment::{self, VariableError, parse_assignments};
use crate::error::Error;

/// Lists variables; or changes them, then deploys.
pub(super) fn env(call: &Call, action: cli::Env) -> Result<(), Error> {
    match action {
        cli::Env::List(form) => list(call, form),
        cli::Env::Set { assignments } => {
            let assignments = parse_assignments(&assignments)?;
            let names: Vec<&str> = assignments.iter().map(|(name, _)| &**name).collect();
            let doing = format!("Setting {}", names.join(", "));
            change(call, &doing, |application| {
                application.variables.set(assignments);
                Ok(())
            })
        }
        cli::Env::Unset { names } => change(call, "Removing variables", |application| {
            application.variables.unset(&names)
        }),
    }
}

fn list(call: &Call, form: Form) -> Result<(), Error> {
    let application = call.application()?;
    let variables = environment::application_variables(
        &application.identity(&call.platform.username),
        &application.endpoints(),
        application.variables.all(),
    );
    let variables = environment::unix_variables(&variables);
    if form.json {
        super::json::print(&serde_json::json!(variables));
        return Ok(());
    }
    for (name, value) in variables {
        console::print(format!("{name}={value}"));
    }
    Ok(())
}

fn change(
    call: &Call,
    doing: &str,
    change: impl FnOnce(&mut Application) -> Result<(), VariableError>,
) -> Result<(), Error> {
    let store = &call.platform.store;
    let name = call.application_name()?;
    store.load(&name)?;
    let _lock = call.lock_to_start(&name)?;
    let mut application = store.load(&name)?;
    change(&mut application)?;
    console::info(format!("{doing} for application {name}"));
    store.save(&application)?;
    deployment::run_newest(call, &mut application, "The variables are recorded");
    Ok(())
}
