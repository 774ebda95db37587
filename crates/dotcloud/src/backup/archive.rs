//! A copy as one stream, a tar archive: every file is held against the manifest while it passes, and
//! put where it is to go, if anywhere.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicBool;

use hook::hexadecimal;
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

use super::BackupError;
use super::manifest::{FileEntry, Manifest, NAME};
use crate::host::account::Account;
use crate::host::beneath::{self, Directory};

/// Read at once; so much of zeros becomes a hole.
const CHUNK: usize = 64 << 10;

/// Where the files of a copy go.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// Empty, and out of every service's reach.
    pub(super) directory: &'a Directory,
    pub(super) account: &'a Account,
}

/// What a stream is to be.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) manifest: &'a Manifest,
    /// The manifest's own content.
    pub(super) text: &'a [u8],
    pub(super) stop: &'a AtomicBool,
}

/// Reads all of `stream`, and refuses whatever is not exactly the copy.
pub(super) fn read(
    stream: impl Read,
    wanted: Wanted<'_>,
    target: Option<Target<'_>>,
) -> Result<(), BackupError> {
    let mut expected: BTreeMap<&str, &FileEntry> = wanted
        .manifest
        .files
        .iter()
        .map(|file| (&*file.path, file))
        .collect();
    let mut has_manifest = false;
    let mut archive = Archive::new(stream);
    for entry in archive.entries().map_err(BackupError::read_back)? {
        let mut entry = entry.map_err(BackupError::read_back)?;
        let path = entry.path().map_err(BackupError::read_back)?.into_owned();
        let Some(path) = plain(&path) else {
            return Err(wrong(&path, "has a name that leads elsewhere"));
        };
        match entry.header().entry_type() {
            EntryType::Directory => make(target, &path)?,
            EntryType::Regular => {
                let name = path.to_string_lossy().into_owned();
                let found = pass(&mut entry, &path, wanted.stop, target)?;
                if name == NAME {
                    let own = digest(wanted.text);
                    check(&path, &found, wanted.text.len() as u64, &own)?;
                    has_manifest = true;
                    continue;
                }
                let Some(file) = expected.remove(&*name) else {
                    return Err(wrong(&path, "does not belong to it"));
                };
                check(&path, &found, file.bytes, &file.sha256)?;
            }
            _ => return Err(wrong(&path, "is neither a file nor a directory")),
        }
    }
    match expected.keys().next() {
        None if has_manifest => Ok(()),
        None => Err(wrong(Path::new(NAME), "is missing")),
        Some(path) => Err(wrong(Path::new(path), "is missing")),
    }
}

/// What a file is.
struct Passed {
    bytes: u64,
    sha256: String,
}

fn check(path: &Path, found: &Passed, bytes: u64, sha256: &str) -> Result<(), BackupError> {
    if found.bytes != bytes {
        return Err(wrong(path, "has another length than when it was copied"));
    }
    if found.sha256 != sha256 {
        return Err(wrong(
            path,
            "is not what was copied: its SHA-256 is another",
        ));
    }
    Ok(())
}

fn wrong(path: &Path, problem: &'static str) -> BackupError {
    BackupError::Copy {
        path: path.to_string_lossy().into_owned(),
        problem,
    }
}

/// `path` without what says nothing, if it stays below where it begins.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

fn make(target: Option<Target<'_>>, path: &Path) -> Result<(), BackupError> {
    let Some(Target { directory, account }) = target else {
        return Ok(());
    };
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    match directory.make(path, account) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(BackupError::read_back(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reads one file, and writes it where it goes.
fn pass(
    from: &mut impl Read,
    path: &Path,
    stop: &AtomicBool,
    target: Option<Target<'_>>,
) -> Result<Passed, BackupError> {
    let mut pass = || -> io::Result<Passed> {
        let to = target
            .map(|target| target.directory.create(path))
            .transpose()?;
        let passed = copy(from, to.as_ref(), stop)?;
        if let (Some(file), Some(target)) = (&to, target) {
            beneath::own(file, target.account)?;
        }
        Ok(passed)
    };
    pass().map_err(BackupError::read_back)
}

fn copy(from: &mut impl Read, mut to: Option<&File>, stop: &AtomicBool) -> io::Result<Passed> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        beneath::check(stop)?;
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = &buffer[..count];
        hash.update(part);
        bytes += count as u64;
        if let Some(file) = &mut to {
            if part.iter().all(|byte| *byte == 0) {
                file.seek(SeekFrom::Start(bytes))?;
            } else {
                file.write_all(part)?;
            }
        }
    }
    if let Some(file) = to {
        file.set_len(bytes)?;
    }
    Ok(Passed {
        bytes,
        sha256: hexadecimal(&hash.finalize()),
    })
}

fn digest(text: &[u8]) -> String {
    hexadecimal(&Sha256::digest(text))
}

/// Writes the files that `manifest` names, those and no others, below `copy` as a tar archive.
pub(super) fn write(
    copy: &Directory,
    directories: &[PathBuf],
    wanted: Wanted<'_>,
    out: impl Write,
) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    for path in directories {
        let mut header = header(EntryType::Directory, 0);
        archive.append_data(&mut header, path, io::empty())?;
    }
    for file in &wanted.manifest.files {
        beneath::check(wanted.stop)?;
        let mut header = header(EntryType::Regular, file.bytes);
        let content = copy.read(&file.path)?.take(file.bytes);
        archive.append_data(&mut header, &file.path, content)?;
    }
    let mut header = header(EntryType::Regular, wanted.text.len() as u64);
    archive.append_data(&mut header, NAME, wanted.text)?;
    archive.into_inner()?.flush()
}

fn header(kind: EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o600);
    header
}

#[cfg(test)]
mod tests;
