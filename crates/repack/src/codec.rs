//! Inflating the input. The format is told by content, never by name; members and streams that
//! follow one another are read to the last, so that a truncation cannot pass for the end.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use xz2::bufread::XzDecoder;
use xz2::stream::{CONCATENATED, Stream};

use crate::ahead::Ahead;

/// `xz -9` needs 65 MiB to inflate. Anything beyond twice that is not from a vendor.
const XZ_MEMORY: u64 = 128 << 20;

/// What a file's first bytes say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    Xz,
    /// Something known that is not read, by its usual name.
    Other(&'static str),
    Unknown,
}

impl Format {
    /// Tells the format by the first bytes; 512 are enough.
    pub(crate) fn of(start: &[u8]) -> Self {
        const ZIP: &[u8] = b"PK\x03\x04";
        let markup = start.trim_ascii_start().first() == Some(&b'<');
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Other("a zstd file"),
            [b'B', b'Z', b'h', ..] => Self::Other("a bzip2 file"),
            _ if start.starts_with(ZIP) => Self::Other("a zip file"),
            _ if start.get(257..262) == Some(b"ustar") => Self::Other("an uncompressed tar file"),
            _ if markup => Self::Other("a web page"),
            _ => Self::Unknown,
        }
    }
}

/// How far the inflated stream was read; outlives the readers that borrow the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Flowing,
    /// The input's proper end was reached: every checksum was right.
    Ended,
    /// The input could not be read or inflated.
    Failed,
}

/// The inflated stream of a compressed file, inflated in a thread of its own.
pub(crate) struct Inflated {
    decoder: Ahead,
    progress: Rc<Cell<Progress>>,
}

impl Inflated {
    pub(crate) fn gzip(input: impl BufRead + Send + 'static) -> io::Result<Self> {
        Self::start(MultiGzDecoder::new(input))
    }

    pub(crate) fn xz(input: impl BufRead + Send + 'static) -> io::Result<Self> {
        let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
        Self::start(XzDecoder::new_stream(input, stream))
    }

    fn start(decoder: impl Read + Send + 'static) -> io::Result<Self> {
        let progress = Rc::new(Cell::new(Progress::Flowing));
        let decoder = Ahead::start(decoder)?;
        Ok(Self { decoder, progress })
    }

    /// A handle that tells the progress whoever holds the stream.
    pub(crate) fn progress(&self) -> Rc<Cell<Progress>> {
        Rc::clone(&self.progress)
    }
}

impl Read for Inflated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer);
        match &read {
            Ok(0) if !buffer.is_empty() => self.progress.set(Progress::Ended),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.progress.set(Progress::Failed);
            }
            _ => {}
        }
        read
    }
}

/// Whether inflating failed because the input wants more memory than it may have.
pub(crate) fn is_memory_limit(error: &io::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        // An `io::Error` shows its content to `get_ref` only; its `source` is one further.
        let content = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .and_then(|content| content.downcast_ref::<xz2::stream::Error>());
        if content == Some(&xz2::stream::Error::MemLimit) {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_of_each_magic_is_told() {
        let mut tar = [0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let rows: &[(&[u8], Format)] = &[
            (b"\x1f\x8b\x08", Format::Gzip),
            (b"\xfd7zXZ\0", Format::Xz),
            (b"\x28\xb5\x2f\xfd", Format::Other("a zstd file")),
            (b"BZh9", Format::Other("a bzip2 file")),
            (b"PK\x03\x04", Format::Other("a zip file")),
            (&tar, Format::Other("an uncompressed tar file")),
            (b"\n<!DOCTYPE html>", Format::Other("a web page")),
            (b"\x7fELF", Format::Unknown),
            (b"", Format::Unknown),
        ];
        for (start, format) in rows {
            assert_eq!(Format::of(start), *format, "{start:?}");
        }
    }
}
