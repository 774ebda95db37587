//! The systemd that belongs to an ordinary user's session: it may limit what the user runs, with
//! version 2 of control groups. Whether it is there, and whether its limits hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

use super::mounts::GROUPS;
use crate::host::account::Account;
use crate::model::memory::Memory;

/// Its `$XDG_RUNTIME_DIR`, whatever ours is: a reboot starts the containers again from elsewhere.
pub(super) fn directory(account: &Account) -> PathBuf {
    PathBuf::from(format!("/run/user/{}", account.uid))
}

/// `engine` in a group of the user's own: from one of root's, such as that of a terminal, it could not
/// put a process into the group of the container.
pub(super) fn scope(engine: &Path) -> Command {
    let mut command = Command::new("/usr/bin/systemd-run");
    command
        .args(["--user", "--scope", "--quiet", "--collect", "--"])
        .arg(engine);
    command
}

/// Whether it is there, and stays.
pub(super) fn check(account: &Account) -> Result<(), SessionError> {
    let uid = account.uid;
    if !Path::new(GROUPS).join("cgroup.controllers").exists() {
        Err(SessionError::Version)
    } else if !directory(account).join("bus").exists() {
        Err(SessionError::Absent { uid })
    } else if !lingers(account) {
        Err(SessionError::Leaving { uid })
    } else {
        Ok(())
    }
}

/// Whether it is there without anybody who is signed in, as the services are to be.
fn lingers(account: &Account) -> bool {
    let mut ask = Command::new("loginctl");
    ask.args(["show-user", "--property=Linger", "--value"])
        .arg(account.uid.to_string());
    crate::host::stage::run(&mut ask, b"").is_ok_and(|output| output.stdout.trim_ascii() == b"yes")
}

/// Nobody can be asked for limits, or nobody can set them; and what to do about it.
#[derive(Debug, Error)]
pub(super) enum SessionError {
    #[error(
        "control groups are not of version 2 here (systemd.unified_cgroup_hierarchy=1 on the \
         kernel's command line makes them so)"
    )]
    Version,
    #[error("no systemd of yours runs (as root: loginctl enable-linger {uid})")]
    Absent { uid: u32 },
    #[error(
        "your systemd ends with your last session, and all that it limits (as root: loginctl \
         enable-linger {uid})"
    )]
    Leaving { uid: u32 },
    #[error(
        "{engine} sets no limit: your systemd may not (user@.service needs Delegate=memory pids)",
        engine = engine.display()
    )]
    NoLimit { engine: PathBuf },
}

/// Whether the kernel has `memory`, and some number of processes, as the limits of `pid`.
pub(super) fn limits(pid: i32, memory: Memory) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    group(&groups).is_some_and(|group| hold(&Path::new(GROUPS).join(group), memory))
}

/// The group of version 2 in a `/proc/PID/cgroup` file.
fn group(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::/"))
}

fn hold(group: &Path, memory: Memory) -> bool {
    let limit = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(group.join(name)).ok()?;
        text.trim().parse().ok()
    };
    limit("memory.max") == Some(memory.bytes()) && limit("pids.max").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_is_that_of_version_2() {
        assert_eq!(group("4:memory:/a\n0::/b/c.scope\n"), Some("b/c.scope"));
        assert_eq!(group("4:memory:/a\n"), None);
    }

    #[test]
    fn hold_is_told_by_what_the_kernel_has() {
        let directory = tempfile::tempdir().unwrap();
        let group = directory.path();
        let memory = "64M".parse().unwrap();
        let write = |name, text| fs::write(group.join(name), text).unwrap();
        // A controller that is not delegated has no file.
        assert!(!hold(group, memory));
        write("memory.max", "67108864\n");
        assert!(!hold(group, memory));
        write("pids.max", "4096\n");
        assert!(hold(group, memory));
        write("memory.max", "max\n");
        assert!(!hold(group, memory));
    }

    #[test]
    fn directory_is_the_users() {
        let account = Account::current();
        let text = directory(&account).display().to_string();
        assert_eq!(text, format!("/run/user/{}", account.uid));
    }

    #[test]
    fn session_errors_have_exact_texts() {
        for (error, text) in [
            (
                SessionError::Version,
                "control groups are not of version 2 here (systemd.unified_cgroup_hierarchy=1 on \
                 the kernel's command line makes them so)",
            ),
            (
                SessionError::Absent { uid: 1234 },
                "no systemd of yours runs (as root: loginctl enable-linger 1234)",
            ),
            (
                SessionError::Leaving { uid: 1234 },
                "your systemd ends with your last session, and all that it limits (as root: \
                 loginctl enable-linger 1234)",
            ),
            (
                SessionError::NoLimit {
                    engine: "/usr/bin/runc".into(),
                },
                "/usr/bin/runc sets no limit: your systemd may not (user@.service needs \
                 Delegate=memory pids)",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
