//! Between the user's terminal and a program of somebody else: the program gets a terminal of its own,
//! or pipes, and what it writes is passed on. It never has the user's terminal, neither as the one
//! that controls it nor by a descriptor, which would let it type there, or read.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use signal_hook::consts::{
    SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::Signals;

use crate::host::account::Account;

/// Between two looks whether a program that is silent has ended.
const TICK: Duration = Duration::from_millis(20);
/// For what it wrote last, if somebody else still holds the other end.
const DRAIN: Duration = Duration::from_secs(1);
/// Between a hang-up and KILL.
const GRACE: Duration = Duration::from_secs(2);

/// What a program has instead of the user's terminal.
pub(crate) enum Own<'a> {
    /// A terminal, which belongs to the account.
    Terminal(&'a Account),
    /// Pipes.
    Pipes,
}

/// Runs `command`, which leaves our session by itself, to its end, passing signals on. Those of our
/// standard streams that are no terminals are its own.
pub(crate) fn run(mut command: Command, own: &Own<'_>) -> io::Result<ExitStatus> {
    let signals = Signals::new([
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
    ])?;
    let ended = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    let (mut child, terminal) = match own {
        Own::Terminal(account) => {
            let (terminal, master) = Terminal::open(&mut command, account)?;
            let terminal = Arc::new(terminal);
            // Also our copies of its terminal.
            let child = { command }.spawn()?;
            terminal.make_raw();
            pass_input(File::from(master.try_clone()?));
            readers.push(pass_output(File::from(master), io::stdout(), &ended));
            (child, Some(terminal))
        }
        Own::Pipes => {
            let mut child = with_pipes(command)?;
            readers.extend(pass_pipes(&mut child, &ended));
            (child, None)
        }
    };
    let handle = signals.handle();
    let passing = pass_signals(signals, &child, terminal.clone(), &ended);
    let status = child.wait();
    ended.store(true, Ordering::SeqCst);
    for reader in readers {
        let _ = reader.join();
    }
    handle.close();
    let _ = passing.join();
    if let Some(terminal) = terminal {
        terminal.restore();
    }
    status
}

/// What a shell calls `status`.
pub(crate) fn number(status: ExitStatus) -> i32 {
    let by_signal = || 128 + status.signal().unwrap_or_default();
    status.code().unwrap_or_else(by_signal)
}

/// The user's terminal, as it was, and the program's.
struct Terminal {
    before: Termios,
    own: OwnedFd,
}

impl Terminal {
    /// A terminal like the user's for the streams of `command` that would be the user's; and its other
    /// end.
    fn open(command: &mut Command, account: &Account) -> io::Result<(Self, OwnedFd)> {
        let before = tcgetattr(io::stdin())?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let own = ioctl_tiocgptpeer(&master, flags)?;
        account.own_open(&own)?;
        tcsetattr(&own, OptionalActions::Now, &before)?;
        command.stdin(own.try_clone()?);
        if io::stdout().is_terminal() {
            command.stdout(own.try_clone()?);
        }
        if io::stderr().is_terminal() {
            command.stderr(own.try_clone()?);
        }
        let own_end = master.try_clone()?;
        drop(own);
        let terminal = Self {
            before,
            own: own_end,
        };
        terminal.resize();
        Ok((terminal, master))
    }

    /// Every key is for the program.
    fn make_raw(&self) {
        let mut raw = self.before.clone();
        raw.make_raw();
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &raw);
    }

    fn restore(&self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }

    fn resize(&self) {
        if let Ok(size) = tcgetwinsize(io::stdin()) {
            let _ = tcsetwinsize(&self.own, size);
        }
    }
}

/// Starts `command` with a pipe in the place of each stream that is a terminal.
fn with_pipes(mut command: Command) -> io::Result<Child> {
    if io::stdin().is_terminal() {
        command.stdin(Stdio::piped());
    }
    if io::stdout().is_terminal() {
        command.stdout(Stdio::piped());
    }
    if io::stderr().is_terminal() {
        command.stderr(Stdio::piped());
    }
    command.spawn()
}

