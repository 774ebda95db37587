//! `list` and `app`: which applications there are, and which one this directory means.

use serde_json::json;

use super::Call;
use crate::cli::Form;
use crate::console;
use crate::error::Error;

/// Every application with its flavor; the connected one starred.
pub(super) fn list(call: &Call, form: Form) -> Result<(), Error> {
    let ours = call.project()?.map(|project| project.application);
    let connected = |name: &String| ours.as_ref() == Some(name);
    let applications = call.platform.store.load_all()?;
    if form.json {
        let listed = applications.iter().map(|application| {
            json!({
                "name": application.name,
                "flavor": application.flavor,
                "connected": connected(&application.name),
            })
        });
        super::json::print(&listed.collect());
        return Ok(());
    }
    for application in applications {
        let (name, flavor) = (&application.name, &application.flavor);
        let star = if connected(name) { '*' } else { ' ' };
        console::print(format!("{star} {name}  {flavor}"));
    }
    Ok(())
}

/// The name alone.
pub(super) fn app(call: &Call) -> Result<(), Error> {
    console::print(call.application_name()?);
    Ok(())
}
