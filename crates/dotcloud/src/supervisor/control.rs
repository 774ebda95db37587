//! Talking to a running supervisord over its socket, by XML-RPC.
//!
//! It looks after its programs only when something wakes it, else once a second: every question
//! does, and that is why they are asked often while something is awaited.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::rpc::{self, RpcError, Value};
use super::{ProgramState, ProgramStatus, SupervisorError};

/// Stopping takes 10 s, starting a few: who needs longer is stuck.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);
/// Between two looks at what is being stopped.
const TICK: Duration = Duration::from_millis(20);
/// The status of a program in the answer to `startAllProcesses`.
const SUCCESS: i64 = 80;

/// The supervisord that answers, if any. The kernel names the socket's other end: right even for
/// one that is about to end, and answers no question any more, and for one in a pid namespace.
pub(crate) fn supervisord(config: &Path) -> Result<Option<Pid>, SupervisorError> {
    let socket = socket(config);
    let peer = rpc::open(&socket).and_then(|stream| Ok(socket_peercred(&stream)?));
    match peer {
        Ok(peer) => Ok(Some(peer.pid)),
        Err(error) if is_nobody(&error) => Ok(None),
        Err(source) => Err(SupervisorError::Connect { socket, source }),
    }
}

/// It was never started, or it was killed and could not remove its socket.
fn is_nobody(error: &std::io::Error) -> bool {
    [ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&error.kind())
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// As we reach it; the configuration has it as supervisord does.
fn socket(config: &Path) -> PathBuf {
    config.with_file_name("run").join("supervisor.sock")
}

/// The state of every program, sorted by name.
pub(crate) fn status(config: &Path) -> Result<Vec<ProgramStatus>, SupervisorError> {
    let answer = ask(config, "getAllProcessInfo", &[], "ask for the status")?;
    Ok(answer.list().iter().filter_map(program).collect())
}

fn program(info: &Value) -> Option<ProgramStatus> {
    let text = |name| Some(info.get(name)?.text()?.to_owned());
    Some(ProgramStatus {
        name: text("name")?,
        state: ProgramState::of(&text("statename")?)?,
        text: text("description")?,
    })
}

/// Stops every program (TERM, after 10 s KILL) and waits for their end; supervisord stays.
pub(crate) fn stop_all(config: &Path) -> Result<(), SupervisorError> {
    let begin = Instant::now();
    loop {
        let programs = status(config)?;
        let any = |states: &[ProgramState]| programs.iter().any(|p| states.contains(&p.state));
        if any(&ProgramState::RUNNING) {
            // Again if one was restarted just before.
            ask(
                config,
                "stopAllProcesses",
                &[Value::Flag(false)],
                "stop the programs",
            )?;
        } else if !any(&[ProgramState::Stopping]) {
            return Ok(());
        }
        if begin.elapsed() > ANSWER_LIMIT {
            return Err(silent(config));
        }
        std::thread::sleep(TICK);
    }
}

/// Starts every program that does not run. Fails when one of them does not stay up.
pub(crate) fn start_all(config: &Path) -> Result<(), SupervisorError> {
    let answer = ask(config, "startAllProcesses", &[], "start the programs")?;
    let failed = |program: &Value| {
        let good = program.get("status").and_then(Value::number) == Some(SUCCESS);
        let why = || program.get("description")?.text().map(str::to_owned);
        if good { None } else { why() }
    };
    let failed: Vec<String> = answer.list().iter().filter_map(failed).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(SupervisorError::NotStarted {
        config: config.to_owned(),
        programs: failed.join(", "),
    })
}

/// Stops and starts every program. Fails when one of them does not stay up.
pub(crate) fn restart(config: &Path) -> Result<(), SupervisorError> {
    stop_all(config)?;
    start_all(config)
}

/// Has the configuration read again: programs that are new are started, those that are gone or
/// changed are stopped.
pub(crate) fn update(config: &Path) -> Result<(), SupervisorError> {
    let action = "update the programs";
    let call = |method: &str, name: &Value| {
        ask(config, method, std::slice::from_ref(name), action).map(drop)
    };
    // Lists of names in a list of one.
    let answer = ask(config, "reloadConfig", &[], action)?;
    let [added, changed, removed] = answer.list().first().map_or(&[][..], Value::list) else {
        return Ok(());
    };
    for name in removed.list().iter().chain(changed.list()) {
        call("stopProcessGroup", name)?;
        call("removeProcessGroup", name)?;
    }
    for name in changed.list().iter().chain(added.list()) {
        call("addProcessGroup", name)?;
    }
    Ok(())
}

/// Stops every program and supervisord itself, and waits until its process is gone. It is no error
/// if it was gone before.
pub(crate) fn shutdown(config: &Path, limit: Duration) -> Result<(), SupervisorError> {
    let Some(pid) = supervisord(config)? else {
        return Ok(());
    };
    let failed = |source: Errno| SupervisorError::Wait {
        pid: number(pid),
        source: source.into(),
    };
    // Held before it is told to go: the number may belong to somebody else a moment later.
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    match pidfd_send_signal(&process, Signal::TERM) {
        // Gone meanwhile.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => return Err(failed(error)),
    }
    let begin = Instant::now();
    loop {
        // The signal alone does not wake it.
        let _ = rpc::open(&socket(config));
        if ends_within(&process, TICK).map_err(failed)? {
            return Ok(());
        }
        if begin.elapsed() > limit {
            return Err(SupervisorError::StillThere {
                pid: number(pid),
                seconds: limit.as_secs(),
            });
        }
    }
}

/// Whether `process` is gone after `limit` at the latest; a zombie counts as gone.
pub(crate) fn ends_within(process: &OwnedFd, limit: Duration) -> rustix::io::Result<bool> {
    let timeout = Timespec::try_from(limit).map_err(|_| Errno::INVAL)?;
    let mut gone = [PollFd::new(process, PollFlags::IN)];
    Ok(retry_on_intr(|| poll(&mut gone, Some(&timeout)))? > 0)
}

fn ask(
    config: &Path,
    method: &str,
    arguments: &[Value],
    action: &'static str,
) -> Result<Value, SupervisorError> {
    ask_within(ANSWER_LIMIT, config, method, arguments, action)
}

fn ask_within(
    limit: Duration,
    config: &Path,
    method: &str,
    arguments: &[Value],
    action: &'static str,
) -> Result<Value, SupervisorError> {
    let config = || config.to_owned();
    let socket = socket(&config());
    rpc::call(&socket, &format!("supervisor.{method}"), arguments, limit).map_err(|error| {
        match error {
            RpcError::Connect { source } if is_nobody(&source) => {
                SupervisorError::NotRunning { config: config() }
            }
            RpcError::Connect { source } => SupervisorError::Connect { socket, source },
            RpcError::Silent => silent(&config()),
            // It ended while it was answering.
            RpcError::Talk { .. } | RpcError::Strange { .. }
                if matches!(supervisord(&config()), Ok(None)) =>
            {
                SupervisorError::NotRunning { config: config() }
            }
            source => SupervisorError::Control {
                action,
                config: config(),
                source,
            },
        }
    })
}

fn silent(config: &Path) -> SupervisorError {
    SupervisorError::Silent {
        config: config.to_owned(),
        seconds: ANSWER_LIMIT.as_secs(),
    }
}

#[cfg(test)]
mod tests;
