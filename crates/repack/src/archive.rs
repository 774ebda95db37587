//! The entries of a tar archive, one after the other: names in every way that archivers write long
//! ones, contents as a stream. Memory is bounded whatever the headers claim. Knows nothing about servers.

use std::io::{self, Read};

use judge::is_archive;
use tar::{EntryType, GnuExtSparseHeader, Header};
use thiserror::Error;

use crate::pax::Pax;

const BLOCK: usize = 512;
/// Linux opens no longer path (`PATH_MAX`).
const LONGEST_NAME: u64 = 4096;
/// An extended attribute may have 64 KiB.
const LARGEST_PAX: u64 = 1 << 20;

/// Reads an archive. Reading from it reads the content of the latest entry.
pub(crate) struct Archive<R> {
    input: R,
    /// Bytes left of the content, and those that fill its last block.
    content: u64,
    padding: u64,
    ended: bool,
}

/// What the headers say about an entry.
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    /// Where a link leads, as written.
    pub(crate) target: Option<Vec<u8>>,
    /// As it stands in the archive; names and size may be those of an extension instead.
    pub(crate) header: Header,
    pub(crate) size: u64,
    /// Its content starts with a map of holes.
    pub(crate) sparse: bool,
}

/// The archive cannot be read on.
#[derive(Debug, Error)]
pub(crate) enum ArchiveError {
    /// Its input, not the archive itself.
    #[error("cannot read the archive")]
    Read { source: io::Error },
    #[error("the archive ends early")]
    CutOff,
    #[error("archive header checksum mismatch")]
    Checksum,
    #[error("an archive header without a size")]
    Size,
    #[error("an archive header with a mode or time that is no number")]
    Number,
    #[error("a name longer than 4096 bytes")]
    LongName,
    #[error("a PAX header larger than 1 MiB")]
    LargePax,
    #[error("a malformed PAX header")]
    Pax,
    #[error("two headers for the same extension of one entry")]
    Twice,
    #[error("a PAX header that gives every entry the same name or size")]
    Global,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            content: 0,
            padding: 0,
            ended: false,
        }
    }

    /// The next entry, whatever is left of the one before. `None` at the end, proper or not: see
    /// [`Archive::ended`].
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let (mut name, mut target, mut pax) = (None, None, None);
        loop {
            let Some(header) = self.header()? else {
                let described = name.is_some() || target.is_some() || pax.is_some();
                return if described {
                    Err(ArchiveError::CutOff)
                } else {
                    Ok(None)
                };
            };
            let (extension, limit) = match header.entry_type() {
                EntryType::GNULongName => (&mut name, LONGEST_NAME),
                EntryType::GNULongLink => (&mut target, LONGEST_NAME),
                EntryType::XHeader => (&mut pax, LARGEST_PAX),
                EntryType::XGlobalHeader => {
                    let global = self.extension(LARGEST_PAX)?;
                    if Pax::parse(&global)?.describes_an_entry() {
                        return Err(ArchiveError::Global);
                    }
                    continue;
                }
                _ => return self.entry(header, name, target, pax.as_deref()).map(Some),
            };
            if extension.replace(self.extension(limit)?).is_some() {
                return Err(ArchiveError::Twice);
            }
        }
    }

    /// Whether the block of zeros was seen that ends an archive.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Reads on to the end of the input, which verifies its checksums; says whether only zeros came.
    pub(crate) fn rest_is_zeros(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            match self.input.read(buffer) {
                Ok(0) => return Ok(true),
                Ok(read) if buffer[..read].iter().all(|byte| *byte == 0) => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next header of any kind; from here on its content is read.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let skip = self.content + self.padding;
        let skipped = io::copy(&mut (&mut self.input).take(skip), &mut io::sink());
        if skipped.map_err(read)? < skip {
            return Err(ArchiveError::CutOff);
        }
        (self.content, self.padding) = (0, 0);
        let mut header = Header::new_old();
        match self.block(header.as_mut_bytes())? {
            0 => return Ok(None),
            _ if header.as_bytes().iter().all(|byte| *byte == 0) => {
                self.ended = true;
                return Ok(None);
            }
            _ if !is_archive(header.as_bytes()) => return Err(ArchiveError::Checksum),
            _ => {}
        }
        let size = header.entry_size().map_err(|_| ArchiveError::Size)?;
        self.has_content(size)?;
        Ok(Some(header))
    }

    fn has_content(&mut self, size: u64) -> Result<(), ArchiveError> {
        // So that no sum overflows. 8 EiB are not a file.
        if i64::try_from(size).is_err() {
            return Err(ArchiveError::Size);
        }
        self.content = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    /// Reads one block; returns 0 if the input is at its end.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<usize, ArchiveError> {
        let mut filled = 0;
        while filled < block.len() {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(0),
                Ok(0) => return Err(ArchiveError::CutOff),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read(error)),
            }
        }
        Ok(filled)
    }

    fn extension(&mut self, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        if self.content > limit {
            return Err(match limit {
                LONGEST_NAME => ArchiveError::LongName,
                _ => ArchiveError::LargePax,
            });
        }
        let mut content = Vec::new();
        self.read_to_end(&mut content).map_err(read)?;
        Ok(content)
    }

    fn entry(
        &mut self,
        header: Header,
        name: Option<Vec<u8>>,
        target: Option<Vec<u8>>,
        pax: Option<&[u8]>,
    ) -> Result<Entry, ArchiveError> {
        let pax = pax.map(Pax::parse).transpose()?.unwrap_or_default();
        if let Some(size) = pax.size {
            self.has_content(size)?;
        }
        let kind = header.entry_type();
        if kind.is_gnu_sparse() {
            self.skip_map(&header)?;
        }
        let name = name.map(without_nul).or(pax.path.map(<[u8]>::to_vec));
        let target = target.map(without_nul).or(pax.linkpath.map(<[u8]>::to_vec));
        let too_long = |name: &Vec<u8>| name.len() as u64 > LONGEST_NAME;
        if name.as_ref().is_some_and(too_long) || target.as_ref().is_some_and(too_long) {
            return Err(ArchiveError::LongName);
        }
        Ok(Entry {
            name: name.unwrap_or_else(|| header.path_bytes().into_owned()),
            target: target.or_else(|| header.link_name_bytes().map(Into::into)),
            size: self.content,
            sparse: kind.is_gnu_sparse() || pax.sparse,
            header,
        })
    }

    /// The map of a GNU sparse file goes on in blocks that its size does not count.
    fn skip_map(&mut self, header: &Header) -> Result<(), ArchiveError> {
        let mut more = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        while more {
            let mut map = GnuExtSparseHeader::new();
            if self.block(map.as_mut_bytes())? == 0 {
                return Err(ArchiveError::CutOff);
            }
            more = map.is_extended();
        }
        Ok(())
    }
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.input).take(self.content).read(buffer)?;
        if read == 0 && self.content > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= read as u64;
        Ok(read)
    }
}

