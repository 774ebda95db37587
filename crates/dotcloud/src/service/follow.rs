//! Following logs the way `tail -F` does: the last lines first, then what is added, through
//! rotation, truncation and the replacement of a whole container. In memory is one line of each.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};

use crate::output::lines::{Line, Splitter};
use crate::service::log_file::{Log, Start, find};

/// Who writes a line in pieces does it faster than that.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much of one log is shown before it is the others' turn.
const TURN: u64 = 8 << 20;
/// Logs that are there no more are forgotten when there are more than that.
const REMEMBERED: usize = 500;

/// Takes a line; an error of its own ends the reading.
pub(crate) type Each<'a> = dyn FnMut(Line) -> io::Result<()> + 'a;

/// How far each log was read; `K` tells them apart.
#[derive(Debug)]
pub(crate) struct Follower<K>(BTreeMap<K, Position>);

impl<K> Default for Follower<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Follower<K> {
    /// Hands over the lines of `log` that it has not yet handed over; of one that is seen for the
    /// first time those from `start` on. Fails only if `each` does.
    pub(crate) fn read(
        &mut self,
        key: &K,
        log: &Log,
        start: Start,
        each: &mut Each<'_>,
    ) -> io::Result<()> {
        if let Some(position) = self.0.get_mut(key) {
            return position.go_on(log, each);
        }
        let mut generations = log.generations(&mut |_| false);
        let Ok((oldest, offset)) = find(&generations, start) else {
            return Ok(());
        };
        generations.truncate(oldest + 1);
        let Some(file) = generations.pop() else {
            return Ok(());
        };
        let mut position = Position::new(file, offset);
        position.read_on(generations, each)?;
        self.0.insert(key.clone(), position);
        Ok(())
    }

    /// Hands over what was added to logs that are there no more, and to those without a line end
    /// what they ended with.
    pub(crate) fn finish(&mut self, key: &K, each: &mut Each<'_>) -> io::Result<()> {
        match self.0.get_mut(key) {
            Some(position) => position.finish(each),
            None => Ok(()),
        }
    }

    /// The logs that were seen and are not `listed` now.
    pub(crate) fn gone(&self, listed: &dyn Fn(&K) -> bool) -> Vec<K> {
        self.0.keys().filter(|key| !listed(key)).cloned().collect()
    }

    /// Forgets `gone` ones if they are too many to be kept open.
    pub(crate) fn forget(&mut self, gone: &[K]) {
        if self.0.len() > REMEMBERED {
            self.0.retain(|key, _| !gone.contains(key));
        }
    }
}

#[derive(Debug)]
struct Position {
    /// Held open: what was written to it before it was rotated, or removed, is still to be read.
    file: File,
    offset: u64,
    splitter: Splitter,
    grown: Instant,
}

impl Position {
    fn new(file: File, offset: u64) -> Self {
        Self {
            file,
            offset,
            splitter: Splitter::default(),
            grown: Instant::now(),
        }
    }

