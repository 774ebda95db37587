//! A control group for the plain processes of one container. Whoever is started in it stays in it,
//! and so does everything that they start, whatever it does to hide. Only root can make one, where
//! version 2 of control groups is mounted, be it beside version 1.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::state::container::Paths;
use crate::state::snapshot;

/// Where version 2 is mounted, alone or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// For the kernel to end what it was told to.
const END: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(10);

/// The control group of one container, which may or may not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// That of `container`; none where there can be none.
    pub(crate) fn of(container: &Paths) -> Option<Self> {
        let mount = MOUNTS.map(Path::new).into_iter().find(|mount| {
            // A hierarchy of version 1 has no such file.
            mount.join("cgroup.controllers").exists() && mount.join("cgroup.procs").exists()
        })?;
        let mut digest = Sha256::new();
        digest.update(container.root().as_os_str().as_bytes());
        let name = format!("dotcloud-process-{}", snapshot::short_id(digest));
        Some(Self(mount.join(name)))
    }

    /// Its own name, without where it is.
    pub(crate) fn name(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Makes it; whether it is there.
    pub(crate) fn make(&self) -> bool {
        match fs::create_dir(&self.0) {
            Ok(()) => true,
            Err(error) => error.kind() == ErrorKind::AlreadyExists,
        }
    }

    /// Where a process writes `0` to get into it.
    pub(crate) fn entry(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// Everybody in it.
    pub(crate) fn members(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.entry()).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Ends everybody in it at once, so that nobody is faster, and removes it.
    pub(crate) fn end(&self) {
        // Kernels before 5.14 have no such file: there everybody was sent KILL already.
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let begin = Instant::now();
        // Busy until the last one is gone, which is some time after it is not listed any more.
        while begin.elapsed() < END
            && fs::remove_dir(&self.0).is_err_and(|error| error.kind() == ErrorKind::ResourceBusy)
        {
            std::thread::sleep(TICK);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn group_ends_what_left_everything_else() {
        let directory = tempfile::tempdir().unwrap();
        let Some(group) = Group::of(&Paths::new(directory.path().to_owned())) else {
            return;
        };
        if !rustix::process::geteuid().is_root() || !group.make() {
            return;
        }
        let script = "echo 0 >\"$0\"; setsid env -i sleep 600 & wait";
        let mut shell = Command::new("/bin/sh")
            .args(["-c", script])
            .arg(group.entry())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while group.members().len() < 2 {
            assert!(begin.elapsed() < Duration::from_mins(1));
            std::thread::sleep(TICK);
        }
        // What is alone now is what hides.
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert_eq!(group.members().len(), 1);
        group.end();
        assert_eq!(group.members(), Vec::<i32>::new());
        assert!(!group.entry().exists());
    }
}
