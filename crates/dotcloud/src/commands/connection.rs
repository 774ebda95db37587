//! `connect` and `disconnect`: which application this directory means.

use super::Call;
use crate::application::check_application_name;
use crate::console;
use crate::error::Error;
use crate::project::Project;

/// Connects the working directory to an application that exists.
pub(super) fn connect(call: &Call, name: &str) -> Result<(), Error> {
    check_application_name(name)?;
    call.platform.store.load(name)?;
    console::info(format!("Connecting with the application \"{name}\""));
    Project::connect(&call.directory, name)?;
    console::success(format!(
        "Connected with default push options: --rsync ({name})"
    ));
    Ok(())
}

/// Forgets which application the working directory means.
pub(super) fn disconnect(call: &Call) -> Result<(), Error> {
    let project = call.project()?.ok_or_else(|| Error::NotConnected {
        directory: call.directory.clone(),
    })?;
    console::info(format!(
        "Disconnecting \"{}\" from the application \"{}\"",
        project.directory.display(),
        project.application
    ));
    project.disconnect()?;
    console::success("Disconnected.");
    Ok(())
}
