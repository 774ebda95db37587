//! gzip in independent members, compressed by several threads. Cutting depends on the bytes alone,
//! so the number of threads does not show; each member's header records its size, so that a reader
//! can inflate them in parallel too. docs/repack.md documents the format.

use std::io::{self, Write};
use std::num::NonZero;

use libdeflater::{CompressionLvl, Compressor};
use tarball::member::{self, PLAIN};
use tarball::{IN_FLIGHT, Worker};

/// Compresses what is written to it into `out`. Nothing is complete before [`Members::finish`].
pub(crate) struct Members<W> {
    out: W,
    workers: Vec<Worker<Member>>,
    /// Who gets the next member. They take turns, so members come back in order.
    turn: usize,
    filling: Member,
}

#[derive(Default)]
struct Member {
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl<W: Write> Members<W> {
    /// `level` as gzip has it, 1 to 9.
    pub(crate) fn new(out: W, level: u32, threads: NonZero<usize>) -> io::Result<Self> {
        let level = i32::try_from(level)
            .ok()
            .and_then(|level| CompressionLvl::new(level).ok())
            .unwrap_or_default();
        let workers = (0..threads.get()).map(|_| worker(level));
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
        if worker.in_flight() == IN_FLIGHT {
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
                if worker.in_flight() > 0 {
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
        let taken = bytes.len().min(PLAIN - self.filling.plain.len());
        self.filling.plain.extend_from_slice(&bytes[..taken]);
        if self.filling.plain.len() == PLAIN {
            self.submit()?;
        }
        Ok(taken)
    }

    /// Would end a member early, and so change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn worker(level: CompressionLvl) -> io::Result<Worker<Member>> {
    let mut compressor = Compressor::new(level);
    let gone = "a compressing thread has ended";
    Worker::start("deflate", gone, move |mut member: Member| {
        member::pack(&mut compressor, &member.plain, &mut member.packed).map(|()| member)
    })
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
        for length in [1, PLAIN - 1, PLAIN, 7 * PLAIN + 5] {
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
        let packed = packed(&sample(2 * PLAIN + 5), 2);
        let mut rest = &packed[..];
        let mut lengths = Vec::new();
        while !rest.is_empty() {
            assert!(member::begins(rest));
            let size = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
            let plain = u32::from_le_bytes(rest[size - 4..size].try_into().unwrap());
            lengths.push(plain as usize);
            rest = &rest[size..];
        }
        assert_eq!(lengths, [PLAIN, PLAIN, 5]);
    }

    #[test]
    fn members_that_cannot_be_written_fail() {
        let mut members = Members::new(&mut [][..], 1, NonZero::<usize>::MIN).unwrap();
        members.write_all(b"x").unwrap();
        assert!(members.finish().is_err());
    }
}
