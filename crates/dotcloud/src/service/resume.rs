//! A container whose programs do not run, although they should: after a reboot, or after a
//! deployment that was killed while it stopped them.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::output::narrator::Narrator;
use crate::service::launch::{self, LaunchError};
use crate::service::platform::Platform;
use crate::service::supervisor::ProgramState;
use crate::state::container::Paths;

/// Between two looks at what is being stopped.
const TICK: Duration = Duration::from_millis(200);
/// A supervisord that was told to end does so soon after its programs, and starts none meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);

/// Sees to it that every program of the container runs; whether one had to be started.
pub(crate) fn ensure_running(
    platform: &Platform,
    supervisord: &Path,
    container: &Paths,
    whom: &str,
    log: &mut Narrator,
) -> Result<bool, LaunchError> {
    stop_elsewhere(platform, container, whom, log)?;
    let supervisor = platform.supervisor_of(container)?;
    let mut refused = None;
    loop {
        let Ok(programs) = supervisor.status() else {
            resume(platform, supervisord, container, whom, log)?;
            return Ok(true);
        };
        let is = |states: &[ProgramState]| programs.iter().all(|p| states.contains(&p.state));
        if is(&ProgramState::RUNNING) {
            return Ok(false);
        }
        let stopping = programs.iter().any(|p| p.state == ProgramState::Stopping);
        if !stopping {
            match supervisor.start_all() {
                Ok(()) => return Ok(true),
                Err(error) => {
                    let first: &mut Instant = refused.get_or_insert_with(Instant::now);
                    if first.elapsed() > PATIENCE {
                        return Err(error.into());
                    }
                }
            }
        }
        std::thread::sleep(TICK);
    }
}

/// Stops what was started before the container was moved: its paths lead to nothing.
pub(crate) fn stop_elsewhere(
    platform: &Platform,
    container: &Paths,
    whom: &str,
    log: &mut Narrator,
) -> Result<(), LaunchError> {
    if container.was_started_elsewhere() {
        launch::stop(platform, container, whom, log)?;
    }
    Ok(())
}

/// Starts the container's supervisord again.
pub(crate) fn resume(
    platform: &Platform,
    supervisord: &Path,
    container: &Paths,
    whom: &str,
    log: &mut Narrator,
) -> Result<(), LaunchError> {
    // What outlived its supervisord would be in the way of its successor.
    launch::end_processes(&*platform.runtime_of(container)?, container, whom, log)?;
    let variables = container.load_variables()?;
    let started = launch::start(platform, supervisord, container, &variables)?;
    launch::wait_until_up(&platform.supervisor_of(container)?, container, &started)
}