/// GNU's long names end like strings of C.
fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    name.pop_if(|last| *last == 0);
    name
}

fn read(source: io::Error) -> ArchiveError {
    ArchiveError::Read { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The others are shown as causes, and the tests of the executable see them.
    #[test]
    fn error_that_is_told_in_other_words_has_exact_text_too() {
        let source = io::Error::other("x");
        assert_eq!(read(source).to_string(), "cannot read the archive");
        assert_eq!(ArchiveError::CutOff.to_string(), "the archive ends early");
    }

    #[test]
    fn archive_of_small_reads_is_the_same() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(700);
        builder
            .append_data(&mut header, "a".repeat(300), &[b'x'; 700][..])
            .unwrap();
        header.set_size(0);
        builder
            .append_link(&mut header, "link", "b".repeat(200))
            .unwrap();
        let bytes = builder.into_inner().unwrap();
        let mut archive = Archive::new(OneByOne(&bytes));
        let first = archive.next().unwrap().unwrap();
        assert_eq!((first.name, first.size), ("a".repeat(300).into(), 700));
        let mut content = Vec::new();
        archive.read_to_end(&mut content).unwrap();
        assert_eq!(content, [b'x'; 700]);
        let second = archive.next().unwrap().unwrap();
        assert_eq!(second.target, Some("b".repeat(200).into()));
        assert!(archive.next().unwrap().is_none() && archive.ended());
        assert!(archive.rest_is_zeros(&mut [0; 100]).unwrap());
    }

    /// Gives a byte at a time.
    struct OneByOne<'a>(&'a [u8]);

    impl Read for OneByOne<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let one = buffer.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }
}
