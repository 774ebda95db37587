//! zstd with a window of 128 MiB, compressed by several threads. The clients in a server's tarball are
//! alike, and further apart than other formats look back.

use std::io::{self, Write};
use std::num::NonZero;

use zstd::Encoder;
use zstd::zstd_safe::CParameter;

/// As a power of two. Every `zstd` inflates this much with `--long=27`, or without any option where
/// it reads as a stream.
pub(crate) const WINDOW: u32 = 27;

/// What a thread compresses at a time, whatever the level: it decides where the frame is cut, and so it
/// shows in the bytes.
const JOB: u32 = 4 << 20;

/// What all threads may take together besides the window.
const MEMORY: u64 = 44 << 20;
const MEMORY_PER_THREAD: u64 = 16 << 20;

/// The largest table of matches, as a power of two of its entries: that of level 9. The levels above would
/// take four times as much.
const HASH_LOG: u32 = 21;

/// Whether a file that starts like this was written by [`Frame`]: a frame with a checksum, without a
/// length, and with that window.
pub(crate) fn is_ours(start: &[u8]) -> bool {
    start.starts_with(b"\x28\xb5\x2f\xfd\x04\x88")
}

/// Compresses what is written to it into one frame. Dropped early, it leaves the frame without its end.
pub(crate) struct Frame<W: Write>(Encoder<'static, W>);

impl<W: Write> Frame<W> {
    /// `level` as zstd has it, 1 to 12.
    pub(crate) fn new(out: W, level: u32, threads: NonZero<usize>) -> io::Result<Self> {
        let mut encoder = Encoder::new(out, i32::try_from(level).unwrap_or_default())?;
        encoder.include_checksum(true)?;
        encoder.long_distance_matching(true)?;
        encoder.window_log(WINDOW)?;
        // One at least: without any, zstd cuts the frame elsewhere.
        encoder.multithread(workers(level, threads))?;
        encoder.set_parameter(CParameter::JobSize(JOB))?;
        if level > 9 {
            encoder.set_parameter(CParameter::HashLog(HASH_LOG))?;
        }
        Ok(Self(encoder))
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        self.0.finish()?.flush()
    }
}

/// How many of `threads` may compress at the same time: as many as there is memory for, at least one.
fn workers(level: u32, threads: NonZero<usize>) -> u32 {
    // Tables of matches, as zstd sizes them, and what is in work.
    let each: u64 = match level {
        0..=8 => 16,
        _ => 48,
    } << 20;
    let threads = u32::try_from(threads.get()).unwrap_or(1);
    let memory = MEMORY + MEMORY_PER_THREAD * u64::from(threads);
    u32::try_from(memory / each).map_or(threads, |fitting| fitting.clamp(1, threads))
}

impl<W: Write> Write for Frame<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// Would end a block early, and so change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn packed(bytes: &[u8], level: u32, threads: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let threads = NonZero::new(threads).unwrap();
        let mut frame = Frame::new(&mut out, level, threads).unwrap();
        for piece in bytes.chunks(333_333) {
            frame.write_all(piece).unwrap();
        }
        frame.finish().unwrap();
        out
    }

    /// Noise that comes again from further away than a window of any level without this.
    fn sample() -> Vec<u8> {
        let numbers = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761) >> 7);
        let noise: Vec<u8> = numbers
            .flat_map(u32::to_le_bytes)
            .take(12_000_000)
            .collect();
        noise.repeat(2)
    }

    #[test]
    fn frame_of_any_number_of_threads_is_the_same_and_inflates() {
        let bytes = sample();
        for level in [1, 3, 9, 12] {
            let one = packed(&bytes, level, 1);
            assert!(one.len() < bytes.len() * 6 / 10, "{}", one.len());
            assert!(packed(&bytes, level, 3) == one, "level {level}");
            assert!(zstd::decode_all(&one[..]).unwrap() == bytes);
        }
    }

    #[test]
    fn frame_dropped_early_has_no_end() {
        let mut out = Vec::new();
        let mut frame = Frame::new(&mut out, 1, NonZero::<usize>::MIN).unwrap();
        frame.write_all(&sample()).unwrap();
        drop(frame);
        zstd::decode_all(&out[..]).unwrap_err();
    }

    #[test]
    fn workers_are_as_many_as_there_is_memory_for() {
        let workers = |level, threads| workers(level, NonZero::new(threads).unwrap());
        assert_eq!(
            [1, 2, 8, 256].map(|threads| workers(3, threads)),
            [1, 2, 8, 256]
        );
        assert_eq!([1, 8, 9, 12].map(|level| workers(level, 2)), [2, 2, 1, 1]);
    }
}
