//! `list` and `app`: which applications there are, and which one this directory means.

use serde_json::json;

use super::Call;
use crate::cli::Form;
use crate::error::Error;
use crate::output::console;
use crate::state::store::StoreError;
use crate::upload::project::ProjectError;

/// Every application with its flavor; the connected one starred. One whose record cannot be read
/// hides no other.
pub(super) fn list(call: &Call, form: Form) -> Result<(), Error> {
    let ours = match call.project() {
        // Nothing that another may have put there is in the way of a list.
        Err(Error::Project(ProjectError::NotObeyed { .. })) => None,
        found => found?.map(|project| project.application),
    };
    let connected = |name: &String| ours.as_ref() == Some(name);
    let store = &call.platform.store;
    let mut unreadable = None;
    let mut applications = Vec::new();
    for name in store.applications()? {
        match store.load(&name) {
            Ok(application) => applications.push(application),
            Err(StoreError::Unknown { .. }) => {}
            Err(error) => drop(unreadable.get_or_insert(error)),
        }
    }
    if form.json {
        let listed = applications.iter().map(|application| {
            json!({
                "name": application.name,
                "flavor": application.flavor,
                "connected": connected(&application.name),
            })
        });
        super::json::print(&listed.collect());
    } else {
        for application in applications {
            let (name, flavor) = (&application.name, &application.flavor);
            let star = if connected(name) { '*' } else { ' ' };
            console::print(format!("{star} {name}  {flavor}"));
        }
    }
    unreadable.map_or(Ok(()), |error| Err(error.into()))
}

/// The name alone.
pub(super) fn app(call: &Call) -> Result<(), Error> {
    console::print(call.application_name()?);
    Ok(())
}
