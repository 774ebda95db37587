//! Inflating. The format is told by content, never by name; members, streams and frames that follow
//! one another are read to the last, so that a truncation cannot pass for the end.

use std::error::Error;
use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use thiserror::Error;
use xz2::bufread::XzDecoder;
use xz2::stream::{CONCATENATED, Stream};
use zstd::Decoder as ZstdDecoder;

use crate::archive::is_archive;

/// `xz -9` needs 65 MiB to inflate. Anything beyond twice that is not from a vendor.
const XZ_MEMORY: u64 = 128 << 20;
/// The same for zstd: the window's size, as a power of two.
const ZSTD_WINDOW: u32 = 27;

/// What a file's first bytes say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Compressed(Codec),
    Tar,
    /// Something known that is not read, by its usual name.
    Other(&'static str),
    Unknown,
}

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Xz,
    Zstd,
}

impl Format {
    /// Tells the format by the first bytes; 512 are enough.
    pub(crate) fn of(start: &[u8]) -> Self {
        const ZIP: &[u8] = b"PK\x03\x04";
        let markup = start.trim_ascii_start().first() == Some(&b'<');
        match start {
            [0x1f, 0x8b, ..] => Self::Compressed(Codec::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Compressed(Codec::Xz),
            // A frame, or one to be skipped, as pzstd starts its files.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Self::Compressed(Codec::Zstd)
            }
            [b'B', b'Z', b'h', ..] => Self::Other("a bzip2 file"),
            _ if start.starts_with(ZIP) => Self::Other("a zip file"),
            _ if is_archive(start) => Self::Tar,
            _ if markup => Self::Other("a web page"),
            _ => Self::Unknown,
        }
    }
}

/// What `input` inflates to; reading more than `limit` bytes of that fails with [`TooLarge`].
pub(crate) fn inflate(
    codec: Codec,
    input: impl BufRead + Send + 'static,
    limit: u64,
) -> io::Result<impl Read + Send + 'static> {
    let decoder: Box<dyn Read + Send> = match codec {
        Codec::Gzip => Box::new(MultiGzDecoder::new(input)),
        Codec::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(input, stream))
        }
        Codec::Zstd => {
            let mut decoder = ZstdDecoder::with_buffer(input)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
    };
    Ok(Limited {
        reader: decoder,
        left: limit,
        limit,
    })
}

/// A reader that fails once it gave more than was allowed.
struct Limited<R> {
    reader: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(TooLarge { limit: self.limit })),
        }
        Ok(read)
    }
}

/// More comes out than was allowed.
#[derive(Clone, Copy, Debug, Error)]
#[error("inflates to more than {limit} bytes")]
pub(crate) struct TooLarge {
    pub(crate) limit: u64,
}

/// Whether inflating failed because the input wants more memory than it may have.
pub(crate) fn is_memory_limit(error: &io::Error) -> bool {
    // The text is zstd's own; its binding keeps no number.
    let zstd = "Frame requires too much memory for decoding";
    cause::<xz2::stream::Error>(error) == Some(&xz2::stream::Error::MemLimit)
        || error
            .get_ref()
            .is_some_and(|inner| inner.to_string() == zstd)
}

/// The `E` that an I/O error wraps, however deep.
pub(crate) fn cause<E: Error + 'static>(error: &io::Error) -> Option<&E> {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // An `io::Error` shows its content to `get_ref` only; its `source` is one further.
        source = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_of_each_magic_is_told() {
        let mut header = tar::Header::new_gnu();
        header.set_path("my-1/").unwrap();
        header.set_cksum();
        let tar = header.as_bytes();
        let mut v7 = tar::Header::new_old();
        v7.set_path("my-1/").unwrap();
        v7.set_cksum();
        let rows: &[(&[u8], Format)] = &[
            (b"\x1f\x8b\x08", Format::Compressed(Codec::Gzip)),
            (b"\xfd7zXZ\0", Format::Compressed(Codec::Xz)),
            (b"\x28\xb5\x2f\xfd", Format::Compressed(Codec::Zstd)),
            (b"\x50\x2a\x4d\x18", Format::Compressed(Codec::Zstd)),
            (b"BZh9", Format::Other("a bzip2 file")),
            (b"PK\x03\x04", Format::Other("a zip file")),
            (tar, Format::Tar),
            (v7.as_bytes(), Format::Tar),
            (&tar[..511], Format::Unknown),
            (b"\n<!DOCTYPE html>", Format::Other("a web page")),
            (b"\x7fELF", Format::Unknown),
            (b"", Format::Unknown),
        ];
        for (start, format) in rows {
            assert_eq!(Format::of(start), *format, "{start:?}");
        }
    }

    #[test]
    fn inflate_more_than_the_limit_fails_with_exact_text() {
        let limited = |limit| {
            let reader = io::repeat(0).take(100);
            let left = limit;
            let mut limited = Limited {
                reader,
                left,
                limit,
            };
            limited.read_to_end(&mut Vec::new())
        };
        assert_eq!(limited(100).unwrap(), 100);
        let error = limited(99).unwrap_err();
        assert_eq!(error.to_string(), "inflates to more than 99 bytes");
        assert!(cause::<TooLarge>(&error).is_some());
    }
}
