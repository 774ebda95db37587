//! Following log files the way `tail -F` does: the last lines first, then what is added, through
//! rotation, truncation and the replacement of a whole container.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

/// How far each file was read.
#[derive(Debug, Default)]
pub(crate) struct Follower(BTreeMap<PathBuf, Position>);

#[derive(Debug)]
struct Position {
    inode: u64,
    offset: u64,
    /// A line that has no end yet.
    partial: Vec<u8>,
}

impl Follower {
    /// Complete lines of `path` that were not returned before; of a file seen for the first time
    /// the last `first` ones. A file that is not there has none.
    pub(crate) fn read(&mut self, path: &Path, first: usize) -> Vec<String> {
        self.try_read(path, first).unwrap_or_default()
    }

    fn try_read(&mut self, path: &Path, first: usize) -> io::Result<Vec<String>> {
        let inode = path.metadata()?.ino();
        let Some(position) = self.0.get_mut(path) else {
            let (text, offset) = read_end(path)?;
            let complete = text.rfind('\n').map_or(0, |index| index + 1);
            let lines: Vec<&str> = text[..complete].lines().collect();
            let partial = text.as_bytes()[complete..].to_vec();
            self.0.insert(
                path.to_owned(),
                Position {
                    inode,
                    offset,
                    partial,
                },
            );
            let last = &lines[lines.len().saturating_sub(first)..];
            return Ok(last.iter().map(|&line| line.to_owned()).collect());
        };
        let mut file = open(path)?;
        if inode != position.inode || file.metadata()?.len() < position.offset {
            // Rotated or truncated: a new file under the old name.
            *position = Position {
                inode,
                offset: 0,
                partial: Vec::new(),
            };
        }
        file.seek(SeekFrom::Start(position.offset))?;
        let read = file.take(WINDOW).read_to_end(&mut position.partial)?;
        position.offset += read as u64;
        let Some(end) = position.partial.iter().rposition(|&byte| byte == b'\n') else {
            return Ok(Vec::new());
        };
        let complete: Vec<u8> = position.partial.drain(..=end).collect();
        let text = String::from_utf8_lossy(&complete);
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Forgets files that are not in `paths` any more.
    pub(crate) fn retain(&mut self, paths: &[PathBuf]) {
        self.0.retain(|path, _| paths.contains(path));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn follower_survives_partial_lines_truncation_and_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db.log");
        let mut follower = Follower::default();
        assert!(follower.read(&path, 2).is_empty());

        std::fs::write(&path, "1\n2\n3\npart").unwrap();
        assert_eq!(follower.read(&path, 2), ["2", "3"]);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"ial\n4").unwrap();
        assert_eq!(follower.read(&path, 2), ["partial"]);

        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(follower.read(&path, 2), ["new"]);

        std::fs::rename(&path, directory.path().join("db.log.1")).unwrap();
        std::fs::write(&path, "rotated, and longer than before\n").unwrap();
        assert_eq!(follower.read(&path, 2), ["rotated, and longer than before"]);
    }

    #[test]
    fn last_lines_of_an_absent_file_are_none() {
        assert_eq!(last_lines(Path::new("/nowhere"), 3), "");
    }
}
