//! `up --as-copy`: a copied state directory becomes one like any other, beside its original.

use super::up::each;
use super::{Call, deployment};
use crate::deploy::Options;
use crate::error::Error;
use crate::model::application::Application;
use crate::output::console;
use crate::state::revisions;

/// Gives every application ports of its own by deploying what runs, or ran, in the original.
pub(super) fn up(call: &Call) -> Result<(), Error> {
    let store = &call.platform.store;
    let original = store.original()?.ok_or_else(|| store.no_copy())?;
    let names = store.applications()?;
    // Before anything can be started here: whoever is killed meanwhile leaves a copy that starts nothing.
    for name in &names {
        let mut application = call.locked(name)?;
        forget_addresses(&mut application);
        application.save()?;
    }
    store.detach()?;
    console::info(format!(
        "This state directory is no copy of {} any more: everything in it gets ports of its own",
        original.display()
    ));
    each(names, |name| deploy(call, name))
}

/// The public ones; what its containers bind is theirs, and the next ones get others.
fn forget_addresses(application: &mut Application) {
    for service in application.services.values_mut() {
        for instance in service.instances.values_mut() {
            instance.public.clear();
        }
    }
    // Until it is deployed: its containers would bind what the original's do.
    application.down = true;
}

fn deploy(call: &Call, name: &str) -> Result<(), Error> {
    let mut application = call.locked_to_start(name)?;
    let revision = revisions::newest_deployed(&application).map(str::to_owned);
    let Some(revision) = revision else {
        console::success(format!("{name}: nothing was pushed yet"));
        return Ok(());
    };
    let runtime = call.platform.choose_runtime(&application)?;
    let options = Options {
        reuse: true,
        ..Options::default()
    };
    deployment::run(call, &mut application, &revision, options, runtime)
}
