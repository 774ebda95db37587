//! The control groups that an engine which failed, or was killed, leaves behind: empty ones of a
//! container's own name.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::mounts::GROUPS;

/// For what was killed to leave its group.
const PATIENCE: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(10);

/// Removes the groups called `id`, in whatever hierarchy, as soon as nothing is in them.
pub(super) fn remove(id: &str) {
    let begin = Instant::now();
    while !remove_empty(id) && begin.elapsed() < PATIENCE {
        std::thread::sleep(TICK);
    }
}

/// Removes those that are empty; whether none is left. The kernel keeps one that anything is in.
pub(super) fn remove_empty(id: &str) -> bool {
    let groups = existing(Path::new(GROUPS), id);
    groups
        .iter()
        .filter(|group| fs::remove_dir(group).is_err())
        .count()
        == 0
}

/// In version 2 there is one hierarchy, in version 1 one for each controller.
fn existing(root: &Path, id: &str) -> Vec<PathBuf> {
    let controllers = fs::read_dir(root).into_iter().flatten().flatten();
    let mut groups: Vec<PathBuf> = controllers
        .map(|entry| entry.path().join(id))
        .chain([root.join(id)])
        .filter(|group| group.is_dir())
        .collect();
    // Some controllers are links to others.
    groups.sort_by_cached_key(|group| group.canonicalize().ok());
    groups.dedup_by_key(|group| group.canonicalize().ok());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn existing_are_found_once_in_every_hierarchy() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for path in ["cpu,cpuacct/a", "memory/a/b", "memory/other", "a"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        std::os::unix::fs::symlink("cpu,cpuacct", root.join("cpu")).unwrap();
        let found = existing(root, "a");
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
