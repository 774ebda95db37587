//! The tarball's content, inflated as it is read. Judges the format by the file's first bytes: vendors
//! rename, users rename.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use xz2::bufread::XzDecoder;

/// What is in the tarball `path`, or `None` if it is neither gzip nor xz nor tar. A failure to read
/// or inflate it is left in `broken` too.
pub(crate) fn inflated<'a>(
    path: &Path,
    broken: &'a Cell<Option<io::Error>>,
) -> io::Result<Option<impl Read + use<'a>>> {
    let mut file = BufReader::with_capacity(1 << 17, File::open(path)?);
    let start = file.fill_buf()?;
    let inner: Box<dyn Read> = if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(MultiGzDecoder::new(file))
    } else if start.starts_with(b"\xfd7zXZ\0") {
        Box::new(XzDecoder::new_multi_decoder(file))
    } else if start.get(257..262) == Some(b"ustar") {
        Box::new(file)
    } else {
        return Ok(None);
    };
    Ok(Some(Watched { inner, broken }))
}

/// A reader that keeps its failure: an error of the tar crate's unpacking does not say whether the
/// tarball or the disk is to blame.
struct Watched<'a> {
    inner: Box<dyn Read>,
    broken: &'a Cell<Option<io::Error>>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            self.broken.set(Some(copy));
        })
    }
}
