//! The files of a binary log, read event by event: where transactions begin, when they were committed,
//! what they are called, and whether every byte is what the server wrote. The format is that of the
//! vendors' manuals: "Binary Log Events" (MySQL internals), "Event Header" (MariaDB's protocol).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::moment::Gtid;

const MAGIC: [u8; 4] = *b"\xfebin";

/// The common header of every event.
const HEADER: usize = 19;

/// A checksum that ends an event.
const CHECKSUM: usize = 4;

/// So much of an event is looked at; checksums are of all of it.
const LOOKED_AT: usize = 128;

const CHUNK: usize = 64 << 10;

const FORMAT_DESCRIPTION: u8 = 15;
const GTID: u8 = 33;
const ANONYMOUS_GTID: u8 = 34;
const GTID_TAGGED: u8 = 42;
const MARIADB_GTID: u8 = 162;

/// A flag of the first event: the server is not done with the file, or was killed. No checksum is of it.
const IN_USE: u8 = 1;

/// CRC32, as the format description names it.
const CRC32: u8 = 1;

/// And what it says if the user wants none.
const NO_CHECKSUM: u8 = 0;

/// A transaction in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    /// Where its first event is.
    pub(crate) position: u64,
    /// When it was committed, in microseconds since 1970; in whole seconds where the server notes no more.
    pub(crate) time: u64,
    /// What it is called, where transactions have names.
    pub(crate) gtid: Option<Gtid>,
}

/// A log that is read.
pub(crate) struct BinaryLog {
    path: PathBuf,
    file: BufReader<File>,
    length: u64,
    position: u64,
    has_checksums: bool,
}

struct Event {
    kind: u8,
    position: u64,
    time: u64,
    server: u32,
    /// Without the header.
    body: Vec<u8>,
}

impl BinaryLog {
    pub(crate) fn open(path: &Path) -> Result<Self, BinaryLogError> {
        let read = |source| BinaryLogError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let mut file = BufReader::with_capacity(CHUNK, file);
        let mut magic = [0; 4];
        let known = match file.read_exact(&mut magic) {
            Ok(()) => magic == MAGIC,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(read(error)),
        };
        if !known {
            return Err(BinaryLogError::Foreign {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            position: 4,
            has_checksums: false,
        })
    }

    /// The next transaction that begins; `None` at the end of the log.
    pub(crate) fn next(&mut self) -> Result<Option<Transaction>, BinaryLogError> {
        while let Some(event) = self.event()? {
            if let Some(transaction) = transaction(&event) {
                return Ok(Some(transaction));
            }
        }
        Ok(None)
    }

    fn damaged(&self, problem: &'static str) -> BinaryLogError {
        BinaryLogError::Damaged {
            path: self.path.clone(),
            position: self.position,
            problem,
        }
    }

    fn event(&mut self) -> Result<Option<Event>, BinaryLogError> {
        if self.position == self.length {
            return Ok(None);
        }
        let mut header = [0; HEADER];
        self.fill(&mut header)?;
        let length = u32::from_le_bytes([header[9], header[10], header[11], header[12]]) as usize;
        let kind = header[4];
        let end = self.position + length as u64;
        if length < HEADER || end > self.length {
            return Err(self.damaged("an event has no end"));
        }
        let first = self.position == 4;
        if first != (kind == FORMAT_DESCRIPTION) {
            return Err(self.damaged("it does not begin as a log begins"));
        }
        let mut sum = crc32fast::Hasher::new();
        if kind == FORMAT_DESCRIPTION {
            let mut unused = header;
            unused[17] &= !IN_USE;
            sum.update(&unused);
        } else {
            sum.update(&header);
        }
        // The first event always has one; it says whether the others have.
        let summed = if self.has_checksums || first {
            length
                .checked_sub(HEADER + CHECKSUM)
                .ok_or_else(|| self.damaged("an event is too short"))?
        } else {
            length - HEADER
        };
        let (body, last) = self.body(summed, &mut sum)?;
        if first {
            self.has_checksums = last == CRC32;
            if last != CRC32 && last != NO_CHECKSUM {
                return Err(self.damaged("it does not begin as a log begins"));
            }
        }
        if summed + HEADER < length {
            let mut wanted = [0; CHECKSUM];
            self.fill(&mut wanted)?;
            if self.has_checksums && u32::from_le_bytes(wanted) != sum.finalize() {
                return Err(self.damaged("the checksum of an event is another"));
            }
        }
        let position = self.position;
        self.position = end;
        Ok(Some(Event {
            kind,
            position,
            time: u64::from(u32::from_le_bytes([
                header[0], header[1], header[2], header[3],
            ])) * 1_000_000,
            server: u32::from_le_bytes([header[5], header[6], header[7], header[8]]),
            body,
        }))
    }

    /// The beginning of what is `length` long, and its last byte.
    fn body(
        &mut self,
        length: usize,
        sum: &mut crc32fast::Hasher,
    ) -> Result<(Vec<u8>, u8), BinaryLogError> {
        let (mut begin, mut last) = (Vec::new(), 0);
        let mut buffer = vec![0; CHUNK.min(length)];
        let mut left = length;
        while left > 0 {
            let part = left.min(CHUNK);
            let chunk = &mut buffer[..part];
            self.file
                .read_exact(chunk)
                .map_err(|source| BinaryLogError::Read {
                    path: self.path.clone(),
                    source,
                })?;
            sum.update(chunk);
            let wanted = LOOKED_AT.saturating_sub(begin.len()).min(part);
            begin.extend_from_slice(&chunk[..wanted]);
            last = chunk[part - 1];
            left -= part;
        }
        Ok((begin, last))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), BinaryLogError> {
        self.file
            .read_exact(buffer)
            .map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof => self.damaged("an event has no end"),
                _ => BinaryLogError::Read {
                    path: self.path.clone(),
                    source,
                },
            })
    }

    /// Goes on at `position`, where a transaction begins, or the log ends.
    pub(crate) fn skip_to(&mut self, position: u64) -> Result<(), BinaryLogError> {
        // What the first event says has to be known.
        if self.position == 4 {
            self.event()?;
        }
        if position <= self.position {
            return Ok(());
        }
        if position > self.length {
            return Err(self.damaged("it ends before the position of the copy"));
        }
        self.file
            .seek(SeekFrom::Start(position))
            .map_err(|source| BinaryLogError::Read {
                path: self.path.clone(),
                source,
            })?;
        self.position = position;
        Ok(())
    }
}

