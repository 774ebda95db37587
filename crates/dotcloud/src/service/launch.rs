//! Starting and stopping what runs in a container: supervisord, its programs, and whatever escaped
//! it. A launch is good when the service answers, not when a process exists.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::host::connect;
use crate::host::files::{self, FileError};
use crate::model::application::Container;
use crate::model::port::Port;
use crate::model::port::PortKind;
use crate::output::console;
use crate::output::narrator::Narrator;
use crate::output::tail;
use crate::runtime::stray_processes::{self, Process, ProcessError};
use crate::runtime::{Call, Runtime, RuntimeError};
use crate::service::platform::Platform;
use crate::service::supervisor::{self, ProgramState, ProgramStatus, Supervisor, SupervisorError};
use crate::state::container::{Paths, Programs, Variables};

/// Between two looks at what is starting or ending.
const TICK: Duration = Duration::from_millis(50);
/// For supervisord itself to answer.
const SUPERVISOR_START: Duration = Duration::from_secs(20);
/// supervisord gives its programs 10 s.
const SHUTDOWN: Duration = Duration::from_secs(30);
/// For what was stopped to be gone with all its children.
const AFTERMATH: Duration = Duration::from_secs(1);
const LAST_WORDS: usize = 20;

/// A supervisord that we started.
pub(crate) struct Started {
    /// `None` if it has ended already.
    process: Option<OwnedFd>,
}

impl Started {
    fn has_ended(&self) -> bool {
        self.process
            .as_ref()
            .is_none_or(|process| supervisor::ends_within(process, Duration::ZERO) == Ok(true))
    }
}

/// Writes supervisord's configuration of a container, for where it is now.
pub(crate) fn configure(
    runtime: &dyn Runtime,
    paths: &Paths,
    programs: &Programs,
) -> Result<(), SupervisorError> {
    supervisor::write_config(&supervisor::Container {
        config: &paths.config(),
        socket: &paths.socket(),
        run_dir: &runtime.inside(paths, &paths.run()),
        log_dir: &runtime.inside(paths, &paths.log()),
        home: &runtime.inside(paths, &paths.home()),
        oom_score: runtime.oom_score(),
        programs,
    })?;
    Ok(())
}

/// Starts the container's supervisord, which outlives us.
pub(crate) fn start(
    platform: &Platform,
    supervisord: &Path,
    container: &Paths,
    variables: &Variables,
) -> Result<Started, LaunchError> {
    container.renew_run(&Platform::account_of(container))?;
    let runtime = platform.runtime_of(container)?;
    // It may have been moved since it was made.
    if let Some(programs) = container.load_programs()? {
        configure(&*runtime, container, &programs)?;
    }
    container.note_start()?;
    let config = runtime.inside(container, &container.config());
    let plan = supervisor::start_command(supervisord, &config);
    let path = container.errors();
    let errors = File::create(&path).map_err(files::failed("create", &path))?;
    let call = Call {
        program: plan.get_program().to_owned(),
        arguments: plan.get_args().map(ToOwned::to_owned).collect(),
        directory: &container.home(),
        variables: &supervisor::veiled(variables),
        terminal: false,
    };
    let process = runtime.start(container, &call, errors)?;
    Ok(Started { process })
}

/// Waits until every program runs and every port answers. `serving` is called as soon as only the
/// second is missing for which supervisord watches a program that runs.
pub(crate) fn wait_until_responsive(
    platform: &Platform,
    paths: &Paths,
    container: &Container,
    started: &Started,
    serving: &mut dyn FnMut(),
) -> Result<(), LaunchError> {
    let limit = platform.limits.launch;
    let supervisor = platform.supervisor_of(paths)?;
    let begin = Instant::now();
    let mut serves = false;
    let mut told = false;
    loop {
        if !told && platform.stop.load(Ordering::Relaxed) {
            console::warning(
                "Finishing: what comes up now has the data already, and cannot be stopped here",
            );
            told = true;
        }
        let waiting_for = match supervisor.status() {
            Ok(programs) => {
                let missing = missing(paths, container, &programs)?;
                let watched = programs.iter().all(|p| p.state.is_watched());
                if !serves && watched && silent_port(&container.ports).is_none() {
                    serves = true;
                    serving();
                }
                missing
            }
            Err(error) => {
                check_supervisord(paths, started, begin, error)?;
                Some("supervisord".to_owned())
            }
        };
        let Some(waiting_for) = waiting_for else {
            return Ok(());
        };
        if begin.elapsed() > limit {
            return Err(LaunchError::Silent { waiting_for, limit });
        }
        std::thread::sleep(TICK);
    }
}

