//! The content of a file, and where it has none.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::SeekFrom as Position;
use rustix::io::Errno;

/// Between two looks at whether we are to stop.
const CHUNK: u64 = 16 << 20;

/// A part of a file that is no hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// The parts of `file` that are no holes, in order.
pub(crate) fn segments(file: &File) -> io::Result<Vec<Segment>> {
    let end = file.metadata()?.len();
    let mut segments = Vec::new();
    let mut from = 0;
    while from < end {
        let start = match rustix::fs::seek(file, Position::Data(from)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            // Not every file system tells: all of it is content.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => from,
            Err(error) => return Err(error.into()),
        };
        let stop = match rustix::fs::seek(file, Position::Hole(start)) {
            Ok(stop) => stop.min(end),
            Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP) => end,
            Err(error) => return Err(error.into()),
        };
        if start >= end || stop <= start {
            break;
        }
        segments.push(Segment {
            start,
            length: stop - start,
        });
        from = stop;
    }
    Ok(segments)
}

/// Copies what `from` holds to the empty file `to`, holes as holes.
pub(crate) fn copy_content(mut from: &File, mut to: &File, stop: &AtomicBool) -> io::Result<()> {
    for segment in segments(from)? {
        from.seek(SeekFrom::Start(segment.start))?;
        to.seek(SeekFrom::Start(segment.start))?;
        let mut left = segment.length;
        while left > 0 {
            check(stop)?;
            let copied = io::copy(&mut from.take(left.min(CHUNK)), &mut to)?;
            if copied == 0 {
                // It got shorter meanwhile.
                break;
            }
            left -= copied;
        }
    }
    to.set_len(from.metadata()?.len())
}

/// An error if we are to stop.
pub(crate) fn check(stop: &AtomicBool) -> io::Result<()> {
    if stop.load(Ordering::Relaxed) {
        // What the kernel calls it.
        return Err(Errno::CANCELED.into());
    }
    Ok(())
}
