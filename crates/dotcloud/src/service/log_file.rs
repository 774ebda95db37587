//! The logs of one directory, each with its rotated predecessors. The directory is the service's:
//! what it put there as a link, as a pipe or under a link is no log, and none may be without an end.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use crate::host::beneath;
use crate::service::since;
use jiff::Timestamp;

/// Of a directory with more entries the rest is not looked at.
const ENTRIES: usize = 10_000;
/// Of more logs than that the oldest are not shown.
const LOGS: usize = 64;
/// More than anybody keeps.
const GENERATIONS: usize = 100;
/// How far back in a log its last lines are looked for.
const REACH: u64 = 1 << 28;

/// Whether a file of that name is a log of its own.
pub(crate) type Wanted = fn(&[u8]) -> bool;

/// A directory that a service writes.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// Ours, so that nothing on the way to it can be replaced.
    pub(crate) base: PathBuf,
    /// Below it, all of it the service's.
    pub(crate) below: &'static str,
}

impl Directory {
    fn open(&self) -> io::Result<beneath::Directory> {
        beneath::Directory::open(&self.base)?.directory(self.below)
    }

    /// The logs in it that are `wanted` by name, sorted by name.
    pub(crate) fn logs(&self, wanted: Wanted) -> Vec<Log> {
        let mut found = self.try_logs(wanted).unwrap_or_default();
        if found.len() > LOGS {
            found.sort_by_key(|(changed, _)| std::cmp::Reverse(*changed));
            found.truncate(LOGS);
        }
        let mut logs: Vec<Log> = found
            .into_iter()
            .map(|(_, name)| Log {
                directory: self.clone(),
                name,
            })
            .collect();
        logs.sort_by(|one, other| one.name.cmp(&other.name));
        logs
    }

    fn try_logs(&self, wanted: Wanted) -> io::Result<Vec<(i64, OsString)>> {
        let directory = self.open()?;
        let mut found = Vec::new();
        let names = directory.names()?.into_iter().take(ENTRIES);
        for name in names.filter(|name| wanted(name.as_bytes())) {
            if let Ok(Some(metadata)) = directory.find(&name)
                && metadata.is_file()
            {
                found.push((metadata.mtime(), name));
            }
        }
        Ok(found)
    }
}

/// One log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) directory: Directory,
    pub(crate) name: OsString,
}

impl Log {
    pub(crate) fn path(&self) -> PathBuf {
        let Directory { base, below } = &self.directory;
        base.join(below).join(&self.name)
    }

    /// The log, or its predecessor that was rotated `generation` times: `NAME.1` is the youngest.
    pub(crate) fn open(&self, generation: usize) -> io::Result<File> {
        let mut name = self.name.clone();
        if generation > 0 {
            name.push(format!(".{generation}"));
        }
        self.directory.open()?.read(name)
    }

    /// The log and its predecessors, youngest first, until there is none or `last` says so.
    pub(crate) fn generations(&self, last: &mut dyn FnMut(&File) -> bool) -> Vec<File> {
        let mut found = Vec::new();
        for generation in 0..GENERATIONS {
            let Ok(file) = self.open(generation) else {
                break;
            };
            let is_last = last(&file);
            found.push(file);
            if is_last {
                break;
            }
        }
        found
    }
}

/// Whether a name is that of a log's own file: hidden ones, rotated and packed ones are not.
pub(crate) fn is_current(name: &[u8]) -> bool {
    let end = OsStr::from_bytes(name);
    let end = std::path::Path::new(end).extension().unwrap_or_default();
    let rotated = !end.is_empty() && end.as_bytes().iter().all(u8::is_ascii_digit);
    let packed = ["gz", "xz", "zst", "bz2", "old"]
        .iter()
        .any(|packed| end == *packed);
    !name.starts_with(b".") && !rotated && !packed
}

/// With which line of a log to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    First,
    /// So many lines before its end.
    Last(usize),
    /// With the first that is dated so or later, but at most so many lines before its end. A log
    /// without dates is shown if it was written since.
    Since(Timestamp, usize),
}

