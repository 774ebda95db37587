//! `list` and `app`: which applications there are, and which one this directory means.

use super::Call;
use crate::console;
use crate::error::Error;

/// Every application with its flavor; the connected one starred.
pub(super) fn list(call: &Call) -> Result<(), Error> {
    let ours = call.project()?.map(|project| project.application);
    for application in call.platform.store.load_all()? {
        let (name, flavor) = (&application.name, &application.flavor);
        let star = if ours.as_ref() == Some(name) {
            '*'
        } else {
            ' '
        };
        console::print(format!("{star} {name}  {flavor}"));
    }
    Ok(())
}

/// The name alone.
pub(super) fn app(call: &Call) -> Result<(), Error> {
    console::print(call.application_name()?);
    Ok(())
}
