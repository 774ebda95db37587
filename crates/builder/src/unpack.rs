//! Unpacking a tarball below a directory of ours, in one pass and bounded memory. Refuses every entry
//! that would leave the directory, and whatever is not a file, a directory or a link.

use std::cell::Cell;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, EntryType};
use thiserror::Error;

use crate::inflate::inflated;

/// What was unpacked.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// The tarball's top directory.
    pub top: PathBuf,
    /// How many files.
    pub files: u64,
    /// Their content, in bytes.
    pub bytes: u64,
}

/// Unpacks `tarball` below the empty directory `into`.
pub(crate) fn unpack(tarball: &Path, into: &Path) -> Result<Unpacked, UnpackError> {
    let read = |source| UnpackError::Read {
        path: tarball.to_owned(),
        source,
    };
    let broken = Cell::new(None);
    let Some(inflated) = inflated(tarball, &broken).map_err(read)? else {
        return Err(UnpackError::NotATarball {
            path: tarball.to_owned(),
        });
    };
    let mut archive = Archive::new(inflated);
    let mut unpacked = Unpacked {
        top: PathBuf::new(),
        files: 0,
        bytes: 0,
    };
    let mut links = Vec::new();
    for entry in archive.entries().map_err(read)? {
        let mut entry = entry.map_err(read)?;
        let Some(path) = safe_path(&entry)? else {
            continue;
        };
        let top = into.join(path.components().next().unwrap_or(Component::CurDir));
        if unpacked.files > 0 && top != unpacked.top {
            return Err(UnpackError::SeveralTops {
                first: unpacked.top.file_name().unwrap_or_default().into(),
                second: top.file_name().unwrap_or_default().into(),
            });
        }
        unpacked.top = top;
        unpacked.files += 1;
        unpacked.bytes += entry.size();
        if entry.header().entry_type() == EntryType::Symlink {
            links.push(into.join(&path));
        }
        write(&mut entry, &path, into).map_err(|error| broken.take().map_or(error, read))?;
    }
    // What follows the archive must be read too: a checksum may be the last thing in the file.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(read)?;
    if unpacked.files == 0 {
        return Err(UnpackError::Empty {
            path: tarball.to_owned(),
        });
    }
    check_links(&links, &unpacked.top, into)?;
    Ok(unpacked)
}

/// The entry's path, if it stays below the directory one unpacks in; `None` for `./` itself.
fn safe_path(entry: &Entry<'_, impl Read>) -> Result<Option<PathBuf>, UnpackError> {
    let name = PathBuf::from(
        entry
            .path()
            .map_err(|source| UnpackError::Name { source })?,
    );
    let refuse = |why| UnpackError::Refused {
        entry: name.clone(),
        why,
    };
    match entry.header().entry_type() {
        EntryType::Directory | EntryType::Regular | EntryType::Link | EntryType::GNUSparse => {
            if let Some(target) = hard_link_target(entry) {
                inner_path(&target).ok_or_else(|| refuse("is a hard link out of the tarball"))?;
            }
        }
        EntryType::Symlink => {
            let target = entry
                .link_name()
                .map_err(|source| UnpackError::Name { source })?;
            if target.is_some_and(|target| target.is_absolute()) {
                return Err(refuse("is a symbolic link to an absolute path"));
            }
        }
        EntryType::XGlobalHeader => return Ok(None),
        _ => return Err(refuse("is a device, a FIFO or something stranger")),
    }
    let path = inner_path(&name).ok_or_else(|| refuse("leads out of the directory"))?;
    Ok((!path.as_os_str().is_empty()).then_some(path))
}

fn hard_link_target(entry: &Entry<'_, impl Read>) -> Option<PathBuf> {
    (entry.header().entry_type() == EntryType::Link)
        .then(|| entry.link_name().ok().flatten().map(PathBuf::from))
        .flatten()
}

/// `path` without `.` components; `None` if it is absolute or contains `..`.
fn inner_path(path: &Path) -> Option<PathBuf> {
    let mut inner = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => inner.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(inner)
}

