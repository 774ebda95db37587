//! Running one hook of the user's: output line by line, a time limit, and nothing left of its
//! process group afterwards.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, PipeReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;

use crate::container::{Paths, Variables};
use crate::runtime::{Call, Runtime, RuntimeError};

/// How often we look whether the hook ended, or has to.
const TICK: Duration = Duration::from_millis(20);
/// For lines still in the pipe when the hook has ended.
const DRAIN: Duration = Duration::from_secs(1);

/// A login bash with `-c WORDS…`.
pub(crate) fn login_shell<'a>(
    words: Vec<OsString>,
    directory: &'a Path,
    variables: &'a Variables,
) -> Call<'a> {
    let mut arguments = vec!["-l".into(), "-c".into()];
    arguments.extend(words);
    Call {
        program: "/bin/bash".into(),
        arguments,
        directory,
        variables,
        terminal: false,
    }
}

/// Runs `call` in `container` to its end, handing every line it writes to `line`.
///
/// `stop` ends it early; at `limit`, too, everything in the container is ended.
pub(crate) fn run(
    runtime: &dyn Runtime,
    container: &Paths,
    call: &Call<'_>,
    limit: Duration,
    stop: &AtomicBool,
    line: &mut dyn FnMut(&str),
) -> Result<(), HookError> {
    let command = runtime.hook(container, call)?;
    let result = run_command(command, limit, stop, line);
    if matches!(
        result,
        Err(HookError::TimeOut { .. } | HookError::Interrupted)
    ) {
        // A container is not ended by what has started it.
        runtime.end(container, &mut |_| ())?;
    }
    result
}

/// Runs `command` to its end; `stop` and `limit` kill its whole process group.
fn run_command(
    mut command: Command,
    limit: Duration,
    stop: &AtomicBool,
    line: &mut dyn FnMut(&str),
) -> Result<(), HookError> {
    let start = |source| HookError::Start { source };
    let (reader, writer) = std::io::pipe().map_err(start)?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(start)?)
        .stderr(writer)
        .process_group(0);
    let mut child = command.spawn().map_err(start)?;
    // It holds our copies of the pipe's writing end, which would keep the reader waiting.
    drop(command);
    let lines = read_lines(reader);
    let ended = watch(&mut child, limit, stop, &lines, line);
    kill_group(&child);
    let _ = child.wait();
    drain(&lines, line);
    let status = ended?;
    if status.success() {
        Ok(())
    } else {
        Err(HookError::Fail { status })
    }
}

fn watch(
    child: &mut Child,
    limit: Duration,
    stop: &AtomicBool,
    lines: &Receiver<String>,
    line: &mut dyn FnMut(&str),
) -> Result<ExitStatus, HookError> {
    let deadline = Instant::now() + limit;
    loop {
        match lines.recv_timeout(TICK) {
            Ok(text) => line(&text),
            // All writers are gone; the hook itself soon will be.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let status = child
            .try_wait()
            .map_err(|source| HookError::Start { source })?;
        if let Some(status) = status {
            return Ok(status);
        }
        if stop.load(Ordering::Relaxed) {
            return Err(HookError::Interrupted);
        }
        if Instant::now() > deadline {
            return Err(HookError::TimeOut { limit });
        }
    }
}

/// On a thread of its own: a process that left the group may hold the pipe for ever.
fn read_lines(reader: PipeReader) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(count) if count > 0) {
            let text = String::from_utf8_lossy(&bytes);
            if sender.send(text.trim_end().to_owned()).is_err() {
                break;
            }
            bytes.clear();
        }
    });
    receiver
}

fn drain(lines: &Receiver<String>, line: &mut dyn FnMut(&str)) {
    let deadline = Instant::now() + DRAIN;
    while let Ok(text) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        line(&text);
    }
}

fn kill_group(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// A hook did not do its work.
#[derive(Debug, Error)]
pub(crate) enum HookError {
    #[error("it cannot be run")]
    Start { source: std::io::Error },
    #[error("it ended with {status}")]
    Fail { status: ExitStatus },
    #[error("it was killed: it took longer than {} s", limit.as_secs())]
    TimeOut { limit: Duration },
    #[error("it was interrupted")]
    Interrupted,
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_script(script: &str, limit: u64, stop: bool) -> (Result<(), String>, Vec<String>) {
        let mut command = Command::new("/bin/bash");
        command.args(["-c", script]);
        let mut lines = Vec::new();
        let result = run_command(
            command,
            Duration::from_millis(limit),
            &AtomicBool::new(stop),
            &mut |line| lines.push(line.to_owned()),
        );
        (result.map_err(|error| error.to_string()), lines)
    }

    #[test]
    fn run_lines_of_both_streams_come_in_order() {
        let (result, lines) = run_script("echo one; echo two >&2; printf three", 60_000, false);
        assert_eq!(result, Ok(()));
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[test]
    fn run_failures_have_exact_texts() {
        let text = |script, limit, stop| run_script(script, limit, stop).0.unwrap_err();
        assert_eq!(
            text("exit 3", 60_000, false),
            "it ended with exit status: 3"
        );
        assert_eq!(
            text("sleep 60", 1, false),
            "it was killed: it took longer than 0 s"
        );
        assert_eq!(text("sleep 60", 60_000, true), "it was interrupted");
        let missing = run_command(
            Command::new("/nowhere"),
            Duration::from_secs(1),
            &AtomicBool::new(false),
            &mut |_| (),
        );
        assert_eq!(missing.unwrap_err().to_string(), "it cannot be run");
    }

    #[test]
    fn run_background_process_is_not_waited_for() {
        let start = Instant::now();
        let (result, lines) = run_script("sleep 60 & echo done", 60_000, false);
        assert_eq!((result, lines), (Ok(()), vec!["done".to_owned()]));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
