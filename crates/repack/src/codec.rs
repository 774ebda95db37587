//! Inflating. Members, streams and frames that follow one another are read to the last, so that a
//! truncation cannot pass for the end.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use judge::{Codec, INFLATE_MEMORY, ZSTD_WINDOW};
use thiserror::Error;
use xz2::bufread::XzDecoder;
use xz2::stream::{CONCATENATED, Stream};
use zstd::Decoder as ZstdDecoder;

/// What `input` inflates to; reading more than `limit` bytes of that fails with [`TooLarge`].
pub(crate) fn inflate(
    codec: Codec,
    input: impl BufRead + Send + 'static,
    limit: u64,
) -> io::Result<impl Read + Send + 'static> {
    let decoder: Box<dyn Read + Send> = match codec {
        Codec::Gzip => Box::new(MultiGzDecoder::new(input)),
        Codec::Xz => {
            let stream = Stream::new_stream_decoder(INFLATE_MEMORY, CONCATENATED)?;
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

#[cfg(test)]
mod tests {
    use judge::cause;

    use super::*;

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
