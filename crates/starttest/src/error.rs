//! What to do when the server is not reached.

use std::io;

use hook::{Advice, CommandError, ExitStatus, Explain, Kind};
use preparation::{PrepareError, SettingsError};
use thiserror::Error;

/// Why starttest did not become the server.
#[derive(Debug, Error)]
pub enum Error {
    /// Its inputs.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What comes before the server.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The accounts' SQL cannot be handed to the server.
    #[error("cannot hand the accounts' SQL to the server")]
    HandOver {
        /// Why.
        source: io::Error,
    },
    /// The exec itself.
    #[error("cannot become the server")]
    BecomeServer {
        /// Why.
        source: CommandError,
    },
}

impl Explain for Error {
    fn advice(&self) -> Advice {
        match self {
            Self::Settings(error) => error.advice(),
            Self::Prepare(error) => error.advice(),
            Self::HandOver { .. } => {
                Advice::new(Kind::Environment, "raise /proc/sys/fs/pipe-max-size")
            }
            Self::BecomeServer { source } => Advice::new(
                Kind::Environment,
                "push again: builder puts the server there",
            )
            .status(exec_status(source)),
        }
    }
}

/// As POSIX shells tell it: 127 not found, 126 found but not executable.
fn exec_status(error: &CommandError) -> ExitStatus {
    match error {
        CommandError::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            ExitStatus::NotFound
        }
        CommandError::Start { .. }
        | CommandError::Talk { .. }
        | CommandError::Fail { .. }
        | CommandError::Stopped { .. } => ExitStatus::NotExecutable,
    }
}

#[cfg(test)]
mod tests {
    use preparation::{Port, ServerKeysError, StaleError};

    use super::*;

    /// What the reader sees, and the status.
    fn rendered(error: &Error) -> (ExitStatus, String) {
        let mut out = Vec::new();
        let status = hook::render("starttest", error, &mut out);
        (status, String::from_utf8(out).unwrap())
    }

    #[test]
    fn hand_over_error_has_exact_text() {
        let source = io::Error::other("x");
        let text = "starttest: error: cannot hand the accounts' SQL to the server\n  cause: x\n  \
                    next: raise /proc/sys/fs/pipe-max-size\n";
        assert_eq!(
            rendered(&Error::HandOver { source }),
            (ExitStatus::Failed, text.to_owned())
        );
    }

    #[test]
    fn become_server_statuses_are_those_of_shells() {
        let start = |kind: io::ErrorKind| CommandError::Start {
            program: "mysqld".into(),
            source: kind.into(),
        };
        for (kind, cause, status) in [
            (
                io::ErrorKind::NotFound,
                "entity not found",
                ExitStatus::NotFound,
            ),
            (
                io::ErrorKind::PermissionDenied,
                "permission denied",
                ExitStatus::NotExecutable,
            ),
        ] {
            let error = Error::BecomeServer {
                source: start(kind),
            };
            let text = format!(
                "starttest: error: cannot become the server\n  cause: cannot run mysqld\n  \
                 cause: {cause}\n  next: push again: builder puts the server there\n"
            );
            assert_eq!(rendered(&error), (status, text));
        }
    }

    #[test]
    fn errors_of_the_preparation_are_those_of_postinstall() {
        for (error, text) in [
            (
                Error::Settings(SettingsError::NoPort),
                "starttest: error: no port to listen on: no PORT_* variable is set\n  next: give \
                 the service a tcp port in dotcloud.yml (ports: {testbeddb: tcp}), push again\n",
            ),
            (
                Error::Prepare(PrepareError::DataRequired { path: "/d".into() }),
                "starttest: error: there is no data directory /d, and MYSQL_REQUIRE_DATA forbids a \
                 fresh one\n  next: put the data back, or unset MYSQL_REQUIRE_DATA to begin with a \
                 fresh database\n",
            ),
            (
                Error::Prepare(PrepareError::PortTaken {
                    port: Port {
                        number: 42800,
                        variable: "PORT_TESTBEDDB".to_owned(),
                    },
                    source: io::Error::other("taken"),
                }),
                "starttest: error: cannot listen on port 42800, from PORT_TESTBEDDB\n  cause: \
                 taken\n  next: stop the process that listens there ('ss -ltnp' shows it), start \
                 again\n",
            ),
            (
                Error::Prepare(PrepareError::ServerKeys(ServerKeysError {
                    path: "/d/ca.pem".into(),
                    source: io::Error::other("x"),
                })),
                "starttest: error: cannot rename /d/ca.pem, one of an incomplete set of keys\n  \
                 cause: x\n  next: move it out of the data directory, start again\n",
            ),
            (
                Error::Prepare(PrepareError::Stale(StaleError {
                    path: "/r/mysqld.sock.lock".into(),
                    source: io::Error::other("x"),
                })),
                "starttest: error: cannot remove /r/mysqld.sock.lock, which an earlier server \
                 left\n  cause: x\n  next: remove it, start again\n",
            ),
        ] {
            assert_eq!(rendered(&error), (ExitStatus::Failed, text.to_owned()));
        }
    }
}