fn write(entry: &mut Entry<'_, impl Read>, path: &Path, into: &Path) -> Result<(), UnpackError> {
    let result = if entry.header().entry_type() == EntryType::Directory {
        // With the usual mode: a vendor's read-only directory could not be filled.
        fs::create_dir_all(into.join(path)).map(|()| true)
    } else {
        entry.unpack_in(into)
    };
    match result {
        Ok(true) => Ok(()),
        // The tar crate's own check (a link in the way that leads out).
        Ok(false) => Err(UnpackError::Refused {
            entry: path.to_owned(),
            why: "leads out of the directory",
        }),
        Err(error) => Err(UnpackError::Write {
            entry: path.to_owned(),
            source: innermost(error),
        }),
    }
}

/// The operating system's own error, without the temporary paths that the tar crate wraps it in.
fn innermost(error: io::Error) -> io::Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        let code = current
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        if let Some(code) = code {
            return io::Error::from_raw_os_error(code);
        }
        cause = current.source();
    }
    error
}

/// Now that every link is there: none may lead out of the top directory, by whatever chain.
fn check_links(links: &[PathBuf], top: &Path, into: &Path) -> Result<(), UnpackError> {
    let refuse = |link: &Path| UnpackError::Refused {
        entry: link.strip_prefix(into).unwrap_or(link).to_owned(),
        why: "is a symbolic link out of the tarball",
    };
    let top = top.canonicalize().map_err(|source| UnpackError::Write {
        entry: top.to_owned(),
        source,
    })?;
    for link in links {
        match link.canonicalize() {
            Ok(target) if !target.starts_with(&top) => return Err(refuse(link)),
            // A link that dangles leads nowhere, wherever it points.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// The tarball cannot be unpacked.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// It cannot be read or inflated to its end.
    #[error("cannot read {path} to its end", path = path.display())]
    Read {
        /// The tarball.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither gzip nor xz nor tar.
    #[error("{path} is neither a .tar.gz nor a .tar.xz", path = path.display())]
    NotATarball {
        /// The file.
        path: PathBuf,
    },
    /// Nothing in it.
    #[error("{path} is an empty tarball", path = path.display())]
    Empty {
        /// The tarball.
        path: PathBuf,
    },
    /// Vendors put everything below one directory.
    #[error("the tarball has two top directories, '{first}' and '{second}'", first = first.display(), second = second.display())]
    SeveralTops {
        /// The first.
        first: PathBuf,
        /// Another.
        second: PathBuf,
    },
    /// A name that is none.
    #[error("the tarball has an entry with an unreadable name")]
    Name {
        /// Why.
        source: io::Error,
    },
    /// An entry that is not safe to unpack.
    #[error("the tarball's entry '{entry}' {why}", entry = entry.display())]
    Refused {
        /// Its name.
        entry: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An entry cannot be written.
    #[error("cannot unpack '{entry}'", entry = entry.display())]
    Write {
        /// Its name.
        entry: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, Header};

    use super::*;

    type Row<'a> = (EntryType, &'a str, &'a str);

    /// A tarball of rows: type, name, and link target or content.
    fn tarball(rows: &[Row<'_>]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, name, text) in rows {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            // Past the checks of the tar crate, as an attacker would.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            let content = if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
                ""
            } else {
                text
            };
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Unpacks in `DIR/into`, so that whatever leaves it shows in `DIR`.
    fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Result<Unpacked, UnpackError>) {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("into");
        fs::create_dir(&into).unwrap();
        fs::write(dir.path().join("m.tar"), bytes).unwrap();
        let result = unpack(&dir.path().join("m.tar"), &into);
        (dir, result)
    }

    const FILE: Row<'static> = (EntryType::Regular, "m-1/bin/mysqld", "server");

    #[test]
    fn unpack_every_format_gives_the_same_tree() {
        let plain = tarball(&[
            (EntryType::Directory, "./m-1/", ""),
            FILE,
            (EntryType::Symlink, "m-1/bin/mariadbd", "mysqld"),
            (EntryType::Link, "m-1/bin/again", "m-1/bin/mysqld"),
        ]);
        let mut members = gzip(&plain[..700]);
        members.extend(gzip(&plain[700..]));
        let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&plain).unwrap();
        for bytes in [&plain, &gzip(&plain), &members, &xz.finish().unwrap()] {
            let (dir, result) = unpacked(bytes);
            let unpacked = result.unwrap();
            assert_eq!(unpacked.top, dir.path().join("into/m-1"));
            for name in ["mysqld", "mariadbd", "again"] {
                let path = unpacked.top.join("bin").join(name);
                assert_eq!(fs::read(path).unwrap(), b"server", "{name}");
            }
        }
    }

    #[test]
    fn unpack_hostile_entries_are_refused_by_name_and_leave_nothing_outside() {
        let cases: [(&[Row<'_>], &str); 9] = [
            (
                &[FILE, (EntryType::Regular, "m-1/../../out", "x")],
                "the tarball's entry 'm-1/../../out' leads out of the directory",
            ),
            (
                &[FILE, (EntryType::Regular, "/tmp/out", "x")],
                "the tarball's entry '/tmp/out' leads out of the directory",
            ),
            (
                &[FILE, (EntryType::Symlink, "m-1/etc", "/etc")],
                "the tarball's entry 'm-1/etc' is a symbolic link to an absolute path",
            ),
            (
                &[FILE, (EntryType::Symlink, "m-1/up", "../..")],
                "the tarball's entry 'm-1/up' is a symbolic link out of the tarball",
            ),
            (
                &[
                    FILE,
                    (EntryType::Symlink, "m-1/bin/a", ".."),
                    (EntryType::Symlink, "m-1/b", "bin/a/.."),
                ],
                "the tarball's entry 'm-1/b' is a symbolic link out of the tarball",
            ),
            (
                &[
                    FILE,
                    (EntryType::Symlink, "m-1/up", "../.."),
                    (EntryType::Regular, "m-1/up/out", "x"),
                ],
                "cannot unpack 'm-1/up/out'",
            ),
            (
                &[FILE, (EntryType::Link, "m-1/passwd", "../m.tar")],
                "the tarball's entry 'm-1/passwd' is a hard link out of the tarball",
            ),
            (
                &[FILE, (EntryType::Fifo, "m-1/fifo", "")],
                "the tarball's entry 'm-1/fifo' is a device, a FIFO or something stranger",
            ),
            (
                &[FILE, (EntryType::Regular, "m-2/x", "x")],
                "the tarball has two top directories, 'm-1' and 'm-2'",
            ),
        ];
        for (rows, text) in cases {
            let (dir, result) = unpacked(&tarball(rows));
            assert_eq!(result.unwrap_err().to_string(), text);
            let names = fs::read_dir(dir.path()).unwrap().count();
            assert_eq!(names, 2, "only m.tar and into: {text}");
        }
    }

    #[test]
    fn unpack_broken_files_have_exact_texts() {
        let whole = gzip(&tarball(&[FILE]));
        let cut = &whole[..whole.len() - 5];
        let cases: [(&[u8], &str); 5] = [
            (cut, "cannot read {path} to its end"),
            (&whole[..40], "cannot read {path} to its end"),
            (b"<html>", "{path} is neither a .tar.gz nor a .tar.xz"),
            (b"", "{path} is neither a .tar.gz nor a .tar.xz"),
            (&gzip(&tarball(&[])), "{path} is an empty tarball"),
        ];
        for (bytes, text) in cases {
            let (dir, result) = unpacked(bytes);
            let path = dir.path().join("m.tar").display().to_string();
            assert_eq!(
                result.unwrap_err().to_string(),
                text.replace("{path}", &path)
            );
        }
    }

    #[test]
    fn unpack_unreadable_name_has_exact_text() {
        let error = UnpackError::Name {
            source: io::Error::other("x"),
        };
        assert_eq!(
            error.to_string(),
            "the tarball has an entry with an unreadable name"
        );
    }
}
