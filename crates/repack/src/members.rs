//! gzip in independent members, compressed by several threads. Cutting depends on the bytes alone,
//! so the number of threads does not show; each member's header records its size, so that a reader
//! can inflate them in parallel too. docs/repack.md documents the format.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use libdeflater::{CompressionLvl, Compressor, Crc};

/// What a member inflates to, except the last. Smaller costs density, larger costs memory.
const MEMBER: usize = 1 << 20;
/// Members a worker may have: one in work, one waiting, so that it never waits itself.
const IN_FLIGHT: usize = 2;
/// Everything of a header but the size: deflate, with an extra field and a comment, no time, Unix.
const HEADER: &[u8] = b"\x1f\x8b\x08\x14\0\0\0\0\0\x03\x08\0IG\x04\0";
/// By it a leftover is known to be ours.
const MARK: &[u8] = b"repack\0";
const SIZE_AT: usize = HEADER.len();
const DATA_AT: usize = SIZE_AT + size_of::<u32>() + MARK.len();
const TRAILER: usize = 2 * size_of::<u32>();

/// Whether a file that starts like this was written by [`Members`].
pub(crate) fn is_ours(start: &[u8]) -> bool {
    start.starts_with(HEADER) && start.get(DATA_AT - MARK.len()..DATA_AT) == Some(MARK)
}

/// Compresses what is written to it into `out`. Nothing is complete before [`Members::finish`].
pub(crate) struct Members<W> {
    out: W,
    workers: Vec<Worker>,
    /// Who gets the next member. They take turns, so members come back in order.
    turn: usize,
    filling: Member,
}

#[derive(Default)]
struct Member {
    plain: Vec<u8>,
    packed: Vec<u8>,
}

struct Worker {
    todo: SyncSender<Member>,
    done: Receiver<Member>,
    in_flight: usize,
}

impl<W: Write> Members<W> {
    /// `level` as gzip has it, 1 to 9.
    pub(crate) fn new(out: W, level: u32, threads: NonZero<usize>) -> io::Result<Self> {
        let level = i32::try_from(level)
            .ok()
            .and_then(|level| CompressionLvl::new(level).ok())
            .unwrap_or_default();
        let workers = (0..threads.get()).map(|_| Worker::start(level));
        Ok(Self {
            out,
            workers: workers.collect::<io::Result<_>>()?,
            turn: 0,
            filling: Member::default(),
        })
    }

    /// Gives the member being filled to the next worker, after writing what that one has finished.
    fn submit(&mut self) -> io::Result<()> {
        let worker = &mut self.workers[self.turn];
        let mut recycled = Member::default();
        if worker.in_flight == IN_FLIGHT {
            recycled = worker.take()?;
            self.out.write_all(&recycled.packed)?;
            recycled.plain.clear();
        }
        worker.give(std::mem::replace(&mut self.filling, recycled))?;
        self.turn = (self.turn + 1) % self.workers.len();
        Ok(())
    }

    /// Writes all that is left.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if !self.filling.plain.is_empty() {
            self.submit()?;
        }
        // From the oldest on, which the worker has whose turn it is.
        for _ in 0..IN_FLIGHT {
            for _ in 0..self.workers.len() {
                let worker = &mut self.workers[self.turn];
                if worker.in_flight > 0 {
                    self.out.write_all(&worker.take()?.packed)?;
                }
                self.turn = (self.turn + 1) % self.workers.len();
            }
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Members<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(MEMBER - self.filling.plain.len());
        self.filling.plain.extend_from_slice(&bytes[..taken]);
        if self.filling.plain.len() == MEMBER {
            self.submit()?;
        }
        Ok(taken)
    }

    /// Would end a member early, and so change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Worker {
    /// Starts a thread that ends when this is dropped.
    fn start(level: CompressionLvl) -> io::Result<Self> {
        let (todo, members) = sync_channel::<Member>(IN_FLIGHT);
        let (finished, done) = sync_channel(IN_FLIGHT);
        thread::Builder::new()
            .name("deflate".into())
            .spawn(move || {
                let mut compressor = Compressor::new(level);
                for mut member in members {
                    if pack(&mut compressor, &mut member).is_none()
                        || finished.send(member).is_err()
                    {
                        return;
                    }
                }
            })?;
        Ok(Self {
            todo,
            done,
            in_flight: 0,
        })
    }

    fn give(&mut self, member: Member) -> io::Result<()> {
        self.in_flight += 1;
        self.todo.send(member).map_err(|_| gone())
    }

    fn take(&mut self) -> io::Result<Member> {
        self.in_flight -= 1;
        self.done.recv().map_err(|_| gone())
    }
}

