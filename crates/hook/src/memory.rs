//! How much memory this process and those it starts may have: the smallest limit of the cgroups it is
//! in (v1, v2, or both mounted), else what the machine has. Reads, and changes nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// An amount of memory and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// In bytes.
    pub bytes: u64,
    /// The cgroup's file that sets it; `None` if there is no limit but the machine.
    pub file: Option<PathBuf>,
}

impl MemoryLimit {
    /// The limit as `proc` and `sys` below `root` tell it; `/`, but in tests.
    ///
    /// A limit that is no less than the machine's memory is none: v1 knows no other way to say so.
    pub fn find(root: &Path) -> Result<Self, MemoryLimitError> {
        let machine = machine(root)?;
        let smallest = cgroup_files(root)
            .into_iter()
            .filter_map(|file| Some((number(&fs::read_to_string(&file).ok()?)?, file)))
            .filter(|(bytes, _)| *bytes < machine)
            .min();
        Ok(match smallest {
            Some((bytes, file)) => Self {
                bytes,
                file: Some(file),
            },
            None => Self {
                bytes: machine,
                file: None,
            },
        })
    }
}

/// `MemTotal`, which is in kB.
fn machine(root: &Path) -> Result<u64, MemoryLimitError> {
    let path = root.join("proc/meminfo");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(MemoryLimitError::ReadMachine { path, source }),
    };
    text.lines()
        .find_map(|line| number(line.strip_prefix("MemTotal:")?.strip_suffix("kB")?))
        .map(|kilobytes| kilobytes * 1024)
        .ok_or(MemoryLimitError::NoTotal { path })
}

/// v2's `max` is no number, and no limit.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The limit of each memory cgroup that we are in, from ours up to the outermost that can be seen.
fn cgroup_files(root: &Path) -> Vec<PathBuf> {
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
    let own = read("proc/self/cgroup");
    let mut files = Vec::new();
    for mount in read("proc/self/mountinfo").lines().filter_map(Mount::parse) {
        let Some(path) = mount.own_path(&own) else {
            continue;
        };
        let top = root.join(mount.point.trim_start_matches('/'));
        // In a namespace or a container that sees its own group only, the path may start above the
        // mount, or be that of another view; what is mounted is then where we are.
        let below = Path::new(path).strip_prefix(mount.root);
        let dir = below.map_or(top.clone(), |below| top.join(below));
        let seen = dir.is_dir() && !path.contains("/..");
        let dir = if seen { dir } else { top.clone() };
        let up = dir.ancestors().take_while(|dir| dir.starts_with(&top));
        files.extend(up.map(|dir| dir.join(mount.file())));
    }
    files
}

/// A mounted hierarchy of cgroups (proc(5), mountinfo) that may limit memory.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    v2: bool,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut filesystem = filesystem.split(' ');
        let v2 = match filesystem.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let controllers = filesystem.nth(1)?;
        (v2 || controllers.split(',').any(|name| name == "memory")).then_some(Self {
            root,
            point,
            v2,
        })
    }

    /// Our group in this hierarchy, by `own`, the text of /proc/self/cgroup.
    fn own_path<'o>(&self, own: &'o str) -> Option<&'o str> {
        own.lines().find_map(|line| {
            let (number, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let ours = if self.v2 {
                number == "0" && controllers.is_empty()
            } else {
                controllers.split(',').any(|name| name == "memory")
            };
            ours.then_some(path)
        })
    }

    fn file(&self) -> &'static str {
        if self.v2 {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        }
    }
}

