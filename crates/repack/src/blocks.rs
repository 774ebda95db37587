//! xz in blocks, compressed by several threads.

use std::io::{self, Write};
use std::num::NonZero;

use xz2::stream::{Action, Check, Filters, LzmaOptions, MtStreamBuilder, Status, Stream};

/// Whether a file that starts like this was written by [`Blocks`]: the header of a stream with CRC-64,
/// and of a block that records both of its sizes, which `xz` writes with threads only.
pub(crate) fn is_ours(start: &[u8]) -> bool {
    const XZ: &[u8] = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46";
    const SIZES: u8 = 0xc0;
    let flags = start.get(XZ.len() + 1);
    start.starts_with(XZ) && flags.is_some_and(|flags| flags & SIZES == SIZES)
}

/// An xz file of blocks that record their sizes. Not liblzma's own writer: that one would finish
/// the file even when dropped after a failure.
pub(crate) struct Blocks<W> {
    out: W,
    stream: Stream,
    buffer: Vec<u8>,
}

/// What all encoders of xz may take together, for each thread and besides. docs/repack.md promises
/// 64 MiB besides; inflating, and what is remembered of the archive, take the rest of that.
const MEMORY: u64 = 44 << 20;
const MEMORY_PER_THREAD: u64 = 16 << 20;

/// How xz compresses at a level. The memory of an encoder is some twelve times its dictionary.
#[derive(Clone, Copy, Debug)]
struct Preset {
    level: u32,
    dictionary: u32,
    /// What a block inflates to.
    block: u64,
}

impl Preset {
    /// The levels of `xz`, but with smaller dictionaries: 2 MiB up to level 6.
    fn of(level: u32) -> Self {
        let dictionary = match level {
            0 => 256 << 10,
            1 => 1 << 20,
            2..=6 => 2 << 20,
            7 => 4 << 20,
            8 => 8 << 20,
            _ => 16 << 20,
        };
        Self {
            level,
            dictionary,
            block: u64::from(dictionary).max(4 << 20),
        }
    }

    /// How many of `threads` may compress at the same time: as many as there is memory for, at
    /// least one.
    fn encoders(self, threads: u32) -> Result<u32, xz2::stream::Error> {
        let memory = MEMORY + MEMORY_PER_THREAD * u64::from(threads);
        let fitting = memory / self.encoder(1)?.memusage().max(1);
        Ok(u32::try_from(fitting).map_or(threads, |fitting| fitting.clamp(1, threads)))
    }

    fn encoder(self, threads: u32) -> Result<MtStreamBuilder, xz2::stream::Error> {
        let mut options = LzmaOptions::new_preset(self.level)?;
        options.dict_size(self.dictionary);
        let mut filters = Filters::new();
        // Most of a server is machine code. What is not loses nothing by this.
        filters.x86();
        filters.lzma2(&options);
        let mut builder = MtStreamBuilder::new();
        builder
            .filters(filters)
            .check(Check::Crc64)
            .block_size(self.block)
            .threads(threads);
        Ok(builder)
    }
}

impl<W: Write> Blocks<W> {
    const BUFFER: usize = 64 << 10;

    pub(crate) fn new(out: W, level: u32, threads: NonZero<usize>) -> io::Result<Self> {
        let preset = Preset::of(level);
        let threads = preset.encoders(u32::try_from(threads.get()).unwrap_or(1))?;
        let encoder = preset.encoder(threads)?;
        Ok(Self {
            out,
            stream: encoder.encoder()?,
            buffer: Vec::with_capacity(Self::BUFFER),
        })
    }

    fn process(&mut self, bytes: &[u8], action: Action) -> io::Result<Status> {
        self.buffer.clear();
        let status = self.stream.process_vec(bytes, &mut self.buffer, action)?;
        self.out.write_all(&self.buffer)?;
        Ok(status)
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        while self.process(&[], Action::Finish)? != Status::StreamEnd {}
        self.out.flush()
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.stream.total_in();
        while !bytes.is_empty() && self.stream.total_in() == before {
            self.process(bytes, Action::Run)?;
        }
        let taken = self.stream.total_in() - before;
        Ok(usize::try_from(taken).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Read;

    use xz2::read::XzDecoder;

    use super::*;

    pub(crate) fn packed(bytes: &[u8], threads: usize) -> Vec<u8> {
        let threads = NonZero::new(threads).unwrap();
        let mut out = Vec::new();
        let mut blocks = Blocks::new(&mut out, 0, threads).unwrap();
        for piece in bytes.chunks(333_333) {
            blocks.write_all(piece).unwrap();
        }
        blocks.finish().unwrap();
        out
    }

    #[test]
    fn blocks_of_any_number_of_threads_are_the_same_and_inflate() {
        let numbers = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761) >> 20);
        let bytes: Vec<u8> = numbers
            .flat_map(u32::to_le_bytes)
            .take(20_000_000)
            .collect();
        let one = packed(&bytes, 1);
        assert!(packed(&bytes, 3) == one);
        let mut inflated = Vec::new();
        XzDecoder::new(&one[..]).read_to_end(&mut inflated).unwrap();
        assert!(inflated == bytes);
    }

    #[test]
    fn blocks_use_as_many_threads_as_there_is_memory_for() {
        let encoders = |level, threads| Preset::of(level).encoders(threads).unwrap();
        // At the default level about half of many threads.
        let default: Vec<u32> = [1, 2, 3, 4, 8, 256].map(|n| encoders(6, n)).into();
        assert_eq!(default, [1, 2, 2, 2, 4, 114]);
        assert_eq!([1, 7, 8, 9].map(|level| encoders(level, 2)), [2, 1, 1, 1]);
    }
}
