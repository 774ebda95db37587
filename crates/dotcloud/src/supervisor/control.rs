//! Talking to a running supervisord through supervisorctl, whose exit status is the answer's kind.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hook::CommandError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Executables, ProgramStatus, SupervisorError, parse_status};

/// Stopping takes 10 s, starting a few: who needs longer is stuck.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// The supervisord that answers, if any. The kernel names the socket's other end: right even for
/// one that is about to end, and answers no question any more, and for one in a pid namespace.
pub(crate) fn supervisord(config: &Path) -> Result<Option<Pid>, SupervisorError> {
    let socket = socket(config);
    let peer = UnixStream::connect(&socket).and_then(|stream| Ok(socket_peercred(&stream)?));
    match peer {
        Ok(peer) => Ok(Some(peer.pid)),
        // It was never started, or it was killed and could not remove its socket.
        Err(error)
            if [ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&error.kind()) =>
        {
            Ok(None)
        }
        Err(source) => Err(SupervisorError::Connect { socket, source }),
    }
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// As we reach it; the configuration has it as supervisord does.
fn socket(config: &Path) -> PathBuf {
    config.with_file_name("run").join("supervisor.sock")
}

fn server_url(config: &Path) -> OsString {
    let mut url = OsString::from("unix://");
    url.push(socket(config));
    url
}

/// The state of every program.
pub(crate) fn status(
    executables: &Executables,
    config: &Path,
) -> Result<Vec<ProgramStatus>, SupervisorError> {
    let text = control(executables, config, &["status"], "ask for the status")?;
    Ok(text.lines().filter_map(parse_status).collect())
}

/// Stops every program (TERM, after 10 s KILL) and waits for their end; supervisord stays.
pub(crate) fn stop_all(executables: &Executables, config: &Path) -> Result<(), SupervisorError> {
    control(executables, config, &["stop", "all"], "stop the programs").map(drop)
}

/// Starts every program that does not run. Fails when one of them does not stay up.
pub(crate) fn start_all(executables: &Executables, config: &Path) -> Result<(), SupervisorError> {
    control(executables, config, &["start", "all"], "start the programs").map(drop)
}

/// Stops and starts every program. Fails when one of them does not stay up.
pub(crate) fn restart(executables: &Executables, config: &Path) -> Result<(), SupervisorError> {
    let action = "restart the programs";
    control(executables, config, &["restart", "all"], action).map(drop)
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
    if ends_within(&process, limit).map_err(failed)? {
        return Ok(());
    }
    Err(SupervisorError::StillThere {
        pid: number(pid),
        seconds: limit.as_secs(),
    })
}

/// Whether `process` is gone after `limit` at the latest; a zombie counts as gone.
pub(crate) fn ends_within(process: &OwnedFd, limit: Duration) -> rustix::io::Result<bool> {
    let timeout = Timespec::try_from(limit).map_err(|_| Errno::INVAL)?;
    let mut gone = [PollFd::new(process, PollFlags::IN)];
    Ok(retry_on_intr(|| poll(&mut gone, Some(&timeout)))? > 0)
}

fn control(
    executables: &Executables,
    config: &Path,
    arguments: &[&str],
    action: &'static str,
) -> Result<String, SupervisorError> {
    let failed = |source| SupervisorError::Control {
        action,
        config: config.to_owned(),
        source,
    };
    let answer = supervisorctl(executables, config, arguments, ANSWER_LIMIT).map_err(failed)?;
    let Some(answer) = answer else {
        return Err(SupervisorError::Silent {
            config: config.to_owned(),
            seconds: ANSWER_LIMIT.as_secs(),
        });
    };
    let stdout = String::from_utf8_lossy(&answer.stdout).into_owned();
    match (arguments, answer.status.code()) {
        // 3: some program is not running, which is an answer.
        (_, Some(0)) | (["status"], Some(3)) => Ok(stdout),
        // These say that supervisord is not there, or that a program did not start.
        (_, Some(4 | 7)) if supervisord(config)?.is_none() => Err(SupervisorError::NotRunning {
            config: config.to_owned(),
        }),
        _ => {
            let stderr = String::from_utf8_lossy(&answer.stderr);
            // It reports most failures on standard output.
            Err(failed(CommandError::Fail {
                program: executables.supervisorctl.clone().into(),
                status: answer.status,
                last_words: format!("{stdout}{stderr}").trim().to_owned(),
            }))
        }
    }
}

/// What supervisorctl says; `None` if that takes longer than `limit`: by itself it would wait for
/// ever.
fn supervisorctl(
    executables: &Executables,
    config: &Path,
    arguments: &[&str],
    limit: Duration,
) -> Result<Option<Output>, CommandError> {
    let program = || executables.supervisorctl.clone().into();
    let mut child = Command::new(&executables.supervisorctl)
        .arg("--configuration")
        .arg(config)
        .arg("--serverurl")
        .arg(server_url(config))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| CommandError::Start {
            program: program(),
            source,
        })?;
    // What it has to say fits into its pipes.
    let in_time = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
        .and_then(|process| ends_within(&process, limit));
    if in_time != Ok(true) {
        // Refused only if it has ended just now.
        let _ = child.kill();
    }
    let output = child.wait_with_output();
    let source = match (in_time, output) {
        (Ok(true), Ok(output)) => return Ok(Some(output)),
        (Ok(false), _) => return Ok(None),
        (Err(error), _) => error.into(),
        (_, Err(error)) => error,
    };
    Err(CommandError::Talk {
        program: program(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::process::Child;
    use std::time::Instant;

    use hook::Environment;
    use rustix::process::kill_process;
    use tempfile::TempDir;

    use super::super::{Container, ProgramState, start_command, write_config};
    use super::*;

    /// A container's directories with a real supervisord; none is left behind.
    struct Running {
        executables: Executables,
        config: PathBuf,
        directory: TempDir,
        child: Child,
    }

    impl Running {
        fn start(programs: &[(&str, &str)], profile: &str) -> Self {
            let executables = Executables::find(&Environment::of_process())
                .expect("these tests need a real supervisord: apt-get install supervisor");
            // The blank is part of the test.
            let directory = TempDir::with_prefix("a b").unwrap();
            let [run_dir, log_dir, home] = ["run", "log", "home"].map(|name| {
                let path = directory.path().join(name);
                fs::create_dir(&path).unwrap();
                path
            });
            fs::write(home.join("profile"), profile).unwrap();
            let programs: BTreeMap<String, String> = programs
                .iter()
                .map(|(name, line)| ((*name).to_owned(), (*line).to_owned()))
                .collect();
            let config = write_config(&Container {
                config: &directory.path().join("supervisord.conf"),
                socket: &run_dir.join("supervisor.sock"),
                run_dir: &run_dir,
                log_dir: &log_dir,
                home: &home,
                oom_score: None,
                programs: &programs,
            })
            .unwrap();
            let child = start_command(&executables, &config)
                .env_clear()
                .env("HOME", &home)
                .env("PATH", "/usr/bin:/bin")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            Self {
                executables,
                config,
                directory,
                child,
            }
        }

        fn states(&self) -> Vec<(String, ProgramState)> {
            let programs = status(&self.executables, &self.config).unwrap_or_default();
            programs.into_iter().map(|p| (p.name, p.state)).collect()
        }

        /// Each look takes supervisorctl's own start-up time: no need to sleep in between.
        fn wait_for(&self, expected: &[(&str, ProgramState)]) {
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                let states = self.states();
                if states
                    .iter()
                    .map(|(name, state)| (&**name, *state))
                    .eq(expected.iter().copied())
                {
                    return;
                }
                assert!(
                    Instant::now() < deadline,
                    "{states:?} instead of {expected:?}"
                );
            }
        }

        fn log(&self, name: &str) -> String {
            fs::read_to_string(self.directory.path().join("log").join(name)).unwrap()
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = shutdown(&self.config, Duration::from_secs(20));
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[test]
    fn supervisord_runs_restarts_and_goes() {
        let speak = r#"sh -c 'echo "$MARK 100% ;ok #x \ $0"; echo oops >&2; exec sleep 600' "a b""#;
        let running = Running::start(
            &[("web", speak), ("worker", "~/run")],
            "export MARK=marked\n",
        );
        running.wait_for(&[
            ("web", ProgramState::Running),
            ("worker", ProgramState::Fatal),
        ]);
        assert_eq!(running.log("web.log"), "marked 100% ;ok #x \\ a b\n");
        assert_eq!(running.log("web_error.log"), "oops\n");
        assert!(running.log("worker_error.log").contains("No such file"));

        let (executables, config) = (&running.executables, &running.config);
        let answers = supervisord(config).unwrap();
        assert_eq!(answers, Some(Pid::from_child(&running.child)));
        let web = || status(executables, config).unwrap().remove(0);
        let before = web();
        let command = fs::read(format!("/proc/{}/cmdline", before.pid.unwrap())).unwrap();
        assert_eq!(
            command, b"sleep\x00600\0",
            "exec, without a shell in between"
        );
        let home = running.directory.path().join("home");
        let cwd = fs::read_link(format!("/proc/{}/cwd", before.pid.unwrap())).unwrap();
        assert_eq!(cwd, home);

        stop_all(executables, config).unwrap();
        assert_eq!(web().state, ProgramState::Stopped);
        let error = restart(executables, config).unwrap_err();
        let text = format!("cannot restart the programs with {}", config.display());
        assert_eq!(error.to_string(), text);
        let SupervisorError::Control { source, .. } = &error else {
            panic!("{error}");
        };
        assert!(source.last_words().contains("worker: ERROR"), "{source:?}");
        let after = web();
        assert_eq!(after.state, ProgramState::Running);
        assert_ne!(after.pid, before.pid);

        shutdown(config, Duration::from_secs(20)).unwrap();
        assert_eq!(supervisord(config).unwrap(), None);
        shutdown(config, Duration::from_secs(20)).unwrap();
        for result in [
            stop_all(executables, config),
            status(executables, config).map(drop),
        ] {
            let text = result.unwrap_err().to_string();
            assert_eq!(
                text,
                format!("no supervisord answers for {}", config.display())
            );
        }
    }

    #[test]
    fn shutdown_past_its_deadline_is_an_error() {
        let running = Running::start(&[("deaf", "sh -c 'trap \"\" TERM; exec sleep 600'")], "");
        running.wait_for(&[("deaf", ProgramState::Running)]);
        let error = shutdown(&running.config, Duration::ZERO).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "supervisord (pid {}) is still there 0 s after it was told to shut down",
                running.child.id()
            )
        );
    }

    #[test]
    fn supervisorctl_frozen_supervisord_is_given_up() {
        let running = Running::start(&[("a", "sleep 600")], "");
        running.wait_for(&[("a", ProgramState::Running)]);
        let supervisord = Pid::from_child(&running.child);
        kill_process(supervisord, Signal::STOP).unwrap();
        let limit = Duration::from_secs(1);
        let answer = supervisorctl(&running.executables, &running.config, &["status"], limit);
        kill_process(supervisord, Signal::CONT).unwrap();
        assert!(answer.unwrap().is_none());
    }
}
