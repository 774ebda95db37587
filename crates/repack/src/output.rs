//! The file to write: beside its final name until it is complete and on disk, then renamed.
//! Never touches a file it cannot prove to be a leftover of ours, and never writes over the input.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::compress::{Compression, is_ours};
use crate::report;

/// Where a result goes.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    File(PathBuf),
    StandardOutput,
}

impl Target {
    /// For messages.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::StandardOutput => Path::new("standard output"),
        }
    }
}

/// Where the result goes unless told otherwise: IN's name with `-repacked.tar.zst` (or `.gz`, `.xz`),
/// beside IN.
pub(crate) fn default_output(input: &Path, compression: Compression) -> PathBuf {
    const ENDINGS: [&str; 10] = [
        ".tar.gz", ".tar.xz", ".tar.zst", ".tgz", ".txz", ".tzst", ".gz", ".xz", ".zst", ".tar",
    ];
    let name = input.file_name().unwrap_or_default().as_bytes();
    let stem = ENDINGS
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix.as_bytes()))
        .filter(|stem| !stem.is_empty())
        .unwrap_or(name);
    let mut output = OsStr::from_bytes(stem).to_owned();
    output.push("-repacked");
    output.push(compression.suffix());
    input.with_file_name(output)
}

/// A file being written under a temporary name; dropped before [`Output::place`], it is removed.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    placed: bool,
}

impl Output {
    /// Starts writing the file that will be `path`. `input` must not be that file.
    pub(crate) fn create(path: &Path, input: &Metadata) -> Result<Self, OutputError> {
        match fs::symlink_metadata(path) {
            Ok(old) if same_file(&old, input) => Err(OutputError::IsInput { path: path.into() }),
            // Renaming over a device, a directory or a link would not do what was meant.
            Ok(old) if !old.is_file() => Err(OutputError::NotAFile { path: path.into() }),
            _ => Ok(()),
        }?;
        let temporary = temporary_name(path);
        let file = claim(&temporary)?;
        Ok(Self {
            path: path.into(),
            temporary,
            file,
            placed: false,
        })
    }

    /// Puts the finished file in place and makes that survive a power cut.
    pub(crate) fn place(mut self) -> Result<u64, OutputError> {
        let place = || {
            durable::place(&self.file, &self.temporary, &self.path)?;
            Ok(self.file.metadata()?.len())
        };
        let size = place().map_err(|source| OutputError::Place {
            path: self.path.clone(),
            source,
        })?;
        self.placed = true;
        Ok(size)
    }
}

impl Write for &Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.file).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.placed {
            // Ours, for we hold its lock; a failure leaves a leftover the next run takes over.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Always the same name, so that leftovers of killed runs cannot pile up.
fn temporary_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".repack-partial");
    path.with_file_name(name)
}

/// Opens, locks and empties the temporary file, new or a leftover of ours.
fn claim(temporary: &Path) -> Result<File, OutputError> {
    let failed = |source| OutputError::Create {
        path: temporary.into(),
        source,
    };
    let (mut file, opened) = open_locked(temporary)?;
    let mut start = Vec::new();
    (&file).take(64).read_to_end(&mut start).map_err(failed)?;
    let ours = is_ours(&start) || report::is_ours(&start);
    if !opened.is_file() || !ours {
        return Err(OutputError::NotOurs {
            path: temporary.into(),
        });
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    Ok(file)
}

/// Opens and locks a file that only one run may work on, new or not. Looks at no content.
pub(crate) fn open_locked(path: &Path) -> Result<(File, Metadata), OutputError> {
    let failed = |source| OutputError::Create {
        path: path.into(),
        source,
    };
    loop {
        // Not through somebody's link.
        if fs::symlink_metadata(path).is_ok_and(|named| !named.is_file()) {
            return Err(OutputError::NotOurs { path: path.into() });
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OutputError::Busy { path: path.into() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let opened = file.metadata().map_err(failed)?;
        match fs::symlink_metadata(path) {
            Ok(named) if same_file(&named, &opened) => return Ok((file, opened)),
            // The run that held it has just renamed or removed it: what we opened is not ours.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) => {}
            Err(source) => return Err(failed(source)),
        }
    }
}

pub(crate) fn same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The result cannot be written.
#[derive(Debug, Error)]
pub(crate) enum OutputError {
    #[error("the output {path} is the input itself", path = path.display())]
    IsInput { path: PathBuf },
    #[error("the output {path} exists and is not a regular file", path = path.display())]
    NotAFile { path: PathBuf },
    #[error("cannot create {path}", path = path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("another repack is writing {path}", path = path.display())]
    Busy { path: PathBuf },
    #[error("{path} is in the way, and not a leftover of repack", path = path.display())]
    NotOurs { path: PathBuf },
    #[error("cannot sync {path}", path = path.display())]
    Sync { path: PathBuf, source: io::Error },
    #[error("cannot put {path} in place", path = path.display())]
    Place { path: PathBuf, source: io::Error },
    #[error("cannot sync directory {path}", path = path.display())]
    SyncDirectory { path: PathBuf, source: io::Error },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_output_is_beside_the_input_under_a_name_of_its_own() {
        let rows = [
            ("a.tar.gz", "a-repacked.tar.gz"),
            ("/srv/a-1.2.tar.xz", "/srv/a-1.2-repacked.tar.gz"),
            ("../a.tgz", "../a-repacked.tar.gz"),
            ("a.tar.zst", "a-repacked.tar.gz"),
            ("a.tzst", "a-repacked.tar.gz"),
            ("a.tar", "a-repacked.tar.gz"),
            ("download", "download-repacked.tar.gz"),
            (".tar.gz", ".tar.gz-repacked.tar.gz"),
        ];
        for (input, output) in rows {
            let default = default_output(Path::new(input), Compression::Gz);
            assert_eq!(default, Path::new(output));
        }
        let xz = default_output(Path::new("a.tgz"), Compression::Xz);
        assert_eq!(xz, Path::new("a-repacked.tar.xz"));
    }
}
