//! Whether the redo log of MariaDB from 10.8 on is logically empty, as a clean shutdown leaves it.
//! Other formats are not judged. The format is described in the server's log0recv.cc and mtr0types.h.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Shutdown;

/// Where the records begin, in a file that they fill in a circle.
const START: u64 = 12_288;

/// Where the two checkpoints are, of which one is valid at any time.
const CHECKPOINTS: [usize; 2] = [4096, 8192];

/// More than a mini-transaction can have.
const MOST: usize = 1 << 20;

/// `FILE_CHECKPOINT`, with its length.
const FILE_CHECKPOINT: u8 = 0xfa;

/// After a clean shutdown the newest checkpoint's two positions are one, where one mini-transaction
/// says so again and is the last.
pub(super) fn shutdown(path: &Path) -> io::Result<Shutdown> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Shutdown::Unknown),
        Err(error) => return Err(error),
    };
    let Some(log) = RedoLog::open(&file)? else {
        return Ok(Shutdown::Unknown);
    };
    let Some((checkpoint, end)) = log.newest_checkpoint() else {
        return Ok(Shutdown::Unclean);
    };
    let first = log.mini_transaction(end)?;
    let clean = checkpoint == end
        && match first {
            Some((FILE_CHECKPOINT, length)) => log.mini_transaction(end + length)?.is_none(),
            Some(_) | None => false,
        };
    Ok(if clean {
        Shutdown::Clean
    } else {
        Shutdown::Unclean
    })
}

struct RedoLog<'a> {
    file: &'a File,
    header: Vec<u8>,
    /// The log sequence number of the first record's place.
    first: u64,
    /// How many bytes of records there is room for.
    capacity: u64,
}

impl<'a> RedoLog<'a> {
    /// `None` if it is in another format, or encrypted.
    fn open(file: &'a File) -> io::Result<Option<Self>> {
        let size = file.metadata()?.len();
        if size <= START {
            return Ok(None);
        }
        let mut header = vec![0; 12_288];
        file.read_exact_at(&mut header, 0)?;
        if !header.starts_with(b"Phys") {
            return Ok(None);
        }
        Ok(Some(Self {
            file,
            first: number(&header, 8),
            capacity: size - START,
            header,
        }))
    }

    fn newest_checkpoint(&self) -> Option<(u64, u64)> {
        let valid = CHECKPOINTS.iter().filter_map(|&at| {
            let block = &self.header[at..at + 64];
            let sum = crc32c::crc32c(&block[..60]).to_be_bytes();
            (block[60..] == sum).then(|| (number(block, 0), number(block, 8)))
        });
        valid.max().filter(|(_, end)| *end >= self.first)
    }

    /// Its first byte and its length, if there is a valid one.
    fn mini_transaction(&self, position: u64) -> io::Result<Option<(u8, u64)>> {
        let bytes = self.read(position)?;
        let Some(end) = records_end(&bytes) else {
            return Ok(None);
        };
        let Some(sum) = bytes.get(end + 1..end + 5) else {
            return Ok(None);
        };
        // Flips at each round, so that what an earlier one left is told from what is new.
        let round = (position + end as u64 - self.first) / self.capacity;
        let valid = u64::from(bytes[end]) != round % 2
            && sum == crc32c::crc32c(&bytes[..end]).to_be_bytes();
        Ok(valid.then(|| (bytes[0], end as u64 + 5)))
    }

    fn read(&self, position: u64) -> io::Result<Vec<u8>> {
        let offset = (position - self.first) % self.capacity;
        let length = (MOST as u64).min(self.capacity);
        let straight = length.min(self.capacity - offset);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(MOST)];
        let (before, after) = bytes.split_at_mut(usize::try_from(straight).unwrap_or(MOST));
        self.file.read_exact_at(before, START + offset)?;
        self.file.read_exact_at(after, START)?;
        Ok(bytes)
    }
}

/// Where the records of a mini-transaction end: at a byte 0 or 1 where the next would begin.
fn records_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let first = *bytes.get(at)?;
        if first <= 1 {
            return (at > 0).then_some(at);
        }
        at += 1;
        at += match usize::from(first & 0xf) {
            0 => 15 + varint(bytes.get(at..)?)?,
            length => length,
        };
    }
}

/// A length, whose first bits say how many bytes it has. It counts from behind its own bytes on.
fn varint(bytes: &[u8]) -> Option<usize> {
    let byte = |at: usize| bytes.get(at).map(|byte| usize::from(*byte));
    let first = byte(0)?;
    Some(match first {
        0..0x80 => first,
        0x80..0xc0 => ((first & 0x3f) << 8 | byte(1)?) + 0x80,
        0xc0..0xe0 => ((first & 0x1f) << 16 | byte(1)? << 8 | byte(2)?) + 0x4080,
        0xe0..0xf0 => ((first & 0xf) << 24 | byte(1)? << 16 | byte(2)? << 8 | byte(3)?) + 0x20_4080,
        _ => return None,
    })
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
