//! `revisions` and `deploy`: which code is kept, and deploying some of it again.

use super::{Call, deployment};
use crate::cli;
use crate::console;
use crate::error::Error;
use crate::revisions;

/// Every revision whose code is kept, oldest first; what runs is starred.
pub(super) fn revisions(call: &Call) -> Result<(), Error> {
    let application = call.application()?;
    for revision in &application.revisions {
        let runs = revisions::deployed(&application).any(|running| running == revision);
        let star = if runs { '*' } else { ' ' };
        console::print(format!("{star} {revision}"));
    }
    Ok(())
}

/// Deploys code that was pushed before.
pub(super) fn deploy(call: &Call, arguments: &cli::Deploy) -> Result<(), Error> {
    let store = &call.platform.store;
    let name = call.application_name()?;
    store.load(&name)?;
    let _lock = call.lock(&name)?;
    let mut application = store.load(&name)?;
    let revision = revisions::find(&application, &arguments.revision)?.to_owned();
    deployment::run_leniently(call, &mut application, &revision, arguments.clean);
    Ok(())
}
