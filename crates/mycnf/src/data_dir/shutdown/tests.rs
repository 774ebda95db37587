//! Logs as MariaDB leaves them after a clean shutdown, and what may follow there after any other end.

use std::fs;
use std::path::Path;

use super::*;

/// The log sequence number of the first record, and room for few of them.
const FIRST: u64 = 12_288;
const CAPACITY: u64 = 4096;

/// A redo log of MariaDB 10.8 or later.
struct RedoLog(Vec<u8>);

impl RedoLog {
    fn new(header: &[u8]) -> Self {
        let mut bytes = vec![0; usize::try_from(FIRST + CAPACITY).unwrap()];
        bytes[..header.len()].copy_from_slice(header);
        bytes[8..16].copy_from_slice(&FIRST.to_be_bytes());
        Self(bytes)
    }

    fn checkpoint(mut self, at: usize, checkpoint: u64, end: u64) -> Self {
        let block = &mut self.0[at..at + 64];
        block[..8].copy_from_slice(&checkpoint.to_be_bytes());
        block[8..16].copy_from_slice(&end.to_be_bytes());
        let sum = crc32c::crc32c(&block[..60]);
        block[60..].copy_from_slice(&sum.to_be_bytes());
        self
    }

    /// One mini-transaction at `position`, in the log's `round`.
    fn record(mut self, position: u64, records: &[u8], round: u8) -> Self {
        let mut bytes = records.to_vec();
        bytes.push(1 - round);
        bytes.extend(crc32c::crc32c(records).to_be_bytes());
        for (at, byte) in bytes.iter().enumerate() {
            let offset = (position - FIRST + at as u64) % CAPACITY;
            self.0[usize::try_from(FIRST + offset).unwrap()] = *byte;
        }
        self
    }
}

/// `FILE_CHECKPOINT` of `position`.
fn file_checkpoint(position: u64) -> Vec<u8> {
    let mut record = vec![0xfa, 0, 0];
    record.extend(position.to_be_bytes());
    record
}

/// A change of a page, with a length in the short form and one in the long.
const CHANGE: &[u8] = &[
    0x34, 0, 0, 0, 7, 0xb0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn clean(position: u64, round: u8) -> RedoLog {
    RedoLog::new(b"Phys")
        .checkpoint(4096, position, position)
        .record(position, &file_checkpoint(position), round)
}

/// Aria's control file and log, whose checkpoint's record is at `offset`.
fn put_aria(dir: &Path, offset: u32, last_log: u8, follows: &[u8]) {
    let mut control = vec![0; 52];
    control[..4].copy_from_slice(b"\xfe\xfe\x0c\x01");
    control[20] = 30;
    control[34] = 1;
    control[37..41].copy_from_slice(&offset.to_le_bytes());
    control[41] = last_log;
    fs::write(dir.join("aria_log_control"), control).unwrap();
    let at = usize::try_from(offset).unwrap();
    let mut log = vec![0xff; 3 * 8192];
    log[at..at + 44].fill(0);
    log[at] = 0x1d;
    log[at + 3] = 0x26;
    log[at + 44..at + 44 + follows.len()].copy_from_slice(follows);
    fs::write(dir.join(format!("aria_log.{last_log:08}")), log).unwrap();
}

#[test]
fn last_shutdown_of_innodb_is_told_by_what_follows_the_checkpoint() {
    let (at, next) = (FIRST + 100, FIRST + 116);
    // So that the record begins at the end of the file and ends at the beginning.
    let turning = FIRST + CAPACITY - 5;
    for (log, expected, reason) in [
        (clean(at, 0), Shutdown::Clean, "nothing follows"),
        (
            clean(at, 0).record(next, CHANGE, 1),
            Shutdown::Clean,
            "what follows is of an earlier round",
        ),
        (
            clean(at, 0).checkpoint(8192, FIRST + 50, FIRST + 50),
            Shutdown::Clean,
            "the other checkpoint is older",
        ),
        (
            clean(turning, 0),
            Shutdown::Unclean,
            "its round has changed",
        ),
        (clean(turning, 1), Shutdown::Clean, "at the turn"),
        (
            clean(at, 0).record(next, CHANGE, 0),
            Shutdown::Unclean,
            "a change follows",
        ),
        (
            clean(at, 0).checkpoint(8192, at + 1, at + 7),
            Shutdown::Unclean,
            "changes before the newest checkpoint's end",
        ),
        (
            RedoLog::new(b"Phys").checkpoint(4096, at, at),
            Shutdown::Unclean,
            "no record at the checkpoint",
        ),
        (RedoLog::new(b"Phys"), Shutdown::Unclean, "no checkpoint"),
        (RedoLog::new(b"PHYS"), Shutdown::Unknown, "10.5 to 10.7"),
        (RedoLog::new(b"\xd0hys"), Shutdown::Unknown, "encrypted"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        put_aria(dir.path(), 100, 1, &[]);
        fs::write(dir.path().join("ib_logfile0"), log.0).unwrap();
        assert_eq!(last_shutdown(dir.path()).unwrap(), expected, "{reason}");
    }
}

#[test]
fn last_shutdown_of_aria_is_told_by_what_follows_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let shutdown = || last_shutdown(dir.path()).unwrap();
    assert_eq!(shutdown(), Shutdown::Unknown, "no logs");
    fs::write(dir.path().join("ib_logfile0"), clean(FIRST, 0).0).unwrap();
    assert_eq!(shutdown(), Shutdown::Unknown, "no control file");
    fs::write(dir.path().join("aria_log_control"), "something").unwrap();
    assert_eq!(shutdown(), Shutdown::Unknown, "no control file of Aria's");
    put_aria(dir.path(), 100, 1, &[]);
    assert_eq!(shutdown(), Shutdown::Clean);
    put_aria(dir.path(), 2 * 8192 - 20, 1, &[0; 16]);
    assert_eq!(shutdown(), Shutdown::Clean, "the record ends on a new page");
    put_aria(dir.path(), 100, 1, &[0x64]);
    assert_eq!(shutdown(), Shutdown::Unclean, "a record follows");
    put_aria(dir.path(), 100, 2, &[]);
    assert_eq!(shutdown(), Shutdown::Unclean, "another log follows");
    put_aria(dir.path(), 100, 1, &[]);
    fs::remove_file(dir.path().join("aria_log.00000001")).unwrap();
    assert_eq!(shutdown(), Shutdown::Clean, "no log, nothing in it");
}
