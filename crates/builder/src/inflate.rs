//! The tarball's content, inflated as it is read, and the digest of its bytes. Judges the format by the
//! file's first bytes: vendors rename, users rename.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex};

use flate2::bufread::MultiGzDecoder;
use judge::{Codec, NoTarball, ZSTD_WINDOW};
use sha2::{Digest, Sha256};
use tarball::{Ahead, Members, member};
use zstd::Decoder as ZstdDecoder;

use crate::streams::Streams;
use crate::unpack::UnpackError;

/// As much as one write to a file should have.
const CHUNK: usize = 256 << 10;

/// The digest of what was read, which another thread may do.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedDigest(Arc<Mutex<Sha256>>);

impl SharedDigest {
    fn update(&self, bytes: &[u8]) {
        // Nothing that holds it can panic.
        if let Ok(mut digest) = self.0.lock() {
            digest.update(bytes);
        }
    }

    pub(crate) fn finish(&self) -> [u8; 32] {
        let digest = self.0.lock().map(|digest| digest.clone());
        digest.unwrap_or_default().finalize().into()
    }
}

/// What is in the tarball `path`, inflated by up to `threads` threads. Once all is read, `digest` has had
/// every byte of the file.
pub(crate) fn inflated(
    path: &Path,
    threads: NonZero<usize>,
    digest: &SharedDigest,
) -> Result<Box<dyn BufRead>, UnpackError> {
    let unread = |source| UnpackError::read(path, source);
    let file = File::open(path).map_err(unread)?;
    let digest = digest.clone();
    // Reading and digesting take a thread of their own: inflating has enough to do.
    let mut input = Ahead::start(Digesting { file, digest }).map_err(unread)?;
    let start = input.fill_buf().map_err(unread)?;
    let in_members = member::begins(start);
    let Some(codec) = NoTarball::judge(path, start)? else {
        return Ok(Box::new(input));
    };
    let mut inflated = match codec {
        Codec::Gzip if in_members => Members::new(input, threads).map(|all| Box::new(all) as _),
        Codec::Gzip => Ok(buffered(MultiGzDecoder::new(input))),
        Codec::Xz => Streams::new(input, threads).map(buffered),
        Codec::Zstd => zstd(input),
    }
    .map_err(unread)?;
    NoTarball::judge_inflated(path, inflated.fill_buf().map_err(unread)?)?;
    Ok(inflated)
}

/// In a thread of its own: a frame is inflated by one, while another writes the files.
fn zstd(input: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead>> {
    let mut decoder = ZstdDecoder::with_buffer(input)?;
    decoder.window_log_max(ZSTD_WINDOW)?;
    Ok(Box::new(Ahead::start(decoder)?))
}

fn buffered(reader: impl Read + 'static) -> Box<dyn BufRead> {
    Box::new(BufReader::with_capacity(CHUNK, reader))
}

struct Digesting {
    file: File,
    digest: SharedDigest,
}

impl Read for Digesting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}
