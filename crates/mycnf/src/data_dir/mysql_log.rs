//! Whether the redo log of MySQL from 5.5 on, or of MariaDB from 10.2 to 10.7, is logically empty, as a
//! clean shutdown leaves it, and which release made it, if it says so. The format is described in the server's
//! log0log.h (MySQL 5.x, MariaDB) and log0constants.h (8.0); a server that is to upgrade the log asks the same of it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Shutdown;
use crate::server::Version;

/// The log is written in blocks of this many bytes.
const BLOCK: u64 = 512;

/// The header of each file: four blocks, of which the second and the fourth hold a checkpoint.
const HEADER: u64 = 4 * BLOCK;
const CHECKPOINTS: [usize; 2] = [512, 1536];

/// From 8.0.30 on: files with a position of their own. The formats before are of files in a circle, as
/// large as each other, with their place in the checkpoint.
const FORMAT_OF_8_0_30: u32 = 6;
/// Before 5.7.9 there was no number, but the one of a group of files: there is one group.
const FORMAT_BEFORE_5_7_9: u32 = 0;
pub(super) const MYSQL: &[u32] = &[FORMAT_BEFORE_5_7_9, 1, 2, 3, 4, 5, FORMAT_OF_8_0_30];

/// Of MariaDB 10.2, 10.3, 10.4 and 10.5, all in one circle of blocks; encrypted ones have other numbers.
pub(super) const MARIADB: &[u32] = &[1, 103, 104, 0x5048_5953];

/// What the newest checkpoint says of how the last server ended, and the release that made the log, if that
/// is in one of `formats`.
pub(super) fn shutdown(dir: &Path, formats: &[u32]) -> io::Result<(Shutdown, Option<Version>)> {
    let files = log_files(dir)?;
    let mut newest: Option<(u64, Option<Version>, Place<'_>)> = None;
    for file in &files {
        let Some(header) = Header::read(file, formats)? else {
            continue;
        };
        for (lsn, offset) in header.checkpoints() {
            if newest.as_ref().is_none_or(|(known, ..)| *known < lsn) {
                let place = header.place(&files, file, lsn, offset)?;
                newest = Some((lsn, header.creator(), place));
            }
        }
    }
    let Some((lsn, creator, (file, offset))) = newest else {
        return Ok((Shutdown::Unknown, None));
    };
    let mut block = [0; 8];
    match file.read_exact_at(&mut block, offset / BLOCK * BLOCK) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok((Shutdown::Unknown, creator));
        }
        result => result?,
    }
    // Its number, without the bit that begins a write; as many bytes are used as the checkpoint has
    // seen, where nothing follows it.
    let number = u64::from(u32::from_be_bytes([
        block[0] & 0x7f,
        block[1],
        block[2],
        block[3],
    ]));
    let used = u64::from(u16::from_be_bytes([block[4] & 0x7f, block[5]]));
    let same = number & 0x3fff_ffff == ((lsn / BLOCK) & 0x3fff_ffff) + 1;
    Ok(if !same {
        (Shutdown::Unknown, creator)
    } else if used == lsn % BLOCK {
        (Shutdown::Clean, creator)
    } else {
        (Shutdown::Unclean, creator)
    })
}

/// A file of the log and an offset in it.
type Place<'a> = (&'a File, u64);

