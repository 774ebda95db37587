//! Whether a file of the mirror is what lies in the pushed directory.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::host::files::{self, FileError};

/// Set-user-id and its like are no business of a service's, so they are not uploaded.
pub(super) const MODE: u32 = 0o777;

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    /// By size, times and mode, as rsync does; and by content where the file was touched after it
    /// was copied.
    Times,
    /// By content.
    Content,
}

/// Whether the mirror's file `target`, as it was `found`, is `source`.
pub(super) fn is_same(
    source: &Path,
    metadata: &Metadata,
    target: &Path,
    found: &Metadata,
    compare: Compare,
) -> Result<bool, FileError> {
    let alike = found.is_file()
        && found.len() == metadata.len()
        && (found.mtime(), found.mtime_nsec()) == (metadata.mtime(), metadata.mtime_nsec())
        // Not changed in place: the trees of older revisions share the file.
        && found.mode() & MODE == metadata.mode() & MODE;
    // No program can set it: whatever replaces a file, or writes to it and puts its time of change
    // back (cp -p, tar, touch -d), leaves a newer one than the copy that was made before.
    let changed = |of: &Metadata| (of.ctime(), of.ctime_nsec());
    let touched = changed(metadata) >= changed(found);
    if !alike || compare == Compare::Times && !touched {
        return Ok(alike);
    }
    let open = |path: &Path| File::open(path).map_err(files::failed("read", path));
    let (one, other) = (open(source)?, open(target)?);
    have_same_content(one, other).map_err(files::failed("read", source))
}

fn have_same_content(mut one: File, mut other: File) -> io::Result<bool> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    loop {
        first.clear();
        second.clear();
        one.by_ref().take(1 << 16).read_to_end(&mut first)?;
        other.by_ref().take(1 << 16).read_to_end(&mut second)?;
        if first != second || first.is_empty() {
            return Ok(first == second);
        }
    }
}

/// Whether the file is what git-lfs leaves in place of a large one.
pub(super) fn is_lfs_pointer(path: &Path, length: u64) -> bool {
    // Its format allows no more; most have 130.
    const LIMIT: u64 = 1024;
    const BEGIN: &[u8] = b"version https://git-lfs.github.com/spec/";
    if length < BEGIN.len() as u64 || length > LIMIT {
        return false;
    }
    let mut begin = [0; BEGIN.len()];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut begin).is_ok() && begin == *BEGIN)
}
