//! The result of a build: `$HOME` as a compressed tar archive, named by its content: what is there
//! already is not packed again. Modes, times, links and holes survive; sockets, devices and
//! set-user-id bits do not.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};
use walkdir::WalkDir;

use crate::account::Account;
use crate::files::{self, FileError};

/// What fails of a snapshot that is damaged.
pub(crate) const UNPACK: &str = "unpack";

const LEVEL: i32 = 3;
const THREADS: u32 = 2;

/// A snapshot that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Its name in the directory of snapshots.
    pub(crate) name: String,
    /// Its compressed size.
    pub(crate) bytes: u64,
}

/// Packs `home` into a file below `directory`, whole or not at all; not again if it is there.
pub(crate) fn take(home: &Path, directory: &Path, service: &str) -> Result<Taken, FileError> {
    files::create_directory(directory, 0o700)?;
    let failed = |source| files::failed("write a snapshot in", directory)(source);
    let name = format!("{service}-{}.tar.zst", identity(home)?);
    let path = directory.join(&name);
    if let Some(found) = files::look(&path)? {
        let bytes = found.len();
        return Ok(Taken { name, bytes });
    }
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(directory)
        .map_err(failed)?;
    pack(home, file.as_file_mut())?;
    let bytes = file.as_file().metadata().map_err(failed)?.len();
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    files::sync_directory(directory)?;
    Ok(Taken { name, bytes })
}

/// What is in `home`, paths, kinds, modes and content; not the times, which every build changes.
fn identity(home: &Path) -> Result<String, FileError> {
    let mut digest = Sha256::new();
    for entry in entries(home) {
        let Packed {
            path,
            name,
            metadata,
        } = entry?;
        let failed = |source| files::failed("read", &path)(source);
        let mut field = |bytes: &[u8]| {
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        field(name.as_os_str().as_bytes());
        field(&metadata.mode().to_le_bytes());
        if metadata.is_symlink() {
            let target = std::fs::read_link(&path).map_err(failed)?;
            field(target.as_os_str().as_bytes());
        } else if metadata.is_file() {
            field(&metadata.len().to_le_bytes());
            let mut file = File::open(&path).map_err(failed)?;
            io::copy(&mut file, &mut Hashing(&mut digest)).map_err(failed)?;
        }
    }
    Ok(short_id(digest))
}

/// 64 bits, which tell one service's builds apart.
pub(crate) fn short_id(digest: Sha256) -> String {
    let id = digest.finalize()[..8]
        .iter()
        .fold(0, |id, &byte| id << 8 | u64::from(byte));
    format!("{id:016x}")
}

/// Something that goes into a snapshot.
struct Packed {
    path: PathBuf,
    /// Relative to `$HOME`.
    name: PathBuf,
    metadata: Metadata,
}

/// Everything of `home` that can be packed, sorted.
fn entries(home: &Path) -> impl Iterator<Item = Result<Packed, FileError>> + '_ {
    let all = WalkDir::new(home).min_depth(1).sort_by_file_name();
    let described = all.into_iter().map(move |entry| {
        let entry = entry?;
        let name = entry.path().strip_prefix(home).unwrap_or(entry.path());
        Ok(Packed {
            name: name.to_owned(),
            metadata: entry.metadata()?,
            path: entry.into_path(),
        })
    });
    described
        .filter(|entry: &walkdir::Result<Packed>| {
            entry.as_ref().map_or(true, |packed| {
                let kind = packed.metadata.file_type();
                kind.is_file() || kind.is_dir() || kind.is_symlink()
            })
        })
        .map(move |entry| entry.map_err(|error| files::walk_error(home, error)))
}

fn pack(home: &Path, out: &mut File) -> Result<(), FileError> {
    let failed = |source| files::failed("pack", home)(source);
    let mut encoder = zstd::Encoder::new(out, LEVEL).map_err(failed)?;
    encoder.multithread(THREADS).map_err(failed)?;
    let mut archive = Builder::new(encoder);
    archive.follow_symlinks(false);
    let mut seen = BTreeMap::new();
    for entry in entries(home) {
        let Packed {
            path,
            name,
            metadata,
        } = entry?;
        let inode = (metadata.dev(), metadata.ino());
        let added = match seen.get(&inode) {
            Some(first) => append_hard_link(&mut archive, &name, first),
            None => archive.append_path_with_name(&path, &name),
        };
        added.map_err(files::failed("pack", &path))?;
        if metadata.is_file() && metadata.nlink() > 1 {
            seen.entry(inode).or_insert(name);
        }
    }
    archive
        .into_inner()
        .and_then(zstd::Encoder::finish)
        .map_err(failed)?;
    Ok(())
}

fn append_hard_link<W: Write>(
    archive: &mut Builder<W>,
    name: &Path,
    first: &PathBuf,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Link);
    header.set_size(0);
    archive.append_link(&mut header, name, first)
}

/// Unpacks `snapshot` into the empty `home` of a closed container; everything belongs to `account` afterwards.
pub(crate) fn unpack(snapshot: &Path, home: &Path, account: &Account) -> Result<(), FileError> {
    let failed = |source| files::failed(UNPACK, snapshot)(source);
    let file = File::open(snapshot).map_err(failed)?;
    let decoder = zstd::Decoder::with_buffer(BufReader::new(file)).map_err(failed)?;
    let mut archive = Archive::new(decoder);
    archive.set_preserve_permissions(true);
    // Until its owner is changed below a file is ours, and must not lend our rights to anyone.
    archive.set_mask(0o6000);
    archive.set_preserve_mtime(true);
    archive.set_preserve_ownerships(false);
    archive.set_overwrite(false);
    archive.unpack(home).map_err(failed)?;
    if account.drops() {
        for entry in WalkDir::new(home) {
            let entry = entry.map_err(|error| files::walk_error(home, error))?;
            account
                .own(entry.path())
                .map_err(files::failed("hand over", entry.path()))?;
        }
    }
    Ok(())
}

struct Hashing<'a>(&'a mut Sha256);

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
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

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

        let taken = take(&home, &snapshots, "db").unwrap();
        assert!(taken.name.starts_with("db-") && taken.name.ends_with(".tar.zst"));
        assert!(taken.bytes < 1 << 20, "{taken:?}");
        // Times do not count, modes do.
        let touched = File::open(home.join("holes")).unwrap();
        touched.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(take(&home, &snapshots, "db").unwrap().name, taken.name);
        let mode = Permissions::from_mode(0o700);
        touched.set_permissions(mode).unwrap();
        assert_ne!(take(&home, &snapshots, "db").unwrap().name, taken.name);

        let to = directory.path().join("to");
        fs::create_dir(&to).unwrap();
        unpack(&snapshots.join(&taken.name), &to, &Account::current()).unwrap();
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
    fn unpack_truncated_snapshot_is_an_error_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db-1.tar.zst");
        fs::write(&path, "no").unwrap();
        assert_eq!(
            unpack(&path, directory.path(), &Account::current())
                .unwrap_err()
                .to_string(),
            format!("cannot unpack {}", path.display())
        );
    }
}
