//! Processes that belong to a container, found without trusting its supervisord: by the marker in
//! their environment, by where they run, or by what they hold open and may still change. Ends them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use thiserror::Error;

use crate::host::account::Account;
use crate::runtime::group::Group;
use crate::state::container::Paths;

/// The variable that every process of a container starts with: the container's directory. Not
/// `DOTCLOUD_…`, which is absent from builds.
pub(crate) const MARKER: &str = "CONTAINER_ROOT";

/// Between TERM and KILL, as supervisord has it.
const GRACE: Duration = Duration::from_secs(10);
/// Between two looks at what is ending.
const TICK: Duration = Duration::from_millis(50);

/// A process as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// When it started, by the kernel's count: another with its number started later.
    start: u64,
    /// Its command line, for people.
    pub(crate) command: String,
}

/// The processes of `account` that belong to `container`, and everything in its `group`; neither us nor what we were started from.
pub(crate) fn find(
    account: &Account,
    container: &Paths,
    group: Option<&Group>,
) -> Result<Vec<Process>, ProcessError> {
    let members = group.map(Group::members).unwrap_or_default();
    let members: Vec<PathBuf> = members.into_iter().map(directory).collect();
    let marker = marker(container);
    let mut changing = OFlags::WRONLY | OFlags::RDWR;
    if account.drops() {
        // Through a directory it could change what we, as root, find by name.
        changing |= OFlags::DIRECTORY | OFlags::PATH;
    }
    scan(|process| {
        // A process that ends while we look is none; its files cannot be read any more.
        members.iter().any(|member| member == process)
            || process
                .metadata()
                .is_ok_and(|metadata| metadata.uid() == account.uid)
                && (is_marked(process, &marker)
                    || threads(process).iter().any(|thread| {
                        runs_in(thread, container.root())
                            || holds_open(thread, container.root(), changing)
                    }))
    })
}

/// Every process whose directory in /proc satisfies `belongs`; neither us nor what we were started
/// from.
pub(crate) fn scan(belongs: impl Fn(&Path) -> bool) -> Result<Vec<Process>, ProcessError> {
    let read = |source| ProcessError::Read { source };
    let exempt = ancestors();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").map_err(read)? {
        let entry = entry.map_err(read)?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let directory = entry.path();
        if !exempt.contains(&pid) && belongs(&directory) {
            found.push(Process {
                pid,
                start: start_of(&directory).unwrap_or_default(),
                command: command_line(&directory),
            });
        }
    }
    Ok(found)
}

/// What the environment of a process of `container` has.
pub(crate) fn marker(container: &Paths) -> Vec<u8> {
    [
        MARKER.as_bytes(),
        b"=",
        container.root().as_os_str().as_bytes(),
    ]
    .concat()
}

/// Sends TERM to what `list` returns, after a grace KILL, until it returns nothing. Every process is
/// told to `tell` once, before.
pub(crate) fn end(
    list: impl FnMut() -> Result<Vec<Process>, ProcessError>,
    tell: &mut dyn FnMut(&Process),
) -> Result<(), ProcessError> {
    end_after(GRACE, list, tell)
}

/// The same without the grace.
pub(crate) fn kill(
    list: impl FnMut() -> Result<Vec<Process>, ProcessError>,
    tell: &mut dyn FnMut(&Process),
) -> Result<(), ProcessError> {
    end_after(Duration::ZERO, list, tell)
}

fn end_after(
    grace: Duration,
    mut list: impl FnMut() -> Result<Vec<Process>, ProcessError>,
    tell: &mut dyn FnMut(&Process),
) -> Result<(), ProcessError> {
    let mut told = Vec::new();
    let start = Instant::now();
    loop {
        let left = list()?;
        if left.is_empty() {
            return Ok(());
        }
        let elapsed = start.elapsed();
        if elapsed > grace + GRACE {
            return Err(ProcessError::unkillable(&left[0]));
        }
        for process in &left {
            let is_new = !told.contains(&(process.pid, process.start));
            if is_new {
                tell(process);
                told.push((process.pid, process.start));
            }
            if elapsed >= grace {
                signal_to(process, Signal::KILL);
            } else if is_new {
                signal_to(process, Signal::TERM);
            }
        }
        std::thread::sleep(TICK);
    }
}

fn signal_to(process: &Process, signal: Signal) {
    let Some(pid) = Pid::from_raw(process.pid) else {
        return;
    };
    // It may be gone by now, and its number somebody else's; the next look tells.
    if let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty())
        && start_of(&directory(process.pid)) == Some(process.start)
    {
        let _ = pidfd_send_signal(&descriptor, signal);
    }
}

