//! The result of a build: `$HOME` as a compressed tar archive, named by its content: what is there
//! already is not packed again. Modes, times, links and holes survive; sockets, devices and
//! set-user-id bits do not.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use crate::host::account::Account;
use crate::host::beneath::{self, Directory, Found, Walk};
use crate::host::files::{self, FileError};

/// What fails of a snapshot that is damaged.
pub(crate) const UNPACK: &str = "unpack";

const LEVEL: i32 = 3;
const THREADS: u32 = 2;
/// Holes of a file that are not worth being read as zeros.
const LARGE: u64 = 256 << 20;
/// A file must not lend its owner's rights to anyone.
const SPECIAL: u32 = 0o6000;

/// A snapshot that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Its name in the directory of snapshots.
    pub(crate) name: String,
    /// Its compressed size.
    pub(crate) bytes: u64,
}

/// What is to be packed: nothing that its account could not read itself.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) home: &'a Path,
    pub(crate) account: &'a Account,
    /// Once it is set, nothing is packed any more.
    pub(crate) stop: &'a AtomicBool,
}

/// Packs `source` into a file below `directory`, whole or not at all; not again if it is there.
pub(crate) fn take(
    source: Source<'_>,
    directory: &Path,
    service: &str,
) -> Result<Taken, FileError> {
    files::create_directory(directory, 0o700)?;
    let failed = |error| files::failed("write a snapshot in", directory)(error);
    let home = Directory::open(source.home).map_err(files::failed("read", source.home))?;
    // A name may lead to anything by the time it is opened: our own rights must not open it.
    let id = source.account.act(|| identity(&home, source));
    let name = format!("{service}-{}.tar.zst", id.map_err(failed)??);
    let path = directory.join(&name);
    if let Some(found) = files::look(&path)? {
        let bytes = found.len();
        return Ok(Taken { name, bytes });
    }
    let mut pending = durable::Pending::begin(&path, 0o600, ".new-").map_err(failed)?;
    let out = pending.file();
    let packed = source.account.act(|| pack(&home, source, out));
    packed.map_err(failed)??;
    let bytes = pending.place().map_err(failed)?;
    Ok(Taken { name, bytes })
}

/// What is in `home`, paths, kinds, modes and content; not the times, which every build changes.
fn identity(home: &Directory, source: Source<'_>) -> Result<String, FileError> {
    let mut digest = Sha256::new();
    for entry in entries(home, source)? {
        let Found { path, metadata } = entry?;
        field(&mut digest, path.as_os_str().as_bytes());
        field(&mut digest, &metadata.mode().to_le_bytes());
        let mut content = || -> io::Result<()> {
            if metadata.is_symlink() {
                let target = Directory::target(&home.look(&path)?)?;
                field(&mut digest, target.as_os_str().as_bytes());
            } else if metadata.is_file() {
                hash(&home.read_of_owner(&path)?, &mut digest, source.stop)?;
            }
            Ok(())
        };
        content().map_err(files::failed("read", &source.home.join(&path)))?;
    }
    Ok(short_id(digest))
}

fn field(digest: &mut Sha256, bytes: &[u8]) {
    digest.update(bytes.len().to_le_bytes());
    digest.update(bytes);
}

/// Small holes count as the zeros they read as, like in snapshots of old. Large ones are not read:
/// that could take hours.
fn hash(mut file: &File, digest: &mut Sha256, stop: &AtomicBool) -> io::Result<()> {
    let length = file.metadata()?.len();
    let segments = beneath::segments(file)?;
    let content: u64 = segments.iter().map(|segment| segment.length).sum();
    if length.saturating_sub(content) < LARGE {
        field(digest, &length.to_le_bytes());
        file.seek(SeekFrom::Start(0))?;
        io::copy(&mut file, &mut Stoppable::new(Hashing(digest), stop))?;
        return Ok(());
    }
    field(digest, b"holes");
    field(digest, &length.to_le_bytes());
    for segment in segments {
        field(digest, &segment.start.to_le_bytes());
        field(digest, &segment.length.to_le_bytes());
        file.seek(SeekFrom::Start(segment.start))?;
        let mut part = file.take(segment.length);
        io::copy(&mut part, &mut Stoppable::new(Hashing(digest), stop))?;
    }
    Ok(())
}

