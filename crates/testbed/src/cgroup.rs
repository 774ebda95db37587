//! A memory cgroup of a test's own, v1 or v2: commands are started inside it, and it goes with the
//! test. Needs root and a cgroup filesystem that can be written; says loudly where there is none.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sandbox::{GROUP, USER, is_root, wait_for};

const V1: &str = "/sys/fs/cgroup/memory";
const V2: &str = "/sys/fs/cgroup";

/// A memory cgroup with a limit.
pub struct Cgroup {
    dir: PathBuf,
    v2: bool,
}

impl Cgroup {
    /// `None` where this machine lets us make none, which is said whether or not the test's output
    /// is captured: what `what` is about was not checked.
    pub fn new(limit: u64, what: &str) -> Option<Self> {
        match Self::make(limit) {
            Ok(cgroup) => Some(cgroup),
            Err(error) => {
                let _ = writeln!(
                    io::stderr(),
                    "\nNOT CHECKED: {what}: no memory cgroup can be made here ({error}); run the \
                     tests as root on a machine with a writable /sys/fs/cgroup"
                );
                None
            }
        }
    }

    fn make(limit: u64) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !is_root() {
            return Err(io::Error::other("not root"));
        }
        let v2 = !Path::new(V1).is_dir();
        let parent = if v2 {
            // Only a group without processes, or the root, may hand controllers on.
            fs::write(Path::new(V2).join("cgroup.subtree_control"), "+memory")?;
            PathBuf::from(V2)
        } else {
            own_v1_group()?
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mysql-on-dotcloud-test-{}-{number}", std::process::id());
        let cgroup = Self {
            dir: parent.join(name),
            v2,
        };
        fs::create_dir(&cgroup.dir)?;
        // Swap would hide what does not fit.
        let (swap_file, swap) = if v2 {
            ("memory.swap.max", 0)
        } else {
            ("memory.memsw.limit_in_bytes", limit)
        };
        fs::write(cgroup.limit_file(), limit.to_string())?;
        // Not every kernel accounts for it.
        let _ = fs::write(cgroup.dir.join(swap_file), swap.to_string());
        Ok(cgroup)
    }

    /// `command` inside, as the unprivileged user from its first page on.
    pub fn command(&self, command: &Command) -> Command {
        let mut inside = Command::new("sh");
        inside
            .arg("-c")
            .arg(format!(
                "echo $$ >\"$0\" && exec setpriv --reuid={USER} --regid={GROUP} --clear-groups -- \"$@\""
            ))
            .arg(self.dir.join("cgroup.procs"))
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        for (name, value) in command.get_envs() {
            inside.env(name, value.unwrap_or_default());
        }
        if let Some(dir) = command.get_current_dir() {
            inside.current_dir(dir);
        }
        inside
    }

    /// The file with its limit.
    pub fn limit_file(&self) -> PathBuf {
        self.dir.join(if self.v2 {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        })
    }

    /// How many processes in it the kernel has killed.
    pub fn oom_kills(&self) -> u64 {
        let file = if self.v2 {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        self.entry(file, "oom_kill")
    }

    /// Bytes that only a kill gives back, at this moment.
    pub fn anonymous(&self) -> u64 {
        self.entry("memory.stat", if self.v2 { "anon" } else { "rss" })
    }

    fn entry(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(self.dir.join(file)).unwrap();
        let value = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(key, _)| *key == name);
        value.unwrap().1.parse().unwrap()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let empty = || fs::remove_dir(&self.dir).ok();
        // Its last process may still be on its way out.
        if !std::thread::panicking() {
            wait_for("an empty cgroup", empty);
        } else if empty().is_none() {
            let _ = writeln!(io::stderr(), "\nleft behind: {}", self.dir.display());
        }
    }
}

/// Beside us, so that whatever limits us limits it too.
fn own_v1_group() -> io::Result<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup")?;
    let own = text.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers
            .split(',')
            .any(|name| name == "memory")
            .then_some(path)
    });
    let dir = Path::new(V1).join(own.unwrap_or_default().trim_start_matches('/'));
    // Seen from a namespace of its own, the path is not there.
    Ok(if dir.is_dir() { dir } else { V1.into() })
}
