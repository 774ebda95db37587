//! Running another program to its end, or becoming it. Errors keep the program and its last words.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};

use thiserror::Error;

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
}

impl CommandError {
    /// The program's last words, for [`crate::Advice::detail`]; empty if it never spoke.
    #[must_use]
    pub fn last_words(&self) -> &str {
        match self {
            Self::Start { .. } | Self::Talk { .. } => "",
            Self::Fail { last_words, .. } => last_words,
        }
    }
}

/// Runs `command` to its end with `stdin` as its standard input, keeping what it writes.
pub fn run(command: &mut Command, stdin: &[u8]) -> Result<Finished, CommandError> {
    let program = command.get_program().to_owned();
    let talk = |source| CommandError::Talk {
        program: program.clone(),
        source,
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| CommandError::Start {
            program: program.clone(),
            source,
        })?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // All three at once: a program blocked on a full pipe would never end.
    let (written, stdout, stderr) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || input.map_or(Ok(()), |mut pipe| pipe.write_all(stdin)));
        let reader = scope.spawn(move || read_all(output));
        let stderr = read_all(errors);
        (joined(writer.join()), joined(reader.join()), stderr)
    });
    let status = child.wait().map_err(talk)?;
    let (stdout, stderr) = (stdout.map_err(talk)?, stderr.map_err(talk)?);
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

/// Becomes `command`; returns only if that failed.
///
/// By then the standard library has put SIGPIPE back to its default for the program to come, so a
/// caller should do no more than report the error.
pub fn exec(command: &mut Command) -> CommandError {
    let source = command.exec();
    CommandError::Start {
        program: command.get_program().to_owned(),
        source,
    }
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
        let missing = run(&mut Command::new("/nowhere/mysqld"), b"").unwrap_err();
        assert_eq!(missing.to_string(), "cannot run /nowhere/mysqld");
        assert_eq!(missing.last_words(), "");
        let talk = CommandError::Talk {
            program: "mysqld".into(),
            source: io::Error::other("x"),
        };
        assert_eq!(talk.to_string(), "lost mysqld while it was running");
    }
}
