//! What the pass refuses, and why reading the input failed.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::codec::{Progress, is_memory_limit};
use crate::name::NameError;
use crate::tree::TreeError;

/// Tells a cut-off input from a corrupt one and from a disk that fails.
pub(crate) fn unreadable(
    path: &Path,
    progress: &Cell<Progress>,
    started: bool,
    source: io::Error,
) -> StreamError {
    let path = path.to_path_buf();
    match progress.get() {
        Progress::Failed if is_memory_limit(&source) => StreamError::TooMuchMemory { path },
        Progress::Failed if source.kind() == io::ErrorKind::UnexpectedEof => {
            StreamError::Truncated { path }
        }
        Progress::Failed if is_from_system(&source) => StreamError::Read { path, source },
        Progress::Ended if started => StreamError::Truncated { path },
        Progress::Flowing | Progress::Ended if !started => StreamError::NotTar { path },
        Progress::Failed | Progress::Flowing | Progress::Ended => {
            StreamError::Corrupt { path, source }
        }
    }
}

/// The tar reader wraps the system's errors.
fn is_from_system(error: &io::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        let io_error = error.downcast_ref::<io::Error>();
        if io_error.is_some_and(|error| error.raw_os_error().is_some()) {
            return true;
        }
        source = error.source();
    }
    false
}

/// The pass found what it cannot or will not copy, or could not write.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    #[error("cannot read {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is cut off", path = path.display())]
    Truncated { path: PathBuf },
    #[error("{path} is corrupt", path = path.display())]
    Corrupt { path: PathBuf, source: io::Error },
    #[error("{path} needs more than 128 MiB of memory to inflate", path = path.display())]
    TooMuchMemory { path: PathBuf },
    #[error("{path} does not hold a tar archive", path = path.display())]
    NotTar { path: PathBuf },
    #[error("{path} holds no files", path = path.display())]
    NoEntries { path: PathBuf },
    #[error("the result would hold no server: {path} has none, or it was dropped", path = path.display())]
    NoServer { path: PathBuf },
    #[error("{path}: {subject} {refusal}", path = path.display(), subject = subject(entry))]
    Refused {
        path: PathBuf,
        entry: String,
        refusal: Refusal,
    },
    #[error("cannot write {path}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What stopped the pass; `stream` adds the files' names.
pub(crate) enum Failure {
    Refused(Refusal),
    Read(io::Error),
    Write(io::Error),
}

impl<T: Into<Refusal>> From<T> for Failure {
    fn from(refusal: T) -> Self {
        Self::Refused(refusal.into())
    }
}

fn subject(entry: &str) -> String {
    if entry.is_empty() {
        "the archive".into()
    } else {
        format!("entry '{entry}'")
    }
}

/// What is wrong with an entry: the rest of a sentence that starts with its name.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Place(#[from] TreeError),
    #[error("is not in a directory: a server tarball has one top directory")]
    NotInDirectory,
    #[error("is not in '{first}': a server tarball has one top directory")]
    SecondTop { first: String },
    #[error("is {what}")]
    Special { what: &'static str },
    #[error("is a link without a target")]
    NoTarget,
    #[error("is a link to '{target}', which is not in the top directory")]
    LinkLeadsOut { target: String },
    #[error("is a hard link to '{target}', which is no file before it")]
    HardLinkToNothing { target: String },
    #[error("is a hard link to '{target}', which is left out")]
    HardLinkToDropped { link: String, target: String },
    #[error("goes on after its end")]
    AfterEnd,
}