fn gone() -> io::Error {
    io::Error::other("a compressing thread has ended")
}

/// Makes a whole member of the plain bytes; `None` cannot happen, as the buffer has room for any.
fn pack(compressor: &mut Compressor, Member { plain, packed }: &mut Member) -> Option<()> {
    let bound = compressor.deflate_compress_bound(plain.len());
    packed.resize(DATA_AT + bound + TRAILER, 0);
    let deflated = compressor
        .deflate_compress(plain, &mut packed[DATA_AT..])
        .ok()?;
    packed.truncate(DATA_AT + deflated);
    let mut crc = Crc::new();
    crc.update(plain);
    packed.extend(crc.sum().to_le_bytes());
    packed.extend(u32::try_from(plain.len()).ok()?.to_le_bytes());
    let size = u32::try_from(packed.len()).ok()?.to_le_bytes();
    packed[..SIZE_AT].copy_from_slice(HEADER);
    packed[SIZE_AT..SIZE_AT + size.len()].copy_from_slice(&size);
    packed[DATA_AT - MARK.len()..DATA_AT].copy_from_slice(MARK);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn packed(bytes: &[u8], threads: usize) -> Vec<u8> {
        let threads = NonZero::new(threads).unwrap();
        let mut members = Members::new(Vec::new(), 6, threads).unwrap();
        // In pieces that fit nowhere.
        for piece in bytes.chunks(333_333) {
            members.write_all(piece).unwrap();
        }
        members.finish().unwrap()
    }

    fn sample(length: usize) -> Vec<u8> {
        let numbers = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761) >> 20);
        numbers.flat_map(u32::to_le_bytes).take(length).collect()
    }

    #[test]
    fn members_of_any_number_of_threads_are_the_same_and_inflate() {
        for length in [1, MEMBER - 1, MEMBER, 7 * MEMBER + 5] {
            let bytes = sample(length);
            let one = packed(&bytes, 1);
            for threads in [2, 3, 16] {
                assert!(packed(&bytes, threads) == one, "{length} by {threads}");
            }
            let mut inflated = Vec::new();
            MultiGzDecoder::new(&one[..])
                .read_to_end(&mut inflated)
                .unwrap();
            assert!(inflated == bytes, "{length}");
        }
    }

    #[test]
    fn members_are_found_by_their_recorded_sizes() {
        let packed = packed(&sample(2 * MEMBER + 5), 2);
        let mut rest = &packed[..];
        let mut lengths = Vec::new();
        while !rest.is_empty() {
            assert!(is_ours(rest));
            let size = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
            let plain = u32::from_le_bytes(rest[size - 4..size].try_into().unwrap());
            lengths.push(plain as usize);
            rest = &rest[size..];
        }
        assert_eq!(lengths, [MEMBER, MEMBER, 5]);
    }

    #[test]
    fn members_that_cannot_be_written_fail() {
        let mut members = Members::new(&mut [][..], 1, NonZero::<usize>::MIN).unwrap();
        members.write_all(b"x").unwrap();
        assert!(members.finish().is_err());
    }

    #[test]
    fn is_ours_only_what_members_start_with() {
        assert!(is_ours(&packed(b"x", 1)));
        assert!(!is_ours(b"text"));
        assert!(!is_ours(b"\x1f\x8b\x08\0\0\0\0\0\0\x03"));
    }
}