fn transaction(event: &Event) -> Option<Transaction> {
    let body = &event.body;
    let (gtid, time) = match event.kind {
        GTID | ANONYMOUS_GTID => {
            let number = bytes(body, 17)?;
            let gtid = (event.kind == GTID).then(|| Gtid {
                source: uuid(&body[1..17]),
                number,
            });
            // From 8.0.1 on, in 55 bits.
            let time = bytes(body, 42).map(|time| time & ((1 << 55) - 1));
            (gtid, time.filter(|time| *time > 0))
        }
        GTID_TAGGED => (None, None),
        MARIADB_GTID => {
            let domain = bytes(body, 8)? & 0xffff_ffff;
            let gtid = Gtid {
                source: format!("{domain}-{}", event.server),
                number: bytes(body, 0)?,
            };
            (Some(gtid), None)
        }
        _ => return None,
    };
    Some(Transaction {
        position: event.position,
        time: time.unwrap_or(event.time),
        gtid,
    })
}

/// Eight bytes, the lowest first; of those that are beyond the end nothing.
fn bytes(body: &[u8], at: usize) -> Option<u64> {
    let mut found = [0; 8];
    let there = body.get(at..)?;
    let count = there.len().min(8);
    // Of a commit's time seven may be the last ones.
    if count < 7 {
        return None;
    }
    found[..count].copy_from_slice(&there[..count]);
    Some(u64::from_le_bytes(found))
}

fn uuid(bytes: &[u8]) -> String {
    let digits = hook::hexadecimal(bytes);
    [0..8, 8..12, 12..16, 16..20, 20..32]
        .map(|range| &digits[range])
        .join("-")
}

/// A log that cannot be replayed.
#[derive(Debug, Error)]
pub enum BinaryLogError {
    /// The disk, or a right.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another file, or one that is encrypted.
    #[error("{path} is no binary log, or is encrypted", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Bytes are not what the server wrote.
    #[error("{path} is damaged at {position}: {problem}", path = path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Where the event begins.
        position: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
}

#[cfg(test)]
pub(crate) mod tests;
