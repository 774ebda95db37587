//! Ports: what is spoken there, and what an instance has to pass to be reached.

use serde::{Deserialize, Serialize};

/// A port's number and what is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) kind: PortKind,
}

/// How the world reaches a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PortKind {
    Http,
    Tcp,
    Udp,
}

/// A question over HTTP that an instance has to answer well to be reached at a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PortCheck {
    /// The name of the port that is asked.
    pub(crate) port: String,
    pub(crate) path: String,
    /// Between two questions.
    pub(crate) milliseconds: u64,
}
