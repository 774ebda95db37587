//! The inflated archive, shared: the tar crate reads headers from it and skips what is in the files;
//! whoever writes the files takes that from the buffer where it was inflated. Refuses endless headers.

use std::cell::RefCell;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// What an entry's headers may take: the tar crate holds long names and attributes in memory.
const HEADERS: u64 = 1 << 20;

/// The content of an archive.
pub(crate) struct Content<'a> {
    inflated: Box<dyn BufRead + 'a>,
    /// How far it was taken.
    taken: u64,
    /// How far the tar crate has come, which does not see the files being written.
    parsed: u64,
    /// How much the headers of an entry may still take.
    headers: u64,
}

impl<'a> Content<'a> {
    pub(crate) fn new(inflated: Box<dyn BufRead + 'a>) -> Self {
        Self {
            inflated,
            taken: 0,
            parsed: 0,
            headers: HEADERS,
        }
    }

    /// The next bytes, at least one and at most `most`.
    pub(crate) fn chunk(&mut self, most: u64) -> io::Result<&[u8]> {
        let chunk = self.inflated.fill_buf()?;
        if chunk.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::try_from(most).map_or(chunk.len(), |most| most.min(chunk.len()));
        Ok(&chunk[..length])
    }

    /// Marks `amount` bytes of the chunk as taken.
    pub(crate) fn consume(&mut self, amount: usize) {
        self.inflated.consume(amount);
        self.taken += amount as u64;
    }

    /// The entry's headers are read.
    pub(crate) fn end_headers(&mut self) {
        self.headers = HEADERS;
    }

    /// Takes all that is left: a checksum may be the last thing in the file.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        loop {
            let length = self.inflated.fill_buf()?.len();
            if length == 0 {
                return Ok(());
            }
            self.consume(length);
        }
    }
}

/// For the tar crate.
pub(crate) struct Headers<'a, 'b>(pub(crate) &'a RefCell<Content<'b>>);

impl Read for Headers<'_, '_> {
    /// The end is an error: an archive has an end of its own, and a file can be cut right before a
    /// header.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut content = self.0.borrow_mut();
        let read = content.chunk(buffer.len() as u64)?.read(buffer)?;
        content.consume(read);
        content.parsed += read as u64;
        content.headers = content
            .headers
            .checked_sub(read as u64)
            .ok_or_else(|| invalid("the headers of an entry are larger than 1 MiB"))?;
        Ok(read)
    }
}

impl Seek for Headers<'_, '_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Current(forward) = to else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let mut content = self.0.borrow_mut();
        let wanted = content
            .parsed
            .checked_add_signed(forward)
            .ok_or_else(|| invalid("an entry is larger than any file"))?;
        while content.taken < wanted {
            let most = wanted - content.taken;
            let length = content.chunk(most)?.len();
            content.consume(length);
        }
        content.parsed = wanted;
        Ok(wanted)
    }
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: &[u8]) -> RefCell<Content<'_>> {
        RefCell::new(Content::new(Box::new(bytes)))
    }

    #[test]
    fn headers_skip_what_was_taken_and_what_was_not() {
        let content = content(b"headfilepadtail");
        let mut headers = Headers(&content);
        let mut head = [0; 4];
        headers.read_exact(&mut head).unwrap();
        assert_eq!(content.borrow_mut().chunk(2).unwrap(), b"fi");
        content.borrow_mut().consume(2);
        assert_eq!(headers.seek(SeekFrom::Current(7)).unwrap(), 11);
        headers.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"tail");
    }

    #[test]
    fn headers_beyond_the_end_fail() {
        let content = content(b"head");
        let mut headers = Headers(&content);
        let text = |error: io::Error| error.to_string();
        let end = "unexpected end of file";
        assert_eq!(text(headers.seek(SeekFrom::Current(5)).unwrap_err()), end);
        assert_eq!(text(headers.read(&mut [0]).unwrap_err()), end);
        assert_eq!(text(content.borrow_mut().chunk(1).unwrap_err()), end);
    }

    #[test]
    fn headers_without_end_are_refused() {
        let bytes = vec![0; 2 << 20];
        let content = content(&bytes);
        let mut name = Vec::new();
        let error = Headers(&content).read_to_end(&mut name).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the headers of an entry are larger than 1 MiB"
        );
        assert!(name.len() <= 1 << 20);
    }
}