/// When it started.
fn start_of(process: &Path) -> Option<u64> {
    let text = fs::read_to_string(process.join("stat")).ok()?;
    // The 22nd field; the second is in brackets, and may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// What /proc has of the process `pid`.
pub(crate) fn directory(pid: i32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// Whether it started with `marker` in its environment.
pub(crate) fn is_marked(process: &Path, marker: &[u8]) -> bool {
    fs::read(process.join("environ")).is_ok_and(|environ| {
        environ
            .split(|&byte| byte == 0)
            .any(|entry| entry == marker)
    })
}

/// Whether it has ended, and only waits for its parent to notice.
pub(crate) fn is_zombie(process: &Path) -> bool {
    // `PID (NAME) STATE …`, where the name may hold anything.
    fs::read_to_string(process.join("stat")).is_ok_and(|text| {
        let state = text.rsplit_once(") ").map(|(_, rest)| rest);
        state.is_some_and(|state| state.starts_with(['Z', 'X']))
    })
}

/// What /proc has of each thread of `process`: they need not share directories or descriptors.
fn threads(process: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(process.join("task")) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn runs_in(thread: &Path, root: &Path) -> bool {
    ["cwd", "exe", "root"]
        .iter()
        .any(|link| fs::read_link(thread.join(link)).is_ok_and(|path| path.starts_with(root)))
}

/// Whether it holds something in `root` open with any of `flags`. Readers do no harm: someone may
/// be following a log.
fn holds_open(thread: &Path, root: &Path, flags: OFlags) -> bool {
    let Ok(entries) = fs::read_dir(thread.join("fd")) else {
        return false;
    };
    entries.flatten().any(|entry| {
        fs::read_link(entry.path()).is_ok_and(|path| path.starts_with(root))
            && fs::read_to_string(thread.join("fdinfo").join(entry.file_name()))
                .is_ok_and(|text| flags_of(&text).intersects(flags))
    })
}

/// Reads the flags out of a `/proc/PID/fdinfo` file: `flags:`, octal, as in open(2).
fn flags_of(fdinfo: &str) -> OFlags {
    let flags = fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    OFlags::from_bits_retain(flags.unwrap_or(0))
}

fn command_line(process: &Path) -> String {
    let bytes = fs::read(process.join("cmdline")).unwrap_or_default();
    let words: Vec<String> = bytes
        .split(|&byte| byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| OsStr::from_bytes(word).to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}

/// We, our parent, and so on: a shell standing in the container's home must not be killed by the
/// command it runs.
fn ancestors() -> Vec<i32> {
    let mut pids = Vec::new();
    let mut pid = rustix::process::getpid().as_raw_nonzero().get();
    while pid > 1 && !pids.contains(&pid) {
        pids.push(pid);
        pid = parent_of(pid).unwrap_or(0);
    }
    pids
}

/// The process that started `pid`, or that it was given to.
pub(crate) fn parent_of(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(PathBuf::from(format!("/proc/{pid}/status"))).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

/// A container's processes cannot be told or ended.
#[derive(Debug, Error)]
pub(crate) enum ProcessError {
    #[error("cannot read the list of processes in /proc")]
    Read { source: std::io::Error },
    #[error("process {pid} ({process}) does not end, not even by KILL")]
    Unkillable { process: String, pid: i32 },
}

impl ProcessError {
    fn unkillable(process: &Process) -> Self {
        Self::Unkillable {
            process: process.command.clone(),
            pid: process.pid,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn find_and_end_marked_process_and_one_in_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let container = Paths::new(directory.path().to_owned());
        let account = Account::current();
        let mut marked = Command::new("sleep")
            .arg("600")
            .env(MARKER, directory.path())
            .spawn()
            .unwrap();
        let mut inside = Command::new("sleep")
            .arg("601")
            .current_dir(directory.path())
            .spawn()
            .unwrap();
        let reaper = std::thread::spawn(move || {
            let _ = marked.wait();
            let _ = inside.wait();
        });
        let mut seen = Vec::new();
        end(|| find(&account, &container, None), &mut |process| {
            seen.push(process.command.clone());
        })
        .unwrap();
        reaper.join().unwrap();
        for command in ["sleep 600", "sleep 601"] {
            assert!(seen.iter().any(|line| line == command), "{seen:?}");
        }
    }

    #[test]
    fn flags_of_reads_the_access_mode() {
        let writing = OFlags::WRONLY | OFlags::RDWR;
        for (fdinfo, expected) in [
            ("pos:\t0\nflags:\t0100000\nmnt_id:\t1\n", false),
            ("pos:\t0\nflags:\t0100001\n", true),
            ("pos:\t0\nflags:\t02\n", true),
            ("", false),
        ] {
            assert_eq!(flags_of(fdinfo).intersects(writing), expected, "{fdinfo}");
        }
    }

    #[test]
    fn process_errors_have_exact_texts() {
        assert_eq!(
            ProcessError::Read {
                source: std::io::Error::other("x")
            }
            .to_string(),
            "cannot read the list of processes in /proc"
        );
        assert_eq!(
            ProcessError::Unkillable {
                process: "mysqld".to_owned(),
                pid: 7
            }
            .to_string(),
            "process 7 (mysqld) does not end, not even by KILL"
        );
    }
}
