//! Whether what a server sends is a tarball: told by its bytes, for a portal's page, a pointer or a
//! message of an error comes under any name and with any status.

use std::io::{self, BufReader, Read};

use crate::codec::{Format, inflate};

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
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let text = start.strip_prefix(MARK).unwrap_or(start);
    match Format::of(text) {
        Format::Compressed(_) | Format::Tar => None,
        Format::Other(name) => Some(name),
        Format::Unknown if start.is_empty() => Some("an empty file"),
        Format::Unknown if start.starts_with(b"version https://git-lfs") => {
            Some("a pointer of git-lfs")
        }
        Format::Unknown if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) => {
            Some("a JSON document")
        }
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
        Format::Other(name) => Some(name),
        Format::Tar | Format::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_tarball_is_told_for_what_it_is() {
        let rows: [(&[u8], Option<&str>); 9] = [
            (b"\x1f\x8b\x08", None),
            (b"\xfd7zXZ\0", None),
            (b"\x28\xb5\x2f\xfd", None),
            (b"\n<html>", Some("a web page")),
            (b"\xef\xbb\xbf<html>", Some("a web page")),
            (b"PK\x03\x04", Some("a zip file")),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                Some("a pointer of git-lfs"),
            ),
            (b"{\"error\":1}", Some("a JSON document")),
            (b"", Some("an empty file")),
        ];
        for (start, expected) in rows {
            assert_eq!(other_than_a_tarball(start), expected, "{start:?}");
        }
    }
}