/// 64 bits, which tell one service's builds apart.
pub(crate) fn short_id(digest: Sha256) -> String {
    let id = digest.finalize()[..8]
        .iter()
        .fold(0, |id, &byte| id << 8 | u64::from(byte));
    format!("{id:016x}")
}

/// Everything of `home` that can be packed, sorted.
fn entries<'a>(
    home: &'a Directory,
    source: Source<'a>,
) -> Result<impl Iterator<Item = Result<Found, FileError>> + 'a, FileError> {
    let all = Walk::new(home, source.home)?;
    Ok(all.filter(|entry| {
        entry.as_ref().map_or(true, |found| {
            let kind = found.metadata.file_type();
            kind.is_file() || kind.is_dir() || kind.is_symlink()
        })
    }))
}

fn pack(home: &Directory, source: Source<'_>, out: &mut File) -> Result<(), FileError> {
    let failed = |error| files::failed("pack", source.home)(error);
    let mut encoder = zstd::Encoder::new(out, LEVEL).map_err(failed)?;
    encoder.multithread(THREADS).map_err(failed)?;
    let mut archive = Builder::new(Stoppable::new(encoder, source.stop));
    let mut seen = BTreeMap::new();
    for entry in entries(home, source)? {
        let Found { path, metadata } = entry?;
        let inode = (metadata.dev(), metadata.ino());
        let added = match seen.get(&inode) {
            Some(first) => append_hard_link(&mut archive, &path, first),
            None => append(&mut archive, home, &path, &metadata),
        };
        added.map_err(files::failed("pack", &source.home.join(&path)))?;
        if metadata.is_file() && metadata.nlink() > 1 {
            seen.entry(inode).or_insert(path);
        }
    }
    archive
        .into_inner()
        .and_then(|encoder| encoder.inner.finish())
        .map_err(failed)?;
    Ok(())
}

fn append<W: Write>(
    archive: &mut Builder<W>,
    home: &Directory,
    path: &Path,
    metadata: &Metadata,
) -> io::Result<()> {
    if metadata.is_file() {
        return archive.append_file(path, &mut home.read_of_owner(path)?);
    }
    let mut header = Header::new_gnu();
    header.set_metadata(metadata);
    header.set_size(0);
    if metadata.is_symlink() {
        let target = Directory::target(&home.look(path)?)?;
        return archive.append_link(&mut header, path, target);
    }
    archive.append_data(&mut header, path, io::empty())
}

fn append_hard_link<W: Write>(
    archive: &mut Builder<W>,
    path: &Path,
    first: &PathBuf,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Link);
    header.set_size(0);
    archive.append_link(&mut header, path, first)
}

/// Unpacks `snapshot` into the empty `home` of a closed container; everything belongs to `account`
/// afterwards.
pub(crate) fn unpack(
    snapshot: &Path,
    home: &Path,
    account: &Account,
    stop: &AtomicBool,
) -> Result<(), FileError> {
    let failed = |source| files::failed(UNPACK, snapshot)(source);
    let file = File::open(snapshot).map_err(failed)?;
    let home = Directory::open(home).map_err(files::failed("read", home))?;
    let unpacked = account.act(|| unpack_into(&home, file, account, stop));
    unpacked.and_then(|result| result).map_err(failed)
}

