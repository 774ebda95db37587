//! `revisions` and `deploy`: which code is kept, and deploying some of it again.

use serde_json::json;

use super::{Call, deployment};
use crate::cli::{self, Form};
use crate::deploy::{DataCopy, Options};
use crate::error::Error;
use crate::output::console;
use crate::state::revisions;

/// Every revision whose code is kept, oldest first; what runs is starred.
pub(super) fn revisions(call: &Call, form: Form) -> Result<(), Error> {
    let application = call.application()?;
    let runs = |revision| revisions::deployed(&application).any(|running| running == revision);
    let listed = application.revisions.iter();
    if form.json {
        let listed =
            listed.map(|revision| json!({ "revision": revision, "deployed": runs(revision) }));
        super::json::print(&listed.collect());
        return Ok(());
    }
    for revision in listed {
        let star = if runs(revision) { '*' } else { ' ' };
        console::print(format!("{star} {revision}"));
    }
    Ok(())
}

/// Deploys code that was pushed before.
pub(super) fn deploy(call: &Call, arguments: &cli::Deploy) -> Result<(), Error> {
    let mut application = call.locked_to_start(&call.application()?.name)?;
    let revision = revisions::find(&application, &arguments.revision)?.to_owned();
    let options = Options {
        clean: arguments.clean,
        reuse: !arguments.clean,
        rollback: arguments.rollback,
        copy: DataCopy::unless(arguments.no_copy),
        ..Options::default()
    };
    deployment::run_leniently(call, &mut application, &revision, options);
    Ok(())
}
