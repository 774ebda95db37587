//! What to do when the server is not reached.

use std::io;

use hook::{Advice, CommandError, ExitStatus, Explain, Kind};
use postinstall::{Port, PrepareError, SettingsError};
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
    /// The port.
    #[error("cannot listen on port {number}, from {variable}", number = port.number, variable = port.variable)]
    PortTaken {
        /// The port.
        port: Port,
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
            Self::PortTaken { .. } => Advice::new(
                Kind::Environment,
                "stop the process that listens there ('ss -ltnp' shows it), start again",
            ),
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
    use super::*;

    fn become_server(kind: io::ErrorKind) -> Error {
        Error::BecomeServer {
            source: CommandError::Start {
                program: "mysqld".into(),
                source: kind.into(),
            },
        }
    }

    #[test]
    fn errors_have_exact_texts_and_statuses() {
        let taken = Error::PortTaken {
            port: Port {
                number: 42800,
                variable: "PORT_TESTBEDDB".to_owned(),
            },
            source: io::ErrorKind::AddrInUse.into(),
        };
        assert_eq!(
            taken.to_string(),
            "cannot listen on port 42800, from PORT_TESTBEDDB"
        );
        assert_eq!(taken.advice().status, ExitStatus::Failed);
        let missing = become_server(io::ErrorKind::NotFound);
        assert_eq!(missing.to_string(), "cannot become the server");
        assert_eq!(missing.advice().status, ExitStatus::NotFound);
        let denied = become_server(io::ErrorKind::PermissionDenied);
        assert_eq!(denied.advice().status, ExitStatus::NotExecutable);
    }
}
