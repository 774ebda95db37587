//! The tarball's content, inflated as it is read, and the digest of its bytes. Judges the format by the
//! file's first bytes: vendors rename, users rename.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZero;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::members::{self, Members};
use crate::streams::Streams;

/// As much as one write to a file should have.
const CHUNK: usize = 256 << 10;

/// What is in the tarball `path`, inflated by up to `threads` threads, or `None` if it is neither gzip
/// nor xz nor tar. Once all is read, `digest` has had every byte of the file.
pub(crate) fn inflated<'a>(
    path: &Path,
    threads: NonZero<usize>,
    digest: &'a RefCell<Sha256>,
) -> io::Result<Option<Box<dyn BufRead + 'a>>> {
    let file = File::open(path)?;
    let mut input = BufReader::with_capacity(CHUNK, Digesting { file, digest });
    let start = input.fill_buf()?;
    Ok(Some(if members::are_in(start) {
        Box::new(Members::new(input, threads)?)
    } else if start.starts_with(&[0x1f, 0x8b]) {
        buffered(MultiGzDecoder::new(input))
    } else if start.starts_with(b"\xfd7zXZ\0") {
        buffered(Streams::new(input, threads)?)
    } else if start.get(257..262) == Some(b"ustar") {
        Box::new(input)
    } else {
        return Ok(None);
    }))
}

fn buffered<'a>(reader: impl Read + 'a) -> Box<dyn BufRead + 'a> {
    Box::new(BufReader::with_capacity(CHUNK, reader))
}

struct Digesting<'a> {
    file: File,
    digest: &'a RefCell<Sha256>,
}

impl Read for Digesting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digest.borrow_mut().update(&buffer[..read]);
        Ok(read)
    }
}
