//! The content of files on its way: copied, or, for an ELF file, stripped. What it needs and
//! where it can be cut is known at a file's end only, so such a file waits in memory or, if large, in a temporary file that has
//! no name: memory stays bounded, and nothing is left behind however this process ends.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::spooled_tempfile_in;

use crate::archive::ArchiveError;
use crate::needs::{Needs, needs};
use crate::refusal::Failure;
use crate::strip::{StripError, strip};

/// Files up to this size wait in memory.
const IN_MEMORY: usize = 4 << 20;

/// An ELF file, ready to be copied.
pub(crate) struct Executable {
    pub(crate) content: Box<dyn Read>,
    pub(crate) size: u64,
    /// Why it could not be stripped.
    pub(crate) untouched: Option<StripError>,
    pub(crate) needs: Needs,
}

/// What to do with ELF files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executables<'a> {
    /// Where large ones wait.
    pub(crate) wait_in: &'a Path,
    pub(crate) strip: bool,
}

/// Reads an ELF file of `size` bytes, notes what it needs, and strips it if that was asked for.
pub(crate) fn read_executable(
    from: &mut impl Read,
    size: u64,
    Executables {
        wait_in,
        strip: wanted,
    }: Executables<'_>,
    buffer: &mut [u8],
) -> Result<Executable, Failure> {
    let mut spool = spooled_tempfile_in(IN_MEMORY, wait_in);
    copy(from, &mut spool, size, buffer)?;
    let needs = needs(&mut spool);
    let (stripped, untouched) = match strip(&mut spool) {
        _ if !wanted => (None, None),
        Ok(stripped) => (stripped, None),
        Err(reason) => (None, Some(reason)),
    };
    let head = stripped.as_ref().map_or(0, |new| new.head.len() as u64);
    spool.seek(SeekFrom::Start(head)).map_err(Failure::Write)?;
    let (content, size): (Box<dyn Read>, u64) = match stripped {
        None => (Box::new(spool), size),
        Some(new) => {
            let size = new.size();
            let loaded = spool.take(new.loaded - head);
            let (head, tail) = (io::Cursor::new(new.head), io::Cursor::new(new.tail));
            (Box::new(head.chain(loaded).chain(tail)), size)
        }
    };
    Ok(Executable {
        content,
        size,
        untouched,
        needs,
    })
}

/// Copies exactly `size` bytes.
pub(crate) fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    size: u64,
    buffer: &mut [u8],
) -> Result<(), Failure> {
    let mut from = from.take(size);
    let mut left = size;
    while left > 0 {
        let read = match from.read(buffer) {
            Ok(0) => return Err(ArchiveError::CutOff.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(ArchiveError::Read { source }.into()),
        };
        to.write_all(&buffer[..read]).map_err(Failure::Write)?;
        left -= read as u64;
    }
    Ok(())
}
