//! Whether what a server sends is a tarball: told by its bytes, for a portal's page, a pointer or a
//! message of an error comes under any name and with any status.

use std::io::{self, BufReader, Read};

use judge::Format;

use crate::codec::inflate;

/// Enough of a file to tell what it is.
pub(super) const ENOUGH: usize = 512;
/// What is inflated of it to look inside.
const INSIDE: u64 = 1 << 20;

/// Reads the first bytes, fewer only at the end.
pub(super) fn first_bytes(body: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    body.take(ENOUGH as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// What it is, if these first bytes are of no tarball.
pub(super) fn other_than_a_tarball(start: &[u8]) -> Option<&'static str> {
    match Format::of(start) {
        Format::Compressed(_) | Format::Tar => None,
        Format::Foreign(foreign) => Some(foreign.what),
        Format::Unknown if start.is_empty() => Some("an empty file"),
        Format::Unknown => Some("something else"),
    }
}

/// What is inside of a compressed file, if it is no archive. `file` is at its start.
pub(super) fn other_inside(file: impl Read + Send + 'static) -> Option<&'static str> {
    let mut file = BufReader::new(file);
    let start = io::BufRead::fill_buf(&mut file).ok()?;
    let Format::Compressed(codec) = Format::of(start) else {
        return None;
    };
    let mut inside = inflate(codec, file, INSIDE).ok()?;
    // What cannot be inflated is damaged; its checksum or repack will tell.
    let start = first_bytes(&mut inside).ok()?;
    match Format::of(&start) {
        Format::Compressed(_) => Some("a tarball that was compressed once more on its way"),
        Format::Foreign(foreign) => Some(foreign.what),
        Format::Tar | Format::Unknown => None,
    }
}
