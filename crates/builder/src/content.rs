//! The inflated archive, shared: the tar crate reads headers from it and skips what is in the files;
//! whoever writes the files takes that from the buffer where it was inflated. Refuses endless headers.

use std::cell::RefCell;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// What an entry's headers may take: the tar crate holds long names and attributes in memory.
const HEADERS: u64 = 1 << 20;

/// The content of an archive.
pub(crate) struct Content {
    inflated: Box<dyn BufRead>,
    /// How far it was taken.
    taken: u64,
    /// How far the tar crate has come, which does not see the files being written.
    parsed: u64,
    /// How much the headers of an entry may still take.
    headers: u64,
    /// How much may be taken.
    limit: u64,
    too_large: bool,
}

impl Content {
    /// Fails with more than `limit` bytes.
    pub(crate) fn new(inflated: Box<dyn BufRead>, limit: u64) -> Self {
        Self {
            inflated,
            taken: 0,
            parsed: 0,
            headers: HEADERS,
            limit,
            too_large: false,
        }
    }

    /// The next bytes, at least one and at most `most`.
    pub(crate) fn chunk(&mut self, most: u64) -> io::Result<&[u8]> {
        let chunk = self.inflated.fill_buf()?;
        if chunk.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let most = most.min(self.limit.saturating_sub(self.taken));
        if most == 0 {
            self.too_large = true;
            return Err(invalid("it inflates to more than it may"));
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
        while !self.inflated.fill_buf()?.is_empty() {
            let length = self.chunk(u64::MAX)?.len();
            self.consume(length);
        }
        Ok(())
    }

    /// Whether it failed because more came than may.
    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large
    }
}

/// For the tar crate.
pub(crate) struct Headers<'a>(pub(crate) &'a RefCell<Content>);

impl Read for Headers<'_> {
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

impl Seek for Headers<'_> {
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

    fn content(bytes: &[u8]) -> RefCell<Content> {
        let bytes = io::Cursor::new(bytes.to_vec());
        RefCell::new(Content::new(Box::new(bytes), 4 << 20))
    }

    #[test]
    fn content_of_more_than_it_may_have_fails() {
        let mut content = Content::new(Box::new(&b"123456"[..]), 5);
        assert_eq!(content.chunk(9).unwrap(), b"12345");
        content.consume(5);
        assert!(!content.is_too_large());
        content.finish().unwrap_err();
        assert!(content.is_too_large());
        let mut content = Content::new(Box::new(&b"12345"[..]), 5);
        content.finish().unwrap();
        assert!(!content.is_too_large());
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
