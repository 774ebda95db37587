//! Running one hook of the user's: output line by line, a time limit, and nothing left of its
//! process group afterwards.

use std::ffi::OsString;
use std::io::{PipeReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;

use crate::output::lines::Splitter;
use crate::runtime::{Beside, Call, Runtime, RuntimeError};
use crate::state::container::{Paths, Variables};

/// How often we look whether the hook ended, or has to.
const TICK: Duration = Duration::from_millis(20);
/// For lines still in the pipe when the hook has ended.
const DRAIN: Duration = Duration::from_secs(1);
/// Lines that wait to be written down. A hook that is faster than that has to wait: each of them may
/// be a long one.
const WAITING: usize = 16;
/// Lines that may be in the pipe, in the reader and behind it: if they are empty, one in each byte.
const UNDER_WAY: usize = (64 << 10) + READ + WAITING;
/// How much is read at once.
const READ: usize = 8 << 10;

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

/// What ends a hook early.
#[derive(Clone, Copy)]
pub(crate) struct Until<'a> {
    pub(crate) limit: Duration,
    pub(crate) stop: &'a AtomicBool,
}

/// Runs `call` in `container` to its end, handing every line it writes to `line`. If it is ended early,
/// everything in the container is.
pub(crate) fn run(
    runtime: &dyn Runtime,
    container: &Paths,
    call: &Call<'_>,
    until: Until<'_>,
    line: &mut dyn FnMut(&str),
) -> Result<(), HookError> {
    let command = runtime.hook(container, call)?;
    let result = run_command(command, until, line);
    if matches!(
        result,
        Err(HookError::TimeOut { .. } | HookError::Interrupted)
    ) {
        // A container is not ended by what has started it.
        runtime.end(container, &mut |_| ())?;
    }
    result
}

/// The same beside what runs in `container`, which goes on.
pub(crate) fn run_beside(
    runtime: &dyn Runtime,
    container: &Paths,
    call: &Call<'_>,
    until: Until<'_>,
    line: &mut dyn FnMut(&str),
) -> Result<(), HookError> {
    let command = match runtime.beside(container, call)? {
        Beside::Streams(command) | Beside::Terminal(command) | Beside::Joined(command) => command,
    };
    run_command(command, until, line)
}

/// Runs `command`, which leaves our session by itself, to its end; `stop` and `limit` kill its whole
/// process group.
fn run_command(
    mut command: Command,
    until: Until<'_>,
    line: &mut dyn FnMut(&str),
) -> Result<(), HookError> {
    let Until { limit, stop } = until;
    let start = |source| HookError::Start { source };
    let (reader, writer) = std::io::pipe().map_err(start)?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(start)?)
        .stderr(writer);
    let mut child = command.spawn().map_err(start)?;
    // It holds our copies of the pipe's writing end, which would keep the reader waiting.
    drop(command);
    let lines = Lines::of(reader);
    let ended = watch(&mut child, limit, stop, &lines.received, line);
    // First itself: it may not lead its group yet.
    let _ = child.kill();
    kill_group(&child);
    let _ = child.wait();
    lines.drain(line);
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
    let mut looked = Instant::now();
    loop {
        match lines.recv_timeout(TICK) {
            Ok(text) => line(&text),
            // All writers are gone; the hook itself soon will be.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
            Err(RecvTimeoutError::Timeout) => {}
        }
        // Not for each of a million lines.
        if looked.elapsed() < TICK {
            continue;
        }
        looked = Instant::now();
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

/// What a hook writes, line by line.
struct Lines {
    received: Receiver<String>,
    /// Has what has no end yet.
    splitter: Arc<Mutex<Splitter>>,
}

impl Lines {
    /// On a thread of its own: a process that left the group may hold the pipe for ever.
    fn of(mut reader: PipeReader) -> Self {
        let (sender, received) = sync_channel(WAITING);
        let splitter = Arc::new(Mutex::new(Splitter::default()));
        let shared = Arc::clone(&splitter);
        std::thread::spawn(move || {
            let mut bytes = [0; READ];
            let mut lines = Vec::new();
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let Ok(mut splitter) = shared.lock() else {
                    return;
                };
                splitter.push(&bytes[..count], &mut |line| lines.push(line.to_string()));
                drop(splitter);
                // Not while the splitter is held: here it waits for the other side.
                for line in lines.drain(..) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            }
        });
        Self { received, splitter }
    }

    /// Hands over what is still on its way. Somebody in the background may go on writing for ever:
    /// no more is taken than can have been under way when the hook ended, nor waited for long.
    fn drain(&self, line: &mut dyn FnMut(&str)) {
        let mut patience = DRAIN;
        for _ in 0..UNDER_WAY {
            let begin = Instant::now();
            let Ok(text) = self.received.recv_timeout(patience) else {
                break;
            };
            // How long it takes to write it down does not count.
            patience = patience.saturating_sub(begin.elapsed());
            line(&text);
        }
        let rest = self.splitter.lock().ok().and_then(|mut held| held.rest());
        if let Some(rest) = rest {
            line(&rest.to_string());
        }
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
        let mut command = Command::new("/usr/bin/setsid");
        command.args(["/bin/bash", "-c", script]);
        let mut lines = Vec::new();
        let result = run_command(
            command,
            Until {
                limit: Duration::from_millis(limit),
                stop: &AtomicBool::new(stop),
            },
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
    fn run_output_is_bounded_and_shown_as_it_is() {
        let (result, lines) = run_script(
            r"printf '\033]0;x\007\n10%%\r20%%\r\n'; head -c 100000000 /dev/zero | tr '\0' x; echo end",
            60_000,
            false,
        );
        assert_eq!(result, Ok(()));
        assert_eq!(lines[..3], ["\\u{1b}]0;x\\u{7}", "10%", "20%"]);
        assert_eq!(
            lines[3].trim_start_matches('x'),
            " [line cut: 99934467 more bytes]"
        );
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn run_last_words_do_not_wait_for_a_background_process() {
        // It leaves the group, and keeps the pipe.
        let script = "setsid bash -c 'echo $$; exec sleep 60' & sleep 0.5; printf 'last words'";
        let (result, lines) = run_script(script, 60_000, false);
        assert_eq!((result, &*lines[1]), (Ok(()), "last words"));
        let sleeper: i32 = lines[0].parse().unwrap();
        let _ = rustix::process::kill_process(Pid::from_raw(sleeper).unwrap(), Signal::KILL);
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
            Until {
                limit: Duration::from_secs(1),
                stop: &AtomicBool::new(false),
            },
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
