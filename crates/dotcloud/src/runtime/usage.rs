//! How much memory an instance uses: what the kernel counts for its control group, else what its
//! processes add up to.

use std::fs;
use std::path::{Path, PathBuf};

use crate::runtime::stray_processes::{self, Process};

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";
/// Version 1 of control groups tells no limit as one of about this many bytes.
const NO_LIMIT: u64 = 1 << 62;

/// The memory of one instance, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// All of it, the kernel's cache of files included where that is known.
    pub(crate) used: u64,
    /// What of it is cache of files, which the kernel takes back when memory gets short.
    pub(crate) cache: Option<u64>,
    /// What the kernel lets the instance have.
    pub(crate) limit: Option<u64>,
    /// The most that it used since it was started.
    pub(crate) peak: Option<u64>,
    pub(crate) counted: Counted,
}

/// Who counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// The kernel, for the control group.
    Group,
    /// We, what the processes have in memory; what several share counts once.
    Processes,
}

impl Usage {
    /// What `processes`, those of one container, use; `group` is how the name of their control group
    /// begins, if they have one. None if nothing can be read of any of them.
    pub(crate) fn of(processes: &[Process], group: Option<&str>) -> Option<Self> {
        let of_group = |process: &Process| {
            let groups =
                fs::read_to_string(stray_processes::directory(process.pid).join("cgroup")).ok()?;
            find_groups(&groups, group?)
                .iter()
                .find_map(|found| read_group(&Path::new(MOUNT).join(found)))
        };
        processes
            .iter()
            .find_map(of_group)
            .or_else(|| add_up(processes))
    }
}

/// The groups in a `/proc/PID/cgroup` file whose name begins with `name` and that may count memory,
/// below the mount.
fn find_groups(groups: &str, name: &str) -> Vec<PathBuf> {
    let found = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            return Vec::new();
        };
        let Some(path) = up_to(path, name) else {
            return Vec::new();
        };
        if controllers.is_empty() {
            // Version 2, alone or beside version 1.
            vec![path.clone(), Path::new("unified").join(path)]
        } else if controllers.split(',').any(|name| name == "memory") {
            vec![Path::new(controllers).join(path)]
        } else {
            Vec::new()
        }
    });
    found.collect()
}

/// The service may have made groups of its own below.
fn up_to(path: &str, name: &str) -> Option<PathBuf> {
    let mut found = PathBuf::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        found.push(part);
        if part.starts_with(name) {
            return Some(found);
        }
    }
    None
}

/// None where memory is not counted for this group.
fn read_group(group: &Path) -> Option<Usage> {
    let text = |name: &str| fs::read_to_string(group.join(name)).ok();
    let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
    let field = |name: &str| {
        text("memory.stat")?.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(' ')?;
            value.parse().ok()
        })
    };
    if let Some(used) = number("memory.current") {
        return Some(Usage {
            used,
            cache: field("file"),
            // The word "max" is no number.
            limit: number("memory.max"),
            peak: number("memory.peak"),
            counted: Counted::Group,
        });
    }
    Some(Usage {
        used: number("memory.usage_in_bytes")?,
        cache: field("total_cache"),
        limit: number("memory.limit_in_bytes").filter(|limit| *limit < NO_LIMIT),
        peak: number("memory.max_usage_in_bytes"),
        counted: Counted::Group,
    })
}

fn add_up(processes: &[Process]) -> Option<Usage> {
    let parts = processes.iter().filter_map(|process| {
        let path = stray_processes::directory(process.pid).join("smaps_rollup");
        proportional(&fs::read_to_string(path).ok()?)
    });
    let used = parts.reduce(u64::saturating_add)?;
    Some(Usage {
        used,
        cache: None,
        limit: None,
        peak: None,
        counted: Counted::Processes,
    })
}

/// What a `smaps_rollup` file says, in bytes.
fn proportional(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_groups_knows_both_versions() {
        let name = "dotcloud-1";
        let found = |text: &str| {
            let found = find_groups(text, name);
            let found: Vec<_> = found.iter().map(|path| path.to_str().unwrap()).collect();
            found.join(" ")
        };
        let of_session = "0::/user.slice/user-1.slice/dotcloud-1.scope/own\n";
        for (text, expected) in [
            ("0::/dotcloud-1\n", "dotcloud-1 unified/dotcloud-1"),
            (
                of_session,
                "user.slice/user-1.slice/dotcloud-1.scope \
                 unified/user.slice/user-1.slice/dotcloud-1.scope",
            ),
            (
                "4:memory:/dotcloud-1/x\n2:cpu:/dotcloud-1\n",
                "memory/dotcloud-1",
            ),
            ("4:memory:/other\n0::/\nnonsense\n", ""),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn read_group_knows_both_versions() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name, text| fs::write(directory.path().join(name), text).unwrap();
        assert_eq!(read_group(directory.path()), None);
        write("memory.usage_in_bytes", "4096\n");
        write("memory.limit_in_bytes", "9223372036854771712\n");
        write("memory.stat", "cache 1\ntotal_cache 1024\n");
        let mut expected = Usage {
            used: 4096,
            cache: Some(1024),
            limit: None,
            peak: None,
            counted: Counted::Group,
        };
        assert_eq!(read_group(directory.path()), Some(expected));
        write("memory.limit_in_bytes", "67108864\n");
        expected.limit = Some(64 << 20);
        assert_eq!(read_group(directory.path()), Some(expected));
        write("memory.current", "8192\n");
        write("memory.max", "max\n");
        write("memory.peak", "12288\n");
        write("memory.stat", "anon 1\nfile 2048\nfile_mapped 7\n");
        expected = Usage {
            used: 8192,
            cache: Some(2048),
            limit: None,
            peak: Some(12288),
            counted: Counted::Group,
        };
        assert_eq!(read_group(directory.path()), Some(expected));
    }

    #[test]
    fn add_up_counts_who_can_be_read() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id().to_string();
        let found = stray_processes::scan(|process| process.ends_with(&pid)).unwrap();
        let usage = Usage::of(&found, Some("no-such-group")).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(usage.used > 0, "{usage:?}");
        assert_eq!(usage.counted, Counted::Processes);
        assert_eq!(Usage::of(&[], None), None);
        assert_eq!(proportional("a\nRss: 9 kB\nPss:      7 kB\n"), Some(7168));
    }
}