/// What is to be done about a line that is met on the way back from the end.
enum Look {
    /// The lines from here on are wanted.
    Take,
    /// Its predecessors decide.
    Pass,
    /// It is not wanted, so no earlier one is.
    Stop,
}

/// The generation and the offset in it where `start` is.
pub(crate) fn find(generations: &[File], start: Start) -> io::Result<(usize, u64)> {
    match start {
        Start::First => Ok((generations.len().saturating_sub(1), 0)),
        Start::Last(count) => last(generations, count),
        Start::Since(time, count) => {
            let (mut taken, mut dated) = (0, false);
            let place = back(generations, &mut |file, offset| {
                let date = since::date_of(&beginning(file, offset));
                dated |= date.is_some();
                taken += 1;
                match date {
                    _ if taken > count => Look::Stop,
                    Some(date) if date >= time => Look::Take,
                    Some(_) => Look::Stop,
                    None => Look::Pass,
                }
            })?;
            let Some(newest) = generations.first().filter(|_| !dated) else {
                return Ok(place);
            };
            let changed = Timestamp::try_from(newest.metadata()?.modified()?);
            match changed {
                Ok(changed) if changed >= time => last(generations, count),
                _ => Ok(place),
            }
        }
    }
}

fn last(generations: &[File], count: usize) -> io::Result<(usize, u64)> {
    let mut taken = 0;
    back(generations, &mut |_, _| {
        taken += 1;
        if taken > count {
            Look::Stop
        } else {
            Look::Take
        }
    })
}

/// What a line begins with, as far as a date needs.
fn beginning(file: &File, offset: u64) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    let count = file.read_at(&mut bytes, offset).unwrap_or(0);
    bytes.truncate(count);
    bytes
}

