//! xz, inflated by several threads where its blocks record their sizes (`xz --threads` and repack
//! write such), by one where they do not. Streams may follow one another, with padding between.

use std::io::{self, BufRead, Read};
use std::num::NonZero;

use xz2::stream::{Action, MtStreamBuilder, Status, Stream};

/// All that inflating may take. `xz -9` needs 65 MiB; liblzma starts no more threads than fit.
const MEMORY: u64 = 128 << 20;

/// What the streams of `input` inflate to.
pub(crate) struct Streams<R> {
    input: R,
    stream: Stream,
    threads: NonZero<usize>,
    /// A stream has ended, and no other has begun.
    between: bool,
}

impl<R: BufRead> Streams<R> {
    pub(crate) fn new(input: R, threads: NonZero<usize>) -> io::Result<Self> {
        Ok(Self {
            input,
            stream: decoder(threads)?,
            threads,
            between: false,
        })
    }

    /// Begins the next stream, if there is one.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            let rest = self.input.fill_buf()?;
            let padding = rest.iter().take_while(|&&byte| byte == 0).count();
            if padding == 0 {
                self.between = rest.is_empty();
                break;
            }
            self.input.consume(padding);
        }
        if !self.between {
            self.stream = decoder(self.threads)?;
        }
        Ok(!self.between)
    }
}

fn decoder(threads: NonZero<usize>) -> io::Result<Stream> {
    let decoder = MtStreamBuilder::new()
        .threads(u32::try_from(threads.get()).unwrap_or(1))
        .memlimit_threading(MEMORY)
        .memlimit_stop(MEMORY)
        .decoder()?;
    Ok(decoder)
}

impl<R: BufRead> Read for Streams<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() && (!self.between || self.begin()?) {
            let input = self.input.fill_buf()?;
            let ended = input.is_empty();
            let action = if ended { Action::Finish } else { Action::Run };
            let (read, written) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.process(input, buffer, action)?;
            let taken = self.stream.total_in() - read;
            let given = self.stream.total_out() - written;
            self.input.consume(usize::try_from(taken).unwrap_or(0));
            self.between = status == Status::StreamEnd;
            if given > 0 {
                return Ok(usize::try_from(given).unwrap_or(0));
            }
            if ended && !self.between {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if taken == 0 && !self.between {
                return Err(xz2::stream::Error::Data.into());
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use xz2::write::XzEncoder;

    use super::*;

    /// As `xz --threads` packs it, in blocks of `block` bytes.
    fn blocks(plain: &[u8], block: u64) -> Vec<u8> {
        let mut builder = MtStreamBuilder::new();
        let stream = builder.preset(0).block_size(block).threads(2).encoder();
        let mut encoder = XzEncoder::new_stream(Vec::new(), stream.unwrap());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn one_block(plain: &[u8]) -> Vec<u8> {
        let mut encoder = XzEncoder::new(Vec::new(), 0);
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(bytes: &[u8], threads: usize) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        let threads = NonZero::new(threads).unwrap();
        // A buffer that no piece fits in.
        let input = io::BufReader::with_capacity(777, bytes);
        Streams::new(input, threads)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn streams_of_any_kind_by_any_number_of_threads_are_the_same() {
        let numbers = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761) >> 20);
        let plain: Vec<u8> = numbers.flat_map(u32::to_le_bytes).take(999_999).collect();
        let (whole, parts) = (one_block(&plain), blocks(&plain, 100_000));
        let several = [&whole[..], &[0; 8], &parts, &[0; 4]].concat();
        let twice = [&plain[..], &plain].concat();
        for threads in [1, 2, 5] {
            assert!(inflated(&whole, threads).unwrap() == plain, "one block");
            assert!(inflated(&parts, threads).unwrap() == plain, "blocks");
            assert!(inflated(&several, threads).unwrap() == twice, "streams");
        }
    }

    #[test]
    fn streams_cut_anywhere_are_not_taken_for_whole() {
        let plain: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for whole in [one_block(&plain), blocks(&plain, 3_000)] {
            for cut in 1..whole.len() {
                let error = inflated(&whole[..cut], 2).unwrap_err();
                assert_eq!(error.to_string(), "unexpected end of file", "at {cut}");
            }
        }
    }

    #[test]
    fn streams_with_something_else_behind_are_refused() {
        let bytes = [&one_block(b"x")[..], b"something else"].concat();
        inflated(&bytes, 2).unwrap_err();
    }
}
