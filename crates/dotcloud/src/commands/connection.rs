//! `connect` and `disconnect`: which application this directory means.

use super::Call;
use crate::application::check_application_name;
use crate::cli;
use crate::console;
use crate::error::Error;
use crate::project::Project;

/// Connects the working directory to an application that exists.
pub(super) fn connect(call: &Call, name: &str, protocol: &cli::Protocol) -> Result<(), Error> {
    check_application_name(name)?;
    call.platform.store.load(name)?;
    console::info(format!("Connecting with the application \"{name}\""));
    let git = protocol.git || protocol.branch.is_some();
    Project {
        directory: call.directory.clone(),
        application: name.to_owned(),
        git,
        branch: protocol.branch.clone(),
    }
    .connect()?;
    let options = match (&protocol.branch, git) {
        (Some(branch), _) => format!("--git --branch {branch}"),
        (None, true) => "--git".to_owned(),
        (None, false) => "--rsync".to_owned(),
    };
    console::success(format!(
        "Connected with default push options: {options} ({name})"
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
