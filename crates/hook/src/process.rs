//! Running another program to its end, or becoming it. Errors keep the program and its last words.

mod background;
mod leash;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};
use thiserror::Error;

use crate::executable::Executable;
use crate::stop;

pub use background::Background;
pub(crate) use leash::Leash;

/// How often a program is looked after.
const POLL: Duration = Duration::from_millis(5);

/// How long a killed program's own children may take to disappear.
const KILL_PATIENCE: Duration = Duration::from_secs(3);

/// A program that ended with status 0.
#[derive(Debug)]
pub struct Finished {
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// A program could not be run, or ended with anything but success.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It did not start.
    #[error("cannot run {program}", program = program.display())]
    Start {
        /// The executable, as it was looked up.
        program: OsString,
        /// Why.
        source: io::Error,
    },
    /// Talking to it failed.
    #[error("lost {program} while it was running", program = program.display())]
    Talk {
        /// The executable.
        program: OsString,
        /// Why.
        source: io::Error,
    },
    /// It ended with a status other than 0, or by a signal.
    #[error("{program} {end}", program = program.display(), end = ending(*status))]
    Fail {
        /// The executable.
        program: OsString,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote to standard error, or else to standard output.
        last_words: String,
    },
    /// We were told to stop while it ran, and killed it.
    #[error("{program} was killed because signal {signal} came", program = program.display())]
    Stopped {
        /// The executable.
        program: OsString,
        /// What came.
        signal: i32,
    },
}

impl CommandError {
    /// The program's last words, for [`crate::Advice::detail`]; empty if it never spoke.
    #[must_use]
    pub fn last_words(&self) -> &str {
        match self {
            Self::Start { .. } | Self::Talk { .. } | Self::Stopped { .. } => "",
            Self::Fail { last_words, .. } => last_words,
        }
    }
}

/// Runs `command` to its end with `stdin` as its standard input, keeping what it writes.
///
/// When a hook is told to stop meanwhile, the program and all it started are killed first; when
/// the hook is killed, the program is too. A hook's program sees only the variables that `command`
/// sets.
pub fn run(command: &mut Command, stdin: &[u8]) -> Result<Finished, CommandError> {
    feed(command, stdin)
}

/// [`run`] with what `stdin` yields as the program's standard input, which ends early if it fails.
pub fn feed(command: &mut Command, stdin: impl Read + Send) -> Result<Finished, CommandError> {
    feed_to(command, stdin, Stdio::piped())
}

/// [`run`] without any input, and with `output` as the program's standard output, of which nothing is
/// kept: for what is larger than memory.
pub fn run_into(command: &mut Command, output: impl Into<Stdio>) -> Result<Finished, CommandError> {
    feed_to(command, io::empty(), output.into())
}

fn feed_to(
    command: &mut Command,
    stdin: impl Read + Send,
    output: Stdio,
) -> Result<Finished, CommandError> {
    let program = command.get_program().to_owned();
    let talk = |source| CommandError::Talk {
        program: program.clone(),
        source,
    };
    let start = |source| CommandError::Start {
        program: program.clone(),
        source,
    };
    let busy = stop::Busy::new();
    let mut child = spawn(command, |command| {
        command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::piped());
    })
    .map_err(start)?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // All three at once: a program blocked on a full pipe would never end.
    let (status, written, stdout, stderr) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || pour(stdin, input));
        let readers = (
            scope.spawn(move || read_all(output)),
            scope.spawn(move || read_all(errors)),
        );
        let done = || readers.0.is_finished() && readers.1.is_finished();
        let status = wait(&mut child, done);
        let (stdout, stderr) = (joined(readers.0.join()), joined(readers.1.join()));
        (status, joined(writer.join()), stdout, stderr)
    });
    drop(busy);
    if let Some(signal) = stop::signal() {
        return Err(CommandError::Stopped { program, signal });
    }
    let (status, stdout, stderr) = (
        status.map_err(talk)?,
        stdout.map_err(talk)?,
        stderr.map_err(talk)?,
    );
    if let Some(source) = Leash::failure(status, &stderr) {
        return Err(start(source));
    }
    if !status.success() {
        let spoken = if stderr.is_empty() { &stdout } else { &stderr };
        return Err(CommandError::Fail {
            last_words: last_lines(spoken, 12),
            program,
            status,
        });
    }
    match written {
        // A program may succeed without reading all it was offered.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(talk(error)),
        _ => Ok(Finished { stdout, stderr }),
    }
}

/// Starts `command` on a leash, if this process is a hook, and where [`kill`] reaches all it starts.
fn spawn(command: &mut Command, streams: impl FnOnce(&mut Command)) -> io::Result<Child> {
    Executable::check(command.get_program().as_ref())?;
    let mut leashed = Leash::put_on(command);
    let command = leashed.as_mut().unwrap_or(command);
    streams(command);
    if stop::is_watched() {
        command.process_group(0);
    }
    command.spawn()
}

/// Starts `command` with our standard streams and in our process group, which a terminal's signals
/// reach. It sees only the variables that `command` sets, and dies with us; whether it is killed when it
/// is dropped is for the caller.
pub fn start_in_foreground(command: &mut Command) -> Result<Child, CommandError> {
    let mut leashed = Leash::put_on(command);
    let started = match &mut leashed {
        Some(leashed) => leashed.spawn(),
        None => command.spawn(),
    };
    started.map_err(|source| CommandError::Start {
        program: command.get_program().to_owned(),
        source,
    })
}