    fn go_on(&mut self, log: &Log, each: &mut Each<'_>) -> io::Result<()> {
        let identity = |file: &File| {
            let metadata = file.metadata().ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        let ours = identity(&self.file);
        // Asked first: nobody writes to a file any more once it was seen rotated.
        let current = log.open(0).ok();
        let rotated = current.is_some_and(|file| identity(&file) != ours);
        let behind = self.read(TURN, each)?;
        if rotated && !behind {
            let mut found = false;
            let mut newer = log.generations(&mut |file| {
                found = identity(file) == ours;
                found
            });
            if found {
                newer.pop();
            } else {
                // Rotated away, or another container's: its last line has ended.
                self.flush(each)?;
                newer.truncate(1);
            }
            return self.read_on(newer, each);
        }
        if self.grown.elapsed() > PATIENCE {
            self.flush(each)?;
        }
        Ok(())
    }

    fn finish(&mut self, each: &mut Each<'_>) -> io::Result<()> {
        while self.read(TURN, each)? {}
        self.flush(each)
    }

    /// To the end of our file, then of each of the `newer` ones, whose youngest comes first.
    fn read_on(&mut self, mut newer: Vec<File>, each: &mut Each<'_>) -> io::Result<()> {
        loop {
            // What is added meanwhile belongs to the next time.
            let length = self.file.metadata().map_or(0, |metadata| metadata.len());
            self.read(length.saturating_sub(self.offset), each)?;
            let Some(file) = newer.pop() else {
                return Ok(());
            };
            (self.file, self.offset) = (file, 0);
        }
    }

    /// About `limit` bytes at the most; whether there may be more.
    fn read(&mut self, limit: u64, each: &mut Each<'_>) -> io::Result<bool> {
        let Ok(metadata) = self.file.metadata() else {
            return Ok(false);
        };
        if metadata.len() < self.offset {
            // Truncated: what it had is gone, and so is the rest of the last line.
            self.flush(each)?;
            self.offset = 0;
        }
        let mut bytes = [0; 8 << 10];
        let mut read = 0;
        while read < limit {
            let Ok(count @ 1..) = self.file.read_at(&mut bytes, self.offset) else {
                return Ok(false);
            };
            self.offset += count as u64;
            read += count as u64;
            self.grown = Instant::now();
            let mut outcome = Ok(());
            self.splitter.push(&bytes[..count], &mut |line| {
                if outcome.is_ok() {
                    outcome = each(line);
                }
            });
            outcome?;
        }
        Ok(true)
    }

    fn flush(&mut self, each: &mut Each<'_>) -> io::Result<()> {
        self.splitter.rest().map_or(Ok(()), each)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;
    use crate::service::log_file::Directory;

    struct Followed {
        directory: tempfile::TempDir,
        follower: Follower<u8>,
    }

    impl Followed {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir(directory.path().join("log")).unwrap();
            Self {
                directory,
                follower: Follower::default(),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join("log").join(name)
        }

        fn append(&self, text: &[u8]) {
            let path = self.path("db.log");
            let mut file = File::options()
                .append(true)
                .create(true)
                .open(path)
                .unwrap();
            file.write_all(text).unwrap();
        }

        fn rotate(&self) {
            for generation in (1..5).rev() {
                let name = |generation| format!("db.log.{generation}");
                let _ = fs::rename(
                    self.path(&name(generation)),
                    self.path(&name(generation + 1)),
                );
            }
            fs::rename(self.path("db.log"), self.path("db.log.1")).unwrap();
        }

        fn log(&self) -> Log {
            Log {
                directory: Directory {
                    base: self.directory.path().to_owned(),
                    below: "log",
                },
                name: "db.log".into(),
            }
        }

        fn read(&mut self) -> Vec<String> {
            let log = self.log();
            let mut lines = Vec::new();
            let mut each = |line: Line| {
                lines.push(line.to_string());
                Ok(())
            };
            self.follower
                .read(&0, &log, Start::Last(2), &mut each)
                .unwrap();
            lines
        }

        fn finish(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            let mut each = |line: Line| {
                lines.push(line.to_string());
                Ok(())
            };
            self.follower.finish(&0, &mut each).unwrap();
            lines
        }
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn follower_survives_pieces_truncation_and_rotation() {
        let mut followed = Followed::new();
        assert_eq!(followed.read(), NOTHING);
        followed.append(b"1\n2\n3\npart");
        assert_eq!(followed.read(), ["3"]);
        followed.append(b"ial\n4");
        assert_eq!(followed.read(), ["partial"]);

        fs::write(followed.path("db.log"), "new\n").unwrap();
        assert_eq!(followed.read(), ["4", "new"]);

        followed.append(b"last of it\nin two");
        followed.rotate();
        followed.append(b" files\nand more\n");
        followed.rotate();
        followed.append(b"third\n");
        assert_eq!(
            followed.read(),
            ["last of it", "in two files", "and more", "third"]
        );
        assert_eq!(followed.read(), NOTHING);
    }

    #[test]
    fn follower_shows_a_last_line_without_its_end() {
        let mut followed = Followed::new();
        let begin = Instant::now();
        followed.append(b"1\nlast words");
        assert_eq!(followed.read(), ["1"]);
        let mut shown = Vec::new();
        while shown.is_empty() && begin.elapsed() < Duration::from_mins(1) {
            shown = followed.read();
        }
        assert_eq!(shown, ["last words"]);
        assert!(begin.elapsed() >= PATIENCE);

        // And of one that is gone.
        followed.append(b"really last");
        fs::remove_dir_all(followed.path("")).unwrap();
        assert_eq!(followed.finish(), ["really last"]);
        assert_eq!(followed.finish(), NOTHING);
    }

    #[test]
    fn follower_of_an_endless_line_keeps_a_part_of_it() {
        let mut followed = Followed::new();
        let file = File::create(followed.path("db.log")).unwrap();
        file.set_len(100 << 20).unwrap();
        followed.append(b"\n");
        let lines = followed.read();
        assert!(lines[0].ends_with(" [line cut: 104792064 more bytes]"));
    }
}