/// In their order: `ib_logfile0` and the next, or those of 8.0.30 and later that are in use.
fn log_files(dir: &Path) -> io::Result<Vec<File>> {
    let mut paths: Vec<PathBuf> = (0..100)
        .map(|number| dir.join(format!("ib_logfile{number}")))
        .take_while(|path| path.is_file())
        .collect();
    match fs::read_dir(dir.join("#innodb_redo")) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name();
                let number = name.to_str().and_then(|name| name.strip_prefix("#ib_redo"));
                // One that is kept for later has more behind its number.
                if number.is_some_and(|rest| rest.bytes().all(|c| c.is_ascii_digit())) {
                    paths.push(entry.path());
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    paths.iter().map(File::open).collect()
}

/// A file's first blocks.
struct Header(Vec<u8>);

impl Header {
    /// `None` if it is in none of `formats`.
    fn read(file: &File, formats: &[u32]) -> io::Result<Option<Self>> {
        let mut bytes = vec![0; usize::try_from(HEADER).unwrap_or_default()];
        match file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        }
        let header = Self(bytes);
        Ok(formats.contains(&header.format()).then_some(header))
    }

    fn format(&self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }

    fn number(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[at..at + 8]);
        u64::from_be_bytes(bytes)
    }

    /// `MySQL 5.7.22`
    fn creator(&self) -> Option<Version> {
        let text = String::from_utf8_lossy(&self.0[16..48]).into_owned();
        Version::parse(text.split_once(' ')?.1)
    }

    /// The log sequence numbers and what else they say of their places.
    fn checkpoints(&self) -> impl Iterator<Item = (u64, u64)> {
        let offset = |at| match self.format() {
            // In two halves: files of 4 GB and more came later.
            FORMAT_BEFORE_5_7_9 => self.half(at + 304) << 32 | self.half(at + 16),
            _ => self.number(at + 16),
        };
        CHECKPOINTS
            .map(|at| (self.number(at + 8), offset(at)))
            .into_iter()
            .filter(|(lsn, _)| *lsn > 0)
    }

    fn half(&self, at: usize) -> u64 {
        self.number(at) >> 32
    }

    fn place<'a>(
        &self,
        files: &'a [File],
        file: &'a File,
        lsn: u64,
        offset: u64,
    ) -> io::Result<Place<'a>> {
        if self.format() == FORMAT_OF_8_0_30 {
            return Ok((file, lsn.saturating_sub(self.number(8)) + HEADER));
        }
        let size = file.metadata()?.len().max(1);
        let at = usize::try_from(offset / size).ok();
        let file = at.and_then(|at| files.get(at)).unwrap_or(file);
        Ok((file, offset % size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file's first blocks, and room for 64 more.
    fn header(format: u32, start: u64, checkpoint: usize, lsn: u64, offset: u64) -> Vec<u8> {
        let mut bytes = vec![0; 68 * 512];
        bytes[..4].copy_from_slice(&format.to_be_bytes());
        bytes[8..16].copy_from_slice(&start.to_be_bytes());
        bytes[16..28].copy_from_slice(b"MySQL 8.0.15");
        bytes[checkpoint + 8..][..8].copy_from_slice(&lsn.to_be_bytes());
        bytes[checkpoint + 16..][..8].copy_from_slice(&offset.to_be_bytes());
        bytes
    }

    fn block(bytes: &mut [u8], at: u64, lsn: u64, used: u16) {
        let block = &mut bytes[usize::try_from(at / 512 * 512).unwrap()..];
        let number = u32::try_from(lsn / 512 + 1).unwrap() | 1 << 31;
        block[..4].copy_from_slice(&number.to_be_bytes());
        block[4..6].copy_from_slice(&used.to_be_bytes());
    }

    fn ended(dir: &Path) -> Shutdown {
        shutdown(dir, MYSQL).unwrap().0
    }

    /// In a circle of two files the checkpoint of the first may be a place in the second.
    #[test]
    fn shutdown_of_files_in_a_circle_is_told_by_the_block_of_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let write = |number, bytes: &[u8]| {
            fs::write(dir.path().join(format!("ib_logfile{number}")), bytes).unwrap();
        };
        assert_eq!(ended(dir.path()), Shutdown::Unknown, "no log");
        let lsn = 90 * 512 + 100;
        let first = header(3, 8192, 1536, lsn, 68 * 512 + 7 * 512 + 100);
        write(0, &first);
        for (used, expected) in [(100, Shutdown::Clean), (512, Shutdown::Unclean)] {
            let mut second = vec![0; first.len()];
            block(&mut second, 7 * 512, lsn, used);
            write(1, &second);
            let version = Some(Version::new(8, 0, 15));
            assert_eq!(shutdown(dir.path(), MYSQL).unwrap(), (expected, version));
        }
        write(1, &vec![0; first.len()]);
        assert_eq!(ended(dir.path()), Shutdown::Unknown, "another block");
        write(0, &header(9, 8192, 1536, lsn, 0));
        assert_eq!(ended(dir.path()), Shutdown::Unknown, "another format");
        write(0, b"short");
        assert_eq!(ended(dir.path()), Shutdown::Unknown, "cut");
    }

    #[test]
    fn shutdown_of_a_log_before_5_7_9_is_told_by_the_same_block() {
        let dir = tempfile::tempdir().unwrap();
        let lsn = 90 * 512 + 100;
        // The size of a buffer stands where later formats have the rest of the offset.
        let mut bytes = header(0, 8192, 512, lsn, (HEADER + 612) << 32 | 0x0080_0000);
        for (used, expected) in [(100, Shutdown::Clean), (300, Shutdown::Unclean)] {
            block(&mut bytes, HEADER + 512, lsn, used);
            fs::write(dir.path().join("ib_logfile0"), &bytes).unwrap();
            assert_eq!(ended(dir.path()), expected);
        }
        fs::write(dir.path().join("ib_logfile0"), vec![0; bytes.len()]).unwrap();
        assert_eq!(ended(dir.path()), Shutdown::Unknown, "no checkpoint");
    }

    #[test]
    fn shutdown_of_files_with_positions_is_told_by_the_newest_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let redo = dir.path().join("#innodb_redo");
        fs::create_dir(&redo).unwrap();
        let start = 100 * 512;
        let lsn = start + 3 * 512 + 77;
        let mut old = header(6, 0, 512, start - 600, 0);
        block(&mut old, 0, 0, 512);
        fs::write(redo.join("#ib_redo7"), old).unwrap();
        let mut newest = header(6, start, 512, lsn, 0);
        block(&mut newest, HEADER + 3 * 512, lsn, 77);
        fs::write(redo.join("#ib_redo8"), &newest).unwrap();
        // Kept for later: whatever an earlier round left.
        let later = header(6, start, 512, lsn + 9999, 0);
        fs::write(redo.join("#ib_redo9_tmp"), later).unwrap();
        assert_eq!(ended(dir.path()), Shutdown::Clean);
        block(&mut newest, HEADER + 3 * 512, lsn, 300);
        fs::write(redo.join("#ib_redo8"), newest).unwrap();
        assert_eq!(ended(dir.path()), Shutdown::Unclean);
    }

    #[test]
    fn shutdown_of_mariadb_before_10_8_is_told_the_same_way() {
        let dir = tempfile::tempdir().unwrap();
        let lsn = 90 * 512 + 100;
        let mut bytes = header(0x5048_5953, 8192, 512, lsn, HEADER + 512 + 100);
        bytes[16..31].copy_from_slice(b"MariaDB 10.5.29");
        for (used, expected) in [(100, Shutdown::Clean), (300, Shutdown::Unclean)] {
            block(&mut bytes, HEADER + 512, lsn, used);
            fs::write(dir.path().join("ib_logfile0"), &bytes).unwrap();
            let version = Some(Version::new(10, 5, 29));
            let ended = shutdown(dir.path(), MARIADB).unwrap();
            assert_eq!(ended, (expected, version));
            assert_eq!(shutdown(dir.path(), MYSQL).unwrap().0, Shutdown::Unknown);
        }
    }
}
