//! Opening the input and telling what it is, layer by layer, before anything is created.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use judge::NoTarball;
use tarball::Ahead;
use thiserror::Error;

use crate::codec::inflate;
use crate::error::Error;
use crate::progress::{ReadSoFar, StopSignal, Watched};
use crate::refusal::unreadable;
use crate::wrapper::{Wrapped, is_wrapper};

const BUFFER: usize = 256 << 10;
/// As much tells every format, and the first file's name behind directories and extensions.
const START: u64 = 8 << 10;
/// What standard input is called in messages.
const STDIN: &str = "standard input";

/// A regular file or standard input, open for reading.
#[derive(Debug)]
pub(crate) struct Input {
    /// For messages.
    pub(crate) path: PathBuf,
    file: File,
    pub(crate) metadata: Metadata,
}

/// The archive in the input, inflated in a thread of its own.
pub(crate) struct Inflated {
    pub(crate) archive: Ahead,
    /// The tarball that was picked where the input wraps several.
    pub(crate) chosen: Option<String>,
    pub(crate) read_so_far: ReadSoFar,
}

impl Input {
    /// Opens `path`; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self, InputError> {
        let stdin = path == Path::new("-");
        let path = if stdin { Path::new(STDIN) } else { path };
        let failed = |source| InputError::Open {
            path: path.into(),
            source,
        };
        let file = if stdin {
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            File::from(stdin.map_err(failed)?)
        } else {
            // A FIFO without a writer would block the opening itself.
            if !path.metadata().map_err(failed)?.is_file() {
                return Err(InputError::NotAFile { path: path.into() });
            }
            File::open(path).map_err(failed)?
        };
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(InputError::NotAFile { path: path.into() });
        }
        Ok(Self {
            path: path.into(),
            file,
            metadata,
        })
    }

    /// The archive in it, if it has no more than `max_size` bytes inflated; reading it draws the
    /// progress bar and obeys `stop`.
    pub(crate) fn inflate(self, stop: StopSignal, max_size: u64) -> Result<Inflated, Error> {
        let Self {
            path,
            file,
            metadata,
        } = self;
        let length = metadata.is_file().then_some(metadata.len());
        let watched = Watched::new(file, length, stop);
        let read_so_far = watched.read_so_far();
        let (archive, chosen) = unwrap(&path, watched, max_size)?;
        let archive = Ahead::start(archive).map_err(|source| Error::StartThread { source })?;
        Ok(Inflated {
            archive,
            chosen,
            read_so_far,
        })
    }
}

type Layer = Box<dyn BufRead + Send>;

/// The server's archive in `input`, and the name of the tarball that was picked where there are
/// several. The path is for messages.
pub(crate) fn unwrap(
    path: &Path,
    input: impl Read + Send + 'static,
    max_size: u64,
) -> Result<(Layer, Option<String>), Error> {
    let (start, archive) = plain(path, None, input, max_size)?;
    if !is_wrapper(&start) {
        return Ok((archive, None));
    }
    let wrapped = Wrapped::find(archive).map_err(|source| unreadable(path, source))?;
    let chosen = wrapped.chosen().to_owned();
    let (_, archive) = plain(path, Some(&chosen), wrapped, max_size)?;
    Ok((archive, Some(chosen)))
}

/// What is in `input`, inflated, and what that starts with. The names are for messages: of the file,
/// and of what was picked in it.
fn plain(
    path: &Path,
    chosen: Option<&str>,
    input: impl Read + Send + 'static,
    max_size: u64,
) -> Result<(Vec<u8>, Layer), Error> {
    let failed = |source| unreadable(path, source);
    let path = || chosen.map_or(path.into(), |name| path.join(name));
    let (start, input) = started(input).map_err(failed)?;
    let Some(how) = NoTarball::judge(&path(), &start).map_err(InputError::NoTarball)? else {
        return Ok((start, input));
    };
    let inflated = inflate(how, input, max_size).and_then(started);
    let (start, inflated) = inflated.map_err(failed)?;
    NoTarball::judge_inflated(&path(), &start).map_err(InputError::NoTarball)?;
    Ok((start, inflated))
}

/// The first bytes of `reader`, and all of it once more.
fn started(mut reader: impl Read + Send + 'static) -> io::Result<(Vec<u8>, Layer)> {
    let mut start = Vec::new();
    reader.by_ref().take(START).read_to_end(&mut start)?;
    let rest = BufReader::with_capacity(BUFFER, reader);
    let all = Cursor::new(start.clone()).chain(rest);
    Ok((start, Box::new(all)))
}

/// The input is nothing to work with.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    #[error("cannot open {path}", path = path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{path} is not a regular file", path = path.display())]
    NotAFile { path: PathBuf },
    #[error(transparent)]
    NoTarball(NoTarball),
}
