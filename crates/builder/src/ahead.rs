//! Reading in a thread of its own, a bounded number of chunks before whoever uses them. Errors arrive
//! where they happened.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// As much as one write to a file should have.
const CHUNK: usize = 256 << 10;
/// How many chunks may wait: enough to ride out a disk that pauses.
const WAITING: usize = 8;

/// The end of a reader that runs elsewhere. That thread ends once this is dropped.
pub(crate) struct Ahead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    /// Where used chunks go back to.
    used: Sender<Vec<u8>>,
    current: Vec<u8>,
    consumed: usize,
    ended: bool,
}

impl Ahead {
    pub(crate) fn start(reader: impl Read + Send + 'static) -> io::Result<Self> {
        let (full, chunks) = sync_channel(WAITING);
        let (used, empty) = channel();
        thread::Builder::new()
            .name("read-ahead".into())
            .spawn(move || read_all(reader, &full, &empty))?;
        Ok(Self {
            chunks,
            used,
            current: Vec::new(),
            consumed: 0,
            ended: false,
        })
    }
}

/// Sends what `reader` gives: chunks, then either an empty one for its end or its error.
fn read_all(
    mut reader: impl Read,
    full: &SyncSender<io::Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) {
    loop {
        let mut chunk = empty.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        let (filled, result) = fill(&mut reader, &mut chunk);
        chunk.truncate(filled);
        // A reader that failed is not asked again: it might take that for its end.
        let last = filled == 0 || result.is_err();
        let mut sent = Ok(());
        if filled > 0 || result.is_ok() {
            sent = full.send(Ok(chunk));
        }
        if let (Ok(()), Err(error)) = (&sent, result) {
            sent = full.send(Err(error));
        }
        if last || sent.is_err() {
            return;
        }
    }
}

/// Reads until `chunk` is full or nothing more comes; says how much came before it failed, too.
fn fill(reader: &mut impl Read, chunk: &mut [u8]) -> (usize, io::Result<()>) {
    let mut filled = 0;
    while filled < chunk.len() {
        match reader.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(()))
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.consumed == self.current.len() && !self.ended {
            let gone = |_| io::Error::other("a reading thread has ended");
            let chunk = self.chunks.recv().map_err(gone)??;
            self.ended = chunk.is_empty();
            // Nobody wants it once the reader has ended.
            let _ = self.used.send(std::mem::replace(&mut self.current, chunk));
            self.consumed = 0;
        }
        Ok(&self.current[self.consumed..])
    }

    fn consume(&mut self, amount: usize) {
        self.consumed += amount;
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ahead_gives_everything_then_the_end_again_and_again() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * CHUNK + 17).collect();
        let mut ahead = Ahead::start(io::Cursor::new(bytes.clone())).unwrap();
        let mut read = Vec::new();
        ahead.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        assert_eq!(ahead.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn ahead_reader_fails_after_what_it_read() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(5))
            }
        }
        let mut ahead = Ahead::start(b"abc".chain(Fails)).unwrap();
        let mut read = Vec::new();
        let error = ahead.read_to_end(&mut read).unwrap_err();
        assert_eq!((read, error.raw_os_error()), (b"abc".to_vec(), Some(5)));
        assert!(ahead.read(&mut [0]).is_err(), "not an end");
    }
}