fn unpack_into(
    home: &Directory,
    snapshot: File,
    account: &Account,
    stop: &AtomicBool,
) -> io::Result<()> {
    let decoder = zstd::Decoder::with_buffer(BufReader::new(snapshot))?;
    let mut archive = Archive::new(Stoppable::new(decoder, stop));
    archive.set_preserve_permissions(true);
    archive.set_mask(SPECIAL);
    archive.set_preserve_mtime(true);
    archive.set_overwrite(false);
    let mut directories = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let link = entry.link_name()?.map(std::borrow::Cow::into_owned);
        match (entry.header().entry_type(), link) {
            (EntryType::Directory, _) => {
                home.make(&path, account)?;
                let header = entry.header();
                directories.push((path, header.mode()? & !SPECIAL, header.mtime()?));
            }
            (EntryType::Link, Some(first)) => home.link_hard(first, &path)?,
            (EntryType::Symlink, Some(target)) => home.link(target, &path, account)?,
            (EntryType::Regular | EntryType::GNUSparse, _) => {
                let (parent, name) = home.parent(&path)?;
                entry.unpack(beneath::name_of(&parent).join(name))?;
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    // Last, deepest first: a read-only directory could not be filled.
    for (path, mode, time) in directories.iter().rev() {
        let directory = home.directory(path)?.into_file();
        directory.set_modified(UNIX_EPOCH + Duration::from_secs(*time))?;
        directory.set_permissions(Permissions::from_mode(*mode))?;
    }
    Ok(())
}

/// Reads or writes until it is told to stop.
struct Stoppable<'a, T> {
    inner: T,
    stop: &'a AtomicBool,
}

impl<'a, T> Stoppable<'a, T> {
    fn new(inner: T, stop: &'a AtomicBool) -> Self {
        Self { inner, stop }
    }
}

impl<T: Read> Read for Stoppable<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        beneath::check(self.stop)?;
        self.inner.read(buffer)
    }
}

impl<T: Write> Write for Stoppable<'_, T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        beneath::check(self.stop)?;
        self.inner.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Digests what is written.
pub(crate) struct Hashing<'a>(pub(crate) &'a mut Sha256);

