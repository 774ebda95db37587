//! What an entry of a tarball asks for, if it may be unpacked at all. Refuses, by name, what would leave
//! the directory one unpacks in, and whatever is not a plain file, a directory or a link.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tar::{Entry, EntryType};
use thiserror::Error;

/// An entry that may be unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its path: relative, and of names only.
    pub path: PathBuf,
    /// What to make there.
    pub kind: Kind,
}

/// What an entry makes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File {
        size: u64,
        /// Permissions, without set-user-ID and the like.
        mode: u32,
        modified: SystemTime,
    },
    /// To another entry's path.
    HardLink(PathBuf),
    /// To any path: it may lead anywhere.
    Symlink(PathBuf),
}

impl Item {
    /// What `entry` asks for; nothing in the case of `./` and of what describes the archive.
    pub(crate) fn of(entry: &mut Entry<'_, impl Read>) -> Result<Option<Self>, EntryError> {
        let unreadable = |source| EntryError::Name { source };
        let name = entry.path().map_err(unreadable)?.into_owned();
        let refuse = |why| {
            let entry = name.clone();
            Err(EntryError::Refused { entry, why })
        };
        // libarchive's way, which the tar crate would take for a plain file.
        let sparse = entry.pax_extensions().map_err(unreadable)?;
        if sparse.is_some_and(|mut all| all.any(|one| one.is_ok_and(|one| is_sparse(&one)))) {
            return refuse("is a sparse file");
        }
        let target = entry.link_name().map_err(unreadable)?;
        let target = target.unwrap_or_default().into_owned();
        let kind = match entry.header().entry_type() {
            EntryType::Directory => Kind::Directory,
            // As tar wrote directories before POSIX.
            EntryType::Regular if entry.path_bytes().ends_with(b"/") => Kind::Directory,
            EntryType::Regular => file(entry),
            EntryType::Link => match inner_path(&target) {
                Some(target) => Kind::HardLink(target),
                None => return refuse("is a hard link out of the tarball"),
            },
            EntryType::Symlink => Kind::Symlink(target),
            EntryType::XGlobalHeader => return Ok(None),
            EntryType::GNUSparse => return refuse("is a sparse file"),
            _ => return refuse("is a device, a FIFO or something stranger"),
        };
        match inner_path(&name) {
            None => refuse("leads out of the directory"),
            Some(path) if path.as_os_str().is_empty() => Ok(None),
            Some(path) => Ok(Some(Self { path, kind })),
        }
    }
}

fn file(entry: &Entry<'_, impl Read>) -> Kind {
    let header = entry.header();
    let since_1970 = Duration::from_secs(header.mtime().unwrap_or(0));
    Kind::File {
        size: entry.size(),
        mode: header.mode().unwrap_or(0o644) & 0o777,
        modified: UNIX_EPOCH.checked_add(since_1970).unwrap_or(UNIX_EPOCH),
    }
}

fn is_sparse(extension: &tar::PaxExtension<'_>) -> bool {
    extension.key_bytes().starts_with(b"GNU.sparse.")
}

/// `path` without `.` components; `None` if it is absolute or contains `..`.
fn inner_path(path: &Path) -> Option<PathBuf> {
    let mut inner = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => inner.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(inner)
}

/// An entry cannot be unpacked.
#[derive(Debug, Error)]
pub enum EntryError {
    /// A name that is none.
    #[error("the tarball has an entry with an unreadable name")]
    Name {
        /// Why.
        source: io::Error,
    },
    /// An entry that is not safe to unpack.
    #[error("the tarball's entry '{entry}' {why}", entry = entry.display())]
    Refused {
        /// Its name.
        entry: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}
