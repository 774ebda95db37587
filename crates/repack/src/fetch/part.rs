//! A file on its way: `NAME.part`, and `NAME.part.json`, which says whose bytes they are and how many
//! of them are on disk for sure. Whatever moment a kill or a power cut chooses, the next run goes on
//! from there or starts over; it never glues two files together. Touches no `.part` of anybody else's.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::FetchError;
use super::tarball::other_inside;
use crate::output::{OutputError, directory_of, open_locked};

/// How much a kill or a power cut may cost: after so many bytes they are synced and recorded.
const STEP: u64 = 8 << 20;

/// Which file the bytes belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Without credentials.
    pub(crate) url: String,
    /// What `If-Range` takes: a strong `ETag` or a `Last-Modified`. Without one nothing is resumed.
    pub(crate) validator: Option<String>,
    /// All of it, unless the server does not say.
    pub(crate) length: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct State {
    #[serde(flatten)]
    origin: Origin,
    /// Bytes synced.
    have: u64,
}

/// The part, locked.
#[derive(Debug)]
pub(crate) struct Part {
    target: PathBuf,
    path: PathBuf,
    state_path: PathBuf,
    file: File,
    origin: Option<Origin>,
    /// Where the next byte goes; behind zero there is an origin.
    position: u64,
    recorded: u64,
    /// What is here came from another URL. It stays until the first byte of something better.
    foreign: bool,
}

/// The URL that a part of `target` is from, without credentials, if a run left one.
pub(crate) fn left_from(target: &Path) -> Option<String> {
    let text = fs::read(with_suffix(target, ".part.json")).ok()?;
    let state = serde_json::from_slice::<State>(&text).ok()?;
    Some(state.origin.url)
}

impl Part {
    /// The part of `target`, new or left by an earlier run; at zero unless the rest can be had
    /// from `url`. What came from another URL is not touched before [`Part::begin`].
    pub(crate) fn open(target: &Path, url: &str) -> Result<Self, FetchError> {
        let path = with_suffix(target, ".part");
        let state_path = with_suffix(target, ".part.json");
        let (file, metadata) = open_locked(&path)?;
        let state = fs::read(&state_path)
            .ok()
            .and_then(|text| serde_json::from_slice::<State>(&text).ok());
        if !metadata.is_file() || metadata.len() > 0 && state.is_none() {
            return Err(OutputError::NotOurs { path }.into());
        }
        // Fewer bytes: it was emptied, and not yet begun again.
        let state = state
            .filter(|State { origin, have }| *have <= metadata.len() && origin.validator.is_some());
        let foreign = state.as_ref().is_some_and(|it| it.origin.url != url);
        let state = state.filter(|_| !foreign);
        let position = state.as_ref().map_or(0, |state| state.have);
        Ok(Self {
            target: target.to_path_buf(),
            path,
            state_path,
            file,
            origin: state.map(|state| state.origin),
            position,
            recorded: position,
            foreign,
        })
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// What the bytes here are of, if there are some.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref().filter(|_| self.position > 0)
    }

    /// All of it, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.origin.as_ref()?.length
    }

    /// Empties it, to start over with `origin`.
    pub(crate) fn begin(&mut self, origin: Origin) -> Result<(), FetchError> {
        self.forget()?;
        self.origin = Some(origin);
        self.record()?;
        sync_directory(&self.target)
    }

    /// Empties it. The record, which now speaks of more bytes than there are, goes for nothing.
    pub(crate) fn forget(&mut self) -> Result<(), FetchError> {
        self.file.set_len(0).map_err(|source| self.failed(source))?;
        (self.position, self.recorded) = (0, 0);
        self.origin = None;
        self.foreign = false;
        Ok(())
    }

    /// Empties it if no other run could add to it; says whether something stays.
    pub(crate) fn forget_unless_resumable(&mut self) -> Result<bool, FetchError> {
        let resumable = self.origin().is_some_and(|it| it.validator.is_some());
        if !resumable && !self.foreign {
            self.forget()?;
        }
        Ok(resumable || self.foreign)
    }

    /// What is inside of the finished file, if that is no tarball.
    pub(crate) fn other_than_a_tarball(&mut self) -> Result<Option<&'static str>, FetchError> {
        let mut look = || {
            self.file.rewind()?;
            Ok(other_inside(self.file.try_clone()?))
        };
        look().map_err(|source| FetchError::Read {
            path: self.path.clone(),
            source,
        })
    }

    /// Hands out what is here, and cuts off what came after the last record.
    pub(crate) fn replay(&mut self, mut take: impl FnMut(&[u8])) -> Result<(), FetchError> {
        let mut read = || {
            self.file.rewind()?;
            let mut buffer = vec![0; 128 << 10];
            let mut left = self.position;
            while left > 0 {
                let most =
                    usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
                self.file.read_exact(&mut buffer[..most])?;
                take(&buffer[..most]);
                left -= most as u64;
            }
            self.file.set_len(self.position)
        };
        read().map_err(|source| FetchError::Read {
            path: self.path.clone(),
            source,
        })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.file
            .seek(SeekFrom::Start(self.position))
            .and_then(|_| self.file.write_all(bytes))
            .map_err(|source| self.failed(source))?;
        self.position += bytes.len() as u64;
        if self.position - self.recorded >= STEP {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Syncs what was appended, and records it.
    pub(crate) fn checkpoint(&mut self) -> Result<(), FetchError> {
        rustix::fs::fdatasync(&self.file).map_err(|errno| self.sync_failed(errno.into()))?;
        self.recorded = self.position;
        self.record()
    }

    fn record(&self) -> Result<(), FetchError> {
        let Some(origin) = self.origin.clone() else {
            return Ok(());
        };
        let state = State {
            origin,
            have: self.recorded,
        };
        let new = with_suffix(&self.target, ".part.json.new");
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec(&state)?)?;
            durable::place(&file, &new, &self.state_path)
        };
        write().map_err(|source| FetchError::Write {
            path: self.state_path.clone(),
            source,
        })
    }

    /// Gives the finished file its name, and makes that survive a power cut.
    pub(crate) fn place(mut self) -> Result<(), FetchError> {
        durable::place(&self.file, &self.path, &self.target).map_err(|source| {
            OutputError::Place {
                path: self.target.clone(),
                source,
            }
        })?;
        // The name is no longer ours to remove.
        self.path.clone_from(&self.target);
        // Without its part it means nothing any more.
        let _ = fs::remove_file(&self.state_path);
        Ok(())
    }

    fn failed(&self, source: io::Error) -> FetchError {
        FetchError::Write {
            path: self.path.clone(),
            source,
        }
    }

    fn sync_failed(&self, source: io::Error) -> FetchError {
        OutputError::Sync {
            path: self.path.clone(),
            source,
        }
        .into()
    }
}

impl Drop for Part {
    /// An empty part is nobody's loss: we hold its lock.
    fn drop(&mut self) {
        let empty = self
            .file
            .metadata()
            .is_ok_and(|metadata| metadata.len() == 0);
        if empty && self.path != self.target {
            // In this order: bytes without a record would be in the next run's way.
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_file(&self.state_path);
        }
    }
}

fn sync_directory(file: &Path) -> Result<(), FetchError> {
    let directory = directory_of(file);
    durable::sync_directory(directory).map_err(|source| {
        OutputError::SyncDirectory {
            path: directory.into(),
            source,
        }
        .into()
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or(OsStr::new("")).to_owned();
    name.push(suffix);
    path.with_file_name(name)
}
