//! What to do about each failure.

use std::io;
use std::net::SocketAddr;

use hook::{Advice, EnvironmentError, Explain, Kind};
use thiserror::Error;

/// Why the agent does not watch.
#[derive(Debug, Error)]
pub enum Error {
    /// No home directory.
    #[error(transparent)]
    Home(#[from] EnvironmentError),
    /// Nobody said where to listen.
    #[error("{problem}")]
    NoAddress {
        /// What is wrong with the environment.
        problem: String,
    },
    /// Somebody else listens there, or it is not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The machine gives us no descriptors.
    #[error("cannot go on answering")]
    Answer {
        /// Why.
        source: io::Error,
    },
}

impl Explain for Error {
    fn advice(&self) -> Advice {
        match self {
            Self::Home(_) => Advice::new(
                Kind::Environment,
                "set HOME to the home directory of the service",
            ),
            Self::NoAddress { .. } => Advice::new(
                Kind::Configuration,
                "say --listen 127.0.0.1:PORT, or give the service a port for it in dotcloud.yml \
                 (ports: {agent: tcp}), push again",
            ),
            Self::Listen { .. } => Advice::new(
                Kind::Environment,
                "stop the process that listens there ('ss -ltnp' shows it), or name another \
                 address after --listen, start again",
            ),
            Self::Answer { .. } => Advice::new(Kind::Environment, "start it again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_exact_texts() {
        for (error, text) in [
            (
                Error::Home(EnvironmentError::HomeUnset),
                "agent: error: HOME is not set\n  next: set HOME to the home directory of the \
                 service\n",
            ),
            (
                Error::NoAddress {
                    problem: "no port to listen on: PORT_AGENT is not set".to_owned(),
                },
                "agent: error: no port to listen on: PORT_AGENT is not set\n  next: say --listen \
                 127.0.0.1:PORT, or give the service a port for it in dotcloud.yml (ports: {agent: \
                 tcp}), push again\n",
            ),
            (
                Error::Listen {
                    address: "127.0.0.1:1".parse().unwrap(),
                    source: io::Error::other("taken"),
                },
                "agent: error: cannot listen on 127.0.0.1:1\n  cause: taken\n  next: stop the \
                 process that listens there ('ss -ltnp' shows it), or name another address after \
                 --listen, start again\n",
            ),
            (
                Error::Answer {
                    source: io::Error::other("x"),
                },
                "agent: error: cannot go on answering\n  cause: x\n  next: start it again\n",
            ),
        ] {
            let mut out = Vec::new();
            hook::render("agent", &error, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
