//! Running first-run files on a database that nobody uses yet, each by a client of its own. The first
//! failure ends it; what is half-done then is for the caller to throw away.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use hook::CommandError;
use thiserror::Error;

use super::{FirstRunFile, FirstRunFileError};
use crate::layout::Layout;
use crate::opening::Opening;
use crate::server::Server;
use crate::temporary_server::{TemporaryServer, TemporaryServerError};

/// First-run files and what the server needs to run them.
#[derive(Clone, Copy, Debug)]
pub struct FirstRun<'a> {
    /// The files, in their order.
    pub files: &'a [FirstRunFile],
    /// What gives root its password.
    pub opening: &'a Opening<'a>,
    /// The database they are for, unless they say otherwise.
    pub database: Option<&'a str>,
}

impl FirstRun<'_> {
    /// Runs them all on `data_dir`, whose root is locked, and leaves it as after a clean stop.
    pub(crate) fn run(
        &self,
        server: &Server,
        layout: &Layout,
        data_dir: &Path,
    ) -> Result<(), FirstRunError> {
        if self.files.is_empty() {
            return Ok(self.opening.run(server, layout, data_dir)?);
        }
        let mut server = TemporaryServer::start(server, layout, data_dir, self.opening)?;
        for file in self.files {
            let failure = Mutex::new(None);
            let sql = Watched {
                inner: file.open().map_err(|source| file.unreadable(source))?,
                failure: &failure,
            };
            let result = server.feed(sql, self.database);
            // The client only saw the end of its input.
            if let Some(source) = failure.into_inner().ok().flatten() {
                return Err(file.unreadable(source).into());
            }
            result.map_err(|source| FirstRunError::Fail {
                path: file.path.clone(),
                log: layout.initialise_log(),
                source,
            })?;
        }
        server.stop()?;
        Ok(self.opening.note(data_dir)?)
    }
}

/// A reader that keeps its failure.
struct Watched<'a> {
    inner: Box<dyn Read + Send>,
    failure: &'a Mutex<Option<io::Error>>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| {
            if let Ok(mut failure) = self.failure.lock() {
                *failure = Some(io::Error::new(error.kind(), error.to_string()));
            }
        })
    }
}

/// The first-run files did not all run.
#[derive(Debug, Error)]
pub enum FirstRunError {
    /// One cannot be read.
    #[error(transparent)]
    File(#[from] FirstRunFileError),
    /// There is no server to run them.
    #[error(transparent)]
    Server(#[from] TemporaryServerError),
    /// One of its statements failed.
    #[error("the first-run file {path} failed", path = path.display())]
    Fail {
        /// The file.
        path: PathBuf,
        /// The server's log.
        log: PathBuf,
        /// What the client said.
        source: CommandError,
    },
}

impl FirstRunError {
    /// What client and server said. Empty if no program failed.
    #[must_use]
    pub fn evidence(&self) -> String {
        match self {
            Self::File(_) => String::new(),
            Self::Fail { log, source, .. } => {
                let said = client_errors(source);
                if LOST.iter().any(|words| said.contains(words)) {
                    format!("{said}\n{}", log_evidence(log))
                } else {
                    said
                }
            }
            Self::Server(error) => error.evidence(),
        }
    }
}

/// How clients say that the server went away.
const LOST: [&str; 2] = ["Lost connection", "gone away"];

/// What a client said of its failure. Clients warn of `--loose-` options, and repeat a failed statement when
/// they are verbose.
#[must_use]
pub fn client_errors(source: &CommandError) -> String {
    let said = source.last_words();
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("ERROR"))
        .collect();
    if errors.is_empty() {
        said.to_owned()
    } else {
        errors.join("\n")
    }
}

/// What MySQL calls an error at the first start of every copy of a seed: a list of pages to read ahead.
const NO_ERROR: &str = "ib_buffer_pool";

/// The first errors in a server's log: what follows is their consequence.
pub(crate) fn log_errors(log: &Path) -> Option<String> {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let is_error = |line: &&str| line.contains("ERROR") && !line.contains(NO_ERROR);
    let errors = text.lines().filter(is_error);
    let errors: Vec<&str> = errors.take(6).collect();
    (!errors.is_empty()).then(|| errors.join("\n"))
}

/// What a server's log tells of its failure: the first errors, else its last lines. Empty if there is none.
#[must_use]
pub fn log_evidence(log: &Path) -> String {
    log_errors(log).unwrap_or_else(|| {
        let text = fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn failed(words: &str) -> CommandError {
        CommandError::Fail {
            program: "mysql".into(),
            status: std::process::ExitStatus::from_raw(1 << 8),
            last_words: words.to_owned(),
        }
    }

    #[test]
    fn evidence_is_the_clients_error_and_the_log_if_the_server_went_away() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let fail = |words: &str| FirstRunError::Fail {
            path: "/i/1.sql".into(),
            log: log.path().into(),
            source: failed(words),
        };
        let noise = "[ERROR] Cannot open '/d/ib_buffer_pool' for reading";
        fs::write(log.path(), format!("{noise}\n[ERROR] one\n[ERROR] two\n")).unwrap();
        let loose = "mysql: [Warning] unknown option '--loose-commands'\n";
        let syntax = "ERROR 1064 (42000) at line 2: You have an error";
        assert_eq!(fail(&format!("{loose}{syntax}")).evidence(), syntax);
        let lost = "ERROR 2013 (HY000) at line 1: Lost connection to server during query";
        assert_eq!(
            fail(lost).evidence(),
            format!("{lost}\n[ERROR] one\n[ERROR] two")
        );
        assert_eq!(fail("no such file").evidence(), "no such file");
        assert_eq!(fail("").to_string(), "the first-run file /i/1.sql failed");
    }

    #[test]
    fn log_evidence_without_errors_is_its_end() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let lines: Vec<String> = (0..20).map(|n| format!("line {n}")).collect();
        fs::write(log.path(), lines.join("\n")).unwrap();
        assert_eq!(log_evidence(log.path()), lines[8..].join("\n"));
        assert_eq!(log_evidence(Path::new("/nowhere/log")), "");
        fs::write(log.path(), "a\n[ERROR] b\nc\n").unwrap();
        assert_eq!(log_evidence(log.path()), "[ERROR] b");
    }
}
