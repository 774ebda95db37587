//! One tar entry: what of its header goes into the result, and how it is named in messages.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use tar::{EntryType, Header};

use crate::archive::{ArchiveError, Entry};
use crate::refusal::Refusal;

/// Permissions and the sticky bit. The result's files belong to 0/0: a set-user-ID bit would
/// make root's of them.
const KEPT_MODE: u32 = 0o1777;

/// A header with the mode and time of `old`, owned by 0/0 whoever packed it.
pub(crate) fn header_like(
    old: &Header,
    kind: EntryType,
    size: u64,
) -> Result<Header, ArchiveError> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(old.mode().map_err(|_| ArchiveError::Number)? & KEPT_MODE);
    header.set_mtime(old.mtime().map_err(|_| ArchiveError::Number)?);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    Ok(header)
}

/// Where a link leads, as written.
pub(crate) fn link_target(entry: &Entry) -> Result<PathBuf, Refusal> {
    match entry.target.as_deref() {
        Some(target) if target.contains(&0) || target.is_empty() => Err(Refusal::NoTarget),
        Some(target) => Ok(OsStr::from_bytes(target).into()),
        None => Err(Refusal::NoTarget),
    }
}

/// An entry type that no server tarball has.
pub(crate) fn described(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Char => "a character device",
        EntryType::Block => "a block device",
        EntryType::Fifo => "a named pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "of an unknown type",
    }
}

/// A name from the archive, fit for a terminal.
pub(crate) fn shown(name: &[u8]) -> String {
    hook::escape_controls(&hook::Foreign::bytes(name).to_string(), &[])
}
