//! `restart`: the programs of one instance, in the container they have.

use super::{Call, one_instance};
use crate::error::Error;
use crate::handover;
use crate::model::application::{InstanceName, Selection};
use crate::network::wiring;
use crate::output::console;
use crate::output::narrator::Narrator;
use crate::service::resume;
use crate::service::supervisor::SupervisorError;
use crate::state::container::Paths;

/// Restarts the programs, or supervisord if it is gone.
pub(super) fn restart(call: &Call, selection: &Selection) -> Result<(), Error> {
    if selection.number.is_none() {
        return Err(Error::NumberNeeded {
            service: selection.service.clone(),
        });
    }
    let platform = &call.platform;
    let mut application = call.locked_to_start(&call.application()?.name)?;
    let instance = one_instance(&application, selection)?;
    console::info(format!("Restarting {instance}"));
    handover::reconcile(platform, &mut application, &mut Narrator::to_stderr())?;
    let current = platform.store.current(&application, &instance);
    let (paths, _) = current.ok_or_else(|| Error::NotDeployed {
        instance: instance.clone(),
    })?;
    // First what may fail: an error is to mean that nothing was restarted.
    if application.down {
        application.down = false;
        application.save()?;
    }
    wiring::ensure(platform, &application)?;
    // Who connects now waits until it is back.
    wiring::hold(platform, &application, &instance)?;
    let restarted = restart_programs(call, &paths, &instance);
    match &restarted {
        Ok(()) => wiring::point_patiently(platform, &application, &instance)?,
        Err(_) => wiring::point(platform, &application, &instance)?,
    }
    restarted?;
    console::success(format!("{instance} is being restarted"));
    Ok(())
}

/// Whoever does not do what is asked, or is nobody to be asked, is replaced.
fn restart_programs(call: &Call, paths: &Paths, instance: &InstanceName) -> Result<(), Error> {
    let platform = &call.platform;
    let log = &mut Narrator::to_stderr();
    resume::stop_elsewhere(platform, paths, &instance.to_string(), log)?;
    match platform.supervisor_of(paths)?.restart() {
        Ok(()) => Ok(()),
        Err(error @ SupervisorError::NotStarted { .. }) => Err(error.into()),
        Err(error) => {
            if !matches!(error, SupervisorError::NotRunning { .. }) {
                log.warning(instance, format!("{error}; all of it is ended"));
            }
            let supervisord = platform.supervisord()?;
            let whom = instance.to_string();
            Ok(resume::resume(platform, &supervisord, paths, &whom, log)?)
        }
    }
}