/// Waits for `child`, and for whatever it started, which shows in `done`: its output has ended.
fn wait(child: &mut Child, done: impl Fn() -> bool) -> io::Result<ExitStatus> {
    if !stop::is_watched() {
        return child.wait();
    }
    loop {
        match child.try_wait()? {
            Some(status) if done() => return Ok(status),
            _ if stop::signal().is_some() => return kill(child),
            _ => sleep(POLL),
        }
    }
}

/// Kills `child` and whatever it started, and waits until they are gone, or zombies that nobody
/// buries.
fn kill(child: &mut Child) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + KILL_PATIENCE;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // KILL: what it was making is worth nothing, and ten seconds are soon over.
    while group.is_some_and(|group| kill_process_group(group, Signal::KILL).is_ok()) {
        let ended = child.try_wait()?;
        if ended.is_some() && Instant::now() > deadline {
            break;
        }
        sleep(POLL);
    }
    child.wait()
}

/// Lowers the number of files that this process, and what it becomes, may have open to `most`. A program
/// that wants more takes more, up to the hard limit, which stays.
pub fn lower_open_files(most: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current > most) {
        let lowered = Rlimit {
            current: Some(most),
            ..limit
        };
        // As it is it works as well, with more memory.
        let _ = setrlimit(Resource::Nofile, lowered);
    }
}

/// Becomes `command`; returns only if that failed.
///
/// By then the standard library has put SIGPIPE back to its default for the program to come, so a
/// caller should do no more than report the error.
pub fn exec(command: &mut Command) -> CommandError {
    let checked = Executable::check(command.get_program().as_ref());
    let source = checked.map_or_else(|error| error, |()| command.exec());
    CommandError::Start {
        program: command.get_program().to_owned(),
        source,
    }
}

fn pour(mut source: impl Read, pipe: Option<impl Write>) -> io::Result<()> {
    pipe.map_or(Ok(()), |mut pipe| {
        io::copy(&mut source, &mut pipe).map(drop)
    })
}

fn read_all(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn joined<T>(result: std::thread::Result<io::Result<T>>) -> io::Result<T> {
    result.unwrap_or_else(|_| Err(io::Error::other("a thread that talked to it panicked")))
}

fn last_lines(bytes: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(9)) => {
            "was killed by signal 9 (often: the machine or its memory limit ran out of memory)"
                .to_owned()
        }
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn run_success_returns_both_streams() {
        let finished = run(&mut sh("cat; echo oops >&2"), b"hello").unwrap();
        assert_eq!(finished.stdout, b"hello");
        assert_eq!(finished.stderr, b"oops\n");
    }

    #[test]
    fn run_more_input_than_a_pipe_holds_does_not_block() {
        let input = vec![b'x'; 1 << 20];
        let finished = run(&mut sh("cat"), &input).unwrap();
        assert_eq!(finished.stdout.len(), input.len());
        run(&mut sh("exit 0"), &input).unwrap();
    }

    #[test]
    fn run_into_writes_to_what_is_given() {
        let mut file = tempfile::tempfile().unwrap();
        let finished = run_into(
            &mut sh("cat; echo out; echo err >&2"),
            file.try_clone().unwrap(),
        )
        .unwrap();
        assert_eq!(
            (&finished.stdout[..], &finished.stderr[..]),
            (&b""[..], &b"err\n"[..])
        );
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "out\n");
    }

    #[test]
    fn run_failures_have_exact_texts() {
        let text = |script: &str| run(&mut sh(script), b"").unwrap_err();
        let failed = text("echo one >&2; echo two >&2; exit 3");
        assert_eq!(failed.to_string(), "/bin/sh ended with status 3");
        assert_eq!(failed.last_words(), "one\ntwo");
        assert_eq!(
            text("kill -15 $$").to_string(),
            "/bin/sh was killed by signal 15"
        );
        assert_eq!(
            text("kill -9 $$").to_string(),
            "/bin/sh was killed by signal 9 \
             (often: the machine or its memory limit ran out of memory)"
        );
        let dir = tempfile::tempdir().unwrap();
        let (foreign, trace) = (dir.path().join("mysqld"), dir.path().join("trace"));
        std::fs::write(&foreign, format!("\u{1}\ntouch '{}'\n", trace.display())).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&foreign, executable).unwrap();
        let refused = run(&mut Command::new(&foreign), b"").unwrap_err();
        let CommandError::Start { source, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(source.raw_os_error(), Some(8), "exec format error");
        assert!(!trace.exists(), "no shell ran it");
        let missing = run(&mut Command::new("/nowhere/mysqld"), b"").unwrap_err();
        assert_eq!(missing.to_string(), "cannot run /nowhere/mysqld");
        assert_eq!(missing.last_words(), "");
        let talk = CommandError::Talk {
            program: "mysqld".into(),
            source: io::Error::other("x"),
        };
        assert_eq!(talk.to_string(), "lost mysqld while it was running");
        let stopped = CommandError::Stopped {
            program: "mysqld".into(),
            signal: 15,
        };
        assert_eq!(
            stopped.to_string(),
            "mysqld was killed because signal 15 came"
        );
        assert_eq!(stopped.last_words(), "");
    }
}
