//! Reading ahead: a reader runs in a thread of its own, a bounded number of chunks before whoever
//! uses what it reads. Knows nothing about formats; errors arrive where they happened.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

/// As much as one write to a file should have.
const CHUNK: usize = 256 << 10;
/// How many chunks may wait: enough to ride out a file that is left out, or a disk that pauses.
const WAITING: usize = 8;

/// The end of a reader that runs elsewhere. Dropped, it ends that thread and waits for it.
pub struct Ahead {
    /// `None` only while dropping.
    chunks: Option<Receiver<io::Result<Vec<u8>>>>,
    /// Where used chunks go back to.
    used: Sender<Vec<u8>>,
    current: Vec<u8>,
    read: usize,
    ended: bool,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Starts the thread that reads `reader`.
    pub fn start(reader: impl Read + Send + 'static) -> io::Result<Self> {
        let (full, chunks) = sync_channel(WAITING);
        let (used, empty) = channel();
        let thread = thread::Builder::new()
            .name("read-ahead".into())
            .spawn(move || read_all(reader, &full, &empty))?;
        Ok(Self {
            chunks: Some(chunks),
            used,
            current: Vec::new(),
            read: 0,
            ended: false,
            thread: Some(thread),
        })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let received = self.chunks.as_ref().and_then(|chunks| chunks.recv().ok());
        let chunk = received.unwrap_or_else(|| Err(io::Error::other("nothing reads any more")))?;
        self.ended = chunk.is_empty();
        let used = std::mem::replace(&mut self.current, chunk);
        // Nobody wants it once the reader has ended.
        let _ = self.used.send(used);
        self.read = 0;
        Ok(())
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
        if self.read == self.current.len() && !self.ended {
            self.next_chunk()?;
        }
        Ok(&self.current[self.read..])
    }

    fn consume(&mut self, amount: usize) {
        self.read += amount;
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Its next chunk finds nobody, and it ends.
        drop(self.chunks.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
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

    #[test]
    fn ahead_dropped_early_ends_its_thread() {
        drop(Ahead::start(io::repeat(0)).unwrap());
    }
}
