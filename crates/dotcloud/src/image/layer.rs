//! One layer of an image: a tar archive without times, compressed so that the same entries give the same
//! bytes on every machine.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hook::hexadecimal;
use libdeflater::{CompressionLvl, Compressor};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// One member of the gzip stream. libdeflate wants it whole; its result does not depend on the processor.
const MEMBER: usize = 4 << 20;
/// The highest: it is done once, and pulled by every node.
const LEVEL: i32 = 12;

/// A layer that is complete, in a file without a name.
#[derive(Debug)]
pub(crate) struct Layer {
    /// What is in it, for the image's history.
    pub(crate) what: String,
    /// SHA-256 of the file, in hexadecimal.
    pub(crate) digest: String,
    /// SHA-256 of the archive in it.
    pub(crate) diff_id: String,
    pub(crate) size: u64,
    pub(crate) file: File,
}

/// Who owns an entry, and what may be done with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mode: u32,
}

/// A layer in the making.
pub(crate) struct LayerWriter {
    archive: Builder<Compressing>,
    directories: BTreeSet<PathBuf>,
}

impl LayerWriter {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            archive: Builder::new(Compressing::new()?),
            directories: BTreeSet::new(),
        })
    }

    /// Once; `path` is relative to the root.
    pub(crate) fn directory(&mut self, path: &Path, rights: Rights) -> io::Result<()> {
        if path.as_os_str().is_empty() || !self.directories.insert(path.to_owned()) {
            return Ok(());
        }
        let mut header = header(EntryType::Directory, rights, 0);
        self.archive.append_data(&mut header, path, io::empty())
    }

    pub(crate) fn file(
        &mut self,
        path: &Path,
        rights: Rights,
        size: u64,
        content: impl Read,
    ) -> io::Result<()> {
        let mut header = header(EntryType::Regular, rights, size);
        self.archive.append_data(&mut header, path, content)
    }

    pub(crate) fn symlink(&mut self, path: &Path, rights: Rights, to: &Path) -> io::Result<()> {
        let rights = Rights {
            mode: 0o777,
            ..rights
        };
        let mut header = header(EntryType::Symlink, rights, 0);
        self.archive.append_link(&mut header, path, to)
    }

    /// `first` must be in this layer.
    pub(crate) fn hard_link(
        &mut self,
        path: &Path,
        rights: Rights,
        first: &Path,
    ) -> io::Result<()> {
        let mut header = header(EntryType::Link, rights, 0);
        self.archive.append_link(&mut header, path, first)
    }

    /// The layer, called `what`.
    pub(crate) fn finish(self, what: &str) -> io::Result<Layer> {
        self.archive.into_inner()?.finish(what)
    }
}

fn header(kind: EntryType, rights: Rights, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_uid(rights.uid);
    header.set_gid(rights.gid);
    header.set_mode(rights.mode);
    header.set_size(size);
    header.set_mtime(0);
    header
}

/// Takes the archive, and keeps the compressed file and both digests.
struct Compressing {
    compressor: Compressor,
    pending: Vec<u8>,
    file: File,
    size: u64,
    plain: Sha256,
    compressed: Sha256,
}

impl Compressing {
    fn new() -> io::Result<Self> {
        let level = CompressionLvl::new(LEVEL).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(Self {
            compressor: Compressor::new(level),
            pending: Vec::with_capacity(MEMBER),
            file: tempfile::tempfile()?,
            size: 0,
            plain: Sha256::new(),
            compressed: Sha256::new(),
        })
    }

    fn write_member(&mut self) -> io::Result<()> {
        let mut member = vec![0; self.compressor.gzip_compress_bound(self.pending.len())];
        let length = self
            .compressor
            .gzip_compress(&self.pending, &mut member)
            .map_err(|_| io::ErrorKind::InvalidData)?;
        let member = &member[..length];
        self.plain.update(&self.pending);
        self.compressed.update(member);
        self.file.write_all(member)?;
        self.size += length as u64;
        self.pending.clear();
        Ok(())
    }

    fn finish(mut self, what: &str) -> io::Result<Layer> {
        self.write_member()?;
        self.file.seek(SeekFrom::Start(0))?;
        Ok(Layer {
            what: what.to_owned(),
            digest: hexadecimal(&self.compressed.finalize()),
            diff_id: hexadecimal(&self.plain.finalize()),
            size: self.size,
            file: self.file,
        })
    }
}

impl Write for Compressing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(MEMBER - self.pending.len());
        self.pending.extend_from_slice(&bytes[..taken]);
        if self.pending.len() == MEMBER {
            self.write_member()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finish_same_entries_give_the_same_file() {
        let layer = || {
            let mut layer = LayerWriter::new().unwrap();
            let rights = Rights {
                uid: 1000,
                gid: 1000,
                mode: 0o755,
            };
            layer.directory(Path::new("home"), rights).unwrap();
            layer.directory(Path::new("home"), rights).unwrap();
            let content = vec![7; MEMBER + 5];
            let size = content.len() as u64;
            layer
                .file(Path::new("home/a"), rights, size, &content[..])
                .unwrap();
            layer
                .symlink(Path::new("home/b"), rights, Path::new("a"))
                .unwrap();
            layer.finish("x").unwrap()
        };
        let (mut one, two) = (layer(), layer());
        assert_eq!((&one.digest, &one.diff_id), (&two.digest, &two.diff_id));
        let mut bytes = Vec::new();
        one.file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, one.size);
        assert_eq!(hexadecimal(&Sha256::digest(&bytes)), one.digest);
    }
}