fn pass_pipes(child: &mut Child, ended: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    if let Some(pipe) = child.stdin.take() {
        pass_input(File::from(OwnedFd::from(pipe)));
    }
    let output = child.stdout.take().map(OwnedFd::from);
    let errors = child.stderr.take().map(OwnedFd::from);
    let output = output.map(|pipe| pass_output(File::from(pipe), io::stdout(), ended));
    let errors = errors.map(|pipe| pass_output(File::from(pipe), io::stderr(), ended));
    output.into_iter().chain(errors).collect()
}

/// On a thread that nobody waits for: the user need not type anything more.
fn pass_input(mut to: File) {
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        // Not through the buffer of `io::stdin`, which would keep what the program never asked for.
        while let Ok(count @ 1..) = rustix::io::read(io::stdin(), &mut bytes) {
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
    });
}

/// Until nobody can write any more, or the program has ended and nothing comes.
fn pass_output(
    mut from: File,
    mut to: impl Write + Send + 'static,
    ended: &Arc<AtomicBool>,
) -> JoinHandle<()> {
    let ended = Arc::clone(ended);
    thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        let mut last = None;
        loop {
            let over = ended.load(Ordering::SeqCst);
            let since = *last.get_or_insert_with(Instant::now);
            if !over {
                last = None;
            } else if since.elapsed() > DRAIN {
                break;
            }
            match is_readable(&from, TICK) {
                Ok(false) if over => break,
                Ok(false) => continue,
                Ok(true) => {}
                Err(_) => break,
            }
            // A terminal that nobody has open any more gives an error instead of an end.
            let Ok(count @ 1..) = from.read(&mut bytes) else {
                break;
            };
            if to
                .write_all(&bytes[..count])
                .and_then(|()| to.flush())
                .is_err()
            {
                break;
            }
        }
    })
}

fn is_readable(file: &File, limit: Duration) -> io::Result<bool> {
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    let mut polled = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)];
    match poll(&mut polled, Some(&limit)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// To the program, and to what it started in its own group.
fn pass_signals(
    mut signals: Signals,
    child: &Child,
    terminal: Option<Arc<Terminal>>,
    ended: &Arc<AtomicBool>,
) -> JoinHandle<()> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let ended = Arc::clone(ended);
    thread::spawn(move || {
        for number in signals.forever() {
            let Some(group) = group.filter(|_| !ended.load(Ordering::SeqCst)) else {
                continue;
            };
            match (number, &terminal) {
                (SIGWINCH, Some(terminal)) => terminal.resize(),
                (SIGWINCH, None) => {}
                (SIGTSTP, terminal) => stop(group, terminal.as_deref()),
                // An interactive shell does not heed TERM, but its terminal's end.
                (SIGHUP | SIGTERM, Some(_)) => {
                    signal(group, number);
                    signal(group, SIGHUP);
                    kill_later(group, &ended);
                }
                _ => signal(group, number),
            }
        }
    })
}

fn signal(group: Pid, number: i32) {
    if let Some(signal) = Signal::from_named_raw(number) {
        let _ = kill_process_group(group, signal);
    }
}

/// Stops the program and ourselves until we are told to go on.
fn stop(group: Pid, terminal: Option<&Terminal>) {
    let _ = kill_process_group(group, Signal::STOP);
    if let Some(terminal) = terminal {
        terminal.restore();
    }
    let _ = signal_hook::low_level::raise(SIGSTOP);
    if let Some(terminal) = terminal {
        terminal.make_raw();
        terminal.resize();
    }
    let _ = kill_process_group(group, Signal::CONT);
}

fn kill_later(group: Pid, ended: &Arc<AtomicBool>) {
    let ended = Arc::clone(ended);
    thread::spawn(move || {
        thread::sleep(GRACE);
        if !ended.load(Ordering::SeqCst) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_what_a_shell_says() {
        assert_eq!(number(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(number(ExitStatus::from_raw(15)), 143);
    }

    #[test]
    fn pass_output_ends_with_the_program_whoever_holds_the_pipe() {
        let (reader, writer) = io::pipe().unwrap();
        (&writer).write_all(b"last words").unwrap();
        let ended = Arc::new(AtomicBool::new(true));
        let (mut read, write) = io::pipe().unwrap();
        pass_output(File::from(OwnedFd::from(reader)), write, &ended)
            .join()
            .unwrap();
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last words");
        drop(writer);
    }
}
