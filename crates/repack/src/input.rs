//! Opening the input and telling what it is, before anything is created.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::codec::{Format, Inflated};
use crate::progress::{StopSignal, Watched};

const BUFFER: usize = 256 << 10;

/// A regular file, open for reading.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    path: &'a Path,
    file: File,
    pub(crate) metadata: Metadata,
}

impl<'a> Input<'a> {
    pub(crate) fn open(path: &'a Path) -> Result<Self, InputError> {
        let failed = |source| InputError::Open {
            path: path.into(),
            source,
        };
        // A FIFO without a writer would block the opening itself.
        let metadata = path.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(InputError::NotAFile { path: path.into() });
        }
        let file = File::open(path).map_err(failed)?;
        Ok(Self {
            path,
            file,
            metadata,
        })
    }

    /// The inflated content; reading it draws the progress bar and obeys `stop`.
    pub(crate) fn inflate(self, stop: StopSignal) -> Result<Inflated, InputError> {
        let path = || self.path.to_path_buf();
        let failed = |source| InputError::Read {
            path: path(),
            source,
        };
        let watched = Watched::new(self.file, self.metadata.len(), stop);
        let mut reader = BufReader::with_capacity(BUFFER, watched);
        let start = reader.fill_buf().map_err(failed)?;
        match Format::of(start) {
            _ if start.is_empty() => Err(InputError::Empty { path: path() }),
            Format::Gzip => Inflated::gzip(reader).map_err(failed),
            Format::Xz => Inflated::xz(reader).map_err(failed),
            Format::Other(what) => Err(InputError::OtherFormat { path: path(), what }),
            Format::Unknown => Err(InputError::UnknownFormat { path: path() }),
        }
    }
}

/// The input is nothing to work with.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    #[error("cannot open {path}", path = path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{path} is not a regular file", path = path.display())]
    NotAFile { path: PathBuf },
    #[error("cannot read {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is empty", path = path.display())]
    Empty { path: PathBuf },
    #[error("{path} is {what}, not a .tar.gz or .tar.xz", path = path.display())]
    OtherFormat { path: PathBuf, what: &'static str },
    #[error("{path} is not a .tar.gz or .tar.xz", path = path.display())]
    UnknownFormat { path: PathBuf },
}
