//! `connect` and `disconnect`: which application this directory means.

use std::fmt::Write;

use super::Call;
use crate::cli;
use crate::error::Error;
use crate::model::application::check_application_name;
use crate::output::console;
use crate::upload::Vcs;
use crate::upload::project::Project;

/// Connects the working directory to an application that exists.
pub(super) fn connect(call: &Call, name: &str, protocol: &cli::Protocol) -> Result<(), Error> {
    check_application_name(name)?;
    call.platform.store.load(name)?;
    console::info(format!("Connecting with the application \"{name}\""));
    // Of a branch that is named without its program, it is git's.
    let vcs = protocol
        .vcs()
        .or(protocol.branch.as_ref().map(|_| Vcs::Git));
    Project {
        directory: call.directory.clone(),
        application: name.to_owned(),
        vcs,
        branch: protocol.branch.clone(),
    }
    .connect(&call.owners)?;
    let mut options = format!("--{}", vcs.map_or("rsync", Vcs::name));
    if let Some(branch) = &protocol.branch {
        let _ = write!(options, " --branch {branch}");
    }
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
