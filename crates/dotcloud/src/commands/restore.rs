//! `restore`: an instance gets back what it kept when a backup was made.

use super::backup::lock_backups;
use super::{Call, backups, one_instance};
use crate::backup::{self, Records};
use crate::cli::Restore;
use crate::error::Error;
use crate::handover;
use crate::model::application::InstanceName;
use crate::output::console;
use crate::output::deployment_log::DeploymentLog;

/// Asks, fetches, exchanges.
pub(super) fn restore(call: &Call, arguments: &Restore) -> Result<(), Error> {
    let platform = &call.platform;
    let source = call.application_name()?;
    let target = arguments.into.as_ref().unwrap_or(&source);
    let records = Records::open(platform.store.backups(&source))?;
    let own = Records::open(platform.store.backups(target))?;
    let instance = one_instance(&platform.store.load(target)?, &arguments.instance)?;
    // Of another application it may be gone; its backups are not.
    let whose = InstanceName::new(&instance.service, instance.number);
    let all = backups::all(call, &source, &arguments.origin, &records)?;
    let record = backup::pick(all, &arguments.id, Some(&whose))?;
    let question = format!(
        "Put backup {} in the place of what {instance} of \"{target}\" keeps?",
        record.id
    );
    if !console::ask(&question, false, call.global.assume()) {
        return Err(Error::NotRestored);
    }
    call.defer_signals()?;
    let _backups = lock_backups(call, &source)?;
    let _lock = call.lock_to_start(target)?;
    let mut application = platform.store.load(target)?;
    let log = &mut DeploymentLog::to_stderr();
    handover::settle(platform, &mut application, log)?;
    console::info(format!(
        "Bringing backup {} back from {}",
        record.id, record.destination
    ));
    let restored = backup::restore(
        platform,
        &mut application,
        &instance,
        &record,
        (&records, &own),
    )?;
    if let Some(path) = restored.replaced {
        console::info(format!(
            "What {instance} kept before is in {path}; 'rm -rf {path}' removes it",
            path = path.display()
        ));
    }
    console::success(format!("{instance} serves what backup {} has", record.id));
    Ok(())
}