/// What an instance that runs waits for until it serves, if anything; fails if it never will unless
/// somebody starts it again.
pub(crate) fn waits_for(
    platform: &Platform,
    paths: &Paths,
    container: &Container,
) -> Result<Option<String>, LaunchError> {
    match platform.supervisor_of(paths)?.status() {
        Ok(programs) => missing(paths, container, &programs),
        Err(SupervisorError::NotRunning { .. }) => Ok(Some("supervisord".to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// Waits until an instance that runs serves.
pub(crate) fn wait_until_serving(
    platform: &Platform,
    paths: &Paths,
    container: &Container,
) -> Result<(), LaunchError> {
    let limit = platform.limits.launch;
    let begin = Instant::now();
    while let Some(waiting_for) = waits_for(platform, paths, container)? {
        if begin.elapsed() > limit {
            return Err(LaunchError::Silent { waiting_for, limit });
        }
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// The first program that does not run yet, or port that does not answer.
fn missing(
    paths: &Paths,
    container: &Container,
    programs: &[ProgramStatus],
) -> Result<Option<String>, LaunchError> {
    let ended = |p: &&ProgramStatus| matches!(p.state, ProgramState::Fatal | ProgramState::Exited);
    if let Some(dead) = programs.iter().find(ended) {
        return Err(LaunchError::Program {
            program: dead.name.clone(),
            state: dead.text.clone(),
            last_words: last_words(paths, &dead.name),
        });
    }
    let late = programs.iter().find(|p| p.state != ProgramState::Running);
    Ok(match late {
        Some(program) => Some(format!("program {}", program.name)),
        None => silent_port(&container.ports).map(|port| format!("port {port}")),
    })
}

/// Waits until supervisord itself listens.
pub(crate) fn wait_until_up(
    supervisor: &Supervisor,
    paths: &Paths,
    started: &Started,
) -> Result<(), LaunchError> {
    let begin = Instant::now();
    while supervisor.pid()?.is_none() {
        let error = SupervisorError::NotRunning {
            config: paths.config(),
        };
        check_supervisord(paths, started, begin, error)?;
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// `error` is what asking it gave: fatal if it ended, or takes too long to come up.
fn check_supervisord(
    paths: &Paths,
    started: &Started,
    begin: Instant,
    error: SupervisorError,
) -> Result<(), LaunchError> {
    check_ended(paths, started)?;
    if begin.elapsed() > SUPERVISOR_START {
        return Err(error.into());
    }
    Ok(())
}

fn check_ended(paths: &Paths, started: &Started) -> Result<(), LaunchError> {
    if started.has_ended() {
        let path = paths.errors();
        return Err(LaunchError::SupervisorEnded {
            last_words: tail::last_lines(&path, LAST_WORDS),
        });
    }
    Ok(())
}

/// The first port that does not answer yet. Of `udp` nothing can be known.
pub(crate) fn silent_port(ports: &BTreeMap<String, Port>) -> Option<String> {
    ports
        .iter()
        .find(|(_, port)| !answers(**port))
        .map(|(name, port)| format!("{name} ({})", port.number))
}

fn answers(port: Port) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number));
    match port.kind {
        PortKind::Tcp => connect::reach(address, Duration::from_secs(2)).is_ok(),
        PortKind::Http => http_status(address).is_some_and(|status| status < 500),
        PortKind::Udp => true,
    }
}

fn http_status(address: SocketAddr) -> Option<u16> {
    let limit = Duration::from_secs(5);
    let mut stream = connect::reach(address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream
        .write_all(b"HEAD / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    // `HTTP/1.1 200`
    std::str::from_utf8(&head).ok()?.get(9..)?.parse().ok()
}

fn last_words(paths: &Paths, program: &str) -> String {
    [format!("{program}.log"), format!("{program}_error.log")]
        .iter()
        .map(|name| tail::last_lines(&paths.log().join(name), LAST_WORDS))
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Stops everything in the container: programs through supervisord (TERM, after 10 s KILL), what
/// they left, supervisord, then whatever is still there. When it returns well nothing is left.
pub(crate) fn stop(
    platform: &Platform,
    container: &Paths,
    whom: &str,
    log: &mut Narrator,
) -> Result<(), LaunchError> {
    let runtime = platform.runtime_of(container)?;
    if !runtime.processes(container)?.is_empty() {
        let supervisor = platform.supervisor_of(container)?;
        match stop_supervised(&supervisor, &*runtime, container, whom, log) {
            Err(LaunchError::Supervisor(SupervisorError::NotRunning { .. })) => {}
            Err(LaunchError::Supervisor(error)) => {
                log.warning(whom, format!("supervisord does not listen to us: {error}"));
            }
            other => other?,
        }
    }
    Ok(end_processes(&*runtime, container, whom, log)?)
}

fn stop_supervised(
    supervisor: &Supervisor,
    runtime: &dyn Runtime,
    container: &Paths,
    whom: &str,
    log: &mut Narrator,
) -> Result<(), LaunchError> {
    // Apart, so that the limit is for supervisord alone.
    supervisor.stop_all()?;
    // While it is there: the first process of a container, which it is or which ends with it, takes
    // all others along when it goes, and they would neither be heard of nor get their TERM.
    let supervisord = supervisor.pid()?.map(|pid| pid.as_raw_nonzero().get());
    let last = [
        supervisord,
        supervisord.and_then(stray_processes::parent_of),
    ];
    let left = || {
        let mut left = runtime.processes(container)?;
        left.retain(|process| !last.contains(&Some(process.pid)));
        Ok(left)
    };
    wait_for_aftermath(&left)?;
    stray_processes::end(left, &mut report(whom, log))?;
    Ok(supervisor.shutdown(SHUTDOWN)?)
}

/// Ends, by name, every process that is left in the container.
pub(crate) fn end_processes(
    runtime: &dyn Runtime,
    container: &Paths,
    whom: &str,
    log: &mut Narrator,
) -> Result<(), RuntimeError> {
    wait_for_aftermath(&|| runtime.processes(container))?;
    runtime.end(container, &mut report(whom, log))
}

/// A server's own children need a moment to follow it.
fn wait_for_aftermath(
    left: &dyn Fn() -> Result<Vec<Process>, ProcessError>,
) -> Result<(), ProcessError> {
    let begin = Instant::now();
    while begin.elapsed() < AFTERMATH && !left()?.is_empty() {
        std::thread::sleep(TICK);
    }
    Ok(())
}

fn report(whom: &str, log: &mut Narrator) -> impl FnMut(&Process) {
    move |process| {
        log.warning(
            whom,
            format!(
                "process {} is an orphan: it outlived what started it and is ended now: {} (does a \
                 start script run it without exec?)",
                process.pid, process.command
            ),
        );
    }
}

/// A container's processes cannot be started or stopped.
#[derive(Debug, Error)]
pub(crate) enum LaunchError {
    #[error("supervisord ended at once")]
    SupervisorEnded { last_words: String },
    #[error("its program {program} does not stay up: {state}")]
    Program {
        program: String,
        state: String,
        last_words: String,
    },
    #[error("{waiting_for} does not answer after {} s", limit.as_secs())]
    Silent {
        waiting_for: String,
        limit: Duration,
    },
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn http_status_is_read_from_the_first_line() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.0 503 Busy\r\n\r\n").unwrap();
        });
        assert_eq!(http_status(address), Some(503));
        server.join().unwrap();
    }

    #[test]
    fn launch_errors_have_exact_texts() {
        let program = LaunchError::Program {
            program: "db".to_owned(),
            state: "Exited too quickly".to_owned(),
            last_words: String::new(),
        };
        for (error, text) in [
            (
                LaunchError::SupervisorEnded {
                    last_words: String::new(),
                },
                "supervisord ended at once",
            ),
            (
                program,
                "its program db does not stay up: Exited too quickly",
            ),
            (
                LaunchError::Silent {
                    waiting_for: "port db (42800)".to_owned(),
                    limit: Duration::from_mins(1),
                },
                "port db (42800) does not answer after 60 s",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
