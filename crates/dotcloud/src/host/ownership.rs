//! Whose word counts: what decides which code runs as us must be ours, or root's, and nobody else
//! may write it. Whoever calls us by sudo is one of us.

use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hook::Environment;

/// Write permission of a group, and of everybody.
const GROUP: u32 = 0o020;
const ALL: u32 = 0o002;
/// Where further users' rights are; the group's bits are then the most that any of them has.
const ACCESS_LIST: &str = "system.posix_acl_access";

/// The users whose files are obeyed.
#[derive(Clone, Debug)]
pub(crate) struct Owners {
    uids: Vec<u32>,
}

/// Why a file or directory is not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    Foreign { uid: u32 },
    Shared,
    Link,
    Unreadable,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { uid } => write!(f, "it belongs to uid {uid}"),
            Self::Shared => f.write_str("others may write it"),
            Self::Link => f.write_str("it is a symbolic link"),
            Self::Unreadable => f.write_str("it cannot be read"),
        }
    }
}

impl Owners {
    /// We, and root; as root, also whoever called sudo.
    pub(crate) fn of(environment: &Environment) -> Self {
        let us = rustix::process::geteuid().as_raw();
        let sudo = environment
            .get("SUDO_UID")
            .filter(|_| us == 0)
            .and_then(|uid| uid.to_str()?.parse().ok());
        Self {
            uids: [0, us].into_iter().chain(sudo).collect(),
        }
    }

    /// Why `path`, which must be no link, is not obeyed. None if it is, or is not there.
    pub(crate) fn distrust(&self, path: &Path) -> Option<Distrust> {
        match path.symlink_metadata() {
            Ok(found) if found.is_symlink() => Some(Distrust::Link),
            Ok(found) => self.distrust_found(path, &found),
            Err(error) if is_absent(&error) => None,
            Err(_) => Some(Distrust::Unreadable),
        }
    }

    /// The same for a file that may be a link, if that is ours too.
    pub(crate) fn distrust_file(&self, path: &Path) -> Option<Distrust> {
        let link = path.symlink_metadata().ok()?;
        if link.is_symlink() && !self.uids.contains(&link.uid()) {
            return Some(Distrust::Foreign { uid: link.uid() });
        }
        self.distrust_found(path, &path.metadata().ok()?)
    }

    fn distrust_found(&self, path: &Path, found: &Metadata) -> Option<Distrust> {
        let (uid, mode) = (found.uid(), found.mode());
        if !self.uids.contains(&uid) {
            return Some(Distrust::Foreign { uid });
        }
        let by_group = mode & GROUP != 0 && !(has_no_list(path) && self.is_ours(found.gid()));
        (mode & ALL != 0 || by_group).then_some(Distrust::Shared)
    }

    /// Whether nobody else is in the group `gid`, as with the groups that many systems give every
    /// user. What this machine's files do not tell is not known.
    fn is_ours(&self, gid: u32) -> bool {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let groups = fs::read_to_string("/etc/group").unwrap_or_default();
        only_members(&users, &groups, gid).is_some_and(|members| {
            !members.is_empty() && members.iter().all(|uid| self.uids.contains(uid))
        })
    }
}

/// Whether nothing is there, which includes that a part of its path is no directory.
pub(crate) fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    [NotFound, NotADirectory].contains(&error.kind())
}

fn has_no_list(path: &Path) -> bool {
    rustix::fs::getxattr(path, ACCESS_LIST, &mut [0_u8; 0][..]).is_err()
}

/// The uids of everyone in the group `gid`; None if one of them has none, or the group no name.
fn only_members(users: &str, groups: &str, gid: u32) -> Option<Vec<u32>> {
    let number = |field: Option<&&str>| field.and_then(|text| text.parse::<u32>().ok());
    let users: Vec<Vec<&str>> = users
        .lines()
        .map(|line| line.split(':').collect())
        .collect();
    let named = groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| number(fields.get(2)) == Some(gid))?;
    let mut members: Vec<u32> = users
        .iter()
        .filter(|fields| number(fields.get(3)) == Some(gid))
        .filter_map(|fields| number(fields.get(2)))
        .collect();
    let further = named.get(3).copied().unwrap_or_default();
    for name in further.split(',').filter(|name| !name.is_empty()) {
        let user = users.iter().find(|fields| fields.first() == Some(&name))?;
        members.push(number(user.get(2))?);
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn ours() -> Owners {
        Owners::of(&[("SUDO_UID", "4242")].into_iter().collect())
    }

    #[test]
    fn distrust_names_what_others_could_have_done() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        assert_eq!(ours().distrust(&path), None);
        fs::write(&path, "").unwrap();
        let with_mode = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            ours().distrust(&path)
        };
        assert_eq!(with_mode(0o600), None);
        assert_eq!(with_mode(0o644), None);
        assert_eq!(with_mode(0o646), Some(Distrust::Shared));
        assert_eq!(with_mode(0o1777), Some(Distrust::Shared));
        with_mode(0o644);
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(ours().distrust(&link), Some(Distrust::Link));
        assert_eq!(ours().distrust_file(&link), None);
        let nobodys = Owners { uids: vec![77] };
        let uid = rustix::process::geteuid().as_raw();
        for found in [nobodys.distrust(&path), nobodys.distrust_file(&link)] {
            assert_eq!(found, Some(Distrust::Foreign { uid }));
        }
    }

    #[test]
    fn owners_include_the_caller_of_sudo_for_root_only() {
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(ours().uids.contains(&4242), is_root);
        assert!(ours().uids.contains(&0));
    }

    #[test]
    fn group_of_one_user_is_told_from_a_shared_one() {
        let users = "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/:/\nbea:x:1001:100::/:/\n";
        let groups = "root:x:0:\nanna:x:1000:anna\nusers:x:100:anna\nstaff:x:50:anna,bea\n\
                      empty:x:60:\nfar:x:70:someone\n";
        for (gid, expected) in [
            (1000, Some(vec![1000, 1000])),
            (100, Some(vec![1001, 1000])),
            (50, Some(vec![1000, 1001])),
            (60, Some(vec![])),
            (70, None),
            (4, None),
        ] {
            assert_eq!(only_members(users, groups, gid), expected, "{gid}");
        }
    }

    #[test]
    fn distrust_has_exact_texts() {
        for (why, text) in [
            (Distrust::Foreign { uid: 1003 }, "it belongs to uid 1003"),
            (Distrust::Shared, "others may write it"),
            (Distrust::Link, "it is a symbolic link"),
            (Distrust::Unreadable, "it cannot be read"),
        ] {
            assert_eq!(why.to_string(), text);
        }
    }
}
