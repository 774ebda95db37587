//! The last words of a program, for the message that tells of its end.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};

/// A log's end is looked for in this much of it.
const WINDOW: u64 = 1 << 20;

/// The last `count` lines of `path`; nothing if it cannot be read.
pub(crate) fn last_lines(path: &Path, count: usize) -> String {
    let Ok((text, _)) = read_end(path) else {
        return String::new();
    };
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The directory is the service's: what it put there as a link, or as a pipe, is no log.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | flags,
        Mode::empty(),
    )?
    .into())
}

/// Up to [`WINDOW`] bytes of the end of `path`, and where the file ends.
fn read_end(path: &Path) -> io::Result<(String, u64)> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes)?;
    let end = length.saturating_sub(WINDOW) + bytes.len() as u64;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_of_an_absent_file_are_none() {
        assert_eq!(last_lines(Path::new("/nowhere"), 3), "");
    }
}
