//! What the pass refuses, and why reading the input failed.

use std::io;
use std::path::{Path, PathBuf};

use judge::{NoServer, cause, is_memory_limit};
use thiserror::Error;

use crate::archive::ArchiveError;
use crate::codec::TooLarge;
use crate::name::NameError;
use crate::tree::TreeError;
use crate::wrapper::WrapperError;

/// Tells a cut-off input from a corrupt one, from a bomb, and from a disk that fails.
pub(crate) fn unreadable(path: &Path, source: io::Error) -> StreamError {
    let path = path.to_path_buf();
    if let Some(TooLarge { limit }) = cause(&source) {
        return StreamError::TooLarge { path, limit };
    }
    if let Some(problem) = cause::<WrapperError>(&source) {
        return StreamError::Wrapper { path, problem };
    }
    match source.kind() {
        _ if is_memory_limit(&source) => StreamError::TooMuchMemory { path },
        io::ErrorKind::UnexpectedEof => StreamError::Truncated { path },
        _ if is_from_system(&source) => StreamError::Read { path, source },
        _ => StreamError::Corrupt { path, source },
    }
}

/// The same for the archive in the input, of which entries were read before or not.
pub(crate) fn unreadable_archive(path: &Path, started: bool, error: ArchiveError) -> StreamError {
    let (no_archive, path_buf) = (!started, path.to_path_buf());
    match error {
        ArchiveError::Read { source } => unreadable(path, source),
        ArchiveError::Checksum | ArchiveError::CutOff | ArchiveError::Size if no_archive => {
            StreamError::NotTar { path: path_buf }
        }
        ArchiveError::CutOff => StreamError::Truncated { path: path_buf },
        error => StreamError::Corrupt {
            path: path_buf,
            source: io::Error::other(error),
        },
    }
}

/// Decoders wrap the system's errors.
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
    #[error("{path} inflates to more than {limit} bytes", path = path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("{path} {problem}", path = path.display())]
    Wrapper {
        path: PathBuf,
        problem: WrapperError,
    },
    #[error("{path} does not hold a tar archive", path = path.display())]
    NotTar { path: PathBuf },
    #[error("{path} holds no files", path = path.display())]
    NoEntries { path: PathBuf },
    #[error(transparent)]
    NoServer(#[from] NoServer),
    #[error("{path} has no {what}", path = path.display())]
    Absent { path: PathBuf, what: &'static str },
    #[error("the result would lack {what}: {file} is left out by {cause}", file = file.display())]
    Lacks {
        what: String,
        file: PathBuf,
        /// The option, or what of the profile.
        cause: String,
    },
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
    Read(ArchiveError),
    Write(io::Error),
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::Read(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Self {
        Self::Refused(error.into())
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

impl Refusal {
    /// Whether it says that the archive is laid out as no server's is.
    pub(crate) fn is_of_the_whole(&self) -> bool {
        matches!(self, Self::NotInDirectory | Self::SecondTop { .. })
    }
}