/// Meets the beginning of every line, the last one first, and returns the earliest that was taken,
/// else the end.
fn back(
    generations: &[File],
    look: &mut dyn FnMut(&File, u64) -> Look,
) -> io::Result<(usize, u64)> {
    let length = |file: &File| Ok::<_, io::Error>(file.metadata()?.len());
    let end = generations.first().map_or(Ok(0), length)?;
    let (mut place, mut reach) = ((0, end), REACH);
    let mut block = vec![0; 64 << 10];
    // Whether a younger file has anything.
    let mut followed = false;
    for (index, file) in generations.iter().enumerate() {
        let mut offset = length(file)?;
        while offset > 0 {
            let size = offset.min(block.len() as u64);
            offset -= size;
            if reach < size {
                return Ok(place);
            }
            reach -= size;
            let bytes = &mut block[..usize::try_from(size).unwrap_or_default()];
            file.read_exact_at(bytes, offset)?;
            for at in (0..bytes.len()).rev().filter(|&at| bytes[at] == b'\n') {
                let mut start = (index, offset + at as u64 + 1);
                if start.1 == length(file)? {
                    if !followed {
                        // The last line end of all.
                        continue;
                    }
                    start = (index - 1, 0);
                }
                match look(&generations[start.0], start.1) {
                    Look::Take => place = start,
                    Look::Pass => {}
                    Look::Stop => return Ok(place),
                }
            }
        }
        followed |= length(file)? > 0;
    }
    let oldest = generations.len().saturating_sub(1);
    if let Some(file) = generations.last()
        && length(file)? > 0
        && matches!(look(file, 0), Look::Take)
    {
        place = (oldest, 0);
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn log(base: &std::path::Path) -> Log {
        Log {
            directory: Directory {
                base: base.to_owned(),
                below: "log",
            },
            name: "db.log".into(),
        }
    }

    /// What is left of the log from where `start` is.
    fn rest(log: &Log, start: Start) -> String {
        let generations = log.generations(&mut |_| false);
        let (oldest, mut offset) = find(&generations, start).unwrap();
        let mut text = String::new();
        for file in generations[..=oldest].iter().rev() {
            let mut bytes = vec![0; 1 << 22];
            let count = file.read_at(&mut bytes, offset).unwrap();
            text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            offset = 0;
        }
        text
    }

    #[test]
    fn find_counts_lines_across_rotated_files() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        std::fs::create_dir(base.join("log")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(base.join("log").join(name), text);
        let log = log(base);
        assert_eq!(log.generations(&mut |_| false).len(), 0);
        for (old, new, count, expected, why) in [
            ("1\n2\n", "3\n4\n", 1, "4\n", "in one file"),
            ("1\n2\n", "3\n4\n", 2, "3\n4\n", "all of one file"),
            ("1\n2\n", "3\n4\n", 3, "2\n3\n4\n", "two files"),
            ("1\n2\n", "3\n4\n", 9, "1\n2\n3\n4\n", "more than there is"),
            ("1\n2", "3\n4", 1, "4", "without the last line end"),
            ("1\n2", "3\n4", 2, "23\n4", "a line in two files"),
            ("1\n2\n", "", 1, "2\n", "just rotated"),
            ("1\n2\n", "3\n4\n", 0, "", "none"),
            ("", "", 5, "", "nothing there"),
        ] {
            write("db.log.1", old).unwrap();
            write("db.log", new).unwrap();
            assert_eq!(rest(&log, Start::Last(count)), expected, "{why}");
        }
        let many = "123456\n".repeat(300_000);
        write("db.log.1", "1\n2\n").unwrap();
        write("db.log", &many).unwrap();
        let found = rest(&log, Start::Last(300_001));
        assert!(found == format!("2\n{many}"), "{}", found.len());
    }

    #[test]
    fn find_since_a_time_goes_by_the_dates_of_the_lines() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        std::fs::create_dir(base.join("log")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(base.join("log").join(name), text);
        let log = log(base);
        let since = |time: &str, count| Start::Since(time.parse().unwrap(), count);
        write(
            "db.log.1",
            "2026-12-01T01:00:00Z a\n  more of a\n2026-12-01T02:00:00Z b\n",
        )
        .unwrap();
        let new = "  more of b\n2026-12-01T03:00:00Z c\n  more of c\n";
        write("db.log", new).unwrap();
        for (time, expected) in [
            (
                "2026-12-01T02:30:00Z",
                "2026-12-01T03:00:00Z c\n  more of c\n".to_owned(),
            ),
            (
                "2026-12-01T02:00:00Z",
                format!("2026-12-01T02:00:00Z b\n{new}"),
            ),
            ("2026-12-01T04:00:00Z", String::new()),
        ] {
            assert_eq!(rest(&log, since(time, usize::MAX)), expected);
        }
        assert_eq!(rest(&log, since("2026-12-01T02:00:00Z", 2)), new[12..]);
        std::fs::remove_file(base.join("log/db.log.1")).unwrap();
        write("db.log", "no\ndates\n").unwrap();
        assert_eq!(
            rest(&log, since("2020-01-01T00:00:00Z", usize::MAX)),
            "no\ndates\n"
        );
        assert_eq!(rest(&log, since("2100-01-01T00:00:00Z", usize::MAX)), "");
    }

    #[test]
    fn logs_are_regular_files_and_nothing_behind_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        let below = base.join("log");
        std::fs::create_dir(&below).unwrap();
        symlink("/etc/passwd", below.join("link.log")).unwrap();
        std::fs::create_dir(below.join("directory.log")).unwrap();
        let pipe = rustix::fs::mknodat(
            rustix::fs::CWD,
            below.join("pipe.log"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        );
        pipe.unwrap();
        for name in ["a.log", "a.log.1", "b.gz", ".c", "d"] {
            std::fs::write(below.join(name), "x").unwrap();
        }
        let names = |logs: Vec<Log>| logs.into_iter().map(|log| log.name).collect::<Vec<_>>();
        let all = log(base).directory;
        assert_eq!(names(all.logs(is_current)), ["a.log", "d"]);
        for name in ["link.log", "directory.log", "pipe.log"] {
            let log = Log {
                directory: all.clone(),
                name: name.into(),
            };
            assert!(log.open(0).is_err(), "{name}");
        }
        std::fs::rename(&below, base.join("else")).unwrap();
        symlink("else", &below).unwrap();
        assert_eq!(names(all.logs(is_current)).len(), 0);
        assert!(log(base).open(0).is_err());
    }
}