impl Write for Hashing<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.update(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn unpack_restores_what_take_packed() {
        let directory = tempfile::tempdir().unwrap();
        let (home, snapshots) = (directory.path().join("home"), directory.path().join("s"));
        fs::create_dir_all(home.join("mysql/run")).unwrap();
        fs::write(home.join("mysql/mysqld"), "binary").unwrap();
        fs::set_permissions(home.join("mysql/mysqld"), Permissions::from_mode(0o4751)).unwrap();
        fs::hard_link(home.join("mysql/mysqld"), home.join("again")).unwrap();
        symlink("mysql/mysqld", home.join("link")).unwrap();
        let holes = File::create(home.join("holes")).unwrap();
        holes.set_len(64 << 20).unwrap();
        let _socket =
            std::os::unix::net::UnixListener::bind(home.join("mysql/run/s.sock")).unwrap();
        fs::set_permissions(home.join("mysql"), Permissions::from_mode(0o555)).unwrap();

        let stop = AtomicBool::new(false);
        let account = Account::current();
        let source = Source {
            home: &home,
            account: &account,
            stop: &stop,
        };
        let taken = take(source, &snapshots, "db").unwrap();
        assert!(taken.name.starts_with("db-") && taken.name.ends_with(".tar.zst"));
        assert!(taken.bytes < 1 << 20, "{taken:?}");
        // Times do not count, modes do.
        let touched = File::open(home.join("holes")).unwrap();
        touched.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(take(source, &snapshots, "db").unwrap().name, taken.name);
        let mode = Permissions::from_mode(0o700);
        touched.set_permissions(mode).unwrap();
        assert_ne!(take(source, &snapshots, "db").unwrap().name, taken.name);

        let to = directory.path().join("to");
        fs::create_dir(&to).unwrap();
        unpack(&snapshots.join(&taken.name), &to, &account, &stop).unwrap();
        let file = to.join("mysql/mysqld").metadata().unwrap();
        assert_eq!(file.mode() & 0o7777, 0o751);
        assert_eq!(to.join("mysql").metadata().unwrap().mode() & 0o777, 0o555);
        assert_eq!(file.ino(), to.join("again").metadata().unwrap().ino());
        assert_eq!(
            fs::read_link(to.join("link")).unwrap(),
            Path::new("mysql/mysqld")
        );
        let holes = to.join("holes").metadata().unwrap();
        assert_eq!(holes.len(), 64 << 20);
        assert!(!to.join("mysql/run/s.sock").exists());
        files::remove(&home).unwrap();
        files::remove(&to).unwrap();
    }

    #[test]
    fn take_packs_nothing_that_its_account_could_not_read() {
        let account = Account::of_services(None);
        let (directory, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
        let (home, snapshots) = (directory.path().join("home"), directory.path().join("s"));
        files::create_private(&home, &account).unwrap();
        fs::write(directory.path().join("secret"), "of ours").unwrap();
        let mode = Permissions::from_mode(0o600);
        fs::set_permissions(directory.path().join("secret"), mode).unwrap();
        fs::hard_link(directory.path().join("secret"), home.join("secret")).unwrap();
        let source = Source {
            home: &home,
            account: &account,
            stop: &stop,
        };
        let taken = take(source, &snapshots, "db");
        if account.drops() {
            let text = format!("cannot read {}", home.join("secret").display());
            assert_eq!(taken.unwrap_err().to_string(), text);
            assert_eq!(fs::read_dir(&snapshots).unwrap().count(), 0);
        } else {
            taken.unwrap();
        }
    }

    #[test]
    fn take_and_unpack_stop_when_they_are_told_to() {
        let (directory, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
        let (home, snapshots) = (directory.path().join("home"), directory.path().join("s"));
        fs::create_dir(&home).unwrap();
        fs::write(home.join("file"), "x").unwrap();
        let account = Account::current();
        let source = Source {
            home: &home,
            account: &account,
            stop: &stop,
        };
        let taken = take(source, &snapshots, "db").unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let canceled = |error: FileError| error.source.raw_os_error() == Some(125);
        assert!(canceled(take(source, &snapshots, "db").unwrap_err()));
        let to = directory.path().join("to");
        fs::create_dir(&to).unwrap();
        let archive = snapshots.join(&taken.name);
        let unpacked = unpack(&archive, &to, &account, &stop);
        assert!(unpacked.is_err());
    }

    #[test]
    fn identity_of_files_without_large_holes_is_what_it_was() {
        let (directory, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
        let account = Account::current();
        fs::create_dir(directory.path().join("d")).unwrap();
        for (path, mode) in [("d/file", 0o640), ("holes", 0o600)] {
            fs::write(directory.path().join(path), "content").unwrap();
            let mode = Permissions::from_mode(mode);
            fs::set_permissions(directory.path().join(path), mode).unwrap();
        }
        fs::set_permissions(directory.path().join("d"), Permissions::from_mode(0o755)).unwrap();
        let holes = File::options()
            .write(true)
            .open(directory.path().join("holes"));
        holes.unwrap().set_len(1 << 20).unwrap();
        symlink("d/file", directory.path().join("link")).unwrap();
        let source = Source {
            home: directory.path(),
            account: &account,
            stop: &stop,
        };
        let home = Directory::open(directory.path()).unwrap();
        // As computed by the first version.
        assert_eq!(identity(&home, source).unwrap(), "2d201b16013adb3d");
    }

    #[test]
    fn unpack_truncated_snapshot_is_an_error_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db-1.tar.zst");
        fs::write(&path, "no").unwrap();
        assert_eq!(
            unpack(
                &path,
                directory.path(),
                &Account::current(),
                &AtomicBool::new(false)
            )
            .unwrap_err()
            .to_string(),
            format!("cannot unpack {}", path.display())
        );
    }
}