/// Not even the machine's memory is known.
#[derive(Debug, Error)]
pub enum MemoryLimitError {
    /// No `/proc`.
    #[error("cannot read {path}", path = path.display())]
    ReadMachine {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A `/proc` of another system.
    #[error("no MemTotal in {path}", path = path.display())]
    NoTotal {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const V1_NONE: &str = "9223372036854771712\n";
    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
                      36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";

    // Case L1: v1, v2, both, nested cgroups, no limit.

    /// A machine of 8 GiB, with the files given by name and content.
    fn find(files: &[(&str, &str)]) -> (u64, Option<String>) {
        let root = tempfile::tempdir().unwrap();
        let meminfo = (
            "proc/meminfo",
            "MemTotal:        8388608 kB\nMemFree: 1 kB\n",
        );
        for (name, content) in files.iter().chain([&meminfo]) {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let limit = MemoryLimit::find(root.path()).unwrap();
        let name = |file: PathBuf| {
            file.strip_prefix(root.path())
                .unwrap()
                .display()
                .to_string()
        };
        (limit.bytes, limit.file.map(name))
    }

    fn limited(bytes: u64, file: &str) -> (u64, Option<String>) {
        (bytes, Some(file.to_owned()))
    }

    #[test]
    fn l1_find_without_a_cgroup_is_the_machines_memory() {
        assert_eq!(find(&[]), (8 * GIB, None));
    }

    #[test]
    fn l1_find_v1_smallest_up_the_path() {
        let own = ("proc/self/cgroup", "5:cpu:/x\n4:memory:/a/b\n0::/\n");
        let mounts = ("proc/self/mountinfo", V1);
        let none = ("sys/fs/cgroup/memory/memory.limit_in_bytes", V1_NONE);
        let outer = (
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "268435456\n",
        );
        let inner = (
            "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
            "536870912\n",
        );
        assert_eq!(
            find(&[own, mounts, none, outer, inner]),
            limited(256 << 20, outer.0),
            "nested"
        );
        let unlimited = (outer.0, V1_NONE);
        assert_eq!(
            find(&[own, mounts, none, unlimited, inner]),
            limited(512 << 20, inner.0)
        );
        let unlimited = (inner.0, V1_NONE);
        assert_eq!(find(&[own, mounts, none, unlimited]), (8 * GIB, None));
    }

    #[test]
    fn l1_find_v2_smallest_up_the_path() {
        let own = ("proc/self/cgroup", "0::/a/b\n");
        let mounts = ("proc/self/mountinfo", V2);
        let outer = ("sys/fs/cgroup/a/memory.max", "268435456\n");
        let inner = ("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(
            find(&[own, mounts, outer, inner]),
            limited(256 << 20, outer.0)
        );
        assert_eq!(find(&[own, mounts, inner]), (8 * GIB, None), "max");
        let larger = (inner.0, "8589934592\n");
        assert_eq!(
            find(&[own, mounts, larger]),
            (8 * GIB, None),
            "as much as there is"
        );
    }

    #[test]
    fn l1_find_hybrid_memory_is_v1s() {
        let own = ("proc/self/cgroup", "4:memory:/a\n0::/\n");
        let v2 = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let mounts = format!("{V1}{v2}");
        let limit = (
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "134217728\n",
        );
        assert_eq!(
            find(&[own, ("proc/self/mountinfo", &mounts), limit]),
            limited(128 << 20, limit.0)
        );
    }

    #[test]
    fn l1_find_path_of_another_view_is_the_mounts_top() {
        let limit = "134217728\n";
        // A container without a cgroup namespace: its own group is what is mounted.
        let own = ("proc/self/cgroup", "4:memory:/docker/c1/sub\n");
        let mounts = V1.replacen(" / ", " /docker/c1 ", 1);
        let mounts = ("proc/self/mountinfo", mounts.as_str());
        let top = ("sys/fs/cgroup/memory/memory.limit_in_bytes", limit);
        let sub = (
            "sys/fs/cgroup/memory/sub/memory.limit_in_bytes",
            "67108864\n",
        );
        assert_eq!(find(&[own, mounts, top]), limited(128 << 20, top.0));
        assert_eq!(find(&[own, mounts, top, sub]), limited(64 << 20, sub.0));
        // Moved out of its namespace's root, and a path that is not there.
        for own in ["0::/../other\n", "0::/gone\n"] {
            let files = [
                ("proc/self/cgroup", own),
                ("proc/self/mountinfo", V2),
                ("sys/fs/cgroup/memory.max", limit),
            ];
            assert_eq!(find(&files), limited(128 << 20, files[2].0), "{own}");
        }
    }

    #[test]
    fn find_without_proc_has_exact_texts() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("proc/meminfo");
        let text = || MemoryLimit::find(root.path()).unwrap_err().to_string();
        assert_eq!(text(), format!("cannot read {}", path.display()));
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "MemFree: 1 kB\n").unwrap();
        assert_eq!(text(), format!("no MemTotal in {}", path.display()));
    }

    #[test]
    fn find_on_this_machine_finds_something() {
        assert!(MemoryLimit::find(Path::new("/")).unwrap().bytes > 64 << 20);
    }
}
