//! Every way a run can fail, and what its reader can do next.

use std::io;

use hook::{Advice, Explain, Kind};
use thiserror::Error;

use crate::input::InputError;
use crate::output::OutputError;
use crate::refusal::{Refusal, StreamError};
use crate::wrapper::WrapperError;

#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("cannot catch signals")]
    CatchSignals { source: io::Error },
    #[error("cannot start a thread")]
    StartThread { source: io::Error },
    #[error("stopped by signal {signal}; nothing was written")]
    Stopped { signal: i32 },
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

const FETCH_AGAIN: &str = "compare its size and checksum with the vendor's, and download it again";

impl Explain for Error {
    fn advice(&self) -> Advice {
        match self {
            Self::CatchSignals { .. } | Self::Stopped { .. } => {
                Advice::new(Kind::Environment, "run it again")
            }
            Self::StartThread { .. } => Advice::new(
                Kind::Environment,
                "run it again with --threads 1, or raise the limit that 'ulimit -u' shows",
            ),
            Self::Input(error) => error.advice(),
            Self::Stream(error) => error.advice(),
            Self::Output(error) => error.advice(),
        }
    }
}

impl Explain for InputError {
    fn advice(&self) -> Advice {
        match self {
            Self::Open { .. } => {
                Advice::new(Kind::Environment, "check the path and its permissions")
            }
            Self::NotAFile { .. } => Advice::new(
                Kind::Configuration,
                "pass the tarball itself, not what was unpacked from it",
            ),
            Self::NoTarball(file) => Advice::new(Kind::Configuration, file.next()),
        }
    }
}

impl Explain for StreamError {
    fn advice(&self) -> Advice {
        match self {
            Self::Read { .. } => Advice::new(Kind::Environment, "check the disk it is on"),
            Self::Truncated { .. } | Self::Corrupt { .. } => {
                Advice::new(Kind::Configuration, FETCH_AGAIN)
            }
            Self::TooLarge { .. } => Advice::new(
                Kind::Configuration,
                "if it is the vendor's (compare its checksum), allow more with --max-size BYTES",
            ),
            Self::Wrapper { problem, .. } => Advice::new(
                Kind::Configuration,
                match problem {
                    WrapperError::NoServer { .. } => {
                        "pass the tarball that holds the server (bin/mysqld or bin/mariadbd)"
                    }
                    WrapperError::Several { .. } => {
                        "unpack it, and pass the one of them that you want"
                    }
                    WrapperError::AfterEnd => FETCH_AGAIN,
                },
            ),
            Self::TooMuchMemory { .. } => Advice::new(
                Kind::Configuration,
                "recompress it: 'zstd -dc --long=31 FILE', or 'xz -dc FILE', piped into \
                 'gzip >NAME.tar.gz'",
            ),
            Self::NotTar { .. } | Self::NoEntries { .. } => Advice::new(
                Kind::Configuration,
                "pass the vendor's binary tarball (linux-generic, not the source)",
            ),
            Self::NoServer(archive) => Advice::new(Kind::Configuration, archive.next()),
            Self::Absent { .. } => Advice::new(
                Kind::Configuration,
                "pass the vendor's binary tarball (linux-generic, not the source, not \
                 the test suite)",
            ),
            Self::Lacks { file, cause, .. } => {
                let keep = format!("--keep '{}'", file.display());
                Advice::new(
                    Kind::Configuration,
                    if cause.starts_with("--drop") {
                        format!("run it without {cause}, or add {keep}")
                    } else {
                        format!("add {keep}")
                    },
                )
            }
            Self::Refused { refusal, .. } => refusal.advice(),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
                Advice::new(Kind::Environment, "see why the program that reads it ended")
            }
            Self::Write { .. } => Advice::new(
                Kind::Environment,
                "make room there, or choose another place with -o",
            ),
        }
    }
}

impl Explain for Refusal {
    fn advice(&self) -> Advice {
        let next = match self {
            Self::Name(_) | Self::AfterEnd => {
                "do not unpack it either: get the tarball from the vendor, and compare its checksum"
                    .to_owned()
            }
            Self::Place(_) | Self::NoTarget | Self::HardLinkToNothing { .. } => {
                FETCH_AGAIN.to_owned()
            }
            Self::NotInDirectory | Self::SecondTop { .. } => {
                "pack one directory that holds bin, lib and share".to_owned()
            }
            Self::Special { .. } | Self::LinkLeadsOut { .. } => {
                "leave it out with --drop and its path below the top directory, if you trust the rest"
                    .to_owned()
            }
            Self::HardLinkToDropped { link, target } => {
                format!("keep both with --keep '{target}', or leave out both with --drop '{link}'")
            }
        };
        Advice::new(Kind::Configuration, next)
    }
}

impl Explain for OutputError {
    fn advice(&self) -> Advice {
        match self {
            Self::IsInput { .. } | Self::NotAFile { .. } => {
                Advice::new(Kind::Configuration, "choose another file with -o")
            }
            Self::Create { .. } | Self::Place { .. } => Advice::new(
                Kind::Environment,
                "check that the directory exists and is yours, or choose another place with -o",
            ),
            Self::Busy { .. } => Advice::new(
                Kind::Environment,
                "wait for it, or choose another file with -o",
            ),
            Self::NotOurs { .. } => Advice::new(
                Kind::Environment,
                "move it away, or choose another file with -o",
            ),
            Self::Sync { .. } | Self::SyncDirectory { .. } => Advice::new(
                Kind::Environment,
                "check the disk it is on, and run it again",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other failures are brought about by the tests of the executable.
    #[track_caller]
    fn says(error: impl Into<Error>, text: &str, next: &str) {
        let mut out = Vec::new();
        let status = hook::render("repack", &error.into(), &mut out);
        let expected = format!(
            "repack: error: {text}\n  cause: input/output error (os error 5)\n  next: {next}\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(status, hook::ExitStatus::Failed);
    }

    #[test]
    fn error_of_a_failing_system_has_exact_text() {
        let path = || "/srv/file".into();
        let source = || io::Error::from_raw_os_error(5);
        let disk = "check the disk it is on";
        let again = "check the disk it is on, and run it again";
        let place = "check that the directory exists and is yours, or choose another place with -o";
        let error = Error::CatchSignals { source: source() };
        says(error, "cannot catch signals", "run it again");
        let error = Error::StartThread { source: source() };
        let threads = "run it again with --threads 1, or raise the limit that 'ulimit -u' shows";
        says(error, "cannot start a thread", threads);
        let error = StreamError::Read {
            path: path(),
            source: source(),
        };
        says(error, "cannot read /srv/file", disk);
        let error = OutputError::Sync {
            path: path(),
            source: source(),
        };
        says(error, "cannot sync /srv/file", again);
        let error = OutputError::Place {
            path: path(),
            source: source(),
        };
        says(error, "cannot put /srv/file in place", place);
        let error = OutputError::SyncDirectory {
            path: path(),
            source: source(),
        };
        says(error, "cannot sync directory /srv/file", again);
    }
}
