//! Talking to a running supervisord over its socket, by XML-RPC.
//!
//! It looks after its programs only when something wakes it, else once a second: every question
//! does, and that is why they are asked often while something is awaited.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, Signal, pidfd_send_signal};

use super::peer::{self, Peer};
use super::rpc::{self, RpcError, Value};
use super::{ProgramState, ProgramStatus, SupervisorError};
use crate::runtime::Runtime;
use crate::state::container::Paths;

/// Stopping takes 10 s, starting a few: who needs longer is stuck.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);
/// It tells its status in no time.
const STATUS_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at what is being stopped.
const TICK: Duration = Duration::from_millis(20);
/// The status of a program in the answer to `startAllProcesses`.
const SUCCESS: i64 = 80;

/// The supervisord of one container, which may or may not run.
pub(crate) struct Supervisor {
    container: Paths,
    runtime: Box<dyn Runtime>,
}

impl Supervisor {
    pub(crate) fn new(runtime: Box<dyn Runtime>, container: &Paths) -> Self {
        let container = container.clone();
        Self { container, runtime }
    }

    /// The state of every program, sorted by name.
    pub(crate) fn status(&self) -> Result<Vec<ProgramStatus>, SupervisorError> {
        self.status_within(ANSWER_LIMIT)
    }

    /// The same for somebody who waits for nothing else.
    pub(crate) fn status_at_once(&self) -> Result<Vec<ProgramStatus>, SupervisorError> {
        self.status_within(STATUS_LIMIT)
    }

    fn status_within(&self, limit: Duration) -> Result<Vec<ProgramStatus>, SupervisorError> {
        let action = "ask for the status";
        let answer = self.ask_within(limit, "getAllProcessInfo", &[], action)?;
        Ok(answer.list().iter().filter_map(program).collect())
    }

    /// Stops every program (TERM, after 10 s KILL) and waits for their end; supervisord stays.
    pub(crate) fn stop_all(&self) -> Result<(), SupervisorError> {
        let begin = Instant::now();
        loop {
            let programs = self.status()?;
            let any = |states: &[ProgramState]| programs.iter().any(|p| states.contains(&p.state));
            if any(&ProgramState::RUNNING) {
                // Again if one was restarted just before.
                self.ask(
                    "stopAllProcesses",
                    &[Value::Flag(false)],
                    "stop the programs",
                )?;
            } else if !any(&[ProgramState::Stopping]) {
                return Ok(());
            }
            if begin.elapsed() > ANSWER_LIMIT {
                return Err(self.silent(ANSWER_LIMIT));
            }
            std::thread::sleep(TICK);
        }
    }

    /// Starts every program that does not run. Fails when one of them does not stay up.
    pub(crate) fn start_all(&self) -> Result<(), SupervisorError> {
        let answer = self.ask("startAllProcesses", &[], "start the programs")?;
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
            config: self.config(),
            programs: failed.join(", "),
        })
    }

    /// Stops and starts every program. Fails when one of them does not stay up.
    pub(crate) fn restart(&self) -> Result<(), SupervisorError> {
        self.stop_all()?;
        self.start_all()
    }

    /// Has the configuration read again: programs that are new are started, those that are gone or
    /// changed are stopped.
    pub(crate) fn update(&self) -> Result<(), SupervisorError> {
        let action = "update the programs";
        let call = |method: &str, name: &Value| {
            self.ask(method, std::slice::from_ref(name), action)
                .map(drop)
        };
        // Lists of names in a list of one.
        let answer = self.ask("reloadConfig", &[], action)?;
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
    pub(crate) fn shutdown(&self, limit: Duration) -> Result<(), SupervisorError> {
        let Some(Peer { process, pid, .. }) = self.peer()? else {
            return Ok(());
        };
        let failed = |source: Errno| SupervisorError::Wait {
            pid: number(pid),
            source: source.into(),
        };
        match pidfd_send_signal(&process, Signal::TERM) {
            // Gone meanwhile.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(failed(error)),
        }
        let begin = Instant::now();
        loop {
            // The signal alone does not wake it.
            let _ = self.peer();
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

    /// Who answers, if anybody does.
    fn peer(&self) -> Result<Option<Peer>, SupervisorError> {
        peer::find(&*self.runtime, &self.container)
    }

    /// The number of the supervisord that answers, if any.
    pub(crate) fn pid(&self) -> Result<Option<Pid>, SupervisorError> {
        Ok(self.peer()?.map(|peer| peer.pid))
    }

    fn ask(
        &self,
        method: &str,
        arguments: &[Value],
        action: &'static str,
    ) -> Result<Value, SupervisorError> {
        self.ask_within(ANSWER_LIMIT, method, arguments, action)
    }

    fn ask_within(
        &self,
        limit: Duration,
        method: &str,
        arguments: &[Value],
        action: &'static str,
    ) -> Result<Value, SupervisorError> {
        let not_running = || SupervisorError::NotRunning {
            config: self.config(),
        };
        let peer = self.peer()?.ok_or_else(not_running)?;
        let method = format!("supervisor.{method}");
        rpc::call(peer.stream, &method, arguments, limit).map_err(|error| match error {
            RpcError::Silent => self.silent(limit),
            // It ended while it was answering.
            RpcError::Talk { .. } | RpcError::Strange { .. } if matches!(self.peer(), Ok(None)) => {
                not_running()
            }
            source => SupervisorError::Control {
                action,
                config: self.config(),
                source,
            },
        })
    }

    fn silent(&self, limit: Duration) -> SupervisorError {
        SupervisorError::Silent {
            config: self.config(),
            seconds: limit.as_secs(),
        }
    }

    fn config(&self) -> PathBuf {
        self.container.config()
    }
}

fn program(info: &Value) -> Option<ProgramStatus> {
    let text = |name| Some(info.get(name)?.text()?.to_owned());
    Some(ProgramStatus {
        name: text("name")?,
        state: ProgramState::of(&text("statename")?)?,
        text: text("description")?,
    })
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// Whether `process` is gone after `limit` at the latest; a zombie counts as gone.
pub(crate) fn ends_within(process: &OwnedFd, limit: Duration) -> rustix::io::Result<bool> {
    let timeout = Timespec::try_from(limit).map_err(|_| Errno::INVAL)?;
    let mut gone = [PollFd::new(process, PollFlags::IN)];
    Ok(retry_on_intr(|| poll(&mut gone, Some(&timeout)))? > 0)
}

#[cfg(test)]
mod tests;
